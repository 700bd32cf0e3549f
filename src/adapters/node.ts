/**
 * TCP and unix sockets through `node:net`, which Node, Deno and Bun all have.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type {
  Address,
  ChunkReader,
  Connection,
  ConnectOptions,
  Endpoint,
  Listener,
  SocketOptions,
  Transport,
} from "../transport.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { eventLoop, fairYield, systemClock } from "./clock.ts";
import { descriptorLimit } from "./descriptors.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { bufferSizeOf, checkEndpoint, plainIp } from "./endpoint.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { brokenError, connectError, listenError, systemError } from "./system_errors.ts";

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
  return {
    name: "node",
    connect: connectNode,
    listen: listenNode,
    clock: systemClock(),
    descriptors: descriptorLimit,
    ...eventLoop(),
    yield: fairYield(),
  };
}

async function connectNode(to: Endpoint, options?: ConnectOptions): Promise<Connection> {
  checkEndpoint("connect", to);
  const bufferSize = bufferSizeOf(options);
  const signal = options?.signal;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const target = "path" in to ? { path: to.path } : { host: to.hostname, port: to.port };
  const socket = connect({ ...target, allowHalfOpen: true });
  const abort = () => {
    socket.destroy();
    reject(signal!.reason);
  };
  const fail = (error: Error) => reject(connectError(to, error));
  signal?.addEventListener("abort", abort);
  socket.on("error", fail);
  socket.once("connect", () => {
    socket.off("error", fail);
    resolve(new Duplex(new NodeChannel(socket, bufferSize, { path: "" }, to)));
  });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function listenNode(at: Endpoint, options?: SocketOptions): Promise<Listener> {
  checkEndpoint("listen", at);
  const bufferSize = bufferSizeOf(options);
  const server = createServer({ allowHalfOpen: true });
  const queue = new AcceptQueue();
  server.on("connection", (socket) => queue.push(new Duplex(new NodeChannel(socket, bufferSize, at, { path: "" }))));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen("path" in at ? { path: at.path } : { host: at.hostname, port: at.port }, resolve);
  try {
    await promise;
  } catch (error) {
    // Node says EACCES where the folder does not exist.
    const noFolder = "path" in at && !at.path.startsWith("\0") && !existsSync(dirname(at.path));
    throw listenError(at, noFolder ? Object.assign(new Error("ENOENT", { cause: error }), { code: "ENOENT" }) : error);
  }
  server.off("error", reject);
  return new NodeListener(server, queue, at);
}

class NodeListener implements Listener {
  readonly address: Address;
  readonly #server: Server;
  readonly #queue: AcceptQueue;

  constructor(server: Server, queue: AcceptQueue, at: Endpoint) {
    this.#server = server;
    this.#queue = queue;
    const address = server.address(); // Bun answers null for a path.
    this.address = typeof address === "object" && address && !("path" in at)
      ? { hostname: address.address, port: address.port }
      : at;
    server.on("error", (error) => {
      queue.end(brokenError("Cannot accept connections", error));
      server.close();
    });
  }

  // The callback of `close` would wait for the open connections; the port is free before it.
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

/** Where a socket's events find its queue: listeners of its own would cost each idle connection memory. */
const CHUNKS = Symbol("chunks");

interface ReadSocket extends Socket {
  [CHUNKS]: ChunkQueue;
}

function onData(this: ReadSocket, chunk: Uint8Array): void {
  // A plain view: Buffer's own `slice` shares memory where Uint8Array's copies.
  this[CHUNKS].push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
}

function onEnd(this: ReadSocket): void {
  this[CHUNKS].end();
}

function onClose(this: ReadSocket): void {
  const chunks = this[CHUNKS];
  // Mostly the end came before, and an error with its stack is dear.
  if (!chunks.ended) chunks.end(this.errored ?? systemError("ECONNRESET"));
}

function ignore(): void {}

class NodeChannel implements Channel {
  readonly finishes = true;
  readonly local: Address;
  readonly remote: Address;
  readonly #socket: Socket;
  readonly #chunks: ChunkQueue;

  constructor(socket: Socket, bufferSize: number, local: Endpoint, remote: Endpoint) {
    this.#socket = socket;
    if ("path" in local && "path" in remote) {
      this.local = local;
      this.remote = remote;
    } else {
      socket.setNoDelay(true);
      // A peer that is gone already has no address any more.
      this.local = { hostname: plainIp(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
      this.remote = { hostname: plainIp(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    }
    this.#chunks = (socket as ReadSocket)[CHUNKS] = new ChunkQueue(bufferSize, socket);
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("error", ignore); // `close` follows and knows it.
    socket.on("close", onClose);
  }

  read(reader: ChunkReader): void {
    this.#chunks.read(reader);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(this.#reasonOf(error)) : resolve());
    });
  }

  finish(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.end((error?: Error | null) => error ? reject(this.#reasonOf(error)) : resolve());
    });
  }

  release(): void {
    this.#socket.destroy();
    this.#chunks.clear();
    // Nobody reads any more: `close` need not make an error for it.
    this.#chunks.end();
  }

  unref(): void {
    this.#socket.unref();
  }

  // A write that fails because the socket broke otherwise says only that it was given up.
  #reasonOf(error: Error): Error {
    return this.#socket.errored ?? error;
  }
}
