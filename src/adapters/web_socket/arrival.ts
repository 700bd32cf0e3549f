/**
 * Connections that a listener for WebSockets has accepted, and the requests that come over them.
 *
 * The sockets are those of `node:net`, as for bare sockets. An HTTP server that does not listen reads their requests. So
 * the limits of a Server hold from the moment when a socket is accepted, and TLS is the same as without WebSockets.
 *
 * @module
 */

import type * as Http from "node:http";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import type * as Stream from "node:stream";
import { type Address, addressText } from "../../base/address.ts";
import { builtinModule } from "../../base/builtin_module.ts";
import { printable } from "../../base/untrusted.ts";
import { ConfigError, ConnectionError, HandshakeError, type VeltixError } from "../../errors.ts";
import type { Connection, Forwarded } from "../../transport.ts";
import { plainIp } from "../endpoint.ts";
import { peekAt } from "../peek.ts";
import { brokenError } from "../system_errors.ts";
import { type AcceptContext, type AdoptTls, TlsArrival } from "../tls_accept.ts";
import type { WebSocketConnection } from "./channel.ts";
import { rejectionTo } from "./request.ts";
import { answerText, type Arrived, type NodeSocket, type NodeUpgrader, refuse } from "./upgrade_node.ts";

const HTTP = builtinModule("node:http") as typeof Http;
const STREAM = builtinModule("node:stream") as typeof Stream;

/** The most bytes of a request. */
const REQUEST_SIZE = 16 * 1024;
/** The protocol that a listener with TLS announces (ALPN). WebSockets do not go over HTTP/2 here. */
const ALPN = ["http/1.1"];

/** The first byte of a client that speaks TLS. */
const TLS_HANDSHAKE = 0x16;

/** An error of the parser of HTTP. */
interface ParseError extends Error {
  readonly code?: string;
  readonly reason?: string;
  /** What it could not read, where the runtime says so. */
  readonly rawPacket?: Uint8Array;
}

/** A socket whose request is awaited. */
interface Waiting extends Arrived {
  /** Called with the WebSocket, or with the error if there is none. */
  readonly settle: (outcome: WebSocketConnection | VeltixError) => void;
}

/** Reads and answers the requests of one listener. */
export class RequestReader {
  readonly #upgrader: NodeUpgrader;
  readonly #http: HttpServer;
  readonly #waiting = new WeakMap<object, Waiting>();

  /**
   * @param upgrader Answers the requests.
   * @throws {ConfigError} `unsupported`: the HTTP server of this runtime cannot read from sockets of others.
   */
  constructor(upgrader: NodeUpgrader) {
    this.#upgrader = upgrader;
    const http = this.#http = HTTP.createServer({ maxHeaderSize: REQUEST_SIZE });
    const upgrade = (request: IncomingMessage, socket: object, head: Uint8Array): void =>
      this.#received(request, socket, head);
    http.on("upgrade", upgrade);
    http.on("connect", upgrade);
    http.on("request", (request) => this.#received(request, request.socket, undefined));
    http.on("clientError", (error, socket) => this.#failed(error, socket));
    // An HTTP server that is not made of streams takes no notice of a socket.
    const socket = new STREAM.Duplex();
    http.emit("connection", socket);
    const reads = socket.listenerCount("close") > 0;
    socket.destroy();
    if (!reads) {
      throw new ConfigError(
        "unsupported",
        "Cannot listen for WebSockets: this needs Node 22, Deno 2.7, Bun 1.4 or later; or let the HTTP server of the " +
          "runtime listen, and use webSocketHandler",
      );
    }
  }

  /**
   * Waits for the request of a socket, and answers it.
   *
   * @param socket The socket that it comes over.
   * @param arrived What is known about the socket.
   * @throws {HandshakeError} The request is none, or is not accepted.
   * @throws {ConnectionError} The connection was lost, or the request is not for a WebSocket.
   */
  async accept(socket: Socket, arrived: Arrived): Promise<WebSocketConnection> {
    const { promise, resolve } = Promise.withResolvers<WebSocketConnection | VeltixError>();
    this.#waiting.set(socket, { ...arrived, settle: resolve });
    this.#http.emit("connection", socket);
    const outcome = await promise;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  #received(request: IncomingMessage, socket: object, head: Uint8Array | undefined): void {
    const waiting = this.#take(socket);
    if (waiting === undefined) return;
    void this.#upgrader.upgrade(request, socket as NodeSocket, head, waiting).then(waiting.settle);
  }

  #failed(error: ParseError, socket: object): void {
    const waiting = this.#take(socket);
    if (waiting === undefined) return;
    const failure = `Cannot agree with "${addressText(waiting.remote)}"`;
    const { code = "", message, rawPacket, reason = message } = error;
    if (!code.startsWith("HPE_")) return waiting.settle(brokenError(failure, error));
    const [answer, fault] = code === "HPE_HEADER_OVERFLOW"
      ? [rejectionTo(431, `A request may have at most ${REQUEST_SIZE} bytes`), "handshake-failed"] as const
      : [
        rejectionTo(400, "This is no request of HTTP"),
        rawPacket?.[0] === TLS_HANDSHAKE ? "tls-unavailable" : "handshake-failed",
      ] as const;
    const state = fault === "tls-unavailable"
      ? "it speaks TLS, and this listener has none"
      : `it sent no request of HTTP (${printable(reason)})`;
    void refuse(socket as NodeSocket, answer).then(() => {
      waiting.settle(new HandshakeError(fault, `${failure}: ${state}`));
    });
  }

  #take(socket: object): Waiting | undefined {
    const waiting = this.#waiting.get(socket);
    this.#waiting.delete(socket);
    return waiting;
  }
}

