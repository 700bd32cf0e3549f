/**
 * What is measured, seen by the workloads: a server that echoes requests, takes one-way messages and broadcasts, and clients
 * for it. The floors and the library implement the same few calls, so each workload is written once.
 *
 * @module
 */

/**
 * The subjects by name; `webstreams` is the floor `batch` behind Web Streams, `resume` the library with resumption,
 * `batched` the library whose handlers of messages get arrays, `veltix-websocket` the library over WebSockets.
 */
export type SubjectName =
  | "raw"
  | "batch"
  | "webstreams"
  | "veltix"
  | "resume"
  | "batched"
  | "veltix-websocket"
  | ProtectedName
  | PeerName;

/** The library with encryption and with TLS, and the floor `batch` over bare `node:tls`. */
export type ProtectedName = "noise" | "tls" | "node:tls";

/** Other libraries, in the order of the tables; Python's Veltix by release. */
export type PeerName =
  | "ws"
  | "socket.io"
  | "bun-websocket"
  | "deno-websocket"
  | "nats"
  | "http2"
  | "grpc"
  | `python-${string}`;

/** What the server side of a workload does. */
export interface ServeHandlers {
  /** A connection is open. */
  connected(): void;
  /**
   * A one-way message came. Content is valid only during the call. Returning true sends it back as a one-way message: the
   * confirmation of a whole pass.
   */
  message(content: Uint8Array): boolean;
}

/** A running server. */
export interface Served {
  readonly port: number;
  /** Sends a one-way message to every open connection. */
  broadcast(content: Uint8Array): void;
  /** Resident bytes of processes that belong to the server, such as a broker. */
  helperMemory?(): number;
}

/** A client's open connection. Content handed in is never changed afterwards. */
export interface Peer {
  /** Sends a one-way message. Returns false when the sender ought to wait for `ready`. */
  send(content: Uint8Array): boolean;
  /** The same, and takes the memory of the content; missing if the subject has no such way. */
  give?(content: Uint8Array): boolean;
  /** Resolves when there is room again. */
  ready(): Promise<void>;
  /** Sends a request; `done` gets the reply, valid only during the call. */
  request(content: Uint8Array, done: (reply: Uint8Array) => void): void;
  /** Ends the connection. */
  close(): Promise<void>;
}

/** One thing to measure. */
export interface Subject {
  /** Starts a server at a free port of the loopback address. */
  serve(handlers: ServeHandlers): Promise<Served>;
  /** Connects. Resolves when both sides know that the connection is open; `receive` gets one-way messages. */
  connect(port: number, receive: (content: Uint8Array) => void): Promise<Peer>;
}
