/**
 * Web Streams of bytes as the two directions of a connection.
 *
 * @module
 */

import type { ChunkReader } from "../transport.ts";
import type { ByteSink, ByteSource } from "./byte_ends.ts";

/** The incoming bytes: any views of bytes, or `ArrayBuffer`s. */
export type WebReadable = ReadableStream<ArrayBufferView | ArrayBufferLike>;
/** The outgoing bytes. */
export type WebWritable = WritableStream<Uint8Array<ArrayBuffer>>;

/** A stream that is read. It is locked. */
export class WebSource implements ByteSource {
  readonly #reader: ReadableStreamDefaultReader<ArrayBufferView | ArrayBufferLike>;

  constructor(readable: WebReadable) {
    this.#reader = readable.getReader();
    // Failures of the stream surface in `read`.
    this.#reader.closed.catch(() => {});
  }

  read(reader: ChunkReader): void {
    this.#reader.read().then(({ done, value }) => done ? null : bytesOf(value)).then(
      (chunk) => chunk?.length === 0 ? this.read(reader) : reader.received(chunk),
      (error) => reader.received(null, error ?? new Error("the stream failed, without saying why")),
    );
  }

  release(reason: Error | undefined): void {
    if (reason !== undefined) this.#reader.cancel(reason).catch(() => {});
  }

  unref(): void {}
}

/** A stream that is written. It is locked. */
export class WebSink implements ByteSink {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  constructor(writable: WebWritable) {
    this.#writer = writable.getWriter();
    // Failures of the stream surface in `write`.
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(new Uint8Array(bytes));
  }

  finish(): Promise<void> {
    return this.#writer.close();
  }

  release(reason: Error | undefined): void {
    if (reason !== undefined) this.#writer.abort(reason).catch(() => {});
  }

  unref(): void {}
}

function bytesOf(chunk: ArrayBufferView | ArrayBufferLike): Uint8Array {
  if (chunk instanceof Uint8Array && chunk.constructor === Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`Cannot read from the stream: a chunk is not bytes but ${typeof chunk}`);
}
