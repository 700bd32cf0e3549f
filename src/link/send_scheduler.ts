/**
 * Decides in which order the bytes of one connection are written. Messages and requests keep their order. They need
 * credit if that was agreed on, and are held until they have it. Answers and system frames are queued with them while
 * nothing is held; otherwise they overtake what is held. With `resume`, messages and requests are also held while the peer
 * has too much to acknowledge.
 *
 * @module
 */

import type { BufferPool } from "./buffer_pool.ts";
import { Fifo } from "../base/fifo.ts";
import type { LatestFrames } from "./latest_frames.ts";
import { type OpenSegment, type Segment, Segments } from "./segments.ts";

/** The terms on which one side grants the other credit, in bytes. */
export interface CreditTerms {
  /** The credit at the beginning. */
  readonly window: number;
  /** The least cost of a frame. It limits the number of small frames that wait. */
  readonly least: number;
}

/** How a frame is queued. */
export interface Priority {
  /** True if the frame is refused when there is no room for it. */
  readonly limited: boolean;
  /** True if the frame must not overtake messages that are held. */
  readonly ordered: boolean;
  /** True if the frame needs credit. */
  readonly charged: boolean;
}

/** Messages and requests. */
export const MESSAGE: Priority = { limited: true, ordered: true, charged: true };
/** Answers of handlers. An answer that finds no room waits for it, and so does the next request of the connection. */
export const REPLY: Priority = { limited: false, ordered: false, charged: false };
/** Answers of the library itself. They are limited, so that a peer that asks but never reads is not served forever. */
export const LIBRARY_REPLY: Priority = { limited: true, ordered: false, charged: false };
/** Frames without which the connection could not go on. They are short, and never many. */
export const CONTROL: Priority = { limited: false, ordered: false, charged: false };
/** Such frames if they refer to the messages before them. */
export const ORDERED_CONTROL: Priority = { limited: false, ordered: true, charged: false };

/** Consecutive frames of one size. Most frames of a burst have the same size. */
interface Run {
  /** The size of each frame, in bytes; negative for frames that need no credit, and 0 for the places of latest frames. */
  readonly size: number;
  /** What each frame costs in credit, in bytes. */
  readonly cost: number;
  count: number;
}

/** The two queues of one connection: ordered frames, and urgent ones that overtake what has no credit. */
export class SendScheduler {
  readonly #ordered: Segments;
  /** The frames that overtake held messages. Created when that happens. */
  #urgent: Segments | undefined = undefined;
  #urgentBytes = 0;
  #urgentTaken = 0;
  #urgentPassed = 0;
  /** The number of ordered bytes to write before the urgent queue. They always end on a frame boundary. */
  #before = 0;
  /** The number of ordered bytes that may be written. */
  #free = 0;
  /** The credit that is left, in bytes; above 0 while messages need no credit. */
  #credit = 1;
  /** The least cost of a frame, in bytes; -1 while messages need no credit. */
  #least = -1;
  /** How many more bytes may be let through to be written before nothing new begins; see {@linkcode keep}. */
  #room = Infinity;
  /** The held frames, in order. Created when one is held. */
  #held: Fifo<Run> | undefined = undefined;
  #lastRun: Run | undefined = undefined;
  #takenBytes = 0;
  #spared = 0;
  #passedBytes = 0;
  #current: "ordered" | "urgent" | "latest" = "ordered";
  /** The frames of which only the latest counts. Their places are among the held frames. */
  #latest: LatestFrames | undefined = undefined;
  /** The number of urgent bytes to write before anything else gets a turn; -1 while nothing else waits for one. */
  #turn = -1;
  /** True while nothing is held and there is no urgent queue, as usual. */
  #plain = true;

  constructor(pool: BufferPool) {
    this.#ordered = new Segments(pool);
  }

  /** Makes messages need the peer's credit from now on. */
  limit(terms: CreditTerms): void {
    this.#credit = terms.window;
    this.#least = terms.least;
  }

  /**
   * From now on, lets through only `room` bytes, up to the end of the frame that exceeds them. {@linkcode acknowledge}
   * adds to them.
   */
  keep(room: number): void {
    this.#room = room;
  }

  /** Adds room: the peer has acknowledged `bytes` more. Held messages begin only at {@linkcode resume}. */
  acknowledge(bytes: number): void {
    this.#room += bytes;
  }

  /** True while no new message, answer or piece may begin, because too much is not acknowledged. */
  get blocked(): boolean {
    return this.#room <= 0;
  }

  /** True if something may be written now. */
  get ready(): boolean {
    return this.#free > 0 || this.#urgentBytes > 0 || this.#latest !== undefined && this.#latest.dueBytes > 0;
  }

  /** True while frames are held. */
  get holding(): boolean {
    return this.#held !== undefined && this.#held.size > 0;
  }

