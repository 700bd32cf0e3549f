/**
 * Gathers the beginning of a frame whose end has not arrived yet. The buffer grows with the bytes that arrive, not to
 * the size that a header announces.
 *
 * @module
 */

import { viewOf } from "./integers.ts";

/** Below this many bytes, a loop is faster than a view and a copy. */
const LOOP_BELOW = 32;

const EMPTY: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = /* @__PURE__ */ viewOf(EMPTY);

/** Gathers the bytes of one frame at a time. */
export class PartialFrame {
  #buffer: Uint8Array = EMPTY;
  #view: DataView = NO_VIEW;
  #size = 0;

  /** The number of bytes held. */
  get size(): number {
    return this.#size;
  }

  /** The buffer that holds the bytes, from its beginning. It may have free room after them. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** A view of {@linkcode buffer}, for reading integers. */
  get view(): DataView {
    if (this.#view.buffer !== this.#buffer.buffer) this.#view = viewOf(this.#buffer);
    return this.#view;
  }

  /**
   * Adds `chunk[start..end)`. The buffer is at most four times as large as its contents (but at least 64 bytes). It is
   * never larger than `most`: the largest size that the frame, or its header, can have.
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

  /** Returns the held bytes followed by `chunk[start..)` in one new buffer, and holds nothing from then on. */
  join(chunk: Uint8Array, start: number): Uint8Array {
    const size = this.#size;
    const joined = new Uint8Array(size + chunk.length - start);
    joined.set(this.release().subarray(0, size));
    joined.set(chunk.subarray(start), size);
    return joined;
  }

  /** Returns the buffer, and holds nothing from then on. */
  release(): Uint8Array {
    const buffer = this.#buffer;
    this.#buffer = EMPTY;
    this.#view = NO_VIEW;
    this.#size = 0;
    return buffer;
  }
}
