/**
 * Keeps the frames of which only the latest counts. While such a frame waits, it is not among the bytes to be written:
 * it has a place there, and a newer frame of the same type and key can take that place. A frame may also be dropped
 * because it has waited too long.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { Fifo } from "../base/fifo.ts";
import { LatestIndex, type LatestKey } from "../base/latest_index.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { type Segment, Segments, SHARE_FROM } from "./segments.ts";

/** The most bytes of frames that are encoded for one write. The others can still be replaced. */
const WRITE_BYTES = SHARE_FROM;

/** Is told of messages that were never written. */
export interface ExpiryLog {
  /** Called when the message with this number has expired. */
  expire(number: number): void;
}

/** What a frame is replaced by, and when it is too old. */
export interface LatestTerms {
  /** A newer frame of the same type and key replaces it; `undefined` if none does. */
  readonly key: LatestKey | undefined;
  /** When the message was sent, by the clock of the connection. */
  readonly at: number;
  /** How long it may wait, in milliseconds. */
  readonly maxAge: number;
}

/** A frame that waits in its place. */
export class LatestFrame implements LatestTerms {
  readonly code: number;
  readonly key: LatestKey | undefined;
  /** The whole frame. Nobody changes these bytes, and other connections may send them, too. */
  bytes: Uint8Array;
  /** What it costs in credit, in bytes. */
  cost: number;
  at: number;
  maxAge: number;
  /** Is told if the frame expires, with its number. */
  log: ExpiryLog | undefined = undefined;
  number = 0;

  constructor(code: number, bytes: Uint8Array, cost: number, { key, at, maxAge }: LatestTerms) {
    this.code = code;
    this.key = key;
    this.bytes = bytes;
    this.cost = cost;
    this.at = at;
    this.maxAge = maxAge;
  }
}

/** The frames of one connection that wait in their places, in order. */
export class LatestFrames {
  /** True if each frame needs a write of its own. */
  readonly #apart: boolean;
  readonly #clock: Clock;
  readonly #frames = new Fifo<LatestFrame>();
  readonly #index = new LatestIndex<LatestFrame>();
  #bytes = 0;
  /** The frames whose turn has come. */
  #due: Segments | undefined = undefined;
  #dueBytes = 0;
  /** The number of bytes that were dropped and are still counted as waiting. */
  #dropped = 0;
  #replaced = 0;
  #expired = 0;
  #saved = 0;
  /** The number of frames that waited when the connection was over. */
  #left = 0;

  constructor(clock: Clock, apart: boolean) {
    this.#clock = clock;
    this.#apart = apart;
  }

  /** The number of frames that wait, or that waited when the connection was over. */
  get waiting(): number {
    return this.#frames.size + this.#left;
  }

  /** The number of their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of keys that are known; 0 while nothing waits. */
  get keys(): number {
    return this.#index.size;
  }

  /** The number of frames that newer ones have replaced. */
  get replaced(): number {
    return this.#replaced;
  }

  /** The number of frames that were dropped because they waited too long. */
  get expired(): number {
    return this.#expired;
  }

  /** The number of bytes that compression has saved in frames that were not dropped. */
  get saved(): number {
    return this.#saved;
  }

  /** Returns the frame that a newer one would replace. */
  find(code: number, key: LatestKey | undefined): LatestFrame | undefined {
    return key === undefined ? undefined : this.#index.find(code, key);
  }

  /** Adds a frame, for which the scheduler then keeps a place. */
  push(frame: LatestFrame): void {
    this.#frames.push(frame);
    this.#bytes += frame.bytes.length;
    if (frame.key !== undefined) this.#index.add(frame.code, frame.key, frame);
  }

  /** Puts a newer frame into the place of `frame`. */
  replace(frame: LatestFrame, bytes: Uint8Array, cost: number, { at, maxAge }: LatestTerms): void {
    this.#bytes += bytes.length - frame.bytes.length;
    this.#replaced++;
    frame.bytes = bytes;
    frame.cost = cost;
    frame.at = at;
    frame.maxAge = maxAge;
  }

  /** True if the next frame fits into the write that is being made up. */
  get fits(): boolean {
    if (this.#dueBytes === 0) return true;
    return !this.#apart && this.#dueBytes + this.#frames.first!.bytes.length <= WRITE_BYTES;
  }

  /**
   * Takes the next frame, whose turn has come, and encodes it for the next write. It can no longer be replaced. Returns
   * what it costs in credit; 0 if it was dropped because it has waited too long.
   */
  encode(pool: BufferPool): number {
    const frame = this.#frames.shift();
    const { bytes, code, cost, key } = frame;
    const { length } = bytes;
    if (key !== undefined) this.#index.remove(code, key);
    if (this.#clock.now() - frame.at > frame.maxAge) {
      this.#bytes -= length;
      this.#dropped += length;
      this.#expired++;
      frame.log?.expire(frame.number);
      return 0;
    }
    const due = this.#due ??= new Segments(pool);
    // One buffer has room for the whole write.
    if (this.#dueBytes === 0 && length < SHARE_FROM) due.room(Math.min(this.#bytes, WRITE_BYTES), false);
    due.put(bytes);
    this.#bytes -= length;
    this.#dueBytes += length;
    this.#saved += cost - length;
    return cost;
  }

  /** The number of bytes that are encoded and not passed to the socket. */
  get dueBytes(): number {
    return this.#dueBytes;
  }

  /** Returns what to write next, at most `most` bytes. */
  next(most: number): Uint8Array {
    const { bytes, sent, used } = this.#due!.next()!;
    return bytes.subarray(sent, sent + Math.min(used - sent, most));
  }

  /** The segment of what {@linkcode next} returned. */
  get segment(): Segment {
    return this.#due!.head;
  }

  /** Counts `size` bytes as passed to the socket. */
  pass(size: number): void {
    this.#dueBytes -= size;
  }

  /** Counts `size` bytes as taken by the socket. Returns whether encoded ones are left. */
  advance(size: number): boolean {
    this.#due!.advance(size);
    if (this.#dueBytes > 0) return true;
    this.#due!.next();
    this.#due = undefined;
    return false;
  }

  /** Returns the number of bytes that were dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  /** Drops all frames because the connection is over. */
  clear(): void {
    this.#left += this.#frames.clear().length;
    this.#due?.clear();
    this.#bytes = 0;
    this.#index.clear();
  }
}
