/**
 * Listens for WebSockets: by `Bun.serve` on Bun, and by `node:http` and the package `ws` on Node and Deno.
 *
 * `Deno.serve` is not used. Its WebSockets are closed when it stops listening, and cannot be paused. With TLS, it neither
 * checks the certificates of clients nor takes another certificate while it listens.
 *
 * @module
 */

import type * as Http from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type * as Https from "node:https";
import type { Server as HttpsServer } from "node:https";
import type { Address, Endpoint } from "../../base/address.ts";
import { builtinModule } from "../../base/builtin_module.ts";
import type { Pem, TlsServerOptions } from "../../tls_seam.ts";
import type { Connection, Listener, SocketOptions } from "../../transport.ts";
import type { WebSocketServerOptions, WebSocketTls } from "../../websocket_seam.ts";
import { AcceptQueue } from "../accept_queue.ts";
import { type BunNames, resolveBun } from "../bun_names.ts";
import { bufferSizeOf, checkEndpoint, plainIp } from "../endpoint.ts";
import { brokenError, listenError } from "../system_errors.ts";
import { BUN_HANDLERS, type BunWebSocketHandlers } from "./bun_socket.ts";
import { type BunServer, upgradeBun, type UpgradeTerms } from "./upgrade.ts";
import { type NodeRequest, type NodeSocket, NodeUpgrader } from "./upgrade_node.ts";

const HTTP = builtinModule("node:http") as typeof Http;
const HTTPS = builtinModule("node:https") as typeof Https;

/** How long a client may take for its request, in milliseconds, where the server can be told. */
const REQUEST_TIMEOUT = 10_000;

/** An HTTP server that listens. */
interface HttpListener {
  readonly address: Address;
  /** Stops accepting. What is open stays open. */
  close(): void;
  unref(): void;
}

/** The part of Bun that is used. */
interface Runtimes {
  readonly Bun?: BunNames & {
    serve(options: {
      readonly fetch: (request: Request, server: BunServer) => Response | undefined;
      readonly websocket: BunWebSocketHandlers;
      readonly error: (error: unknown) => Response;
    }): BunServer & { stop(closeConnections: boolean): void; unref(): void; reload(options: object): void };
  };
}

/**
 * Listens for WebSockets.
 *
 * @param at The endpoint to listen at.
 * @param options The options of the WebSockets.
 * @param tls The certificate; `undefined` for no TLS.
 * @param socketOptions The options of `Transport.listen`.
 */
export async function listenWebSockets(
  at: Endpoint,
  options: WebSocketServerOptions,
  tls: WebSocketTls | undefined,
  socketOptions: SocketOptions | undefined,
): Promise<Listener> {
  checkEndpoint("listen", at);
  const queue = new AcceptQueue();
  const terms = {
    options,
    bufferSize: bufferSizeOf(socketOptions),
    local: at as Address,
    accept: (connection: Connection): void => queue.push(connection),
  };
  const { Bun } = globalThis as Runtimes;
  try {
    const http = Bun !== undefined ? await listenBun(Bun, at, terms, tls) : await listenNode(at, terms, tls, queue);
    terms.local = http.address;
    return new WebSocketListener(http, queue);
  } catch (error) {
    throw listenError(at, error);
  }
}

async function listenBun(
  bun: NonNullable<Runtimes["Bun"]>,
  at: Endpoint,
  terms: UpgradeTerms,
  tls: WebSocketTls | undefined,
): Promise<HttpListener> {
  const place = "path" in at ? { unix: at.path } : { hostname: await resolveBun(bun, at.hostname), port: at.port };
  const options = (): Parameters<typeof bun.serve>[0] => ({
    ...place,
    fetch: (request, server) => upgradeBun(request, server, terms),
    websocket: BUN_HANDLERS,
    error: failed,
    ...tls === undefined ? {} : { tls: bunOptions(tls.options) },
  });
  const server = bun.serve(options());
  if (tls !== undefined) tls.renewed = () => server.reload(options());
  const { hostname, port } = server;
  return {
    address: "path" in at || port === undefined ? at : { hostname: plainIp(hostname ?? at.hostname), port },
    close: () => server.stop(false),
    unref: () => server.unref(),
  };
}

async function listenNode(
  at: Endpoint,
  terms: UpgradeTerms,
  tls: WebSocketTls | undefined,
  queue: AcceptQueue,
): Promise<HttpListener> {
  const upgrader = new NodeUpgrader(terms);
  const times = { headersTimeout: REQUEST_TIMEOUT, requestTimeout: REQUEST_TIMEOUT };
  const server: HttpServer | HttpsServer = tls === undefined
    ? HTTP.createServer(times)
    : HTTPS.createServer({ ...times, ...pemOptions(tls.options) });
  server.on("request", (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(426, { connection: "close, upgrade", upgrade: "websocket", "content-type": "text/plain" });
    response.end("Only WebSockets are served here\n");
  });
  server.on("upgrade", (request, socket, head) => {
    void upgrader.upgrade(request as NodeRequest, socket as unknown as NodeSocket, head);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen("path" in at ? { path: at.path } : { host: at.hostname, port: at.port }, resolve);
  await promise;
  server.off("error", reject);
  server.on("error", (error) => {
    queue.end(brokenError("Cannot accept connections", error));
    server.close();
  });
  if (tls !== undefined) tls.renewed = () => (server as HttpsServer).setSecureContext(pemOptions(tls.options));
  const bound = server.address();
  return {
    address: typeof bound === "object" && bound !== null && !("path" in at)
      ? { hostname: bound.address, port: bound.port }
      : at,
    close: () => void server.close(),
    unref: () => void server.unref(),
  };
}

/** Answers a request whose handler has thrown. */
function failed(): Response {
  return new Response("The request could not be answered\n", { status: 500 });
}

/** Returns the options of TLS as `node:https` takes them. */
function pemOptions({ ca, cert, clientCertificate = "none", key, minVersion = "TLSv1.3" }: TlsServerOptions): object {
  const pem = (value: Pem): string => typeof value === "string" ? value : new TextDecoder().decode(value);
  return {
    cert: pem(cert),
    key: pem(key),
    ...ca === undefined ? {} : { ca: (typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca).map(pem) },
    requestCert: clientCertificate !== "none",
    // A certificate that nobody vouches for is refused in both cases.
    rejectUnauthorized: clientCertificate === "required",
    minVersion,
  };
}

/** Returns the options of TLS as Bun takes them, whose versions are the numbers of the protocol. */
function bunOptions(options: TlsServerOptions): object {
  return { ...pemOptions(options), minVersion: options.minVersion === "TLSv1.2" ? 0x0303 : 0x0304 };
}

class WebSocketListener implements Listener {
  readonly address: Address;
  readonly #http: HttpListener;
  readonly #queue: AcceptQueue;
  #closed = false;

  constructor(http: HttpListener, queue: AcceptQueue) {
    this.address = http.address;
    this.#http = http;
    this.#queue = queue;
  }

  close(): Promise<void> {
    if (!this.#closed) this.#http.close();
    this.#closed = true;
    this.#queue.end();
    return Promise.resolve();
  }

  unref(): void {
    if (!this.#closed) this.#http.unref();
  }

  [Symbol.asyncIterator](): AsyncIterator<Connection> {
    return this.#queue.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
