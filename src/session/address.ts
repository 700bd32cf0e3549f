/**
 * Addresses as text and as what is counted.
 *
 * @module
 */

import type { Address } from "../transport.ts";

/** An address for a line in the log. */
export function addressText(address: Address): string {
  if ("path" in address) return address.path === "" ? "a unix socket" : address.path;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The IP address of a peer, an IPv4 one always in its own notation; empty where there is none, as on a unix socket. */
export function ipOf(address: Address): string {
  return "path" in address ? "" : address.hostname.replace(/^::ffff:(?=\d+\.)/i, "");
}