/** Returns an accepted connection that speaks TLS first. */
export function secureArrival(
  socket: Socket,
  bufferSize: number,
  address: Address,
  context: AcceptContext,
  requests: RequestReader,
): Connection {
  const adopt: AdoptTls = (tls, { tap }, security) =>
    requests.accept(tls, { local: address, remote: arrival.remote, security, bufferSize, carrier: socket, tap });
  const arrival = new TlsArrival(socket, bufferSize, address, { ...context, alpn: ALPN }, adopt);
  return arrival;
}

/**
 * An accepted connection before its request. {@linkcode WebSocketArrival.secure} returns the connection to use. Before
 * that, only the header of a proxy can be read.
 */
export class WebSocketArrival implements Connection {
  readonly local: Address;
  remote: Address;
  readonly #socket: Socket;
  readonly #bufferSize: number;
  readonly #requests: RequestReader;
  readonly #over = Promise.withResolvers<Error | undefined>();
  /** Rejects the promise that `read` or `secure` waits for; `undefined` if neither waits. */
  #fail: ((error: Error) => void) | undefined = undefined;
  #error: Error | undefined = undefined;
  /** True once {@linkcode secure} was called. */
  #begun = false;
  /** The connection that has taken the place of this one. */
  #made: Connection | undefined = undefined;

  /**
   * @param socket The accepted socket.
   * @param bufferSize How many bytes wait before the WebSocket is paused.
   * @param address The address of the listener.
   * @param requests Reads the request.
   */
  constructor(socket: Socket, bufferSize: number, address: Address, requests: RequestReader) {
    this.#socket = socket;
    this.#bufferSize = bufferSize;
    this.#requests = requests;
    this.local = address;
    this.remote = "path" in address
      ? { path: "" }
      : { hostname: plainIp(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    socket.on("error", (error) => this.#end(brokenError(this.#cannot, error)));
    socket.on("close", () => this.#end(this.#lost()));
  }

  get closed(): Promise<Error | undefined> {
    return this.#over.promise;
  }

  secure(forwarded?: Forwarded): Promise<Connection> {
    this.#begun = true;
    if (forwarded !== undefined) {
      this.remote = forwarded.remote;
      if (forwarded.rest.length > 0) this.#socket.unshift(forwarded.rest);
    }
    const { local, remote } = this;
    const arrived = { local, remote, security: undefined, bufferSize: this.#bufferSize, carrier: this.#socket };
    return this.#whileOpen(async () => this.#made = await this.#requests.accept(this.#socket, arrived));
  }

  /** Once a request was not accepted, drops what the peer still sends. */
  read(): Promise<Uint8Array | null> {
    const socket = this.#socket;
    if (!this.#begun) return this.#whileOpen(() => peekAt(socket) as Promise<Uint8Array | null>);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve) => {
      socket.once("end", () => resolve(null));
      socket.once("close", () => resolve(null));
      socket.resume();
    });
  }

  write(): Promise<void> {
    const error = new ConnectionError("closed", `${this.#cannot}: the WebSocket is not there yet`);
    return Promise.reject(this.#error ?? error);
  }

  closeWrite(): Promise<void> {
    this.#socket.end();
    return Promise.resolve();
  }

  abort(reason?: Error): void {
    // Whoever waits for `secure` may not have the other one yet.
    if (this.#made !== undefined) return this.#made.abort(reason);
    // A client of Veltix that waits for a greeting learns from this what is here.
    if (reason instanceof HandshakeError && this.#begun && this.#fail !== undefined) {
      this.#socket.write(answerText(408, "A request for a WebSocket did not come in time", {}));
    }
    this.#end(reason ?? new ConnectionError("closed", `${this.#cannot}: the connection was aborted`));
  }

  unref(): void {
    this.#socket.unref();
  }

  get #cannot(): string {
    return `Cannot agree with "${addressText(this.remote)}"`;
  }

  /** Waits for some work, unless the connection breaks first. */
  async #whileOpen<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#error !== undefined) throw this.#error;
    const { promise, reject } = Promise.withResolvers<never>();
    this.#fail = reject;
    try {
      return await Promise.race([work(), promise]);
    } finally {
      this.#fail = undefined;
    }
  }

  #lost(): ConnectionError {
    // Scans of ports, and checks whether the server is there, do that.
    return new ConnectionError("closed", `${this.#cannot}: it closed the connection before it sent a request`);
  }

  #end(error: Error): void {
    if (this.#error !== undefined || this.#made !== undefined) return;
    this.#error = error;
    this.#socket.destroy();
    this.#fail?.(error);
    this.#over.resolve(error);
  }
}
