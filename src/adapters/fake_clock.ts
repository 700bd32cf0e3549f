/**
 * A clock for the memory transport that stands still until a test moves it.
 *
 * @module
 */

import type { Clock, TimerHandle } from "../base/clock.ts";
import { anyLoop } from "../base/event_loop.ts";

interface Timer {
  readonly due: number;
  readonly fn: () => void;
}

const MOST_TURNS = 100_000;

/**
 * A clock that only {@linkcode FakeClock.advance} moves. With this clock in `memoryTransport`, `advance` also waits for
 * every delivery of bytes, so that a test sees each moment complete.
 *
 * @example A timeout without waiting
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { FakeClock } from "@veltix/core/memory";
 *
 * const clock = new FakeClock();
 * let fired = 0;
 * clock.setTimeout(() => fired++, 5_000);
 * await clock.advance(4_999);
 * assertEquals(fired, 0);
 * await clock.advance(1);
 * assertEquals(fired, 1);
 * ```
 *
 * @category Testing
 */
export class FakeClock implements Clock {
  readonly #turn = anyLoop.yield;
  readonly #timers = new Set<Timer>();
  #now: number;
  #turns = 0;

  /**
   * Creates a clock that stands still.
   *
   * @param now The time at the start, in milliseconds.
   */
  constructor(now = 0) {
    this.#now = now;
  }

  /** The number of timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The time at which the next timer is due, in milliseconds; `undefined` if none is set. */
  get nextDue(): number | undefined {
    return this.#next(Infinity)?.due;
  }

  /** Returns the time, in milliseconds. */
  now(): number {
    return this.#now;
  }

  /** Calls `fn` when the clock has moved on by `ms` milliseconds. */
  setTimeout(fn: () => void, ms: number): TimerHandle {
    const timer: Timer = { due: this.#now + Math.max(0, ms), fn };
    this.#timers.add(timer);
    return timer;
  }

  /** Cancels a timer. */
  clearTimeout(timer: TimerHandle): void {
    this.#timers.delete(timer as Timer);
  }

  /** Does nothing: these timers never keep the process alive. */
  unref(_timer: TimerHandle): void {}

  /** Calls `fn` in a later turn of the event loop, which {@linkcode settle} waits for. */
  turn(fn: () => void): void {
    this.#turns++;
    this.#turn(() => {
      this.#turns--;
      fn();
    });
  }

  /**
   * Waits until everything that can happen now has happened: microtasks, and deliveries of a memory transport with this
   * clock. It does not wait for other asynchronous work of the runtime, such as Web Crypto.
   *
   * @throws {Error} There is still work after 100,000 turns of the event loop.
   */
  async settle(): Promise<void> {
    let quiet = 0;
    for (let turn = 0; quiet < 2; turn++) {
      if (turn === MOST_TURNS) throw new Error(`Cannot settle: still busy after ${MOST_TURNS} turns`);
      await new Promise<void>((resolve) => this.#turn(resolve));
      quiet = this.#turns === 0 ? quiet + 1 : 0;
    }
  }

  /**
   * Moves the clock on and runs the timers that become due, in order. It settles before, between and after them. Timers
   * that are set meanwhile run, too, when they become due.
   *
   * @param ms How far to move, in milliseconds.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = timer.due;
      timer.fn();
      await this.settle();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.due <= end && (!first || timer.due < first.due)) first = timer;
    }
    return first;
  }
}