  /** The position in the ordered bytes at which the next frame begins, counted from the start of the connection. */
  get taken(): number {
    return this.#takenBytes;
  }

  /** The position up to which the ordered bytes were passed to the socket. */
  get passed(): number {
    return this.#passedBytes;
  }

  /** The number of bytes so far that were queued to overtake held messages. */
  get urgentTaken(): number {
    return this.#urgentTaken;
  }

  /** The number of those that were passed to the socket. */
  get urgentPassed(): number {
    return this.#urgentPassed;
  }

  /** How many bytes more all frames so far have cost than they have: those that compression has saved. */
  get spared(): number {
    return this.#spared;
  }

  /** The position up to which the ordered bytes are written before an urgent frame that is added now. */
  get released(): number {
    return this.#passedBytes + (this.#urgentBytes > 0 ? this.#before : this.#free);
  }

  /** The number of bytes that wait for credit. */
  get heldBytes(): number {
    if (this.#credit > 0) return 0;
    return this.#takenBytes - this.#passedBytes - this.#free + (this.#latest?.bytes ?? 0);
  }

  /** True if a message that is queued now waits for nothing but the write of what is queued. */
  get open(): boolean {
    return this.#plain && this.#credit > 0;
  }

  /** True if what {@linkcode next} returned last has overtaken held messages. */
  get overtaking(): boolean {
    return this.#current === "urgent";
  }

  /**
   * Returns a segment with `size` bytes free, for a frame that is then {@linkcode add}ed. `alone` is true if the frame
   * is written at once, provided that nothing is held.
   */
  room(size: number, priority: Priority, alone: boolean): OpenSegment {
    return this.#plain ? this.#ordered.room(size, alone) : this.#line(priority).room(size, false);
  }

  /** Gives the room back because there will be no frame. */
  trim(priority: Priority): void {
    this.#line(priority).trim();
  }

  /**
   * Queues a frame of `size` bytes that was written into its room. `cost` is what it costs in credit: the peer inflates a
   * compressed frame to more than its size.
   */
  add(size: number, priority: Priority, cost: number = size): void {
    if (cost !== size) this.#spared += cost - size;
    if (this.#plain && (this.#credit > 0 || !priority.charged)) {
      this.#takenBytes += size;
      this.#free += size;
      if (priority.charged) this.#charge(cost);
      if (this.#room !== Infinity) this.#fill(size);
      return;
    }
    if (this.#line(priority) !== this.#ordered) {
      if (this.#urgentBytes === 0) this.#before = this.#free;
      this.#urgentBytes += size;
      this.#urgentTaken += size;
      this.#room -= size;
      return;
    }
    this.#takenBytes += size;
    if (this.holding || priority.charged && (this.#credit <= 0 || this.blocked)) {
      this.#hold(priority.charged ? size : -size, cost);
      this.#plain = false;
    } else {
      if (priority.charged) this.#charge(cost);
      this.#free += size;
      this.#fill(size);
    }
  }

  /** Queues messages that are encoded already. Other connections may send the same bytes, too. */
  share(bytes: Uint8Array, cost: number): void {
    this.#ordered.share(bytes);
    this.add(bytes.length, MESSAGE, cost);
  }

  /** Queues a message whose header of `headerSize` bytes was written into its room, and whose payload nobody will change. */
  shareBehind(content: Uint8Array, headerSize: number): void {
    this.#ordered.share(content);
    this.add(headerSize + content.length, MESSAGE);
  }

  /**
   * Keeps a place for the last one of `frames`. What is queued later is held until the frame is encoded, which happens
   * when all that was queued before it has been passed to the socket.
   */
  place(frames: LatestFrames): void {
    this.#latest = frames;
    this.#hold(0, 0);
    this.#plain = false;
  }

  /** Returns the number of bytes of frames that expired since the last call. */
  takeDropped(): number {
    return this.#latest === undefined ? 0 : this.#latest.takeDropped();
  }

  /** Makes the next frame begin a write of its own. */
  seal(): void {
    this.#ordered.seal();
  }

  /** Adds credit that the peer granted, and releases the held frames that it covers. */
  grant(bytes: number): void {
    this.#credit += bytes;
    this.resume();
  }

  /** Returns what to write next, at most `most` bytes; `undefined` if nothing may be written. */
  next(most: number): Uint8Array | undefined {
    if (this.#latest !== undefined && this.#latestDue()) {
      this.#current = "latest";
      return this.#latest.next(most);
    }
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

  /** The segment of what {@linkcode next} returned. */
  get segment(): Segment {
    if (this.#current === "latest") return this.#latest!.segment;
    return (this.#current === "urgent" ? this.#urgent! : this.#ordered).head;
  }

  /** Takes back a segment whose bytes were kept until the peer acknowledged them. */
  release(segment: Segment): void {
    this.#ordered.release(segment);
  }

  /** Counts what {@linkcode next} returned as passed to the socket. */
  pass(size: number): void {
    if (this.#current === "urgent") {
      this.#urgentBytes -= size;
      this.#urgentPassed += size;
      if (this.#turn > 0) this.#turn -= size;
    } else if (this.#current === "latest") this.#latest!.pass(size);
    else {
      this.#passedBytes += size;
      this.#free -= size;
      if (this.#before > 0) this.#before -= size;
    }
  }

  /** Counts `size` bytes as taken by the socket. Returns whether the next write may begin without gathering more. */
  advance(size: number): boolean {
    if (this.#current === "urgent") {
      this.#urgent!.advance(size);
      if (this.#urgentBytes === 0) {
        this.#urgent!.next();
        this.#urgent = undefined;
        this.#plain = !this.holding && !this.blocked;
        return this.#free > 0;
      }
      return true;
    }
    if (this.#current === "latest") {
      return this.#latest!.advance(size) || this.#free > 0 || this.#urgentBytes > 0 || this.#placeFirst;
    }
    return this.#ordered.advance(size) && this.#free > 0 || this.#urgentBytes > 0;
  }

  /** Drops everything that is queued. */
  clear(): void {
    this.#ordered.clear();
    this.#urgent?.clear();
    this.#latest?.clear();
  }

  /** True if the next held frame is a latest one and needs nothing but its turn. */
  get #placeFirst(): boolean {
    return this.#held?.first?.size === 0 && this.#credit > 0 && !this.blocked;
  }

  /** Encodes latest frames if it is their turn. Returns whether there are some to be written now. */
  #latestDue(): boolean {
    const latest = this.#latest!;
    if (latest.dueBytes > 0) return true;
    if (this.#free === 0 && !this.#placeFirst) return false;
    if (this.#urgentBytes > 0 && !this.#urgentDone()) return false;
    this.#turn = -1;
    if (this.#free > 0) return false;
    this.#encodeLatest(latest);
    return latest.dueBytes > 0;
  }

  /**
   * Returns whether ordered and latest frames have their turn. Urgent frames that were queued before that go first. Later
   * ones wait for their next turn, since an endless row of answers would otherwise hold up all messages.
   */
  #urgentDone(): boolean {
    if (this.#before > 0) return false;
    if (this.#turn < 0) this.#turn = this.#urgentBytes;
    if (this.#turn > 0) return false;
    this.#before = this.#free;
    return true;
  }

  /** Encodes the latest frames that are first in line for one write, and frees those that are held behind them. */
  #encodeLatest(latest: LatestFrames): void {
    const places = this.#held!.first!;
    while (places.count > 0 && this.#credit > 0 && !this.blocked && latest.fits) {
      places.count--;
      const before = latest.dueBytes;
      const cost = latest.encode(this.#ordered.pool);
      if (cost > 0) this.#charge(cost);
      this.#room -= latest.dueBytes - before;
    }
    if (places.count > 0) return;
    this.#held!.shift();
    this.resume();
  }

  /** Lets through the held frames that have room and credit, up to the place of the next latest frame. */
  resume(): void {
    while (this.holding) {
      const run = this.#held!.first!;
      if (run.size === 0 || this.blocked) return;
      const size = Math.abs(run.size);
      let count = Math.min(run.count, Math.ceil(this.#room / size));
      if (run.size > 0 && this.#least >= 0) {
        if (this.#credit <= 0) return;
        const cost = Math.max(run.cost, this.#least);
        count = Math.min(count, Math.ceil(this.#credit / cost));
        this.#credit -= count * cost;
      }
      this.#free += count * size;
      this.#room -= count * size;
      run.count -= count;
      if (run.count === 0) this.#held!.shift();
    }
    this.#plain = this.#urgent === undefined && !this.blocked;
  }

  /** Takes `size` bytes of the room; see {@linkcode keep}. */
  #fill(size: number): void {
    this.#room -= size;
    if (this.blocked) this.#plain = false;
  }

  #charge(cost: number): void {
    if (this.#least >= 0) this.#credit -= cost > this.#least ? cost : this.#least;
  }

  #hold(size: number, cost: number): void {
    const held = this.#held ??= new Fifo();
    const last = this.#lastRun;
    if (held.size > 0 && last!.size === size && last!.cost === cost) last!.count++;
    else held.push(this.#lastRun = { size, cost, count: 1 });
  }

  #line(priority: Priority): Segments {
    if (priority.ordered || !this.holding) {
      return this.#urgent === undefined || priority.ordered ? this.#ordered : this.#urgent;
    }
    return this.#urgent ??= new Segments(this.#ordered.pool);
  }
}
