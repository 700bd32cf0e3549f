/**
 * WebSockets of HTTP servers that are there already. A Client with a `url`, and a listener with `webSocket`, need nothing
 * of this entry.
 *
 * @example A server beside others on one port
 * ```ts ignore
 * import { Server } from "@veltix/core";
 * import { webSocketHandler } from "@veltix/core/websocket";
 *
 * const server = new Server({ listen: [] });
 * await server.start();
 * const handler = webSocketHandler(server);
 * Deno.serve((request, info) => new URL(request.url).pathname === "/veltix" ? handler.fetch(request, info) : page());
 * ```
 *
 * @module
 */

export { type AcceptingServer, type WebSocketHandler, webSocketHandler } from "./web_socket_handler.ts";
export type { BunWebSocketHandlers } from "../adapters/web_socket/bun_socket.ts";
export type { OriginCheck, WebSocketServerOptions } from "../websocket_seam.ts";
export type * from "../transport.ts";
