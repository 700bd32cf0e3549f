/**
 * Streams of Node as the two directions of a connection. Nothing of Node is imported.
 *
 * @module
 */

import type { ChunkReader } from "../transport.ts";
import type { ByteSink, ByteSource } from "./byte_ends.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { systemError } from "./system_errors.ts";

/** The part of a `Readable` that is used. */
export interface NodeReadable {
  on(event: string, listener: (value: never) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
}

/** The part of a `Writable` that is used. */
export interface NodeWritable {
  on(event: string, listener: (value: never) => void): unknown;
  write(chunk: Uint8Array, done: (error?: Error | null) => void): unknown;
  end(done: () => void): unknown;
  destroy(): unknown;
}

/** A member that streams have on some runtimes. */
interface Unref {
  unref?(): void;
}

/** How many bytes are held before the stream is paused. */
const HELD = 64 * 1024;

/** A stream that is read. */
export class NodeSource implements ByteSource {
  readonly #stream: NodeReadable & Unref;
  readonly #chunks: ChunkQueue;

  constructor(stream: NodeReadable) {
    this.#stream = stream;
    const chunks = this.#chunks = new ChunkQueue(HELD, stream as { pause(): void; resume(): void });
    let failure: unknown = undefined;
    stream.on("error", (error: unknown) => failure = error);
    stream.on("end", () => chunks.end());
    stream.on("close", () => chunks.end(failure ?? systemError("ECONNRESET")));
    stream.on("data", (chunk: unknown) => {
      if (chunk instanceof Uint8Array) {
        // Make a plain view: the `slice` of a `Buffer` shares memory, that of a `Uint8Array` copies.
        chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      } else chunks.end(new TypeError(`a chunk is not bytes but ${typeof chunk}; set no encoding of the stream`));
    });
  }

  read(reader: ChunkReader): void {
    this.#chunks.read(reader);
  }

  release(reason: Error | undefined): void {
    this.#chunks.clear();
    this.#chunks.end();
    if (reason === undefined) return;
    // On Deno, a standard input that is destroyed while it is read holds the program.
    this.#stream.pause();
    this.#stream.destroy();
  }

  unref(): void {
    this.#stream.unref?.();
  }
}

/** A stream that is written. */
export class NodeSink implements ByteSink {
  readonly #stream: NodeWritable & Unref;
  /** Why the stream takes no more; `undefined` while it does. */
  #failure: Error | undefined = undefined;
  /** Rejects what waits for the stream. */
  #fail: ((error: Error) => void) | undefined = undefined;

  constructor(stream: NodeWritable) {
    this.#stream = stream;
    stream.on("error", (error: Error) => this.#failed(error));
    stream.on("close", () => this.#failed(systemError("EPIPE")));
  }

  write(bytes: Uint8Array): Promise<void> {
    // A copy, because a stream may pass a chunk on and keep it for longer than its write takes.
    const copy = new Uint8Array(bytes);
    return this.#settled((done) => void this.#stream.write(copy, done));
  }

  finish(): Promise<void> {
    return this.#settled((done) => void this.#stream.end(done));
  }

  release(reason: Error | undefined): void {
    if (reason !== undefined) this.#stream.destroy();
  }

  unref(): void {
    this.#stream.unref?.();
  }

  /** Resolves when `work` is done. The callbacks of some streams never come once they have failed. */
  #settled(work: (done: (error?: Error | null) => void) => void): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      work((error) => {
        this.#fail = undefined;
        if (error) reject(this.#failure ?? error);
        else resolve();
      });
    });
  }

  #failed(error: Error): void {
    this.#failure ??= error;
    this.#fail?.(this.#failure);
    this.#fail = undefined;
  }
}
