/**
 * Makes connections of requests for WebSockets that an HTTP server of `node:http` or `node:https` has received, by the
 * package `ws`.
 *
 * @module
 */

import type { TLSSocket } from "node:tls";
import type { Address } from "../../base/address.ts";
import type { ConnectionSecurity } from "../../transport.ts";
import { DEFAULT_BUFFER_SIZE, plainIp } from "../endpoint.ts";
import { certificateOf } from "../tls_certificate.ts";
import type { FrameStream } from "./binary_frames.ts";
import { MAX_MESSAGE_SIZE, SUBPROTOCOL, WebSocketConnection } from "./channel.ts";
import { ReceivedRequest, type Rejection, rejectionOf } from "./request.ts";
import type { UpgradeTerms } from "./upgrade.ts";
import { loadWs, wsChannel, type WsServer, type WsWebSocket } from "./ws_socket.ts";

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
  readonly destroyed: boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
  off(event: "error", listener: (error: Error) => void): unknown;
  end(bytes: string): unknown;
  destroy(): unknown;
  unref?(): unknown;
  setNoDelay?(on: boolean): unknown;
}

const STATUS_TEXTS = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  426: "Upgrade Required",
  503: "Service Unavailable",
} as const;

/** Answers the `upgrade` events of HTTP servers. */
export class NodeUpgrader {
  readonly #terms: UpgradeTerms;
  #server: Promise<WsServer> | undefined = undefined;

  /** @param terms What the upgrades need. */
  constructor(terms: UpgradeTerms) {
    this.#terms = terms;
  }

  /**
   * Answers a request.
   *
   * @param request The request.
   * @param socket Its socket.
   * @param head The bytes that came after it.
   * @returns Resolves when the request is answered. Never rejects.
   */
  async upgrade(request: NodeRequest, socket: NodeSocket, head: Uint8Array): Promise<void> {
    const { options } = this.#terms;
    const received = new ReceivedRequest(request.url ?? "/", headersOf(request), socket.encrypted === true);
    const ignore = (): void => {};
    socket.on("error", ignore);
    const rejection = rejectionOf(request.method ?? "", received, options);
    if (rejection !== undefined) return refuse(socket, rejection);
    let server: WsServer;
    try {
      server = await (this.#server ??= this.#make());
    } catch (error) {
      return refuse(socket, { status: 503, text: (error as Error).message, headers: {} });
    }
    if (socket.destroyed) return;
    server.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off("error", ignore);
      this.#opened(webSocket, socket, received);
    });
  }

  async #make(): Promise<WsServer> {
    const { WebSocketServer } = await loadWs();
    const { headers = {} } = this.#terms.options;
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_SIZE,
      handleProtocols: () => SUBPROTOCOL,
    });
    server.on("headers", (lines) => {
      for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    });
    return server;
  }

  #opened(webSocket: WsWebSocket, socket: NodeSocket, request: ReceivedRequest): void {
    const { accept, bufferSize = DEFAULT_BUFFER_SIZE, local } = this.#terms;
    socket.setNoDelay?.(true);
    const info = {
      local: local ?? addressOf(socket.localAddress, socket.localPort),
      remote: addressOf(socket.remoteAddress, socket.remotePort),
      bufferSize,
    };
    const below = { stream: socket as unknown as FrameStream, unref: () => void socket.unref?.() };
    const channel = wsChannel(webSocket, below, info);
    accept(new WebSocketConnection(channel, securityOf(socket), request));
  }
}

/** Returns an address; an empty path for a unix socket. */
function addressOf(ip: string | undefined, port: number | undefined): Address {
  return ip === undefined ? { path: "" } : { hostname: plainIp(ip), port: port ?? 0 };
}

/** Answers a request that is not accepted, and closes its socket. */
function refuse(
  socket: NodeSocket,
  { status, text, headers }: Omit<Rejection, "status"> & { readonly status: keyof typeof STATUS_TEXTS },
): void {
  const body = `${text}\n`;
  const lines = Object.entries({
    ...headers,
    "content-type": "text/plain; charset=utf-8",
    "content-length": String(new TextEncoder().encode(body).length),
    connection: status === 426 ? "close, upgrade" : "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_TEXTS[status]}\r\n${lines.join("")}\r\n${body}`);
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

function securityOf(socket: NodeSocket): ConnectionSecurity | undefined {
  if (socket.encrypted !== true) return undefined;
  const certificate = socket.authorized === true ? certificateOf(socket as unknown as TLSSocket) : undefined;
  return { kind: "tls", certificate };
}
