/**
 * Keeps room for the answers of one connection. A handler is not started while the answers of running handlers may
 * bring the connection above its limit, or all connections together above theirs. An answer that still finds no room
 * waits here, and so does the next request.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { Fifo } from "../base/fifo.ts";
import type { AnswerSizes } from "./answer_sizes.ts";
import type { BufferLimits, RoomWaiter, TotalBuffer } from "./total_buffer.ts";

/** A message whose answer has room kept for it. */
export interface Reserved {
  /** The room, in bytes; 0 for none, and -1 for an answer of unknown size. Set by the reply room. */
  reserved: number;
}

/** An answer that waits for room. */
export interface HeldAnswer {
  readonly code: number;
  readonly flags: number;
  readonly requestId: number | string;
  readonly content: Uint8Array;
  readonly sentAt: number;
  /** Its size as a frame, in bytes. */
  readonly size: number;
}

/** The outgoing buffer that the answers go to. */
export interface ReplyRoomOwner {
  /** The number of bytes that wait to be sent, without held answers. */
  readonly buffered: number;
  /** True while no answer may be sent, because too much is not acknowledged. */
  readonly blocked: boolean;
  /** Takes an answer for which there is room. */
  put(answer: HeldAnswer): void;
  /** Called when there may be room for the answer of a handler that was not started. */
  mayStart(): void;
}

/** The room for the answers of one connection. */
export class ReplyRoom implements RoomWaiter {
  readonly #owner: ReplyRoomOwner;
  readonly #total: TotalBuffer;
  readonly #limits: BufferLimits;
  readonly #clock: Clock;
  /** The number of bytes that running handlers are expected to answer with. */
  #reserved = 0;
  /** The answers that found no room, in the order in which they were given. */
  #held: Fifo<HeldAnswer> | undefined = undefined;
  #heldBytes = 0;
  /** True while a handler is not started for lack of room, and the number of bytes that it may add. */
  #denied = false;
  #lacks = 0;
  #closed = false;

  constructor(owner: ReplyRoomOwner, total: TotalBuffer, limits: BufferLimits, clock: Clock) {
    this.#owner = owner;
    this.#total = total;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** The number of bytes of answers that wait for room. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The room that the first held answer lacks, or a handler that was not started, in bytes. */
  get lacks(): number {
    return this.#held?.first?.size ?? this.#lacks;
  }

  /**
   * Returns whether a handler may start whose route has given answers of these sizes. If not, `mayStart` of the owner
   * is called when it can be tried again.
   */
  affords(sizes: AnswerSizes): boolean {
    const { largest } = sizes;
    if (largest < 0) {
      if (sizes.mayStart(this.#clock.now())) return true;
      return this.#deny("unknown", 0);
    }
    const own = this.#owner.buffered + this.#reserved;
    if (own + largest <= this.#limits.highWaterMark) return true;
    // The connection tries again whenever it has written something itself.
    if (own > 0 && own + largest > this.#limits.maxBufferedBytes) {
      this.#denied = true;
      return false;
    }
    if (!this.#total.queued(this) && this.#total.expects(own, largest)) return true;
    return this.#deny("start", largest);
  }

  /** Keeps room for the answer of a handler that was started. */
  reserve(message: Reserved, sizes: AnswerSizes): void {
    if (sizes.largest < 0) {
      sizes.started(this.#clock.now());
      message.reserved = UNKNOWN;
    } else {
      message.reserved = sizes.largest;
      this.#reserved += sizes.largest;
      this.#total.reserved += sizes.largest;
    }
  }

  /** Gives up the room that was kept for an answer. */
  release(message: Reserved, sizes: AnswerSizes): void {
    const { reserved } = message;
    message.reserved = 0;
    if (reserved === UNKNOWN) sizes.ended();
    else if (reserved > 0 && !this.#closed) {
      this.#reserved -= reserved;
      this.#total.release(reserved);
    }
  }

  /** Returns whether there is room for an answer of `size` bytes now. Answers that wait already go first. */
  takes(size: number): boolean {
    return this.#heldBytes === 0 && this.#fits(size) === "yes";
  }

  /** Keeps an answer until there is room for it. */
  hold(answer: HeldAnswer): void {
    (this.#held ??= new Fifo()).push(answer);
    this.#heldBytes += answer.size;
    this.#total.held += answer.size;
    if (this.#fits(answer.size) === "total") {
      this.#total.press(answer.size);
      this.#total.waitFor("answer", this);
    }
  }

  /** Sends held answers while there is room. Returns false if all connections together have none for the next one. */
  retry(): boolean {
    const held = this.#held;
    while (held !== undefined && held.size > 0) {
      const answer = held.first!;
      const fits = this.#fits(answer.size);
      if (fits === "total") this.#total.waitFor("answer", this);
      if (fits !== "yes") return fits === "own";
      held.shift();
      this.#heldBytes -= answer.size;
      this.#total.held -= answer.size;
      this.#owner.put(answer);
    }
    if (!this.#denied) return true;
    this.#denied = false;
    this.#lacks = 0;
    this.#owner.mayStart();
    // A connection that was denied again for lack of shared room keeps its place.
    return this.#lacks === 0;
  }

  /** Called when the connection may have room again. */
  again(): void {
    if (this.#heldBytes > 0 || this.#denied) this.retry();
  }

  /** Drops the answers that wait, and gives up all room. */
  close(): void {
    this.#closed = true;
    this.#denied = false;
    this.#held = undefined;
    this.#total.leave(this);
    this.#total.held -= this.#heldBytes;
    this.#heldBytes = 0;
    this.#total.release(this.#reserved);
  }

  #fits(size: number): "yes" | "own" | "total" {
    // The connection tries again when something is acknowledged.
    if (this.#owner.blocked) return "own";
    const { buffered } = this.#owner;
    // An empty buffer takes an answer of any size.
    if (buffered > 0 && buffered + size > this.#limits.maxBufferedBytes) return "own";
    return this.#total.takes(buffered, size) ? "yes" : "total";
  }

  #deny(why: "unknown" | "start", lacks: number): false {
    this.#denied = true;
    this.#lacks = lacks;
    if (why === "start") this.#total.press(lacks);
    this.#total.waitFor(why, this);
    return false;
  }
}

/** The value of {@linkcode Reserved.reserved} for an answer of unknown size. */
const UNKNOWN = -1;
