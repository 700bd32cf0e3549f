/**
 * WebSockets of an HTTP server that is there already: `Deno.serve`, `Bun.serve`, `node:http`, and frameworks on them.
 *
 * @module
 */

import { BUN_HANDLERS, type BunWebSocketHandlers } from "../adapters/web_socket/bun_socket.ts";
import {
  type BunServer,
  type DenoServeInfo,
  upgradeBun,
  upgradeDeno,
  type UpgradeTerms,
} from "../adapters/web_socket/upgrade.ts";
import { type NodeRequest, type NodeSocket, NodeUpgrader, upgradeNode } from "../adapters/web_socket/upgrade_node.ts";
import { CONSOLE, writeLine } from "../app/log.ts";
import { serverWebSocket, WEB_SOCKET_OPTIONS } from "../app/web_socket_config.ts";
import { checkFunction, readOptions, show } from "../base/checks.ts";
import { ConfigError } from "../errors.ts";
import { ACCEPT_OPTIONS } from "../server/accept_options.ts";
import { Server } from "../server/server.ts";
import type { Connection } from "../transport.ts";
import type { WebSocketServerOptions } from "../websocket_seam.ts";

/**
 * A server that takes connections, such as a `Server` of `@veltix/core`. `Options` are those of its `accept`.
 *
 * @category WebSockets
 */
export interface AcceptingServer<Options> {
  /** Takes a connection. */
  accept(connection: Connection, options?: Options): void;
}

/**
 * Answers the requests for WebSockets that an HTTP server receives.
 *
 * @category WebSockets
 */
export interface WebSocketHandler {
  /**
   * Answers a request of `Deno.serve` or `Bun.serve`, or of a framework on them. A request that is not accepted gets a
   * status that says why.
   *
   * @param request The request.
   * @param context On Deno, the second parameter of the handler of `Deno.serve`. On Bun, the second parameter of `fetch`,
   * which is the server, or an object with it as `server`.
   * @returns The response. Bun ignores that of a request that is accepted.
   * @throws {ConfigError} `unsupported`: this is neither Deno nor Bun; use `upgrade`.
   * @throws {TypeError} On Bun, `context` is not the server.
   */
  readonly fetch: (request: Request, context?: unknown) => Response;
  /**
   * Answers an event `upgrade` of `node:http` or `node:https`.
   *
   * @param request The request.
   * @param socket Its socket.
   * @param head The bytes that came after it.
   */
  readonly upgrade: (request: object, socket: object, head: Uint8Array) => void;
  /** The member `websocket` of the options of `Bun.serve`. */
  readonly websocket: BunWebSocketHandlers;
}

/**
 * Lets a server take the WebSockets of an HTTP server that is there already. Their clients have the same routes, tags and
 * broadcasts as those of the server's own listeners.
 *
 * The handler answers every request that it is called with: the program, or its framework, decides which ones. The server
 * must have been started when a request comes. It may have no listener of its own (`listen: []`).
 *
 * @param server The server.
 * @param options The options of the WebSockets, and those of `server.accept`.
 * @returns The functions to hand to the HTTP server.
 * @throws {RangeError | TypeError} An option is wrong.
 *
 * @example Beside an HTTP server of Node, which Deno and Bun have, too
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, Server } from "@veltix/core";
 * import { webSocketHandler } from "@veltix/core/websocket";
 * import { createServer } from "node:http";
 *
 * await using server = new Server({ listen: [] });
 * await server.start();
 * const veltix = webSocketHandler(server, { path: "/veltix", origins: ["https://example.org"] });
 *
 * const http = createServer((_request, response) => response.end("A page"));
 * http.on("upgrade", veltix.upgrade);
 * await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
 * const { port } = http.address() as { port: number };
 *
 * const client = new Client({ url: `ws://127.0.0.1:${port}/veltix` });
 * await client.connect();
 * assertEquals(server.clients.length, 1);
 * await client.close();
 * http.close();
 * ```
 *
 * @category WebSockets
 */
export function webSocketHandler<Options extends object>(
  server: AcceptingServer<Options>,
  options: WebSocketServerOptions & NoInfer<Options> = {} as WebSocketServerOptions & Options,
): WebSocketHandler {
  if (typeof server !== "object" || server === null) {
    throw new TypeError(`server must be a Server, not ${show(server)}`);
  }
  checkFunction("server.accept", server.accept);
  const { path, origins, headers, ...rest } = options;
  if (server instanceof Server) {
    readOptions("options", options, { ...WEB_SOCKET_OPTIONS, ...ACCEPT_OPTIONS }, "options.");
  }
  /** True once the log says that the server does not run. */
  let told = false;
  const terms: UpgradeTerms = {
    options: serverWebSocket("options", { path, origins, headers }),
    accept(connection): void {
      try {
        server.accept(connection, rest as unknown as Options);
        told = false;
      } catch (error) {
        // The server does not run.
        connection.abort(error as Error);
        if (!told) writeLine(CONSOLE, "warn", error);
        told = true;
      }
    },
  };
  const upgrader = new NodeUpgrader(terms.options);
  return {
    fetch: (request, context) => answer(request, context, terms),
    upgrade: (request, socket, head) => {
      void upgradeNode(upgrader, request as NodeRequest, socket as NodeSocket, head, terms.accept);
    },
    websocket: BUN_HANDLERS,
  };
}

function answer(request: Request, context: unknown, terms: UpgradeTerms): Response {
  const { Bun, Deno } = globalThis as { readonly Bun?: unknown; readonly Deno?: unknown };
  if (Bun !== undefined) return upgradeBun(request, bunServer(context), terms) ?? new Response(null);
  if (Deno !== undefined) return upgradeDeno(request, context as DenoServeInfo | undefined, terms);
  throw new ConfigError(
    "unsupported",
    'Cannot answer by fetch: Node has no WebSockets there, so hand "upgrade" to its HTTP server: server.on("upgrade", handler.upgrade)',
  );
}

function bunServer(context: unknown): BunServer {
  const { server = context } = (context ?? {}) as { readonly server?: unknown };
  if (typeof (server as BunServer | undefined)?.upgrade === "function") return server as BunServer;
  throw new TypeError("context must be the server of Bun, the second parameter of fetch");
}
