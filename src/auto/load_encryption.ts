/**
 * Loads the encryption. It is imported when the first Server or Client with the option `encryption` needs it.
 *
 * @module
 */

import type { Encryption } from "../encryption_seam.ts";

/**
 * The encryption that has been loaded. Asking the module loader each time takes longer than a part of the handshake, and
 * all Servers and Clients may use the same: it has no state but which ciphers the runtime has.
 */
const LOADED: { encryption?: Encryption } = {};

/** Returns the encryption of this runtime. */
export function loadEncryption(): Encryption | Promise<Encryption> {
  return LOADED.encryption ?? load();
}

async function load(): Promise<Encryption> {
  const { encryption } = await import("../encryption/encrypt.ts");
  // Another call may have loaded it meanwhile.
  return LOADED.encryption ??= encryption();
}
