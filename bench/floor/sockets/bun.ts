/**
 * The floor's sockets on `Bun.listen` and `Bun.connect`.
 *
 * @module
 */

import type { OpenCallback, Socket, SocketEvents, Sockets } from "../sockets.ts";

interface BunHandle {
  data: BunSocket | undefined;
  write(bytes: Uint8Array): number;
  end(): void;
}

interface BunHandlers {
  open(handle: BunHandle): void;
  data(handle: BunHandle, chunk: Uint8Array): void;
  drain(handle: BunHandle): void;
  close(handle: BunHandle): void;
  error(handle: BunHandle): void;
}

interface BunNet {
  listen(at: { hostname: string; port: number; socket: BunHandlers }): { readonly port: number };
  connect(to: { hostname: string; port: number; socket: BunHandlers }): Promise<BunHandle>;
}

const hostname = "127.0.0.1";
const bun = (globalThis as unknown as { Bun: BunNet }).Bun;

/** See the module. */
export const sockets: Sockets = {
  listen(open): Promise<number> {
    return Promise.resolve(bun.listen({ hostname, port: 0, socket: handlers(open) }).port);
  },
  async connect(port, open): Promise<void> {
    await bun.connect({ hostname, port, socket: handlers(open) });
  },
};

function handlers(open: OpenCallback): BunHandlers {
  return {
    open(handle): void {
      handle.data = new BunSocket(handle);
      handle.data.events = open(handle.data);
    },
    data: (handle, chunk) => handle.data?.events?.data(chunk),
    drain: (handle) => handle.data?.drain(),
    close: (handle) => handle.data?.events?.closed(),
    error: (handle) => handle.end(),
  };
}

class BunSocket implements Socket {
  events: SocketEvents | undefined;
  readonly #handle: BunHandle;
  #rest: Uint8Array | undefined;
  #done: (() => void) | undefined;

  constructor(handle: BunHandle) {
    this.#handle = handle;
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    const written = this.#handle.write(bytes);
    if (written === bytes.length) return true;
    this.#rest = bytes.subarray(Math.max(written, 0));
    this.#done = done;
    return false;
  }

  /** The kernel takes bytes again: what it did not take before is still ours to send. */
  drain(): void {
    if (this.#rest === undefined) return;
    const written = this.#handle.write(this.#rest);
    this.#rest = this.#rest.subarray(Math.max(written, 0));
    if (this.#rest.length > 0) return;
    const done = this.#done;
    this.#rest = this.#done = undefined;
    done?.();
  }

  close(): void {
    this.#handle.end();
  }
}
