/**
 * In which order the bytes of one connection go out. Messages and requests keep their order and need credit where that was
 * agreed on; what cannot go yet is held. Answers and system frames go in the same line while nothing is held, and past
 * what is held otherwise.
 *
 * @module
 */

import type { BufferPool } from "./buffer_pool.ts";
import { Fifo } from "../base/fifo.ts";
import { type OpenSegment, Segments } from "./segments.ts";

/** The terms one side grants the other by, in bytes. */
export interface CreditTerms {
  /** What may be under way at first. */
  readonly window: number;
  /** What a frame costs at least: it bounds how many small ones wait. */
  readonly least: number;
}

/** How a frame is queued. */
export interface Priority {
  /** True if the frame is refused when there is no room for it. */
  readonly limited: boolean;
  /** True if the frame stays behind messages that are held. */
  readonly ordered: boolean;
  /** True if the frame needs credit. */
  readonly charged: boolean;
}

/** Messages and requests. */
export const MESSAGE: Priority = { limited: true, ordered: true, charged: true };
/** Answers of handlers: one that finds no room waits for it, and with it the next request of the connection. */
export const REPLY: Priority = { limited: false, ordered: false, charged: false };
/** Answers of the library itself: a peer that asks and does not read is not served for ever. */
export const LIBRARY_REPLY: Priority = { limited: true, ordered: false, charged: false };
/** Frames without which the connection would not go on: short, and never many. */
export const CONTROL: Priority = { limited: false, ordered: false, charged: false };
/** The same where they are about messages before them. */
export const ORDERED_CONTROL: Priority = { limited: false, ordered: true, charged: false };

/** Frames of one size after each other: a burst is usually of one kind. */
interface Run {
  /** Of each, in bytes; negative for those that need no credit. */
  readonly size: number;
  count: number;
}

/** The two queues of one connection: ordered frames, and urgent ones that overtake what has no credit. */
export class SendScheduler {
  readonly #ordered: Segments;
  /** Frames that overtake held messages. Made when that happens. */
  #urgent: Segments | undefined = undefined;
  #urgentBytes = 0;
  /** Ordered bytes that must be written before the urgent queue. They always end on a frame boundary. */
  #before = 0;
  /** Ordered bytes that may be written. */
  #free = 0;
  /** What the peer has granted, in bytes; above 0 while messages need no credit. */
  #credit = 1;
  /** What a frame costs at least, in bytes; -1 while messages need no credit. */
  #least = -1;
  /** Held frames, in order. Made when one is held. */
  #held: Fifo<Run> | undefined = undefined;
  #lastRun: Run | undefined = undefined;
  #takenBytes = 0;
  #passedBytes = 0;
  #current: "ordered" | "urgent" = "ordered";
  /** True while there is one queue only, as usual. */
  #plain = true;

  /** @param pool Where buffers come from. */
  constructor(pool: BufferPool) {
    this.#ordered = new Segments(pool);
  }

  /** From now on messages need the peer's credit. */
  limit(terms: CreditTerms): void {
    this.#credit = terms.window;
    this.#least = terms.least;
  }

  /** Whether messages are held. */
  get holding(): boolean {
    return this.#held !== undefined && this.#held.size > 0;
  }

  /** Where in the main line the next frame begins, counted in bytes from its start. */
  get taken(): number {
    return this.#takenBytes;
  }

  /** How far the main line was passed to the socket. */
  get passed(): number {
    return this.#passedBytes;
  }

  /** The position in the ordered bytes that is written before an urgent frame which is added now. */
  get released(): number {
    return this.#passedBytes + (this.#urgentBytes > 0 ? this.#before : this.#free);
  }

  /** Bytes that wait for credit. */
  get heldBytes(): number {
    return this.#takenBytes - this.#passedBytes - this.#free;
  }

  /** Whether what {@linkcode next} gave out last went past held messages. */
  get overtaking(): boolean {
    return this.#current === "urgent";
  }

  /**
   * A segment with `size` bytes free, for a frame that is then {@linkcode add}ed; `alone` if it goes out at once where nothing
   * is held.
   */
  room(size: number, priority: Priority, alone: boolean): OpenSegment {
    return this.#plain ? this.#ordered.room(size, alone) : this.#line(priority).room(size, false);
  }

