/**
 * The interface between the core and the encryption: types only.
 *
 * @module
 */

import type { Endpoint } from "./base/address.ts";
import type { Connection } from "./transport.ts";

/**
 * The part of an `Identity` that the core knows.
 *
 * @category Security
 */
export interface IdentityLike {
  /** The public key as text, `vx1:…`. */
  readonly publicKey: string;
  /** The public key as people compare it. */
  readonly fingerprint: string;
}

/**
 * Options of encryption on a server.
 *
 * @category Security
 */
export interface EncryptionServerOptions {
  /** The identity of the server, or up to four of them, so that one can replace another. */
  readonly identity: IdentityLike | readonly IdentityLike[];
  /**
   * The public keys of the clients that may come in. All other clients, including those without an identity, are
   * refused with `unauthorized`.
   * @default every client may come in; `authenticate` sees its `publicKey`
   */
  readonly allow?: readonly string[];
}

/**
 * A key that a peer shows, as passed to a function that decides about trust.
 *
 * @category Security
 */
export interface TrustedKey {
  /** The public key as text, `vx1:…`. */
  readonly publicKey: string;
  /** The public key as people compare it. */
  readonly fingerprint: string;
}

/**
 * The servers that a client trusts: a public key, several, a function, or a store such as `trustOnFirstUse()`.
 *
 * @category Security
 */
export type TrustOption =
  | string
  | readonly string[]
  | ((keys: readonly TrustedKey[], address: Endpoint) => boolean | Promise<boolean>)
  | { wanted(keys: never, address: Endpoint): unknown };

/**
 * Options of encryption on a client.
 *
 * @category Security
 */
export interface EncryptionClientOptions {
  /** The servers to trust. No data of the program is sent to a server that shows another identity. */
  readonly trust: TrustOption;
  /** The identity of the client. @default none: the server does not learn who the client is */
  readonly identity?: IdentityLike;
}

/** An accepted connection after the handshake of the encryption. */
export interface Arrived {
  readonly connection: Connection;
  /** The first bytes of the client's layer above; they may be empty. */
  readonly first: Uint8Array;
}

/** Shares the time of the event loop among the connections that are not let in yet. */
export interface Turns {
  /**
   * Resolves when the next step with public keys may be done, in the turn of the event loop in which it resolves;
   * `undefined` if it may be done now. There is one such step in a turn. Rejects when there will be no more.
   */
  step(): Promise<void> | undefined;
  /** Begins a step. Returns the time for {@linkcode end}. */
  begin(): number;
  /** Counts a step that began at `from` and ends now. */
  end(from: number): void;
}

/** The encryption of one listener. */
export interface ServerEncryption {
  /**
   * Does the handshake with a client.
   *
   * @param connection The connection. Nothing has been read from it yet.
   * @param greeting The first bytes of the layer above. Anyone can ask for them.
   * @param turns Shares out the time for steps with public keys.
   * @returns The connection to use from then on.
   * @throws {HandshakeError | ProtocolError | ConnectionError} The client cannot be let in, or was lost.
   */
  accept(connection: Connection, greeting: Uint8Array, turns: Turns): Promise<Arrived>;
}

/** The encryption of one client. */
export interface ClientEncryption {
  /**
   * Does the handshake with a server.
   *
   * @param connection The connection. Nothing has been read from it yet.
   * @param to The address that was asked for.
   * @param answer Returns the first bytes of this side, given those of the server. Called once, when the server is
   * trusted.
   * @param heard Called when the server has sent something. The handshake goes on when the promise resolves, and fails
   * when it rejects. Default: the handshake goes on at once.
   * @returns The connection to use from then on.
   * @throws {HandshakeError | ProtocolError | ConnectionError} The server is not trusted, or was lost.
   */
  connect(
    connection: Connection,
    to: Endpoint,
    answer: (greeting: Uint8Array) => Uint8Array,
    heard?: () => Promise<void>,
  ): Promise<Connection>;
}

/** Creates the encryption of listeners and clients. */
export interface Encryption {
  /** @throws {TypeError} An option is of the wrong type. */
  server(options: EncryptionServerOptions): ServerEncryption;
  /** @throws {TypeError} An option is of the wrong type. */
  client(options: EncryptionClientOptions): ClientEncryption;
}
