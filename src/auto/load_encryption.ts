/**
 * Loads the encryption. It is imported when the first Server or Client with the option `encryption` needs it.
 *
 * @module
 */

import type { Encryption } from "../encryption_seam.ts";

/** Returns the encryption of this runtime. */
export async function loadEncryption(): Promise<Encryption> {
  return (await import("../encryption/encrypt.ts")).encryption();
}
