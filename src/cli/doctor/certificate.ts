/**
 * What `doctor` says about TLS and the certificate of a server.
 *
 * @module
 */

import { readTls, secureSocket } from "../../adapters/tls.ts";
import { printable } from "../../base/untrusted.ts";
import type { ClientConfig } from "../../client/client_config.ts";
import { HandshakeError } from "../../errors.ts";
import type { TlsClientOptions } from "../../tls_seam.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";
import { alpnOf, type Place } from "./place.ts";
import { type Limits, plainSocket, type SeenTls } from "./probes.ts";

/** A certificate that expires within so many days is worth a warning. */
const SOON = 14;
const DAY = 86_400_000;

const ADVICE: Readonly<Record<string, string>> = {
  "certificate-expired": "renew the certificate of the server; if it is valid, set the clock of this machine",
  "certificate-untrusted": "add --ca with the certificate of who signed it, or --pin with the key that is shown",
  "client-certificate-required": "add --cert and --key",
  "name-mismatch": "connect by one of its names, or add --server-name",
};

/** Returns what a certificate says, and whether a client trusts it. */
export async function certificateFindings(
  { certificate, version }: SeenTls,
  { tls }: ClientConfig,
  place: Place,
  { ms, signal }: Limits,
): Promise<readonly Finding[]> {
  const { endpoint, tls: name } = place;
  if (certificate === undefined) return [failed("tls", `${version}, but the server shows no certificate`)];
  const { issuer, names, pin, subject, validFrom, validTo } = certificate;
  const list = names.length === 0 ? "no names" : names.map(printable).join(", ");
  const detail = `${version}, certificate of "${printable(subject)}" for ${list}, signed by "${printable(issuer)}", ` +
    `valid from ${date(validFrom)} to ${date(validTo)}, key ${pin}`;
  const days = Math.floor((validTo.getTime() - Date.now()) / DAY);
  const first = days >= 0 && days < SOON
    ? warning(
      "tls",
      `${detail}: it expires in ${days} ${days === 1 ? "day" : "days"}`,
      "renew the certificate of the server",
    )
    : ok("tls", detail);
  const options: TlsClientOptions = typeof tls === "object" ? tls : {};
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  try {
    const socket = await plainSocket(endpoint, { ms, signal });
    const secured = await secureSocket(socket, endpoint, options, readTls("tls", options), alpnOf(place), deadline);
    secured.tls.destroy();
    socket.destroy();
    const by = options.pin !== undefined ? "by its key" : options.ca !== undefined ? "by --ca" : "by this system";
    return [first, ok("trust", `trusted ${by}${name ? `, for the name ${printable(name)}` : ""}`)];
  } catch (error) {
    signal.throwIfAborted();
    return [first, failed("trust", reasonOf(error), error instanceof HandshakeError ? ADVICE[error.code] : undefined)];
  }
}

/** Returns what it means that TLS failed. */
export function tlsFailure(error: unknown, { url }: Place): Finding {
  const plain = url === undefined ? "leave out --tls" : "write ws: in place of wss:";
  const code = error instanceof HandshakeError ? error.code : "";
  return failed(
    "tls",
    reasonOf(error),
    code === "tls-unavailable" ? plain : ADVICE[code] ?? `check the port, or ${plain}`,
  );
}

function date(time: Date): string {
  return Number.isNaN(time.getTime()) ? "?" : time.toISOString().slice(0, 10);
}
