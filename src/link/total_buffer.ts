/**
 * Manages the room that all connections of one Server or Client share for bytes that wait to be sent. Each connection
 * may always use a share of its own. When the room is used up, whatever goes beyond a share is refused or waits.
 * Connections that hold more and take their bytes too slowly are closed, those that hold most first.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** The limits of what waits to be sent, in bytes and milliseconds. */
export interface BufferLimits {
  /** The share that each connection may always use. Above it, the connection counts as full. */
  readonly highWaterMark: number;
  /** The most bytes of one connection. */
  readonly maxBufferedBytes: number;
  /** The most bytes of all connections together. Above it, each may use only its share. */
  readonly maxTotalBufferedBytes: number;
  /** The most time for which the peer of a full connection may take nothing. */
  readonly writeTimeout: number;
}

/** A connection that holds more than its share. */
export interface Holder {
  /** The number of bytes that wait to be sent. */
  readonly buffered: number;
  /** Returns whether it takes its bytes so slowly that it has to give way. */
  crawls(now: number): boolean;
  /** Closes the connection. */
  giveWay(): void;
}

/** Something that waits for room. */
export interface RoomWaiter {
  /** The room that it lacks, in bytes. */
  readonly lacks: number;
  /** Tries again. Returns false while all connections together still have no room for it. */
  retry(): boolean;
}

/** How often waiters try again, in milliseconds. A connection that holds the room may have become slow by then. */
const RETRY_MS = 250;
/** The least time between two searches for slow holders, in milliseconds. */
const LOOK_MS = 100;

/** The shared room. */
export class TotalBuffer {
  /** The number of bytes that wait to be sent, over all connections. */
  buffered = 0;
  /** The number of bytes of answers that wait for room. */
  held = 0;
  /** The number of bytes that running handlers are expected to answer with. */
  reserved = 0;
  /** The connections that hold more than their share. */
  readonly holders: Set<Holder> = new Set();
  readonly #limits: BufferLimits;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  /** The connections with an answer that found no room. */
  readonly #answers = new Set<RoomWaiter>();
  /** The connections with a request whose handler is not started for lack of room. */
  readonly #starts = new Set<RoomWaiter>();
  /** The connections with a caller that waits for room after a message was refused. */
  readonly #messages = new Set<RoomWaiter>();
  /** The connections with a request of a route that has not answered yet. */
  readonly #unknown = new Set<RoomWaiter>();
  readonly #again: Timeout;
  #waking = false;
  #lookedAt = -Infinity;

  constructor(limits: BufferLimits, wheel: TimerWheel, clock: Clock) {
    this.#limits = limits;
    this.#wheel = wheel;
    this.#clock = clock;
    this.#again = new Timeout(() => this.#retry());
  }

  /** Returns whether a connection that holds `own` bytes may take `size` more that exist already. */
  takes(own: number, size: number): boolean {
    if (own + size <= this.#limits.highWaterMark) return true;
    // A frame that is larger than the whole room is taken when nothing else waits.
    return this.buffered === 0 || this.buffered + size <= this.#limits.maxTotalBufferedBytes;
  }

  /** Returns the same for a message. Answers that wait for room come first. */
  takesMessage(own: number, size: number): boolean {
    if (own + size <= this.#limits.highWaterMark) return true;
    return this.#answers.size === 0 && this.takes(own, size);
  }

  /** Returns whether a handler may start whose connection holds or expects `own` bytes and that may add `size`. */
  expects(own: number, size: number): boolean {
    if (own + size <= this.#limits.highWaterMark) return true;
    const held = this.buffered + this.reserved;
    return held === 0 || held + size <= this.#limits.maxTotalBufferedBytes;
  }

  /**
   * Lets `waiter` try again when there may be room. Answers go first, then messages, then handlers to start. A handler
   * whose answer is `unknown` tries again after a while.
   */
  waitFor(what: "answer" | "message" | "start" | "unknown", waiter: RoomWaiter): void {
    this.#waiting(what).add(waiter);
    if (this.#again.tick < 0) this.#wheel.add(this.#again, RETRY_MS);
  }

  /** Returns whether other connections wait to start a handler, so that a new one must wait, too. */
  queued(waiter: RoomWaiter): boolean {
    return this.#starts.size > 0 && !this.#waking && !this.#starts.has(waiter);
  }

  /** Removes a waiter. */
  leave(waiter: RoomWaiter): void {
    this.#answers.delete(waiter);
    this.#messages.delete(waiter);
    this.#starts.delete(waiter);
    this.#unknown.delete(waiter);
  }

  /** Gives `bytes` back that waited to be sent. */
  free(bytes: number): void {
    this.buffered -= bytes;
    if (this.#answers.size + this.#messages.size + this.#starts.size > 0) this.#wake();
  }

  /** Gives `bytes` back that an answer was expected to have. */
  release(bytes: number): void {
    this.reserved -= bytes;
    if (this.#starts.size > 0) this.#wake();
  }

  /** Makes room for `size` bytes: closes connections that take theirs too slowly, the one that holds most first. */
  press(size: number): void {
    const now = this.#clock.now();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    const slow = [...this.holders].filter((holder) => holder.crawls(now)).sort((a, b) => b.buffered - a.buffered);
    for (const holder of slow) {
      if (this.buffered + this.reserved + size <= this.#limits.maxTotalBufferedBytes) return;
      holder.giveWay();
    }
  }

  #waiting(what: "answer" | "message" | "start" | "unknown"): Set<RoomWaiter> {
    if (what === "answer") return this.#answers;
    if (what === "message") return this.#messages;
    return what === "start" ? this.#starts : this.#unknown;
  }

  #retry(): void {
    const [first] = [...this.#answers, ...this.#messages, ...this.#starts];
    if (first !== undefined) this.press(first.lacks);
    this.#wake();
    const unknown = [...this.#unknown];
    this.#unknown.clear();
    for (const waiter of unknown) waiter.retry();
    const waiting = this.#answers.size + this.#messages.size + this.#starts.size + this.#unknown.size;
    if (waiting > 0) this.#wheel.add(this.#again, RETRY_MS);
  }

  /** Lets waiters try again, in the order in which they came, until one finds no room. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    try {
      for (const waiting of [this.#answers, this.#messages, this.#starts]) {
        for (const waiter of waiting) {
          if (!waiter.retry()) return;
          waiting.delete(waiter);
        }
      }
    } finally {
      this.#waking = false;
    }
  }
}
