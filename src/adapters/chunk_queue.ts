/**
 * Connects a socket that pushes its chunks (Node's, Bun's) with a reader that pulls them. While nobody reads, the queue
 * holds up to `limit` bytes and then pauses the socket, so that TCP slows the peer down. The end comes after all
 * chunks.
 *
 * @module
 */

import { Fifo } from "../base/fifo.ts";
import type { ChunkReader } from "../transport.ts";

/** Pauses and resumes a socket. */
export interface Tap {
  /** Stops the chunks. A few more may still come. */
  pause(): void;
  /** Lets the chunks come again. */
  resume(): void;
}

/** A queue of chunks with one reader. */
export class ChunkQueue {
  readonly #limit: number;
  #tap: Tap;
  /** The chunks that wait. Created for the first one, because most connections are idle. */
  #chunks: Fifo<Uint8Array> | undefined = undefined;
  #size = 0;
  #paused = false;
  #reader: ChunkReader | undefined;
  #end: { readonly error: unknown } | undefined;

  /**
   * @param limit How many bytes to hold before the socket is paused.
   * @param tap The socket.
   */
  constructor(limit: number, tap: Tap) {
    this.#limit = limit;
    this.#tap = tap;
  }

  /** True once the end was reached. Later chunks and a second end are ignored. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** How many bytes wait. */
  get size(): number {
    return this.#size;
  }

  /** How many chunks wait. */
  get count(): number {
    return this.#chunks === undefined ? 0 : this.#chunks.size;
  }

  /** Adds a chunk. An empty one is ignored. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#end) return;
    const reader = this.#reader;
    if (reader) {
      this.#reader = undefined;
      reader.received(chunk);
      return;
    }
    (this.#chunks ??= new Fifo()).push(chunk);
    this.#size += chunk.length;
    if (this.#size >= this.#limit && !this.#paused) {
      this.#paused = true;
      this.#tap.pause();
    }
  }

  /** Ends the queue, cleanly or with an error. Later calls are ignored. */
  end(error?: unknown): void {
    if (this.#end) return;
    this.#end = { error };
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.received(null, error);
  }

  /** Passes the next chunk or the end to `reader`, at once or later. */
  read(reader: ChunkReader): void {
    if (this.#chunks !== undefined && this.#chunks.size > 0) {
      const chunk = this.#chunks.shift();
      this.#size -= chunk.length;
      if (this.#paused && this.#size === 0) this.#resume();
      reader.received(chunk);
    } else if (this.#end) reader.received(null, this.#end.error);
    else {
      this.#reader = reader;
      if (this.#paused) this.#resume();
    }
  }

  /**
   * Pauses the socket until the next {@linkcode read} that finds nothing.
   *
   * @param better Returns what pauses and resumes the socket from now on, given what did so before.
   */
  stop(better: (tap: Tap) => Tap = (tap) => tap): void {
    if (this.#reader !== undefined || this.#end !== undefined) return;
    this.#tap = better(this.#tap);
    this.#paused = true;
    this.#tap.pause();
  }

  /** Drops the chunks that wait. */
  clear(): void {
    this.#chunks = undefined;
    this.#size = 0;
  }

  #resume(): void {
    this.#paused = false;
    if (!this.#end) this.#tap.resume();
  }
}
