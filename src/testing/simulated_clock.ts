/**
 * The time and the turns of a simulation. All that is to happen waits in one queue, and happens in the order in which
 * it was put there. So the same seed gives the same run on every runtime.
 *
 * @module
 */

import { FakeClock } from "../adapters/fake_clock.ts";
import { anyLoop } from "../base/event_loop.ts";
import { Fifo } from "../base/fifo.ts";
import type { EventLoop } from "../base/clock.ts";

/** The most turns at one moment of the simulated time. */
const MOST_TURNS = 1_000_000;

/** A clock whose turns are taken one by one. */
export class SimulatedClock extends FakeClock {
  /** The event loop that servers and clients see. */
  readonly loop: EventLoop;
  readonly #tasks = new Fifo<() => void>();
  #deferred: (() => void)[] = [];
  #outside = 0;

  /** @param random Returns a random number from 0 up to 1. */
  constructor(random: () => number) {
    super();
    this.loop = {
      clock: this,
      defer: (fn) => void this.#deferred.push(fn),
      yield: (fn) => this.turn(fn),
      random,
    };
  }

  /** Calls `fn` in a turn of its own, after all turns that wait already. */
  override turn(fn: () => void): void {
    this.#tasks.push(fn);
  }

  /**
   * Stops the simulation until something in the real world is over, such as the loading of a module. How many turns
   * that takes is not the same everywhere.
   *
   * @returns A function that goes on. Calling it again does nothing.
   */
  leave(): () => void {
    this.#outside++;
    let back = false;
    return () => {
      if (!back) this.#outside--;
      back = true;
    };
  }

  /** Waits until everything that can happen now has happened. */
  override async settle(): Promise<void> {
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      // After this turn of the real event loop no microtask is left.
      await new Promise<void>((resolve) => anyLoop.yield(resolve));
      if (this.#outside > 0) turn = 0;
      else if (this.#deferred.length > 0) {
        const deferred = this.#deferred;
        this.#deferred = [];
        for (const fn of deferred) fn();
      } else if (this.#tasks.size === 0) return;
      else this.#tasks.shift()();
    }
    throw new Error(`The program is still busy after ${MOST_TURNS} turns, at ${this.now()} ms`);
  }
}
