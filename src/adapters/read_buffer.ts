/**
 * The buffers of a runtime whose reads need one while they wait. An idle connection holds 256 bytes, or up to 4 KiB if
 * more came at once the last time. The buffer of a busy one grows fourfold with each read that fills it. Small reads
 * share a buffer: each gets a part of it, and that part is not written again before it is given back.
 *
 * A buffer that has grown is given up as soon as a read leaves room in it, because the next read may wait for long.
 * That costs an extra read only if the reader is faster than the sender.
 *
 * @module
 */

const SMALLEST = 256;
const IDLE_MOST = 4096;

/** Supplies the room for one read after another. */
export class ReadBuffer {
  readonly #most: number;
  #size: number;
  #buffer: Uint8Array;
  #used = 0;
  #sinceIdle = 0;
  #largest = 0;
  #filled = false;
  /** A buffer that was given back as a whole. */
  #spare: Uint8Array | undefined = undefined;

  /** @param most The largest room for one read, in bytes. */
  constructor(most: number) {
    this.#most = most;
    this.#size = Math.min(SMALLEST, most);
    this.#buffer = new Uint8Array(this.#size);
  }

  /** True if the last read filled the largest buffer, so that more is probably there. */
  get filled(): boolean {
    return this.#filled;
  }

  /** Returns the room for the next read. */
  room(): Uint8Array {
    const left = this.#buffer.length - this.#used;
    // Take a new buffer rather than one so small that the read would cut the next message in two.
    if (left === 0 || left < this.#largest) {
      this.#buffer = this.#spare?.length === this.#size ? this.#spare : new Uint8Array(this.#size);
      this.#spare = undefined;
      this.#used = 0;
      this.#largest = 0;
    }
    return this.#used === 0 ? this.#buffer : this.#buffer.subarray(this.#used);
  }

  /** Takes back a chunk that filled its whole buffer. The next read reuses the buffer if it needs the same size. */
  recycle(chunk: Uint8Array): void {
    if (chunk.buffer === this.#buffer.buffer && chunk.length === this.#buffer.length) this.#spare = this.#buffer;
  }

  /** Returns the `count` bytes that were read into the room. The caller owns them until it gives them back. */
  take(count: number): Uint8Array {
    const start = this.#used;
    const end = this.#used = start + count;
    const chunk = this.#buffer.subarray(start, end);
    this.#sinceIdle += count;
    if (count > this.#largest) this.#largest = count;
    this.#filled = count === this.#most;
    if (end === this.#buffer.length) {
      // A read that filled only the small rest of a shared buffer says nothing about the size of the message.
      if (start === 0 || count >= this.#size >> 1) this.#size = Math.min(this.#size * 4, this.#most);
      return chunk;
    }
    let size = SMALLEST;
    while (size < this.#sinceIdle && size < IDLE_MOST) size *= 4;
    this.#size = Math.min(size, this.#most);
    if (this.#buffer.length > IDLE_MOST) this.#used = this.#buffer.length;
    this.#sinceIdle = 0;
    return chunk;
  }
}
