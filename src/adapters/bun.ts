/**
 * TCP and unix sockets through Bun's own sockets. Importing it is harmless on other runtimes.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Address, Endpoint } from "../base/address.ts";
import type { Connection, Listener, SocketOptions, Transport } from "../transport.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { BunChannel, type BunSocket } from "./bun_channel.ts";
import { descriptorLimit } from "./descriptors.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { bufferSizeOf, checkEndpoint } from "./endpoint.ts";
import { NodeChannel } from "./node_channel.ts";
import { connectNode } from "./node_connect.ts";
import { type BunNames, resolveBun } from "./bun_names.ts";
import { runtimeApi } from "./runtime.ts";
import { listenAnew } from "./stale_socket.ts";
import { runtimeLoop } from "./runtime_loop.ts";
import { listenError } from "./system_errors.ts";

export type * from "../transport.ts";

interface BunListener {
  readonly hostname?: string;
  readonly port?: number;
  stop(closeConnections?: boolean): void;
  unref(): void;
}

interface BunHandlers {
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: Error): void;
  error(socket: BunSocket, error: Error): void;
}

type BunEndpoint = ({ hostname: string; port: number } | { unix: string }) & { allowHalfOpen: true };

interface BunApi extends BunNames {
  listen(options: BunEndpoint & { socket: BunHandlers }): BunListener;
}

/**
 * Creates a transport over Bun's own sockets.
 *
 * @throws {ConfigError} `unsupported`, on another runtime.
 *
 * @category Transport
 */
export function bunTransport(): Transport {
  const bun = runtimeApi<BunApi>("Bun");
  const connect: Transport["connect"] = (to, options) => connectNode(to, options, adopt);
  return {
    name: "bun",
    connect,
    listen: (at, options) => listenAnew(at, () => listenBun(bun, at, options), connect),
    descriptors: descriptorLimit,
    eventLoop: runtimeLoop(),
  };
}

function targetOf(at: Endpoint): BunEndpoint {
  return "path" in at
    ? { unix: at.path, allowHalfOpen: true }
    : { hostname: at.hostname, port: at.port, allowHalfOpen: true };
}

// `Bun.connect` cannot be canceled: an attempt that nobody answers would keep a socket, and the process, for minutes.
// It also remembers for 30 s what a host name resolved to. `node:net` does neither, and the socket that it opens is one
// of Bun's.
function adopt(socket: Socket, bufferSize: number, to: Endpoint): Channel {
  const holder = socket as unknown as {
    _handle: (BunSocket & { reload?(options: { socket: BunHandlers }): void }) | null;
  };
  const handle = holder._handle;
  if (typeof handle?.reload !== "function") return new NodeChannel(socket, bufferSize, { path: "" }, to);
  const channel = new BunChannel(bufferSize, { path: "" }, to);
  holder._handle = null;
  handle.reload({ socket: HANDLERS });
  handle.data = channel;
  // They refer to the `node:net` socket, its old owner, which would otherwise stay in memory as long as the handle.
  for (const key of Object.getOwnPropertySymbols(handle)) Reflect.set(handle, key, undefined);
  channel.open(handle);
  return channel;
}

async function listenBun(bun: BunApi, at: Endpoint, options?: SocketOptions): Promise<Listener> {
  checkEndpoint("listen", at);
  const bufferSize = bufferSizeOf(options);
  const queue = new AcceptQueue();
  let address: Address = at;
  const open = (socket: BunSocket) => {
    socket.data = new BunChannel(bufferSize, address, { path: "" });
    socket.data.open(socket);
    queue.push(new Duplex(socket.data));
  };
  try {
    const target = "path" in at ? at : { hostname: await resolveBun(bun, at.hostname), port: at.port };
    const listener = bun.listen({ ...targetOf(target), socket: { ...HANDLERS, open } });
    const adapter = new BunListenerAdapter(listener, queue, target);
    address = adapter.address;
    return adapter;
  } catch (error) {
    throw listenError(at, error);
  }
}

const HANDLERS: BunHandlers = {
  open: (socket) => socket.data.open(socket),
  data: (socket, chunk) => socket.data.receive(chunk),
  drain: (socket) => socket.data.drain(),
  end: (socket) => socket.data.end(),
  close: (socket, error) => socket.data?.close(error),
  error: (socket, error) => socket.data?.close(error),
};

class BunListenerAdapter implements Listener {
  readonly address: Address;
  readonly #listener: BunListener;
  readonly #queue: AcceptQueue;

  constructor(listener: BunListener, queue: AcceptQueue, at: Endpoint) {
    this.#listener = listener;
    this.#queue = queue;
    this.address = "path" in at ? at : { hostname: listener.hostname ?? at.hostname, port: listener.port ?? at.port };
  }

  close(): Promise<void> {
    this.#listener.stop();
    this.#queue.end();
    return Promise.resolve();
  }

  unref(): void {
    this.#listener.unref();
  }

  [Symbol.asyncIterator](): AsyncIterator<Connection> {
    return this.#queue.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
