/**
 * Reads the certificate that a peer has shown.
 *
 * @module
 */

import { createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { PeerCertificate } from "../transport.ts";

/** Returns the certificate of the peer; `undefined` if it showed none. */
export function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  const { raw } = (socket.getPeerCertificate() ?? {}) as { raw?: Uint8Array };
  if (raw === undefined || raw.length === 0) return undefined;
  const certificate = new X509Certificate(raw);
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return {
    subject: commonName(certificate.subject),
    names: certificate.subjectAltName?.split(/, (?=[A-Za-z ]+:)/) ?? [],
    issuer: commonName(certificate.issuer),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    pin: createHash("sha256").update(key).digest("base64"),
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}

function commonName(name: string | undefined): string {
  return /^CN=(.*)$/m.exec(name ?? "")?.[1] ?? "";
}
