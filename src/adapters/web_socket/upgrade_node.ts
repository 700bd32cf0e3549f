/**
 * Makes connections of requests for WebSockets that an HTTP server of `node:http` has received, by the package `ws`.
 *
 * @module
 */

import type { TLSSocket } from "node:tls";
import { type Address, addressText } from "../../base/address.ts";
import { ConnectionError, type VeltixError } from "../../errors.ts";
import type { ConnectionSecurity } from "../../transport.ts";
import type { WebSocketServerOptions } from "../../websocket_seam.ts";
import { DEFAULT_BUFFER_SIZE, plainIp } from "../endpoint.ts";
import { certificateOf } from "../tls_certificate.ts";
import type { FrameStream } from "./binary_frames.ts";
import { MAX_MESSAGE_SIZE, SUBPROTOCOL, WebSocketConnection } from "./channel.ts";
import { RefusedConnection, refusedError } from "./refused.ts";
import { ReceivedRequest, type Rejection, rejectionOf, rejectionTo } from "./request.ts";
import type { UpgradeTerms } from "./upgrade.ts";
import { type Carrier, loadWs, WS_OPTIONS, wsChannel, type WsServer } from "./ws_socket.ts";

/** The part of a request of `node:http` that is used. */
export interface NodeRequest {
  /** The method. */
  readonly method?: string | undefined;
  /** The path with the query. */
  readonly url?: string | undefined;
  /** Names and values of the headers, in turn. */
  readonly rawHeaders: readonly string[];
}

/** The part of a socket of `node:net` or `node:tls` that is used. */
export interface NodeSocket {
  readonly encrypted?: boolean;
  readonly authorized?: boolean;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly bytesRead?: number;
  readonly getPeerX509Certificate?: () => unknown;
  readonly destroyed: boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
  once(event: "close", listener: () => void): unknown;
  off(event: "close" | "error", listener: (error: Error) => void): unknown;
  end(bytes: string, done: () => void): unknown;
  destroy(): unknown;
  pause(): unknown;
  resume(): unknown;
  unref?(): unknown;
  setNoDelay?(on: boolean): unknown;
}

/** A socket that a request has come over. */
export interface Arrived {
  readonly local: Address;
  readonly remote: Address;
  /** What protects it; `undefined` if nothing does. */
  readonly security: ConnectionSecurity | undefined;
  /** How many bytes wait before the WebSocket is paused. */
  readonly bufferSize: number;
  /** The socket of TCP. */
  readonly carrier: Carrier;
  /** What is paused while messages wait, where it must not be the WebSocket. */
  readonly tap?: Carrier | undefined;
}

const STATUS_TEXTS: Readonly<Record<Rejection["status"], string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** Answers requests for WebSockets. */
export class NodeUpgrader {
  readonly #options: WebSocketServerOptions;
  #server: Promise<WsServer> | undefined = undefined;

  /** @param options The options of the WebSockets. */
  constructor(options: WebSocketServerOptions) {
    this.#options = options;
  }

  /**
   * Loads the package.
   *
   * @throws {ConfigError} `unsupported`: it is not installed, or may not be loaded.
   */
  load(): Promise<WsServer> {
    return this.#server ??= makeServer(this.#options);
  }

