/**
 * Bytes to frames, for the floor: frames that lie whole in a chunk are handed on as views, one that is cut is put together in
 * a buffer that is used again for the next. Content is valid only during the callback.
 *
 * @module
 */

import { crc32 } from "./crc32.ts";
import { HEADER_SIZE, MAX_SIZE } from "./frame.ts";

/** Takes one checked frame. */
export type FrameCallback = (code: number, id: number, content: Uint8Array) => void;

/** Parses the frames of one connection. */
export class Parser {
  readonly #frame: FrameCallback;
  #partial = new Uint8Array(0);
  #have = 0;

  /** @param frame Called for each frame, in order. */
  constructor(frame: FrameCallback) {
    this.#frame = frame;
  }

  /** Takes the next bytes of the stream, cut anywhere. Throws when they are no frames. */
  push(chunk: Uint8Array): void {
    let at = this.#have > 0 ? this.#resume(chunk) : 0;
    while (chunk.length - at >= HEADER_SIZE) {
      const end = at + HEADER_SIZE + sizeAt(chunk, at);
      if (end > chunk.length) break;
      this.#deliver(chunk, at, end);
      at = end;
    }
    if (at < chunk.length) this.#fill(chunk, at, HEADER_SIZE);
    if (at + HEADER_SIZE < chunk.length) this.#fill(chunk, at + HEADER_SIZE, HEADER_SIZE + sizeAt(this.#partial, 0));
  }

  /** Goes on with the frame that was cut; returns where the chunk's next frame begins. */
  #resume(chunk: Uint8Array): number {
    let at = this.#have < HEADER_SIZE ? this.#fill(chunk, 0, HEADER_SIZE) : 0;
    if (this.#have < HEADER_SIZE) return at;
    const end = HEADER_SIZE + sizeAt(this.#partial, 0);
    at = this.#fill(chunk, at, end);
    if (this.#have < end) return at;
    this.#have = 0;
    this.#deliver(this.#partial, 0, end);
    return at;
  }

  /** Copies from `chunk` until `need` bytes of the cut frame are there; returns where it stopped. */
  #fill(chunk: Uint8Array, at: number, need: number): number {
    if (this.#partial.length < need) {
      const larger = new Uint8Array(need);
      larger.set(this.#partial.subarray(0, this.#have));
      this.#partial = larger;
    }
    const count = Math.min(need - this.#have, chunk.length - at);
    if (count === 1) this.#partial[this.#have] = chunk[at];
    else this.#partial.set(chunk.subarray(at, at + count), this.#have);
    this.#have += count;
    return at + count;
  }

  #deliver(bytes: Uint8Array, at: number, end: number): void {
    const content = bytes.subarray(at + HEADER_SIZE, end);
    const crc = (bytes[at + 9] << 24) | (bytes[at + 10] << 16) | (bytes[at + 11] << 8) | bytes[at + 12];
    if (crc32(content) !== crc) throw new Error("Cannot read a frame: the checksum differs");
    this.#frame((bytes[at + 3] << 8) | bytes[at + 4], (bytes[at + 13] << 8) | bytes[at + 14], content);
  }
}

/** The size field of the header at `at`, checked. */
function sizeAt(bytes: Uint8Array, at: number): number {
  const size = ((bytes[at + 5] << 24) | (bytes[at + 6] << 16) | (bytes[at + 7] << 8) | bytes[at + 8]) >>> 0;
  if (bytes[at] !== 0x56 || bytes[at + 1] !== 0x58 || bytes[at + 2] !== 0 || size > MAX_SIZE) {
    throw new Error("Cannot read a frame: the header is invalid");
  }
  return size;
}
