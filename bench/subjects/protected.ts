/**
 * The library with encryption or TLS.
 *
 * @module
 */

import { Identity } from "../../src/encryption/identity.ts";
import { certificate } from "../certificates.ts";
import type { Subject } from "../subject.ts";
import { type TransportChoice, veltix } from "./veltix.ts";

/** The library with encryption; both processes know the identity of the server. */
export async function noise(transport: TransportChoice): Promise<Subject> {
  const identity = await Identity.importKey(certificate("server-identity.pem"));
  return veltix(transport, { encryption: { identity } }, { encryption: { trust: identity.publicKey } });
}

/** The library with TLS. It has sockets of its own. */
export function tls(): Subject {
  const [cert, key] = [certificate("server.crt"), certificate("server.key")];
  return veltix("auto", { tls: { cert, key } }, { tls: { ca: certificate("ca.crt") } });
}
