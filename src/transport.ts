/**
 * The interface between the core and a runtime's sockets: types only. An adapter implements {@linkcode Transport}; the
 * core knows nothing else about the network. Every adapter passes the same conformance suite in `tests/`.
 *
 * @module
 */

import type { Address, Endpoint } from "./base/address.ts";
import type { EventLoop } from "./base/clock.ts";

export type { Address, Endpoint, TcpEndpoint, UnixEndpoint } from "./base/address.ts";
export type { Clock, EventLoop, TimerHandle } from "./base/clock.ts";

/**
 * Options of a socket.
 *
 * @category Transport
 */
export interface SocketOptions {
  /** The largest chunk that one read returns, in bytes, where the adapter owns the buffer. @default 65536 */
  readonly bufferSize?: number;
}

/**
 * Options for connecting.
 *
 * @category Transport
 */
export interface ConnectOptions extends SocketOptions {
  /** Aborting it rejects `connect` with the signal's reason and leaves no socket behind. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens and accepts connections, by the sockets of a runtime or anything else that carries bytes both ways.
 *
 * @category Transport
 */
export interface Transport {
  /** Its name, for logs and statistics, such as `"node"`. */
  readonly name: string;
  /**
   * Opens a connection.
   *
   * Rejects with a `ConnectionError` (`refused`, `unreachable`, `unresolvable`, `permission-denied`, `timed-out`, …),
   * or with the signal's reason.
   */
  connect(to: Endpoint, options?: ConnectOptions): Promise<Connection>;
  /** Starts accepting connections. Rejects with a `ConnectionError` (`address-in-use`, `permission-denied`, …). */
  listen(at: Endpoint, options?: SocketOptions): Promise<Listener>;
  /**
   * Resolves with how many files and sockets the process may have open at once; `undefined` if that cannot be known.
   * Never rejects.
   */
  descriptors?(): Promise<number | undefined>;
  /**
   * The time and the turns that its connections depend on, if it has some of its own, as a network with a fake clock
   * has. A Server or a Client with this transport follows them.
   * @default the event loop of the runtime
   */
  readonly eventLoop?: EventLoop;
}

/**
 * Accepts connections. Iterating ends when it is closed and throws when accepting fails for good.
 *
 * @category Transport
 */
export interface Listener extends AsyncIterable<Connection>, AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: Address;
  /** Stops accepting, ends the iteration and frees the port. Connections stay open. Idempotent. */
  close(): Promise<void>;
  /** Lets the process exit even while this listener is open. */
  unref(): void;
}

/**
 * A certificate that a peer has proved to be its own.
 *
 * @category Security
 */
export interface PeerCertificate {
  /** The common name of its owner; empty if there is none. */
  readonly subject: string;
  /** The names and addresses that the certificate is for, such as `"DNS:example.org"` and `"IP Address:127.0.0.1"`. */
  readonly names: readonly string[];
  /** The common name of its signer; empty if there is none. */
  readonly issuer: string;
  /** The SHA-256 of the certificate, in hexadecimal digits. */
  readonly fingerprint: string;
  /** The SHA-256 of its public key (SubjectPublicKeyInfo), in base64, as for the option `pin`. */
  readonly pin: string;
  /** The time from which it is valid. */
  readonly validFrom: Date;
  /** The time until which it is valid. */
  readonly validTo: Date;
}

/**
 * The protection of a connection.
 *
 * @category Security
 */
export interface ConnectionSecurity {
  /** The kind of protection: `"noise"` is encryption with identities. */
  readonly kind: "noise" | "tls";
  /** The certificate of the peer; `undefined` if it showed none. */
  readonly certificate: PeerCertificate | undefined;
  /** The public key of the peer's identity, with `"noise"`; `undefined` if it has shown none. */
  readonly publicKey?: string | undefined;
  /**
   * The reason not to let the peer in, although the connection works. The peer can still be told the reason.
   * @default nothing is wrong
   */
  readonly fault?: Error | undefined;
}

/**
 * The HTTP request that asked for a WebSocket. Everything in it comes from the peer.
 *
 * @category WebSockets
 */
export interface UpgradeRequest {
  /** The URL, with the host that the request names. */
  readonly url: URL;
  /** The headers. */
  readonly headers: Headers;
  /** The cookies by name, not decoded. Of several with one name, the first counts. */
  readonly cookies: ReadonlyMap<string, string>;
}

/**
 * The beginning of an accepted connection that a proxy has passed on, as far as it was read before `secure`.
 *
 * @category Transport
 */
