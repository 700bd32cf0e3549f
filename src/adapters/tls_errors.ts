/**
 * Converts the errors of TLS into a {@linkcode HandshakeError}. The runtimes have different texts, but the same codes.
 *
 * @module
 */

import type { PeerCertificate } from "../transport.ts";
import { HandshakeError, type HandshakeErrorCode } from "../errors.ts";

/** The meaning of a code: the code of the error, and words for its text. */
type Meaning = readonly [code: HandshakeErrorCode, state: string];

/**
 * Returns the problem with a certificate that could not be verified. Deno reports an expired certificate as untrusted,
 * so the dates are checked first.
 *
 * @param code The code of the runtime, such as `DEPTH_ZERO_SELF_SIGNED_CERT`.
 * @param whose The owner of the certificate, for the text.
 */
export function verdictOf(code: string, certificate: PeerCertificate | undefined, whose: "server" | "client"): Meaning {
  const now = Date.now();
  if (certificate !== undefined && certificate.validTo.getTime() < now) {
    return meaningOfCertificate("CERT_HAS_EXPIRED", whose);
  }
  if (certificate !== undefined && certificate.validFrom.getTime() > now) {
    return meaningOfCertificate("CERT_NOT_YET_VALID", whose);
  }
  return meaningOfCertificate(code, whose);
}

function meaningOfCertificate(code: string, whose: "server" | "client"): Meaning {
  if (code === "CERT_HAS_EXPIRED") return ["certificate-expired", `the certificate of the ${whose} has expired`];
  if (code === "CERT_NOT_YET_VALID") return ["certificate-expired", `the certificate of the ${whose} is not valid yet`];
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" || code === "HOSTNAME_MISMATCH") {
    return ["name-mismatch", `the certificate of the ${whose} is for other names`];
  }
  return ["certificate-untrusted", `nobody who is trusted vouches for the certificate of the ${whose} (${code})`];
}

/** Returns the error for a failure of TLS; `undefined` for an error of the network. */
export function tlsError(failure: string, error: unknown, whose: "server" | "client"): HandshakeError | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const [stable, state] = meaningOf(String(code), String(message), whose) ?? [];
  if (stable === undefined) return undefined;
  return new HandshakeError(stable, `${failure}: ${state}`, { cause: error });
}

/** Returns the error for a certificate that the runtime has refused; `undefined` for any other error. */
export function certificateError(
  failure: string,
  error: unknown,
  whose: "server" | "client",
): HandshakeError | undefined {
  const code = codeOf(error);
  if (!/^(?:UNABLE_TO|CERT|DEPTH_ZERO|SELF_SIGNED)_|ALTNAME_INVALID$|^HOSTNAME_MISMATCH$/.test(code)) return undefined;
  const [stable, state] = meaningOfCertificate(code, whose);
  return new HandshakeError(stable, `${failure}: ${state}`, { cause: error });
}

function meaningOf(code: string, message: string, whose: "server" | "client"): Meaning | undefined {
  if (/WRONG_VERSION_NUMBER|BAD_RECORD_TYPE|UNEXPECTED_MESSAGE|HTTP_REQUEST/.test(code)) {
    return whose === "server"
      ? ["tls-unavailable", "the server does not speak TLS there"]
      : ["tls-required", "the client does not speak TLS"];
  }
  if (whose === "server" && /before secure TLS connection was established/.test(message)) {
    return ["tls-unavailable", "the server closed the connection during TLS, as one that does not speak it or is full"];
  }
  if (/CERTIFICATE_REQUIRED|PEER_DID_NOT_RETURN_A_CERTIFICATE/.test(code)) {
    return ["client-certificate-required", "the server asks for a certificate of the client"];
  }
  if (/NO_APPLICATION_PROTOCOL/.test(code)) return ["tls-failed", "the peer speaks another protocol over TLS (ALPN)"];
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW/.test(code)) {
    return ["tls-failed", "the peer speaks no version of TLS that is allowed here (minVersion)"];
  }
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED)/.test(code)) {
    return ["tls-failed", `the peer does not trust this side's certificate (${code})`];
  }
  // On Deno, a peer that does not have the key of its certificate.
  if (/^(UNABLE_TO|CERT|DEPTH_ZERO|SELF_SIGNED)_/.test(code)) return meaningOfCertificate(code, whose);
  if (/^ERR_(SSL|TLS|OSSL)_/.test(code)) return ["tls-failed", `TLS failed: ${message.trim() || code}`];
  return undefined;
}

/** Returns the code of an error, or the error itself where a runtime gives only a code. */
export function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | null)?.code ?? error);
}
