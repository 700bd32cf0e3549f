/**
 * Listens for WebSockets, by `node:net`, `node:http` and the package `ws`, which Bun has built in.
 *
 * Neither `Deno.serve` nor `Bun.serve` is used. Nobody can count or limit their connections before the request is
 * complete, and their WebSockets cannot be paused. Their TLS does not show the certificate of a client, and does not
 * take another certificate while it listens. Those of `Deno.serve` are closed when it stops listening.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Address, Endpoint } from "../../base/address.ts";
import type { TlsHolder } from "../../tls_seam.ts";
import type { Connection, ConnectOptions, Listener, SocketOptions } from "../../transport.ts";
import type { WebSocketServerOptions } from "../../websocket_seam.ts";
import { bufferSizeOf } from "../endpoint.ts";
import { connectNode } from "../node_connect.ts";
import { NodeChannel } from "../node_channel.ts";
import { listenSockets } from "../node_listen.ts";
import { listenAnew } from "../stale_socket.ts";
import type { AcceptContext } from "../tls_accept.ts";
import { RequestReader, secureArrival, WebSocketArrival } from "./arrival.ts";
import { NodeUpgrader } from "./upgrade_node.ts";

/**
 * Listens for WebSockets. The connections are not open before `secure` has resolved.
 *
 * @param at The endpoint to listen at.
 * @param options The options of the WebSockets.
 * @param tls The certificate; `undefined` for no TLS.
 * @param socketOptions The options of `Transport.listen`.
 * @throws {ConfigError} `unsupported`: the package `ws` cannot be loaded, or the runtime is too old.
 */
export async function listenWebSockets(
  at: Endpoint,
  options: WebSocketServerOptions,
  tls: TlsHolder | undefined,
  socketOptions: SocketOptions | undefined,
): Promise<Listener> {
  const bufferSize = bufferSizeOf(socketOptions);
  const upgrader = new NodeUpgrader(options);
  await upgrader.load();
  const requests = new RequestReader(upgrader);
  const accept = (socket: Socket, address: Address): Connection =>
    tls === undefined
      ? new WebSocketArrival(socket, bufferSize, address, requests)
      : secureArrival(socket, bufferSize, address, tls.context as AcceptContext, requests);
  return await listenAnew(at, () => listenSockets(at, accept), probe);
}

/** Connects without a request, to find out whether a unix socket is stale. */
function probe(to: Endpoint, options?: ConnectOptions): Promise<Connection> {
  return connectNode(to, options, (socket, bufferSize) => new NodeChannel(socket, bufferSize, { path: "" }, to));
}
