/**
 * Outgoing bytes of one connection in the order they are to be written: buffers lent by the pool while frames are encoded
 * into them, and bytes shared with other connections.
 *
 * @module
 */

import { type BufferPool, POOL_SIZES, type WriteBuffer, writeBuffer } from "./buffer_pool.ts";

/** A buffer with less in it, as a share of its size, is not kept waiting: what waits is counted by what is in it. */
const LITTLE = 0.25;

/** A piece of outgoing bytes: `bytes[sent..used)`. */
export interface Segment {
  /** Where they stand. */
  readonly bytes: Uint8Array;
  /** What frames are written into; goes back to the pool. `undefined` for bytes that only pass through. */
  readonly buffer: WriteBuffer | undefined;
  /** Where they end; frames may be added after it while the segment is open. */
  used: number;
  /** How far they are written. */
  sent: number;
}

/** One that frames can be added to. */
export interface OpenSegment extends Segment {
  readonly buffer: WriteBuffer;
}

/** The queue of them. The last one is open: frames are added to it. */
export class Segments {
  readonly pool: BufferPool;
  readonly #sealed: Segment[] = [];
  #open: OpenSegment | undefined = undefined;
  /** The size of the next buffer: a connection that filled one takes a larger one. */
  #sizeClass = 0;
  /** The size of the first one. */
  #first = 0;
  /** Bytes since there was nothing. */
  #busy = 0;

  /** @param pool Where buffers come from. */
  constructor(pool: BufferPool) {
    this.pool = pool;
  }

  /** The open segment with `size` bytes free; `alone`: whether what is put there goes out at once. */
  room(size: number, alone: boolean): OpenSegment {
    const open = this.#open;
    if (open !== undefined) {
      if (open.bytes.length - open.used >= size) return open;
      this.seal();
      if (this.#sizeClass < POOL_SIZES.length - 1) this.#sizeClass++;
    }
    let sizeClass = alone ? 0 : this.#sizeClass;
    while (sizeClass < POOL_SIZES.length && POOL_SIZES[sizeClass] < size) sizeClass++;
    // One that is too large for the pool is not kept there either.
    const buffer = sizeClass < POOL_SIZES.length ? this.pool.take(sizeClass) : writeBuffer(size);
    return this.#open = { bytes: buffer.bytes, buffer, used: 0, sent: 0 };
  }

  /** Adds bytes that others may send, too, and that nobody will change. */
  share(bytes: Uint8Array): void {
    this.seal();
    this.#sealed.push({ bytes, buffer: undefined, used: bytes.length, sent: 0 });
  }

  /** Adds nothing more to the open segment. As it may wait for long, its buffer goes back when there is little in it. */
  seal(): void {
    const open = this.#open;
    if (open !== undefined && open.used > 0 && open.used < open.bytes.length * LITTLE) {
      this.#open = undefined;
      this.#sealed.push({ bytes: open.bytes.slice(0, open.used), buffer: undefined, used: open.used, sent: 0 });
      this.#release(open);
    } else this.#close();
  }

  /** Gives an open segment back that nothing was added to: an idle connection owns no buffer. */
  trim(): void {
    if (this.#open?.used === 0) this.seal();
  }

  /** The segment to write next, sealed; `undefined` when there is nothing. */
  next(): Segment | undefined {
    if (this.#sealed.length === 0) this.#close();
    if (this.#sealed.length === 0) this.#rest();
    return this.#sealed[0];
  }

  /** Counts `size` bytes of the first segment as written; whether there are sealed ones left. */
  advance(size: number): boolean {
    const segment = this.#sealed[0];
    segment.sent += size;
    this.#busy += size;
    if (segment.sent === segment.used) {
      this.#sealed.shift();
      this.#release(segment);
    }
    return this.#sealed.length > 0;
  }

  /** Forgets all. What is being written stays the socket's, and does not go back to the pool. */
  clear(): void {
    this.#sealed.length = 0;
    this.#open = undefined;
  }

  /** Begins anew: with a buffer for as much as there was last time, so that it is one write, but with no large one. */
  #rest(): void {
    if (this.#busy > 0) this.#first = this.#busy > POOL_SIZES[0] && this.#busy <= POOL_SIZES[1] ? 1 : 0;
    this.#busy = 0;
    this.#sizeClass = this.#first;
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    if (open.used > 0) this.#sealed.push(open);
    else this.#release(open);
  }

  #release(segment: Segment): void {
    if (segment.buffer !== undefined) this.pool.give(segment.buffer);
  }
}
