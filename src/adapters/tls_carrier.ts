/**
 * The stream below TLS. Node and Bun give TLS the socket itself. The TLS of Deno 2.9 reads on while it is paused, without
 * a limit, and forgets the end of the stream then. It gets a stream of which this side pauses the socket, and TLS itself
 * is never paused.
 *
 * @module
 */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Tap } from "./chunk_queue.ts";

/** What TLS reads and writes, and what is to be paused while its chunks wait. */
export interface TlsCarrier {
  readonly stream: Socket;
  /** `undefined` for the socket of TLS itself. */
  readonly tap: Tap | undefined;
}

/** Returns what carries the TLS of this runtime over a socket. */
export function carrierOf(socket: Socket): TlsCarrier {
  if (!("Deno" in globalThis)) return { stream: socket, tap: undefined };
  return { stream: new Carrier(socket) as unknown as Socket, tap: socket };
}

/** Passes the bytes of a socket on, both ways. */
class Carrier extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
    socket.on("end", () => void this.push(null));
    // TLS begins in the next tick. Bytes before that, if they are garbage, would have it throw where nobody catches.
    setImmediate(() => socket.on("data", (chunk) => void this.push(chunk)));
  }

  override _read(): void {
    // The socket pushes, and is paused where the plaintext waits.
  }

  override _write(chunk: Uint8Array, _encoding: unknown, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
