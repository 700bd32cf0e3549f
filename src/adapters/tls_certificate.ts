/**
 * Reads the certificate that a peer has shown.
 *
 * @module
 */

import type * as Crypto from "node:crypto";
import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { builtinModule } from "../base/builtin_module.ts";
import { HandshakeError } from "../errors.ts";
import type { PeerCertificate } from "../transport.ts";
import { namesOf } from "./tls_names.ts";

const CRYPTO = builtinModule("node:crypto") as typeof Crypto;

/**
 * Returns the certificate of the peer; `undefined` if it showed none.
 *
 * @throws {HandshakeError} `certificate-untrusted`: its key cannot be read.
 */
export function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  // `getPeerCertificate` would end the process on Node 24, by a segmentation fault, for a key on a curve without a name
  // of NIST. Any peer could send one.
  const certificate: X509Certificate | null | undefined = socket.getPeerX509Certificate();
  return certificate === undefined || certificate === null ? undefined : described(certificate);
}

/**
 * Returns what a certificate says.
 *
 * @throws {HandshakeError} `certificate-untrusted`: its key cannot be read.
 */
export function described(certificate: X509Certificate): PeerCertificate {
  return {
    ...namesOf(certificate.raw),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    pin: CRYPTO.createHash("sha256").update(keyOf(certificate)).digest("base64"),
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}

function keyOf(certificate: X509Certificate): Uint8Array {
  try {
    return certificate.publicKey.export({ type: "spki", format: "der" });
  } catch (cause) {
    throw new HandshakeError("certificate-untrusted", "The key in the certificate of the peer cannot be read", {
      cause,
    });
  }
}