  /**
   * Answers a request.
   *
   * @param request The request.
   * @param socket Its socket.
   * @param head The bytes that came after it; `undefined` if it is a request for something else.
   * @param arrived What is known about the socket.
   * @returns The connection, or why there is none. Never rejects.
   */
  async upgrade(
    request: NodeRequest,
    socket: NodeSocket,
    head: Uint8Array | undefined,
    arrived: Arrived,
  ): Promise<WebSocketConnection | VeltixError> {
    const { local, remote, security, bufferSize, carrier, tap } = arrived;
    const { method = "", url = "/" } = request;
    const received = new ReceivedRequest(method, url, headersOf(request), security !== undefined);
    const ignore = (): void => {};
    socket.on("error", ignore);
    let answer = rejectionOf(received, this.#options);
    let server: WsServer | undefined;
    try {
      server = await this.load();
    } catch (cause) {
      answer ??= { ...rejectionTo(503, "WebSockets are not available"), cause };
    }
    if (head === undefined) answer ??= rejectionTo(426, "Only WebSockets are served here");
    if (answer !== undefined) {
      await refuse(socket, answer);
      return refusedError(remote, received, answer);
    }
    const gone = (): ConnectionError =>
      new ConnectionError("closed", `Cannot agree with "${addressText(remote)}": it closed the connection at once`);
    if (socket.destroyed) return gone();
    const { promise, resolve } = Promise.withResolvers<WebSocketConnection | VeltixError>();
    const closed = (): void => resolve(gone());
    socket.once("close", closed);
    server!.handleUpgrade(request, socket, head!, (webSocket) => {
      socket.off("error", ignore);
      socket.off("close", closed);
      socket.setNoDelay?.(true);
      const below = { stream: socket as unknown as FrameStream, socket: carrier, tap };
      const channel = wsChannel(webSocket, below, { local, remote, bufferSize });
      resolve(new WebSocketConnection(channel, security, received));
    });
    return await promise;
  }
}

/**
 * Answers a request that an HTTP server of the program has received.
 *
 * @param upgrader Answers it.
 * @param request The request.
 * @param socket Its socket.
 * @param head The bytes that came after it.
 * @param accept Takes the connection, or one that tells of a request that was not accepted.
 */
export async function upgradeNode(
  upgrader: NodeUpgrader,
  request: NodeRequest,
  socket: NodeSocket,
  head: Uint8Array,
  accept: UpgradeTerms["accept"],
): Promise<void> {
  const addresses = addressesOf(socket);
  const arrived = { ...addresses, security: securityOf(socket), bufferSize: DEFAULT_BUFFER_SIZE, carrier: socket };
  const outcome = await upgrader.upgrade(request, socket, head, arrived);
  if (!(outcome instanceof Error)) return accept(outcome);
  // The HTTP server does not look after it any more.
  socket.destroy();
  accept(new RefusedConnection(addresses.local, addresses.remote, outcome));
}

function securityOf(socket: NodeSocket): ConnectionSecurity | undefined {
  if (socket.encrypted !== true) return undefined;
  const { authorized, getPeerX509Certificate } = socket;
  // Whether a certificate that nobody vouches for is let in is for the HTTP server to say. That of Bun shows none.
  if (authorized !== true || getPeerX509Certificate === undefined) return { kind: "tls", certificate: undefined };
  try {
    return { kind: "tls", certificate: certificateOf(socket as unknown as TLSSocket) };
  } catch (error) {
    return { kind: "tls", certificate: undefined, fault: error as Error };
  }
}

async function makeServer({ headers = {} }: WebSocketServerOptions): Promise<WsServer> {
  const { WebSocketServer } = await loadWs();
  const server = new WebSocketServer({
    ...WS_OPTIONS,
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_SIZE,
    handleProtocols: () => SUBPROTOCOL,
  });
  server.on("headers", (lines) => {
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  });
  return server;
}

/** Returns the addresses of a socket; an empty path for a unix socket. */
function addressesOf(socket: NodeSocket): { local: Address; remote: Address } {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  return { local: addressOf(localAddress, localPort), remote: addressOf(remoteAddress, remotePort) };
}

function addressOf(ip: string | undefined, port: number | undefined): Address {
  return ip === undefined ? { path: "" } : { hostname: plainIp(ip), port: port ?? 0 };
}

/** Answers a request that is not accepted, and closes this direction of its socket. Resolves when that is done. */
export function refuse(socket: Pick<NodeSocket, "end" | "once">, { status, text, headers }: Rejection): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", resolve);
    socket.end(answerText(status, text, headers), resolve);
  });
}

/** Returns an answer as it is sent. */
export function answerText(status: Rejection["status"], text: string, headers: Rejection["headers"]): string {
  const body = `${text}\n`;
  const { connection, ...others } = headers;
  const lines = Object.entries({
    ...others,
    "content-type": "text/plain; charset=utf-8",
    "content-length": String(new TextEncoder().encode(body).length),
    connection: connection === undefined ? "close" : `close, ${connection}`,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_TEXTS[status]}\r\n${lines.join("")}\r\n${body}`;
}

function headersOf({ rawHeaders }: NodeRequest): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    try {
      headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
    } catch {
      // A name or a value that `Headers` does not take is none that is looked at.
    }
  }
  return headers;
}
