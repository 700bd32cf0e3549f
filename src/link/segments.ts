/**
 * Keeps the outgoing bytes of one connection in the order in which they must be written. Frames are encoded into
 * buffers of the pool. Bytes that several connections send are in arrays that they share.
 *
 * @module
 */

import { type BufferPool, POOL_SIZES, type WriteBuffer, writeBuffer } from "./buffer_pool.ts";

/**
 * If less than this share of a buffer is filled, the buffer does not wait: its bytes are copied into an array of their
 * own. The reason is that the limits count the waiting bytes, not the buffers that hold them.
 */
export const LITTLE = 0.25;

/**
 * Where frames begin in a buffer of {@linkcode ALIGNED_FROM} bytes or more. Some processors (AMD Zen 3 and 4, with the C
 * library of Debian 12) copy sixteen times as slowly to an address that lies up to 31 bytes behind that of the source,
 * counted within a page. A payload often begins a page, and behind its header it would come to lie just so.
 */
const BEGIN = 48;
/** Shorter copies are not affected much. */
const ALIGNED_FROM = 65_536;

/** The most room in a buffer of the pool, in bytes. */
export const MOST_ROOM: number = POOL_SIZES[3] - BEGIN;

/** Bytes that are encoded already are passed on without a copy if there are at least this many. */
export const SHARE_FROM: number = 16 * 1024;

/** A piece of outgoing bytes: `bytes[sent..used)`. */
export interface Segment {
  readonly bytes: Uint8Array;
  /** The buffer to give back to the pool; `undefined` for bytes that are not in a buffer of the pool. */
  readonly buffer: WriteBuffer | undefined;
  /** The end of the bytes to write. Frames may be added there while the segment is open. */
  used: number;
  /** The end of the bytes that have been written; at first the place where they begin. */
  sent: number;
  /**
   * How many hold it: the queue, and each write of it that is kept until the peer has acknowledged it. The buffer of one
   * that nobody holds goes back to the pool.
   */
  holds: number;
  /** The segment to write after this one. */
  after: Segment | undefined;
}

/** A segment that frames can be added to. */
export interface OpenSegment extends Segment {
  readonly buffer: WriteBuffer;
}

/** The queue of segments. The last one may be open: frames are added to it. */
export class Segments {
  readonly pool: BufferPool;
  /** The first sealed segment. Segments form a linked list, so that an idle connection needs no array. */
  #head: Segment | undefined = undefined;
  #tail: Segment | undefined = undefined;
  #open: OpenSegment | undefined = undefined;
  /** The index of the next buffer's size in `POOL_SIZES`. A connection that filled a buffer takes a larger one. */
  #sizeClass = 0;
  /** The size class of the first buffer after the queue was empty. */
  #first = 0;
  /** The number of bytes written since the queue was last empty. */
  #busy = 0;

  constructor(pool: BufferPool) {
    this.pool = pool;
  }

  /** Returns the open segment, with `size` bytes free. `alone` is true if the added bytes are written at once. */
  room(size: number, alone: boolean): OpenSegment {
    const open = this.#open;
    if (open !== undefined) {
      if (open.bytes.length - open.used >= size) return open;
      this.seal();
      if (this.#sizeClass < POOL_SIZES.length - 1) this.#sizeClass++;
    }
    let sizeClass = alone ? 0 : this.#sizeClass;
    while (sizeClass < POOL_SIZES.length && POOL_SIZES[sizeClass] < size + beginOf(POOL_SIZES[sizeClass])) sizeClass++;
    // A buffer that is too large for the pool does not go back to the pool either.
    const buffer = sizeClass < POOL_SIZES.length ? this.pool.take(sizeClass) : writeBuffer(size + BEGIN);
    const begin = beginOf(buffer.bytes.length);
    return this.#open = { bytes: buffer.bytes, buffer, used: begin, sent: begin, holds: 1, after: undefined };
  }

  /** Adds bytes that nobody will change. Other connections may send them, too. */
  share(bytes: Uint8Array): void {
    this.seal();
    this.#append({ bytes, buffer: undefined, used: bytes.length, sent: 0, holds: 1, after: undefined });
  }

  /** Adds such bytes, with a copy if there are only a few. */
  put(bytes: Uint8Array): void {
    if (bytes.length >= SHARE_FROM) {
      this.share(bytes);
      return;
    }
    const segment = this.room(bytes.length, false);
    segment.bytes.set(bytes, segment.used);
    segment.used += bytes.length;
  }

  /** Closes the open segment. It may wait for a long time, so a buffer with few bytes in it goes back to the pool. */
  seal(): void {
    const open = this.#open;
    const filled = open === undefined ? 0 : open.used - open.sent;
    if (open !== undefined && filled > 0 && filled < open.bytes.length * LITTLE) {
      this.#open = undefined;
      this.#append({
        bytes: open.bytes.slice(open.sent, open.used),
        buffer: undefined,
        used: filled,
        sent: 0,
        holds: 1,
        after: undefined,
      });
      this.release(open);
    } else this.#close();
  }

  /** Gives back the buffer of an empty open segment, so that an idle connection holds no buffer. */
  trim(): void {
    if (this.#open !== undefined && this.#open.used === this.#open.sent) this.seal();
  }

  /** Returns the segment to write next, which is sealed; `undefined` if there is none. */
  next(): Segment | undefined {
    if (this.#head === undefined) this.#close();
    if (this.#head === undefined) this.#rest();
    return this.#head;
  }

  /** The segment that {@linkcode next} returned last. */
  get head(): Segment {
    return this.#head!;
  }

  /** Counts `size` bytes of the first segment as written. Returns whether sealed segments are left. */
  advance(size: number): boolean {
    const segment = this.#head!;
    segment.sent += size;
    this.#busy += size;
    if (segment.sent === segment.used) {
      this.#head = segment.after;
      if (this.#head === undefined) this.#tail = undefined;
      this.release(segment);
    }
    return this.#head !== undefined;
  }

  /** Drops all segments. The socket may still be using a buffer, so none goes back to the pool. */
  clear(): void {
    this.#head = this.#tail = undefined;
    this.#open = undefined;
  }

  /** Chooses the next first buffer: large enough for as many bytes as last time, but never one of the large sizes. */
  #rest(): void {
    if (this.#busy > 0) this.#first = this.#busy > POOL_SIZES[0] && this.#busy <= POOL_SIZES[1] ? 1 : 0;
    this.#busy = 0;
    this.#sizeClass = this.#first;
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    if (open.used > open.sent) this.#append(open);
    else this.release(open);
  }

  #append(segment: Segment): void {
    if (this.#tail === undefined) this.#head = segment;
    else this.#tail.after = segment;
    this.#tail = segment;
  }

  /** Called by each that held a segment. */
  release(segment: Segment): void {
    if (--segment.holds === 0 && segment.buffer !== undefined) this.pool.give(segment.buffer);
  }
}

/** Returns where frames begin in a buffer of `size` bytes. */
function beginOf(size: number): number {
  return size >= ALIGNED_FROM ? BEGIN : 0;
}
