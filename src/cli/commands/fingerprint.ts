/**
 * `veltix fingerprint`: shows the public key of an identity, of a certificate or of a server.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { described } from "../../adapters/tls_certificate.ts";
import { printable } from "../../base/untrusted.ts";
import { Identity, parsePublicKey } from "../../encryption/mod.ts";
import type { PeerCertificate } from "../../transport.ts";
import type { CommandModule } from "../command.ts";
import { keysOf } from "../doctor/meet.ts";
import { greetingOf } from "../doctor/greeting.ts";
import { alpnOf, placeOf, tlsLookOf } from "../doctor/place.ts";
import { firstBytes, seeTls, SILENCE } from "../doctor/probes.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { addressOf, type TargetOptions, withConnection } from "../target.ts";
import { readText } from "../values.ts";

/** Adds the command. */
export const fingerprintCommand: CommandModule = (program, context) => {
  withConnection(program.command("fingerprint"))
    .summary("show the public key of an identity, a certificate or a server")
    .description(
      "Prints the public key and the fingerprint of an identity or a certificate in a file, of a public key (vx1:…), or " +
        "of a server, by its address. What a server shows is not trusted: compare it with what its owner says.",
    )
    .argument("[file]", "a file, a public key, or the address of a server", "identity.pem")
    .action(async (what: string, options: TargetOptions, command) => {
      const output = context.output(command);
      if (what.startsWith("vx1:")) return tellKey(output, { publicKey: what, fingerprint: fingerprintOf(what) });
      if (existsSync(what) || !isAddress(what)) return await ofFile(output, what);
      output.progress(`Asking ${what} …`);
      const { signal } = context.terminal;
      const limits = { ms: options.connectTimeout ?? 10_000, signal };
      const place = placeOf(what, options);
      const { endpoint, tls, url } = place;
      if (tls === undefined && url === undefined) {
        const { bytes } = await firstBytes(endpoint, limits, Math.min(SILENCE, limits.ms));
        const { detail, kind } = greetingOf(bytes);
        if (kind === "encrypted") {
          for (const key of await keysOf({ ...endpoint }, limits)) {
            const { fingerprint, publicKey } = key;
            tellKey(output, { address: what, publicKey, fingerprint });
          }
          return output.hint("Compare it with what the owner of the server says.");
        }
        if (kind !== "silent") {
          throw new CommandError(ExitCode.NO_CONNECTION, `${what} shows no key: it is ${detail}`);
        }
      }
      if (url?.protocol === "http:") {
        throw new CommandError(ExitCode.USAGE, `${what} shows no certificate: write wss://…`);
      }
      const { certificate } = await seeTls(endpoint, tlsLookOf(options, place), limits, alpnOf(place));
      if (certificate === undefined) throw new CommandError(ExitCode.NO_CONNECTION, `${what} shows no certificate`);
      tellCertificate(output, { address: what }, certificate);
      output.hint("Compare it with what the owner of the server says.");
    });
};

async function ofFile(output: Output, file: string): Promise<void> {
  if (existsSync(file) && readText(file).includes("-----BEGIN CERTIFICATE-----")) {
    return tellCertificate(output, { file }, described(new X509Certificate(readText(file))));
  }
  const { fingerprint, publicKey } = await Identity.load(file);
  tellKey(output, { file, publicKey, fingerprint });
}

/** A public key, and the file or the address that it comes from. */
interface ShownKey {
  readonly file?: string;
  readonly address?: string;
  readonly publicKey: string;
  readonly fingerprint: string;
}

function tellKey(output: Output, key: ShownKey): void {
  output.result(key, () => `Public key:  ${key.publicKey}\nFingerprint: ${key.fingerprint}`);
}

function tellCertificate(output: Output, from: object, certificate: PeerCertificate): void {
  const { fingerprint, issuer, names, pin, subject, validFrom, validTo } = certificate;
  output.result({ ...from, ...certificate }, () =>
    [
      `Certificate: ${printable(subject)}`,
      `Names:       ${names.map(printable).join(", ")}`,
      `Signed by:   ${printable(issuer)}`,
      `Valid:       ${validFrom.toISOString()} to ${validTo.toISOString()}`,
      `SHA-256:     ${fingerprint}`,
      `Pin:         ${pin}`,
    ].join("\n"));
}

function fingerprintOf(text: string): string {
  try {
    return parsePublicKey(text).fingerprint;
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, (cause as Error).message, { cause });
  }
}

function isAddress(text: string): boolean {
  try {
    addressOf(text);
    return true;
  } catch {
    return false;
  }
}
