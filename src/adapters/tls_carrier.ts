/**
 * The stream below TLS. On Node and Bun, that is the socket itself. On Deno 2.9, TLS goes on reading without a limit
 * while it is paused, and then misses the end of the stream. So on Deno, TLS gets a stream of its own, and is never
 * paused: this side pauses the socket below instead.
 *
 * @module
 */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { RecordTail, watchEnd } from "./tls_ending.ts";

/** The stream that TLS reads and writes, and the socket to pause while its chunks wait. */
export interface TlsCarrier {
  readonly stream: Socket;
  /** The socket to pause; `undefined` to pause the socket of TLS itself. */
  readonly tap: Socket | undefined;
  /**
   * Returns a function that returns true if the TLS socket has ended because its peer was cut off: without `close_notify`.
   * On Bun, where that cannot be told, it always returns false. Called once TLS is agreed on.
   */
  ending(tls: TLSSocket): () => boolean;
}

/** Returns the stream for the TLS of this runtime over a socket. */
export function carrierOf(socket: Socket): TlsCarrier {
  if (!("Deno" in globalThis)) return { stream: socket, tap: undefined, ending: (tls) => watchEnd(tls, socket) };
  const carrier = new Carrier(socket);
  const wasCut = (): boolean => {
    // TLS would keep all that comes after the end.
    socket.pause();
    return !carrier.tail.isAlert;
  };
  return { stream: carrier as unknown as Socket, tap: socket, ending: () => wasCut };
}

/** Passes on the bytes of a socket in both directions. */
class Carrier extends Duplex {
  readonly tail = new RecordTail();
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
    socket.on("end", () => void this.push(null));
    // TLS begins in the next tick. Garbage before that would make it throw an error that nobody can catch.
    setImmediate(() => socket.on("data", (chunk) => this.#take(chunk)));
  }

  #take(chunk: Uint8Array): void {
    this.tail.add(chunk);
    this.push(chunk);
  }

  override _read(): void {
    // Nothing to do: the socket pushes its bytes, and is paused while plaintext waits.
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