  /** Gives the room back: there will be no frame. */
  trim(priority: Priority): void {
    this.#line(priority).trim();
  }

  /** Counts a frame of `size` bytes that now stands in its room. */
  add(size: number, priority: Priority): void {
    if (this.#plain && (this.#credit > 0 || !priority.charged)) {
      this.#takenBytes += size;
      this.#free += size;
      if (priority.charged) this.#charge(size);
      return;
    }
    if (this.#line(priority) !== this.#ordered) {
      if (this.#urgentBytes === 0) this.#before = this.#free;
      this.#urgentBytes += size;
      return;
    }
    this.#takenBytes += size;
    if (this.holding || priority.charged && this.#credit <= 0) {
      this.#hold(priority.charged ? size : -size);
      this.#plain = false;
    } else {
      if (priority.charged) this.#charge(size);
      this.#free += size;
    }
  }

  /** Adds a message that is encoded already, and that others may send, too. */
  share(bytes: Uint8Array): void {
    this.#ordered.share(bytes);
    this.add(bytes.length, MESSAGE);
  }

  /** Lets the next frame begin a write of its own. */
  seal(): void {
    this.#ordered.seal();
  }

  /** The peer grants more: held messages go on. */
  grant(bytes: number): void {
    this.#credit += bytes;
    while (this.holding) {
      const run = this.#held!.first!;
      let count = run.count;
      if (run.size > 0) {
        if (this.#credit <= 0) return;
        const cost = Math.max(run.size, this.#least);
        count = Math.min(count, Math.ceil(this.#credit / cost));
        this.#credit -= count * cost;
      }
      this.#free += count * Math.abs(run.size);
      run.count -= count;
      if (run.count === 0) this.#held!.shift();
    }
    this.#plain = this.#urgent === undefined;
  }

  /** What to write next, at most `most` bytes of it; `undefined` when nothing may go. */
  next(most: number): Uint8Array | undefined {
    this.#current = this.#urgentBytes > 0 && this.#before === 0 ? "urgent" : "ordered";
    const urgent = this.#current === "urgent";
    const free = urgent ? this.#urgentBytes : this.#urgentBytes > 0 ? this.#before : this.#free;
    if (free === 0) {
      // An idle connection owns no buffer.
      if (!this.holding) this.#ordered.next();
      return undefined;
    }
    const segment = (urgent ? this.#urgent! : this.#ordered).next()!;
    return segment.bytes.subarray(segment.sent, segment.sent + Math.min(segment.used - segment.sent, most, free));
  }

  /** Counts what {@linkcode next} gave out as passed to the socket. */
  pass(size: number): void {
    if (this.#current === "urgent") this.#urgentBytes -= size;
    else {
      this.#passedBytes += size;
      this.#free -= size;
      if (this.#before > 0) this.#before -= size;
    }
  }

  /** The socket has taken `size` bytes: whether there is a whole segment to go on with. */
  advance(size: number): boolean {
    if (this.#current === "urgent") {
      this.#urgent!.advance(size);
      if (this.#urgentBytes === 0) {
        this.#urgent!.next();
        this.#urgent = undefined;
        this.#plain = !this.holding;
        return this.#free > 0;
      }
      return true;
    }
    return this.#ordered.advance(size) && this.#free > 0 || this.#urgentBytes > 0;
  }

  /** Forgets all. */
  clear(): void {
    this.#ordered.clear();
    this.#urgent?.clear();
  }

  #charge(size: number): void {
    if (this.#least >= 0) this.#credit -= size > this.#least ? size : this.#least;
  }

  #hold(size: number): void {
    const held = this.#held ??= new Fifo();
    const last = this.#lastRun;
    if (held.size > 0 && last!.size === size) last!.count++;
    else held.push(this.#lastRun = { size, count: 1 });
  }

  #line(priority: Priority): Segments {
    if (priority.ordered || !this.holding) {
      return this.#urgent === undefined || priority.ordered ? this.#ordered : this.#urgent;
    }
    return this.#urgent ??= new Segments(this.#ordered.pool);
  }
}
