/**
 * The part that connections in their handshake have of the rounds: hundreds that come at once are let in a few at a time, and the
 * sockets of those who are in already are looked at in between.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { BatchBudget, BatchWaiter, Share } from "./batch_budget.ts";

/** What one step is taken to cost before one was measured, in milliseconds. */
const GUESS_MS = 0.2;
/** How much the last step counts for what the next one is taken to cost. */
const WEIGHT = 0.1;

/** All strangers of a Server together. */
export class StrangerTurns implements Share {
  round = -1;
  usedBefore: number = Infinity;
  used = 0;
  readonly #budget: BatchBudget;
  readonly #clock: Clock;
  #cost = GUESS_MS;

  /**
   * @param budget The rounds.
   * @param clock The time.
   */
  constructor(budget: BatchBudget, clock: Clock) {
    this.#budget = budget;
    this.#clock = clock;
  }

  /** Settles when it is the next one's turn; `undefined` where that is now. */
  next(): Promise<void> | undefined {
    if (!this.#budget.late) return undefined;
    return new Promise((resolve) => {
      const waiter: BatchWaiter = {
        proceed: () => {
          resolve();
          // It goes on when all that go on now were called.
          return this.#cost;
        },
      };
      this.#budget.wait(waiter);
    });
  }

  /** A step begins: the time. */
  begin(): number {
    return this.#clock.now();
  }

  /** Counts a step that began at `from` and ends now. */
  end(from: number): void {
    this.#cost += WEIGHT * (this.#clock.now() - from - this.#cost);
    this.#budget.used(this, from, true);
  }
}
