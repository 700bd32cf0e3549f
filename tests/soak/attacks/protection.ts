/**
 * The keys and certificates of an attacked server and of its clients.
 *
 * @module
 */

import type { ClientConfig, ServerConfig } from "@veltix/core";
import { Identity } from "@veltix/core/encryption";
import { CA, pair, pem } from "../../tls_support.ts";

/** What protects a server's connections. */
export type Protection = "encryption" | "tls";

const identity = await Identity.importKey(pem("server-identity.pem"));

/** The options of a server. */
export function serverProtection(protection: Protection | undefined): Pick<ServerConfig, "encryption" | "tls"> {
  if (protection === undefined) return {};
  return protection === "tls" ? { tls: pair("server") } : { encryption: { identity } };
}

/** The options of a client that trusts the server. */
export function clientProtection(protection: Protection | undefined): Pick<ClientConfig, "encryption" | "tls"> {
  if (protection === undefined) return {};
  return protection === "tls" ? { tls: { ca: CA } } : { encryption: { trust: identity.publicKey } };
}
