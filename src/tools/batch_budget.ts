/**
 * How much one connection may hand out before the others have their turn: 1,024 frames or about 2 ms. That is about
 * one read full of small frames; fewer cost a burst of them throughput.
 *
 * @module
 */

import type { Clock } from "../transport.ts";

/** The most frames of one batch. */
export const BATCH_FRAMES = 1024;
/** The most time of one batch, in milliseconds. */
const BATCH_MS = 2;
/** The clock is asked after 1, 2, 4 and so on frames, and every so many at least: asking costs as much as a small frame. */
const ASK_EVERY = 32;

/** The budget of one batch. */
export class BatchBudget {
  readonly #clock: Clock;
  #started = 0;
  #spent = 0;
  #askAt = 1;

  /** @param clock The time. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a batch; the clock is left alone for a single frame. */
  start(several: boolean, now?: number): void {
    this.#spent = 0;
    this.#askAt = several ? 1 : Infinity;
    if (several) this.#started = now ?? this.#clock.now();
  }

  /** Goes on with a batch of `spent` frames that began at `started`; false when the others are to have their turn. */
  resume(spent: number, started: number): boolean {
    this.#spent = spent;
    this.#started = started;
    this.#askAt = spent + 1;
    return spent < BATCH_FRAMES && this.#clock.now() - started <= BATCH_MS;
  }

  /** Counts a frame; true when the others are to have their turn. */
  spend(): boolean {
    const spent = ++this.#spent;
    if (spent >= BATCH_FRAMES) return true;
    if (spent < this.#askAt) return false;
    this.#askAt = spent + Math.min(spent, ASK_EVERY);
    return this.#clock.now() - this.#started > BATCH_MS;
  }
}
