/**
 * The option `tls` of a server and of a client.
 *
 * @module
 */

import { type Check, nonEmpty, oneOf, optional, type OptionTable, readOptions, show } from "../base/checks.ts";
import { ConfigError } from "../errors.ts";
import type { Pem, TlsClientOptions, TlsHolder, TlsServerOptions } from "../tls_seam.ts";
import type { TransportChoice } from "./transport_choice.ts";

/** The certificate of a listener, and the options that it comes from. */
export interface TlsSettings extends TlsHolder {
  /** The options to use when the server starts next. */
  options: TlsServerOptions;
}

const VERSIONS = oneOf("TLSv1.2", "TLSv1.3");

const SERVER_TLS = {
  cert: pem,
  key: pem,
  ca: optional(pems),
  clientCertificate: optional(oneOf("none", "optional", "required")),
  minVersion: optional(VERSIONS),
} satisfies OptionTable<TlsServerOptions>;

const CLIENT_TLS = {
  ca: optional(pems),
  cert: optional(pem),
  key: optional(pem),
  serverName: optional(nonEmpty),
  pin: optional(pins),
  minVersion: optional(VERSIONS),
} satisfies OptionTable<TlsClientOptions>;

/** Checks the option `tls` of a server or a listener, and returns it. */
export const serverTls: Check<TlsServerOptions> = (name, value) =>
  readOptions(name, value as object, SERVER_TLS, `${name}.`) as TlsServerOptions;

/** Checks the option `tls` of a client, and returns the options. `true` means empty options. */
export const clientTls: Check<TlsClientOptions> = (name, value) => {
  const options = readOptions(name, value === true ? {} : value as object, CLIENT_TLS, `${name}.`) as TlsClientOptions;
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new ConfigError("invalid-config", `${name}.cert and ${name}.key belong together: give both or none`);
  }
  return options;
};

/** Throws if TLS cannot use this transport. TLS has sockets of its own. */
export function checkTlsTransport(transport: TransportChoice | undefined, prefix: string = ""): void {
  if (transport === undefined || transport === "auto" || transport === "node") return;
  throw new ConfigError(
    "invalid-config",
    `${prefix}tls goes with the sockets of node:tls only: leave out ${prefix}transport, or set it to "node"`,
  );
}

function pem(name: string, value: unknown): Pem {
  if (typeof value === "string" && value.includes("-----BEGIN ")) return value;
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") {
    throw new TypeError(`${name} must be the text of a PEM file, not a path or other text`);
  }
  throw new TypeError(`${name} must be a PEM file's text or bytes, not ${show(value)}`);
}

function pems(name: string, value: unknown): Pem | readonly Pem[] {
  return Array.isArray(value) ? value.map((one, i) => pem(`${name}[${i}]`, one)) : pem(name, value);
}

function pins(name: string, value: unknown): string | readonly string[] {
  const given = Array.isArray(value) ? value : [value];
  if (given.length > 0 && given.every((pin) => typeof pin === "string" && /^[A-Za-z0-9+/]{43}=$/.test(pin))) {
    return value as string | readonly string[];
  }
  throw new TypeError(`${name} must be the SHA-256 of a public key in base64 (44 characters), or several of them`);
}
