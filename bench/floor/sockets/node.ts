/**
 * The floor's sockets on `node:net`, which Deno and Bun have too.
 *
 * @module
 */

import net from "node:net";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import type { OpenCallback, Socket, Sockets } from "../sockets.ts";

const host = "127.0.0.1";

/** See the module. */
export const sockets: Sockets = {
  listen(open): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const server = net.createServer((socket) => start(socket, open));
    server.once("error", reject);
    server.listen({ host, port: 0, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port));
    return promise;
  },
  connect(port, open): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = net.connect({ host, port }, () => {
      socket.off("error", reject);
      start(socket, open);
      resolve();
    });
    socket.once("error", reject);
    return promise;
  },
};

/** Hands the events of a connected socket on. */
export function start(socket: NetSocket, open: OpenCallback): void {
  socket.setNoDelay(true);
  const events = open(new NodeSocket(socket));
  socket.on("data", (chunk: Uint8Array) => events.data(chunk));
  socket.on("close", () => events.closed());
  socket.on("error", () => socket.destroy());
}

class NodeSocket implements Socket {
  readonly #socket: NetSocket;
  readonly #written: () => void;
  /** Callbacks to come for writes that were over when `write` returned. */
  #over = 0;
  #done: (() => void) | undefined;

  constructor(socket: NetSocket) {
    this.#socket = socket;
    this.#written = () => {
      if (this.#over > 0) this.#over--;
      else this.#done?.();
    };
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    this.#socket.write(bytes, this.#written);
    // Nothing is left in the stream: the kernel took the bytes during the call.
    if (this.#socket.writableLength === 0) {
      this.#over++;
      return true;
    }
    this.#done = done;
    return false;
  }

  close(): void {
    this.#socket.end();
  }
}
