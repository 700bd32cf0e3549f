/**
 * TCP and unix sockets through `node:net`, which Node, Deno and Bun all have.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Address, Endpoint } from "../base/address.ts";
import type { Connection, Listener, SocketOptions, Transport } from "../transport.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { descriptorLimit } from "./descriptors.ts";
import { Duplex } from "./duplex.ts";
import { bufferSizeOf, checkEndpoint } from "./endpoint.ts";
import { NodeChannel } from "./node_channel.ts";
import { connectNode } from "./node_connect.ts";
import { listenAnew } from "./stale_socket.ts";
import { runtimeLoop } from "./runtime_loop.ts";
import { brokenError, listenError } from "./system_errors.ts";

export type * from "../transport.ts";

/**
 * Creates a transport over `node:net`.
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
 */
export function nodeTransport(): Transport {
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

/**
 * Listens for sockets.
 *
 * @param at The endpoint to listen at.
 * @param accept Makes a connection of a socket that was accepted. It is given the address of the listener, too.
 */
export async function listenSockets(
  at: Endpoint,
  accept: (socket: Socket, address: Address) => Connection,
): Promise<Listener> {
  checkEndpoint("listen", at);
  const server = createServer({ allowHalfOpen: true });
  const queue = new AcceptQueue();
  let address: Address = at;
  server.on("connection", (socket) => queue.push(accept(socket, address)));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  try {
    server.listen("path" in at ? { path: at.path } : { host: at.hostname, port: at.port }, resolve);
    await promise;
  } catch (error) {
    // Node reports EACCES if the folder does not exist.
    const noFolder = "path" in at && !at.path.startsWith("\0") && !existsSync(dirname(at.path));
    throw listenError(at, noFolder ? Object.assign(new Error("ENOENT", { cause: error }), { code: "ENOENT" }) : error);
  }
  server.off("error", reject);
  const listener = new NodeListener(server, queue, at);
  address = listener.address;
  return listener;
}

class NodeListener implements Listener {
  readonly address: Address;
  readonly #server: Server;
  readonly #queue: AcceptQueue;

  constructor(server: Server, queue: AcceptQueue, at: Endpoint) {
    this.#server = server;
    this.#queue = queue;
    const address = server.address(); // Bun returns null for a path.
    this.address = typeof address === "object" && address && !("path" in at)
      ? { hostname: address.address, port: address.port }
      : at;
    server.on("error", (error) => {
      queue.end(brokenError("Cannot accept connections", error));
      server.close();
    });
  }

  // The callback of `close` would wait for the open connections, but the port is free before that.
  close(): Promise<void> {
    if (this.#server.listening) this.#server.close();
    this.#queue.end();
    return Promise.resolve();
  }

  unref(): void {
    this.#server.unref();
  }

  [Symbol.asyncIterator](): AsyncIterator<Connection> {
    return this.#queue.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
