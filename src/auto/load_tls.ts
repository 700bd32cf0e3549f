/**
 * Loads TLS. It is imported when the first Server or Client with the option `tls` needs it.
 *
 * @module
 */

import type { TlsSockets } from "../tls_seam.ts";

/** Returns TLS of this runtime. */
export async function loadTls(): Promise<TlsSockets> {
  return (await import("../adapters/tls.ts")).tlsSockets();
}
