/**
 * The floor's sockets on `Deno.listen` and `Deno.connect`, with plain `read` and `write`.
 *
 * @module
 */

import type { OpenCallback, Socket, Sockets } from "../sockets.ts";

interface DenoConn {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  setNoDelay(on: boolean): void;
  close(): void;
}

interface DenoListener extends AsyncIterable<DenoConn> {
  readonly addr: { readonly port: number };
}

interface DenoNet {
  listen(at: { hostname: string; port: number }): DenoListener;
  connect(to: { hostname: string; port: number }): Promise<DenoConn>;
}

const hostname = "127.0.0.1";
const deno = (globalThis as unknown as { Deno: DenoNet }).Deno;

/** See the module. */
export const sockets: Sockets = {
  listen(open): Promise<number> {
    const listener = deno.listen({ hostname, port: 0 });
    void accept(listener, open);
    return Promise.resolve(listener.addr.port);
  },
  async connect(port, open): Promise<void> {
    start(await deno.connect({ hostname, port }), open);
  },
};

async function accept(listener: DenoListener, open: OpenCallback): Promise<void> {
  for await (const conn of listener) start(conn, open);
}

function start(conn: DenoConn, open: OpenCallback): void {
  conn.setNoDelay(true);
  const socket = new DenoSocket(conn);
  const events = open(socket);
  void read(conn, (chunk) => events.data(chunk)).finally(() => {
    socket.close();
    events.closed();
  });
}

async function read(conn: DenoConn, data: (chunk: Uint8Array) => void): Promise<void> {
  const buffer = new Uint8Array(65536);
  while (true) {
    // A connection closed here or reset by the peer rejects; both end the loop.
    const count = await conn.read(buffer).catch(() => null);
    if (count === null) return;
    data(buffer.subarray(0, count));
  }
}

class DenoSocket implements Socket {
  readonly #conn: DenoConn;
  #open = true;

  constructor(conn: DenoConn) {
    this.#conn = conn;
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    if (this.#open) void this.#write(bytes, done);
    return false;
  }

  /** `conn.write` takes a part of the bytes when the kernel's buffer is full. */
  async #write(bytes: Uint8Array, done: () => void): Promise<void> {
    try {
      let written = await this.#conn.write(bytes);
      while (written < bytes.length) written += await this.#conn.write(bytes.subarray(written));
    } catch {
      this.close();
      return;
    }
    done();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#conn.close();
  }
}
