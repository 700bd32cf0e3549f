/**
 * Measures a peer's pace while the buffer of its connection is full. The peer must take something, and it must take
 * enough not to crowd out others.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";
import type { CloseReason } from "./close_reason.ts";
import type { BufferLimits, Holder, TotalBuffer } from "./total_buffer.ts";

/** The most bytes of one write. */
export const WRITE_SLICE: number = 256 * 1024;
/**
 * The most bytes of a write that follows one which took longer than {@linkcode SLOW_WRITE}. The progress of a slow peer
 * shows only in finished writes.
 */
const SLOW_SLICE = 16 * 1024;
/** How long a write may take before the peer counts as slow, in milliseconds. */
const SLOW_WRITE = 100;

/** How long a connection may hold more than its share before it has to give way, in milliseconds. */
const CRAWL_AFTER = 1_000;

/** The buffer that is full. */
export interface BacklogOwner {
  /** The number of bytes that wait to be sent. */
  readonly buffered: number;
  /** The number of bytes that the socket has taken so far. */
  readonly written: number;
}

/** Receives the end of a {@linkcode Backlog}. */
export interface BacklogEvents {
  /** Called when the peer takes its bytes too slowly, with the reason `"slow-consumer"`. */
  failed(error: Error, reason: CloseReason): void;
  /** Called when the peer takes nothing any more, as where the connection is dead. */
  stalled(error: Error): void;
}

/** What all backlogs of a Server or a Client share. */
export interface BacklogShared {
  /** Runs the write timeout. */
  readonly wheel: TimerWheel;
  /** The room of all frame writers together. */
  readonly total: TotalBuffer;
  readonly limits: BufferLimits;
  readonly clock: Clock;
}

/** Measures the pace of a peer while its buffer is full. It exists as long as `FrameWriter.full` is true. */
export class Backlog extends TimerEntry implements Holder {
  readonly #owner: BacklogOwner;
  readonly #events: BacklogEvents;
  readonly #shared: BacklogShared;
  /** The time at which the peer last took messages. */
  #progressAt: number;
  /** The time at which the measurement of its pace began, and the number of bytes written by then. */
  #since: number;
  #from: number;
  #slice = WRITE_SLICE;

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

  /** The most bytes of the next write. */
  get slice(): number {
    return this.#slice;
  }

  /** The number of bytes that wait to be sent. */
  get buffered(): number {
    return this.#owner.buffered;
  }

  /** Called when a write that began at `began` is done. `overtaking` is true if it passed waiting messages. */
  wrote(began: number, overtaking: boolean): void {
    const { limits: { writeTimeout }, clock } = this.#shared;
    const now = clock.now();
    this.#slice = now - began > SLOW_WRITE ? SLOW_SLICE : WRITE_SLICE;
    // A PING that passes messages without credit shows nothing: the socket's buffer takes it even if the peer is dead.
    if (!overtaking) this.#progressAt = now;
    // Only the last `writeTimeout` counts, so that a fast start does not make up for a slow peer later.
    if (now - this.#since > writeTimeout) {
      this.#since = now;
      this.#from = this.#owner.written;
    }
  }

  /** Called when the peer has acknowledged something. */
  progress(): void {
    this.#progressAt = this.#shared.clock.now();
  }

  /** Returns whether the peer takes its bytes so slowly that it has to give way to others. */
  crawls(now: number): boolean {
    const { writeTimeout } = this.#shared.limits;
    const ms = now - this.#since;
    if (ms < Math.min(CRAWL_AFTER, writeTimeout)) return false;
    // At this pace the buffer would take longer to empty than a peer may take for one message.
    return this.#owner.buffered * ms > (this.#owner.written - this.#from) * writeTimeout;
  }

  /** Closes the connection to make room for others. */
  giveWay(): void {
    const message = `The peer takes its ${this.buffered} bytes too slowly, and others need the room`;
    this.#events.failed(new ConnectionError("timed-out", message), "slow-consumer");
  }

  /** Called when the buffer is no longer full, or the connection is over. */
  end(): void {
    this.#shared.wheel.remove(this);
    this.#shared.total.holders.delete(this);
  }

  /** Checks that the peer has taken something in time. */
  override expire(): void {
    const { clock, limits, wheel } = this.#shared;
    const now = clock.now();
    // An empty buffer cannot stall. Its answer waits for room that other connections hold.
    if (this.#owner.buffered === 0) this.#progressAt = now;
    const left = this.#progressAt + limits.writeTimeout - now;
    if (left <= 0) {
      this.#events.stalled(new ConnectionError("timed-out", `The peer took nothing for ${limits.writeTimeout} ms`));
    } else wheel.add(this, left);
  }
}
