/**
 * Watches a frame that has begun to arrive. It must keep a minimum pace. A fast start does not allow it to be slower
 * later.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { LATE_MS, TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";

/** The least rate, in bytes per second, over the last {@linkcode STALL_MS}. */
const STALL_RATE = 1024;
const STALL_MS = 10_000;
/** The time between two checks, in milliseconds. */
const STALL_STEP = STALL_MS / 2;

/** The connection that is watched. */
export interface StallHost {
  /** The number of bytes of the unfinished frame; 0 if there is none. */
  readonly partial: number;
  /** Grows with each complete frame and with everything that is skipped. */
  readonly steps: number;
  /** True while this side has stopped reading. */
  readonly waits: boolean;
  /** Called when the frame arrives too slowly. */
  stalled(error: ConnectionError): void;
}

/** Watches the unfinished frames of one connection. */
export class Stall extends TimerEntry {
  readonly #host: StallHost;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  #from = 0;
  #due = 0;
  #steps = 0;
  /** The size of the unfinished frame at `#from`, and at the check after it; -1 before that check. */
  #partial = 0;
  #middle = -1;

  constructor(host: StallHost, wheel: TimerWheel, clock: Clock) {
    super();
    this.#host = host;
    this.#wheel = wheel;
    this.#clock = clock;
  }

  /** True while a frame is watched. */
  get watching(): boolean {
    return this.tick >= 0;
  }

  /** Starts to watch, or starts again. */
  watch(): void {
    this.#from = this.#clock.now();
    this.#steps = this.#host.steps;
    this.#partial = this.#host.partial;
    this.#middle = -1;
    this.#lookIn(STALL_STEP);
  }

  /** Stops watching. */
  stop(): void {
    this.#wheel.remove(this);
  }

  /** Checks the pace. */
  override expire(): void {
    const { partial, steps, waits } = this.#host;
    if (partial === 0) return;
    // A different frame is no stall, and neither is a pause of this side.
    if (steps !== this.#steps || waits) {
      this.watch();
      return;
    }
    const now = this.#clock.now();
    const late = now - this.#due;
    if (late > LATE_MS) {
      // Bytes that came while this process stood still have not been read yet.
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
      // The next check measures from the last one.
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
