/**
 * The stream below TLS. On Node and Bun, that is the socket itself. On Deno 2.9, TLS goes on reading without a limit
 * while it is paused, and then misses the end of the stream. So on Deno, TLS gets a stream of its own, and is never
 * paused: this side pauses the socket below instead.
 *
 * @module
 */

import type { Socket } from "node:net";
import type * as Stream from "node:stream";
import type { TLSSocket } from "node:tls";
import { builtinModule } from "../base/builtin_module.ts";
import { RecordTail, watchEnd } from "./tls_ending.ts";

const STREAM = builtinModule("node:stream") as typeof Stream;

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
  if ("Deno" in globalThis) return ownStream(socket);
  return { stream: socket, tap: undefined, ending: (tls) => watchEnd(tls, socket) };
}

/** Returns a stream that passes on the bytes of a socket in both directions. */
function ownStream(socket: Socket): TlsCarrier {
  const tail = new RecordTail();
  const stream = new STREAM.Duplex({
    allowHalfOpen: true,
    read: () => {
      // Nothing to do: the socket pushes its bytes, and is paused while plaintext waits.
    },
    write: (chunk: Uint8Array, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("error", (error) => stream.destroy(error));
  socket.on("close", () => stream.destroy());
  socket.on("end", () => void stream.push(null));
  // TLS begins in the next tick. Garbage before that would make it throw an error that nobody can catch.
  setImmediate(() =>
    socket.on("data", (chunk: Uint8Array) => {
      tail.add(chunk);
      stream.push(chunk);
    })
  );
  const wasCut = (): boolean => {
    // TLS would keep all that comes after the end.
    socket.pause();
    return !tail.isAlert;
  };
  return { stream: stream as unknown as Socket, tap: socket, ending: () => wasCut };
}