export interface Forwarded {
  /** The address of the peer behind the proxy. */
  readonly remote: Address;
  /** The bytes that were read after the header of the proxy; they may be empty. */
  readonly rest: Uint8Array;
}

/**
 * Receives what {@linkcode Connection.readTo} reads.
 *
 * @category Transport
 */
export interface ChunkReader {
  /**
   * Called once for each `readTo`. It must not throw.
   *
   * @param chunk What `read` resolves with. It is also `null` if there is an error.
   * @param error What `read` rejects with.
   */
  received(chunk: Uint8Array | null, error?: unknown): void;
}

/**
 * Hears what became of the bytes given to {@linkcode Connection.writeTo}.
 *
 * @category Transport
 */
export interface ChunkWriter {
  /**
   * Called once for each `writeTo`, when the socket can take more. It must not throw.
   *
   * @param error What `write` rejects with; `undefined` or `null` if all bytes were taken.
   */
  taken(error?: unknown): void;
}

/**
 * One open byte stream in both directions. TCP connections have Nagle's algorithm off. `read` and `write` are used one
 * at a time each, and the two directions do not wait for each other.
 *
 * @category Transport
 */
export interface Connection {
  /** The address of this end. Once the connection is over, it may be the one that the listener was given. */
  readonly local: Address;
  /** The address of the peer's end. */
  readonly remote: Address;
  /** The protection of the connection. @default none */
  readonly security?: ConnectionSecurity | undefined;
  /** The request that asked for the connection, if it is an accepted WebSocket. */
  readonly request?: UpgradeRequest | undefined;
  /**
   * Does the handshake that protects an accepted connection. Called once, before anything is written. Nothing has been
   * read either, unless `forwarded` is given: then `read` has returned the header of a proxy, and the bytes in
   * `forwarded.rest`. Resolves with the connection to use from then on. Rejects with a `HandshakeError` that says what
   * was wrong, or with the errors of `read`.
   * @default no such handshake is needed
   */
  secure?(forwarded?: Forwarded): Promise<Connection>;
  /**
   * Resolves with the next chunk, at least one byte, which the caller owns until it gives it back by `recycle`.
   * Resolves with `null` after the peer's FIN, and from then on. Rejects with a `ConnectionError` (`reset` and the
   * like) when the connection breaks, and with the reason of `abort`. While nobody reads, TCP slows the peer down.
   */
  read(): Promise<Uint8Array | null>;
  /**
   * Does the same as `read`, for callers that read on and on. It is used in place of `read` and needs no promises,
   * which would cost each idle connection memory. A chunk or FIN that is there already comes within the call, an error
   * never does.
   */
  readTo?(reader: ChunkReader): void;
  /**
   * Stops taking bytes from the socket until the next read. What has been taken by then, a chunk or two, is kept. Without
   * this, a socket may go on until some more wait. It is used for peers that have not proved who they are.
   * @default bytes are taken until a chunk or two wait
   */
  stopReading?(): void;
  /**
   * True if the connection cannot slow its peer down, and much has arrived that is not read yet. It should be read without
   * a pause then, before connections that can wait.
   * @default false
   */
  readonly pressing?: boolean;
  /**
   * Gives the last chunk back. Nobody may look at it from then on, and the next chunk may be stored in its place. This
   * helps most where messages are larger than what one read returns.
   */
  recycle?(chunk: Uint8Array): void;
  /**
   * Sends all of `bytes`. Resolves when the socket can take more. The bytes are borrowed until then and must not be
   * changed. Rejects like `read`, and with `ConnectionError` `closed` after `closeWrite`.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Does the same as `write`, for callers that write often. It is used in place of `write` and needs no promises. `taken` may
   * be called within the call, but never with an error.
   */
  writeTo?(bytes: Uint8Array, writer: ChunkWriter): void;
  /** Sends what was written, then FIN. Reading goes on. Idempotent. */
  closeWrite(): Promise<void>;
  /**
   * Resolves when both directions are over and the socket is released; never rejects. The value is `undefined` after a
   * FIN each way, otherwise the error that ended the connection.
   */
  readonly closed: Promise<Error | undefined>;
  /**
   * Ends the connection at once and drops what is unsent. Pending `read` and `write` calls reject with `reason` (by
   * default a `ConnectionError` `closed`), and `closed` resolves with it. Idempotent. After a clean end it does
   * nothing.
   */
  abort(reason?: Error): void;
  /**
   * Returns whether bytes have arrived since the last call, even if no `read` can return them yet, such as those of an
   * incomplete encrypted record. They show that the peer is alive.
   * @default false
   */
  moved?(): boolean;
  /** Lets the process exit even while this connection is open. */
  unref(): void;
}
