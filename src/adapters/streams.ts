/**
 * Any pair of Web Streams of bytes as a {@linkcode Connection}, such as a WebTransport stream, a worker's port or a TLS
 * layer.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import type { ChunkReader, Connection } from "../transport.ts";
import { type Channel, Duplex } from "./duplex.ts";

export type * from "../transport.ts";

/** The addresses of a connection, which streams do not have themselves. */
export interface StreamsInfo {
  /** The address of this end. @default { path: "" } */
  readonly local?: Address;
  /** The address of the peer's end. @default { path: "" } */
  readonly remote?: Address;
}

/** The two directions of one byte stream. */
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
 */
export function fromStreams(streams: StreamPair, info?: StreamsInfo): Connection {
  return new Duplex(new StreamChannel(streams, info));
}

class StreamChannel implements Channel {
  readonly local: Address;
  readonly remote: Address;
  readonly #reader: ReadableStreamDefaultReader<ArrayBufferView | ArrayBufferLike>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  constructor({ readable, writable }: StreamPair, info?: StreamsInfo) {
    this.local = info?.local ?? { path: "" };
    this.remote = info?.remote ?? { path: "" };
    if (readable.locked) throw new TypeError('Cannot use "readable": it is locked');
    if (writable.locked) throw new TypeError('Cannot use "writable": it is locked');
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    // Failures of the streams surface in `read` and `write`.
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
  }

  read(reader: ChunkReader): void {
    this.#reader.read().then(({ done, value }) => done ? null : bytesOf(value)).then(
      (chunk) => chunk?.length === 0 ? this.read(reader) : reader.received(chunk),
      (error) => reader.received(null, error ?? new Error("the stream failed, without saying why")),
    );
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(new Uint8Array(bytes));
  }

  finish(): Promise<void> {
    return this.#writer.close();
  }

  release(reason: Error | undefined): void {
    if (reason === undefined) return;
    this.#reader.cancel(reason).catch(() => {});
    this.#writer.abort(reason).catch(() => {});
  }

  unref(): void {}
}

function bytesOf(chunk: ArrayBufferView | ArrayBufferLike): Uint8Array {
  if (chunk instanceof Uint8Array && chunk.constructor === Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`Cannot read from the stream: a chunk is not bytes but ${typeof chunk}`);
}
