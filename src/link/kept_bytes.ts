/**
 * Keeps the bytes that were written until the peer has acknowledged them, so that they can be written again over another
 * connection. They stay where they are, in the buffers of the pool; only a buffer that is mostly empty is copied out.
 *
 * @module
 */

import { LITTLE, type Segment, type Segments } from "./segments.ts";

/** Small writes are gathered in arrays of at most this many bytes, because each write alone costs more than its bytes. */
const GATHERED = 16 * 1024;

/** The bytes of one write, or of several small ones. */
class Kept {
  /** Begins with the bytes. There may be room for more. */
  bytes: Uint8Array;
  size: number;
  /** Holds the bytes; `undefined` once they are in an array of their own. */
  segment: Segment | undefined;
  /** The offset of the first byte. */
  readonly start: number;
  /** The positions in the ordered bytes of the send scheduler before and after it. They are equal if it has none. */
  readonly orderedFrom: number;
  orderedTo: number;
  after: Kept | undefined = undefined;

  constructor(bytes: Uint8Array, segment: Segment, start: number, orderedFrom: number, orderedTo: number) {
    this.bytes = bytes;
    this.size = bytes.length;
    this.segment = segment;
    this.start = start;
    this.orderedFrom = orderedFrom;
    this.orderedTo = orderedTo;
  }

  get end(): number {
    return this.start + this.size;
  }

  /** True if all its bytes are ordered ones; otherwise none is. */
  get ordered(): boolean {
    return this.orderedTo > this.orderedFrom;
  }

  /** Adds the bytes of the write after it, if there may be room for them. Returns false if there may be none. */
  gather(next: Kept): boolean {
    const size = this.size + next.size;
    if (size > GATHERED || this.ordered !== next.ordered || this.orderedTo !== next.orderedFrom) return false;
    if (size > this.bytes.length) {
      const bytes = new Uint8Array(Math.min(GATHERED, 2 * size));
      bytes.set(this.bytes);
      this.bytes = bytes;
    }
    this.bytes.set(next.bytes, this.size);
    this.size = size;
    this.orderedTo = next.orderedTo;
    this.after = next.after;
    return true;
  }
}

/** The kept bytes of one session. Offsets count all bytes of its frames that were written, from 0. */
export class KeptBytes {
  /** While so many bytes or more are kept, nothing new begins. */
  readonly buffer: number;
  readonly #most: number;
  readonly #segments: Pick<Segments, "release">;
  #first: Kept | undefined = undefined;
  #last: Kept | undefined = undefined;
  /** The write that is in flight. */
  #writing: Kept | undefined = undefined;
  /** The last one that is in an array of its own. */
  #copied: Kept | undefined = undefined;
  /** What is to be written again next, and how many bytes of it are left out. */
  #again: Kept | undefined = undefined;
  #skip = 0;
  #written = 0;
  #acknowledged = 0;
  #ordered = 0;

  /**
   * @param buffer While so many bytes or more are kept, nothing new begins.
   * @param most The most bytes that may be kept at all.
   * @param segments Takes segments back.
   */
  constructor(buffer: number, most: number, segments: Pick<Segments, "release">) {
    this.buffer = buffer;
    this.#most = most;
    this.#segments = segments;
  }

  /** The number of bytes that were handed to a connection so far, each once. */
  get written(): number {
    return this.#written;
  }

  /** The number of bytes, from the first one on, that the peer has. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The number of bytes that are kept. */
  get size(): number {
    return this.#written - this.#acknowledged;
  }

  /** True if more is kept than may be. */
  get excessive(): boolean {
    return this.size > this.#most;
  }

  /** The position in the ordered bytes of the send scheduler up to which the peer has them. */
  get acknowledgedOrdered(): number {
    return this.#ordered;
  }

  /** Keeps the bytes of a write that begins now. */
  add(bytes: Uint8Array, segment: Segment, orderedFrom: number, orderedTo: number): void {
    segment.holds++;
    const kept = this.#writing = new Kept(bytes, segment, this.#written, orderedFrom, orderedTo);
    if (this.#last === undefined) this.#first = kept;
    else this.#last.after = kept;
    this.#last = kept;
    this.#written += bytes.length;
  }

  /** Called when the write in flight is done, and its segment was advanced. */
  settled(): void {
    const kept = this.#writing;
    this.#writing = undefined;
    const segment = kept?.segment;
    if (segment === undefined) return;
    // An acknowledgement may arrive before the write is done.
    if (kept!.end <= this.#acknowledged) this.#free(kept!);
    else if (
      segment.buffer !== undefined && segment.sent === segment.used && segment.used < segment.bytes.length * LITTLE
    ) {
      this.#copy(kept!);
      this.#free(kept!);
    }
  }

  /** Copies the bytes of a write out of its segment. */
  #copy(kept: Kept): void {
    const before = this.#copied;
    // A part of what is written again must not change.
    if (before !== undefined && before.after === kept && !this.rewound && before.gather(kept)) {
      if (this.#last === kept) this.#last = before;
      return;
    }
    kept.bytes = kept.bytes.slice();
    this.#copied = kept;
  }

  /** Called when the connection is left. The write in flight may still read its buffer, so that is never used again. */
  cut(): void {
    if (this.#writing?.segment !== undefined) this.#writing.segment.holds = Infinity;
    this.#writing = undefined;
    this.#again = undefined;
  }

  /** Called when the peer has all bytes before `offset`. Returns how many more that is. */
  acknowledge(offset: number): number {
    const more = offset - this.#acknowledged;
    this.#acknowledged = offset;
    let kept = this.#first;
    for (; kept !== undefined && kept.end <= offset; kept = kept.after) {
      this.#ordered = kept.orderedTo;
      if (kept !== this.#writing) this.#free(kept);
    }
    this.#first = kept;
    // It would keep all that was written after it alive.
    if (this.#copied !== undefined && this.#copied.end <= offset) this.#copied = undefined;
    // What is acknowledged meanwhile need not be written again.
    if (this.#again !== undefined && this.#again.start + this.#skip < offset) {
      this.#again = kept;
      this.#skip = kept === undefined ? 0 : Math.max(0, offset - kept.start);
    }
    if (kept === undefined) this.#last = undefined;
    else if (kept.ordered && kept.start < offset) {
      this.#ordered = kept.orderedFrom + offset - kept.start;
    }
    return more;
  }

  /** From now on, {@linkcode next} returns everything that is kept, once more. Returns how many bytes that is. */
  rewind(): number {
    this.#again = this.#first;
    this.#skip = this.#first === undefined ? 0 : this.#acknowledged - this.#first.start;
    return this.size;
  }

  /** True while there are bytes to be written again. */
  get rewound(): boolean {
    return this.#again !== undefined;
  }

  /** Returns the next bytes to be written again, at most `most`. */
  next(most: number): Uint8Array {
    const kept = this.#again!;
    const from = this.#skip;
    const to = Math.min(kept.size, from + most);
    this.#writing = kept;
    this.#skip = to < kept.size ? to : 0;
    if (this.#skip === 0) this.#again = kept.after;
    return kept.bytes.subarray(from, to);
  }

  #free(kept: Kept): void {
    if (kept.segment !== undefined) this.#segments.release(kept.segment);
    kept.segment = undefined;
  }
}
