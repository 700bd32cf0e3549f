/**
 * A {@linkcode Connection} as a pair of Web Streams, made from its `read` and `write`: the reverse of `fromStreams`.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Connection } from "../transport.ts";

/**
 * The two directions of a connection.
 *
 * @category Transport
 */
export interface ConnectionStreams {
  /**
   * The incoming bytes. It is not a byte stream (`type: "bytes"`), which would take away a chunk's whole `ArrayBuffer`.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /** The outgoing bytes. A chunk must not be changed before its write settles. */
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * Creates two streams that take the place of `read`, `write` and `closeWrite` of a connection. Nothing else may read or
 * write it from then on, so call this once.
 *
 * `readable` reads only when it is asked for a chunk, so that a slow reader slows the peer down. It ends with the
 * peer's FIN. Canceling it aborts the connection. A write to `writable` settles when the socket can take more. Closing
 * `writable` sends FIN while reading goes on. Aborting it aborts the connection, even while a write is pending. An
 * error of the connection fails both streams: `writable` at once, `readable` with its next read.
 *
 * @param connection The connection, such as one that a `Transport` opened.
 * @returns The streams.
 *
 * @example An echo by `pipeTo`
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { toStreams } from "@veltix/core";
 * import { connectionPair } from "@veltix/core/memory";
 *
 * const [client, server] = connectionPair();
 * const { readable, writable } = toStreams(server);
 * const echoing = readable.pipeTo(writable);
 *
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 * let heard = "";
 * for await (const part of toStreams(client).readable.pipeThrough(new TextDecoderStream())) heard += part;
 * await echoing;
 * assertEquals(heard, "hello");
 * ```
 *
 * @category Transport
 */
export function toStreams(connection: Connection): ConnectionStreams {
  return { readable: readableOf(connection), writable: writableOf(connection) };
}

function readableOf(connection: Connection): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const chunk = await connection.read();
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    },
    cancel: (reason) => connection.abort(toError(reason)),
    // By default, one chunk would be read before anybody asks for it.
  }, { highWaterMark: 0 });
}

function writableOf(connection: Connection): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    start(controller): void {
      // `abort` below is called only after a pending write, which a peer that does not read may hold up forever.
      controller.signal.addEventListener("abort", () => connection.abort(toError(controller.signal.reason)));
      connection.closed.then((error) => {
        if (error) controller.error(error);
      });
    },
    write: (chunk) => connection.write(chunk),
    close: () => connection.closeWrite(),
    abort: (reason) => connection.abort(toError(reason)),
  });
}

function toError(reason: unknown): Error | undefined {
  if (reason === undefined || reason instanceof Error) return reason;
  return new ConnectionError("closed", `The connection was aborted: ${String(reason)}`, { cause: reason });
}
