/**
 * An eye on a frame that was begun: it has to go on at some pace, and a fast start buys no time.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { LATE_MS, TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";

/** A frame that was begun must come at this rate, in bytes a second, in all of the last {@linkcode STALL_MS}. */
const STALL_RATE = 1024;
const STALL_MS = 10_000;
/** It is looked at every so many milliseconds: twice in that time. */
const STALL_STEP = STALL_MS / 2;

/** What is watched. */
export interface StallHost {
  /** Bytes of the frame that was begun; 0 where there is none. */
  readonly partial: number;
  /** Grows with each frame that is whole, and with all that is passed over. */
  readonly steps: number;
  /** Whether we are the ones who do not read. */
  readonly waits: boolean;
  /** The frame does not go on. */
  stalled(error: ConnectionError): void;
}

/** Watches one connection. */
export class Stall extends TimerEntry {
  readonly #host: StallHost;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  #from = 0;
  #due = 0;
  #steps = 0;
  /** How much of the frame there was then, and at the last look since; negative where there was none. */
  #partial = 0;
  #middle = -1;

  /**
   * @param host What to watch.
   * @param wheel For the next look.
   * @param clock The time.
   */
  constructor(host: StallHost, wheel: TimerWheel, clock: Clock) {
    super();
    this.#host = host;
    this.#wheel = wheel;
    this.#clock = clock;
  }

  /** Whether it is at it. */
  get watching(): boolean {
    return this.tick >= 0;
  }

  /** Begins, or begins anew. */
  watch(): void {
    this.#from = this.#clock.now();
    this.#steps = this.#host.steps;
    this.#partial = this.#host.partial;
    this.#middle = -1;
    this.#lookIn(STALL_STEP);
  }

  /** Ends it. */
  stop(): void {
    this.#wheel.remove(this);
  }

  /** Looks how the frame goes on. */
  override expire(): void {
    const { partial, steps, waits } = this.#host;
    if (partial === 0) return;
    // Another frame by now, or we are the ones who do not read: that is no stall.
    if (steps !== this.#steps || waits) {
      this.watch();
      return;
    }
    const now = this.#clock.now();
    const late = now - this.#due;
    if (late > LATE_MS) {
      // What came while we stood still has not been read yet.
      this.#from += late;
      this.#lookIn(1_000);
      return;
    }
    const seconds = (now - this.#from) / 1_000;
    const came = partial - this.#partial;
    if (this.#middle < 0) {
      this.#middle = partial;
      this.#lookIn(STALL_STEP);
    } else if (came / seconds >= STALL_RATE) {
      // From now on what counts is what comes from the last look on.
      this.#partial = this.#middle;
      this.#middle = partial;
      this.#from = now - STALL_STEP;
      this.#lookIn(STALL_STEP);
    } else {
      this.#host.stalled(
        new ConnectionError(
          "timed-out",
          `The peer began a frame and sent ${came} bytes of it in the last ${seconds.toFixed(1)} s`,
        ),
      );
    }
  }

  #lookIn(ms: number): void {
    this.#due = this.#clock.now() + ms;
    this.#wheel.add(this, ms);
  }
}
