/**
 * The interface between the core and the encryption: types only.
 *
 * @module
 */

import type { Endpoint } from "./base/address.ts";
import type { Connection } from "./transport.ts";

/** What the core knows of an `Identity`. */
export interface IdentityLike {
  /** The public key as text, `vx1:…`. */
  readonly publicKey: string;
  /** The public key as people compare it. */
  readonly fingerprint: string;
}

/** Options of encryption on a server. */
export interface EncryptionServerOptions {
  /** The identity of the server, or up to four while one takes the place of another. */
  readonly identity: IdentityLike | readonly IdentityLike[];
  /**
   * The public keys of the clients that may come in. All others, and clients without an identity, are refused with
   * `unauthorized`.
   * @default every client; `authenticate` sees its `publicKey`
   */
  readonly allow?: readonly string[];
}

/** A key that a peer shows, as a function that decides about trust sees it. */
export interface TrustedKey {
  /** The public key as text, `vx1:…`. */
  readonly publicKey: string;
  /** The public key as people compare it. */
  readonly fingerprint: string;
}

/** Whom a client trusts: a public key, several, a function, or a store such as that of `trustOnFirstUse()`. */
export type TrustOption =
  | string
  | readonly string[]
  | ((keys: readonly TrustedKey[], address: Endpoint) => boolean | Promise<boolean>)
  | { wanted(keys: never, address: Endpoint): unknown };

/** Options of encryption on a client. */
export interface EncryptionClientOptions {
  /** Whom to trust. Nothing of the program is sent to a server that shows another identity. */
  readonly trust: TrustOption;
  /** The identity of the client. @default none: the server does not know who it is */
  readonly identity?: IdentityLike;
}

/** An accepted connection that is encrypted now. */
export interface Arrived {
  readonly connection: Connection;
  /** The first bytes of the client's layer above; they may be empty. */
  readonly first: Uint8Array;
}

/** Shares the time of the event loop among the connections that are not let in yet. */
export interface Turns {
  /** Returns when the next step may be made; `undefined` for now. */
  next(): Promise<void> | undefined;
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
   * @param connection The connection, of which nothing was read.
   * @param greeting The first bytes of the layer above. Anyone can ask for them.
   * @param turns Shares the time of the steps with public keys.
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
   * @param connection The connection, of which nothing was read.
   * @param to The address that was asked for.
   * @param answer Returns the first bytes of this side, from those of the server. Called once, when it is trusted.
   * @returns The connection to use from then on.
   * @throws {HandshakeError | ProtocolError | ConnectionError} The server is not trusted, or was lost.
   */
  connect(connection: Connection, to: Endpoint, answer: (greeting: Uint8Array) => Uint8Array): Promise<Connection>;
}

/** Makes the encryption of listeners and clients. */
export interface Encryption {
  /** @throws {TypeError} An option is of the wrong type. */
  server(options: EncryptionServerOptions): ServerEncryption;
  /** @throws {TypeError} An option is of the wrong type. */
  client(options: EncryptionClientOptions): ClientEncryption;
}
