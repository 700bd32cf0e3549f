/**
 * WebSockets of HTTP servers that are there already. A Client with a `url`, and a listener with `webSocket`, need nothing
 * of this entry.
 *
 * @example WebSockets beside the pages of an HTTP server
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, Server, text } from "@veltix/core";
 * import { webSocketHandler } from "@veltix/core/websocket";
 *
 * const UPPER = messageType(200, "upper", text, text);
 * await using server = new Server({ listen: [] });
 * server.route(UPPER, ({ data }) => data.toUpperCase());
 * await server.start();
 *
 * const veltix = webSocketHandler(server);
 * const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request, info) => {
 *   const { pathname } = new URL(request.url);
 *   return pathname === "/veltix" ? veltix.fetch(request, info) : new Response("A page");
 * });
 *
 * const client = new Client({ url: `ws://127.0.0.1:${http.addr.port}/veltix` });
 * await client.connect();
 * assertEquals(await client.request(UPPER, "hello"), "HELLO");
 * await client.close();
 * await http.shutdown();
 * ```
 *
 * @module
 */

export { type AcceptingServer, type WebSocketHandler, webSocketHandler } from "./web_socket_handler.ts";
export type { BunWebSocketHandlers } from "../adapters/web_socket/bun_socket.ts";
export type { OriginCheck, WebSocketServerOptions } from "../websocket_seam.ts";
export type * from "../transport.ts";
