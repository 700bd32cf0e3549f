/**
 * TCP and unix sockets through `node:net`, which Node, Deno and Bun all have. Importing it is harmless elsewhere.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Endpoint } from "../base/address.ts";
import type { Listener, SocketOptions, Transport } from "../transport.ts";
import { descriptorLimit } from "./descriptors.ts";
import { Duplex } from "./duplex.ts";
import { bufferSizeOf } from "./endpoint.ts";
import { NodeChannel } from "./node_channel.ts";
import { connectNode } from "./node_connect.ts";
import { listenSockets } from "./node_listen.ts";
import { checkBuiltin } from "./runtime.ts";
import { listenAnew } from "./stale_socket.ts";
import { runtimeLoop } from "./runtime_loop.ts";

export type * from "../transport.ts";

/**
 * Creates a transport over `node:net`.
 *
 * @throws {ConfigError} `unsupported`, where there is no such module, as in browsers.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { nodeTransport } from "@veltix/core/node";
 *
 * const transport = nodeTransport();
 * await using listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await transport.connect(listener.address);
 * await client.write(new TextEncoder().encode("hello"));
 * for await (const peer of listener) {
 *   assertEquals(new TextDecoder().decode(await peer.read() ?? undefined), "hello");
 *   peer.abort();
 *   break;
 * }
 * client.abort();
 * ```
 *
 * @category Transport
 */
export function nodeTransport(): Transport {
  checkBuiltin(
    "node:net",
    "Cannot make the node transport",
    "give a `url` with ws: or wss: in a browser, else a Transport of your own, such as over fromStreams()",
  );
  const connect: Transport["connect"] = (to, options) => connectNode(to, options, adopt);
  return {
    name: "node",
    connect,
    listen: (at, options) => listenAnew(at, () => listenNode(at, options), connect),
    descriptors: descriptorLimit,
    eventLoop: runtimeLoop(),
  };
}

function adopt(socket: Socket, bufferSize: number, to: Endpoint): NodeChannel {
  return new NodeChannel(socket, bufferSize, { path: "" }, to);
}

function listenNode(at: Endpoint, options?: SocketOptions): Promise<Listener> {
  const bufferSize = bufferSizeOf(options);
  return listenSockets(at, (socket, address) => new Duplex(new NodeChannel(socket, bufferSize, address, { path: "" })));
}
