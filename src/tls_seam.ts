/**
 * The interface between the core and TLS: types only. An adapter implements {@linkcode TlsSockets}.
 *
 * @module
 */

import type { Transport } from "./transport.ts";

/**
 * A certificate or a key in PEM, as text or as bytes.
 *
 * @category Security
 */
export type Pem = string | Uint8Array;

/**
 * Options of TLS on a server.
 *
 * @category Security
 */
export interface TlsServerOptions {
  /** The certificate, and then the intermediate certificates on the way to the root. */
  readonly cert: Pem;
  /** The private key of the certificate. */
  readonly key: Pem;
  /** The certificates that vouch for clients. @default those that the system trusts */
  readonly ca?: Pem | readonly Pem[];
  /**
   * Whether a client must show a certificate. `"optional"` lets in clients without one, but refuses a certificate that
   * nobody vouches for. `authenticate` sees the certificate.
   * @default "none"
   */
  readonly clientCertificate?: "none" | "optional" | "required";
  /** The lowest version that is allowed. @default "TLSv1.3" */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
}

/**
 * Options of TLS on a client.
 *
 * @category Security
 */
export interface TlsClientOptions {
  /** The certificates that vouch for the server. @default those that the system trusts */
  readonly ca?: Pem | readonly Pem[];
  /** The certificate of this client. */
  readonly cert?: Pem;
  /** The private key of the certificate. */
  readonly key?: Pem;
  /** The name that the server's certificate must be for. @default `hostname` */
  readonly serverName?: string;
  /**
   * The SHA-256 of the public key of the server's certificate, in base64. If there are several, one must match. A
   * server with that key is trusted, whoever signed its certificate, whatever its names, and even if it has expired.
   * With `ca`, the certificate must pass all other checks, too.
   */
  readonly pin?: string | readonly string[];
  /** The lowest version that is allowed. @default "TLSv1.3" */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
}

/** The certificate that a listener shows. It may be replaced while the listener listens. */
export interface TlsHolder {
  /** The value that `TlsSockets.context` returned. */
  context: unknown;
}

/** Creates transports whose connections are protected by TLS. */
export interface TlsSockets {
  /**
   * Reads certificates and keys.
   *
   * @throws {ConfigError} `invalid-config`: a certificate or a key cannot be read, or they do not go together.
   */
  context(options: TlsServerOptions): unknown;
  /**
   * Returns a transport for listening. Each connection uses the certificate that the holder has when it is accepted.
   */
  server(holder: TlsHolder): Transport;
  /**
   * Returns a transport for connecting.
   *
   * @throws {ConfigError} `invalid-config`: a certificate or a key cannot be read, or they do not go together.
   */
  client(options: TlsClientOptions): Transport;
}
