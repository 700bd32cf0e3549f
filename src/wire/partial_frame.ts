/**
 * The beginning of a frame whose end has not come yet. Its buffer grows as bytes arrive and never by the size that a header
 * announces.
 *
 * @module
 */

import { viewOf } from "./integers.ts";

/** Below so many bytes a loop is cheaper than a view and a copy. */
const LOOP_BELOW = 32;

const EMPTY: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = viewOf(EMPTY);

/** Gathers one frame after another. */
export class PartialFrame {
  #buffer: Uint8Array = EMPTY;
  #view: DataView = NO_VIEW;
  #size = 0;

  /** Bytes held. */
  get size(): number {
    return this.#size;
  }

  /** Where they stand, at the beginning; there may be room after them. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** The same bytes for reading integers. */
  get view(): DataView {
    if (this.#view.buffer !== this.#buffer.buffer) this.#view = viewOf(this.#buffer);
    return this.#view;
  }

  /**
   * Adds `chunk[start..end)`. The buffer is at most four times as large as what it holds (64 bytes at least), and never
   * larger than `most`, which is how large the frame, or its header, can become.
   */
  append(chunk: Uint8Array, start: number, end: number, most: number): void {
    const size = this.#size + end - start;
    if (this.#buffer.length < size) {
      const grown = new Uint8Array(Math.min(most, Math.max(4 * size, 64)));
      if (this.#size > 0) grown.set(this.#buffer.subarray(0, this.#size));
      this.#buffer = grown;
    }
    if (end - start < LOOP_BELOW) {
      const buffer = this.#buffer;
      for (let i = start, to = this.#size; i < end; i++) buffer[to++] = chunk[i];
    } else {
      this.#buffer.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#size);
    }
    this.#size = size;
  }

  /** Hands out what it holds with `chunk[start..)` after it, in one buffer, and holds nothing any more. */
  join(chunk: Uint8Array, start: number): Uint8Array {
    const size = this.#size;
    const joined = new Uint8Array(size + chunk.length - start);
    joined.set(this.release().subarray(0, size));
    joined.set(chunk.subarray(start), size);
    return joined;
  }

  /** Hands the buffer out and holds nothing any more. */
  release(): Uint8Array {
    const buffer = this.#buffer;
    this.#buffer = EMPTY;
    this.#view = NO_VIEW;
    this.#size = 0;
    return buffer;
  }
}
