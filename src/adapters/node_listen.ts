/**
 * Listens through `node:net`, for sockets with and without TLS.
 *
 * @module
 */

import type * as Fs from "node:fs";
import type * as Net from "node:net";
import type { Server, Socket } from "node:net";
import type * as Path from "node:path";
import type { Address, Endpoint } from "../base/address.ts";
import { builtinModule } from "../base/builtin_module.ts";
import type { Connection, Listener } from "../transport.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { checkEndpoint } from "./endpoint.ts";
import { brokenError, listenError } from "./system_errors.ts";

const FS = builtinModule("node:fs") as typeof Fs;
const NET = builtinModule("node:net") as typeof Net;
const PATH = builtinModule("node:path") as typeof Path;

/**
 * Listens for sockets.
 *
 * @param at The endpoint to listen at.
 * @param accept Makes a connection from an accepted socket. It also gets the address of the listener.
 */
export async function listenSockets(
  at: Endpoint,
  accept: (socket: Socket, address: Address) => Connection,
): Promise<Listener> {
  checkEndpoint("listen", at);
  const server = NET.createServer({ allowHalfOpen: true });
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
    const noFolder = "path" in at && !at.path.startsWith("\0") && !FS.existsSync(PATH.dirname(at.path));
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
