/**
 * Any pair of Web Streams of bytes as a {@linkcode Connection}, such as a WebTransport stream or a TLS layer.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import type { Connection } from "../transport.ts";
import { EndsChannel } from "./byte_ends.ts";
import { Duplex } from "./duplex.ts";
import { WebSink, WebSource } from "./web_ends.ts";

export type * from "../transport.ts";

/**
 * The addresses of a connection, which streams do not have themselves.
 *
 * @category Transport
 */
export interface StreamsInfo {
  /** The address of this end. @default { path: "" } */
  readonly local?: Address;
  /** The address of the peer's end. @default { path: "" } */
  readonly remote?: Address;
}

/**
 * The two directions of one byte stream.
 *
 * @category Transport
 */
export interface StreamPair {
  /** The incoming bytes: any views of bytes, or `ArrayBuffer`s. */
  readonly readable: ReadableStream<ArrayBufferView | ArrayBufferLike>;
  /** The outgoing bytes. */
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
}

/**
 * Creates a connection from two streams and locks both.
 *
 * Each write is copied, because a stream may keep a chunk for longer than its write takes. Chunks that are read are
 * passed on as they are. `abort` cancels one stream and aborts the other. `unref` does nothing.
 *
 * @param streams The streams. The two ends of a `TransformStream` make an echo.
 * @param info The addresses to show.
 * @returns The connection.
 * @throws {TypeError} A stream is locked.
 *
 * @example An echo within the program
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { fromStreams } from "@veltix/core";
 *
 * const connection = fromStreams(new TransformStream());
 * const writing = connection.write(new Uint8Array([1, 2, 3]));
 * assertEquals(await connection.read(), new Uint8Array([1, 2, 3]));
 * await writing;
 * connection.abort();
 * ```
 *
 * @category Transport
 */
export function fromStreams(streams: StreamPair, info?: StreamsInfo): Connection {
  const { readable, writable } = streams;
  if (readable.locked) throw new TypeError('Cannot use "readable": it is locked');
  if (writable.locked) throw new TypeError('Cannot use "writable": it is locked');
  const { local = { path: "" }, remote = { path: "" } } = info ?? {};
  return new Duplex(new EndsChannel(new WebSource(readable), new WebSink(writable), { local, remote }));
}
