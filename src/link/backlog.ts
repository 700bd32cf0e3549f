/**
 * What is known of a peer's pace while more than the high-water mark waits for it: whether it takes anything at all, and
 * whether it takes so little that it has to make room for others.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";
import type { BufferLimits, Holder, TotalBuffer } from "./total_buffer.ts";

/** One write takes at most this many bytes. */
export const WRITE_SLICE: number = 256 * 1024;
/** The same after a write that took longer than {@linkcode SLOW_WRITE}: a slow peer's progress shows by whole writes. */
const SLOW_SLICE = 16 * 1024;
/** In milliseconds. */
const SLOW_WRITE = 100;

/** A connection that has held more than its share for less than this does not give way, in milliseconds. */
const CRAWL_AFTER = 1_000;

/** The buffer that is full. */
export interface BacklogOwner {
  /** Bytes that wait to be sent. */
  readonly buffered: number;
  /** Bytes passed to the socket so far. */
  readonly written: number;
}

/** Receives its events. */
export interface BacklogEvents {
  /** The peer took nothing for `writeTimeout`. */
  writeStalled(): void;
  /** The peer holds much of what all may hold together, and takes it too slowly. */
  crowdsOut(): void;
}

/** What it shares with others. */
export interface BacklogShared {
  /** For the write timeout. */
  readonly wheel: TimerWheel;
  /** The room of all frame writers together. */
  readonly total: TotalBuffer;
  /** Marks and limits. */
  readonly limits: BufferLimits;
  /** The time. */
  readonly clock: Clock;
}

/** A full buffer, from the moment more than the high-water mark waits until half of it does. */
export class Backlog extends TimerEntry implements Holder {
  readonly #owner: BacklogOwner;
  readonly #events: BacklogEvents;
  readonly #shared: BacklogShared;
  /** When the peer last took messages. */
  #progressAt: number;
  /** Since when its pace is measured, and what was written by then. */
  #since: number;
  #from: number;
  #slice = WRITE_SLICE;

  /**
   * @param owner The buffer.
   * @param events Receives events.
   * @param shared What it shares with others.
   */
  constructor(owner: BacklogOwner, events: BacklogEvents, shared: BacklogShared) {
    super();
    this.#owner = owner;
    this.#events = events;
    this.#shared = shared;
    this.#progressAt = this.#since = shared.clock.now();
    this.#from = owner.written;
    shared.wheel.add(this, shared.limits.writeTimeout);
    shared.total.holders.add(this);
  }

  /** The most of one write, in bytes. */
  get slice(): number {
    return this.#slice;
  }

  /** Bytes that wait to be sent. */
  get buffered(): number {
    return this.#owner.buffered;
  }

  /** A write that began at `began` is done; `overtaking` if it went past messages. */
  wrote(began: number, overtaking: boolean): void {
    const { limits: { writeTimeout }, clock } = this.#shared;
    const now = clock.now();
    this.#slice = now - began > SLOW_WRITE ? SLOW_SLICE : WRITE_SLICE;
    // A PING that goes past messages without credit ends in the socket's buffer, whether the peer lives or not.
    if (!overtaking) this.#progressAt = now;
    // Its pace is that of the last while: a fast start buys no time.
    if (now - this.#since > writeTimeout) {
      this.#since = now;
      this.#from = this.#owner.written;
    }
  }

  /** Returns whether the peer takes its bytes so slowly that it has to give way to others. */
  crawls(now: number): boolean {
    const { writeTimeout } = this.#shared.limits;
    const ms = now - this.#since;
    if (ms < Math.min(CRAWL_AFTER, writeTimeout)) return false;
    // At this pace, what waits would take longer than a peer may take for one message.
    return this.#owner.buffered * ms > (this.#owner.written - this.#from) * writeTimeout;
  }

  /** Closes the connection for the sake of others. */
  giveWay(): void {
    this.#events.crowdsOut();
  }

  /** It is full no more, or over. */
  end(): void {
    this.#shared.wheel.remove(this);
    this.#shared.total.holders.delete(this);
  }

  /** Looks whether the peer took something in time. */
  override expire(): void {
    const { clock, limits, wheel } = this.#shared;
    const now = clock.now();
    // Where nothing is written, others keep the room that its answer waits for.
    if (this.#owner.buffered === 0) this.#progressAt = now;
    const left = this.#progressAt + limits.writeTimeout - now;
    if (left <= 0) this.#events.writeStalled();
    else wheel.add(this, left);
  }
}
