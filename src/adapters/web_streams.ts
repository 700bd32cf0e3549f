/**
 * The two directions of a connection as Web Streams, made of its `read` and `write`.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Connection } from "../transport.ts";

/**
 * The incoming direction. It reads only when somebody asks for a chunk; cancelling aborts the connection.
 *
 * It is no byte stream (`type: "bytes"`): that would take each chunk's whole `ArrayBuffer` away, which chunks may share.
 *
 * @param connection The connection.
 */
export function readableOf(connection: Connection): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const chunk = await connection.read();
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    },
    cancel: (reason) => connection.abort(toError(reason)),
  }, { highWaterMark: 0 });
}

/**
 * The outgoing direction. A write settles when the socket can take more; closing sends FIN; aborting aborts the
 * connection, also while a write is pending.
 *
 * @param connection The connection.
 */
export function writableOf(connection: Connection): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    start(controller): void {
      // `abort` below is called only after a pending write, which a peer that does not read may hold up for ever.
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
