/**
 * Gives connections in their handshake, called strangers, a share of the rounds. If hundreds arrive at once, they are
 * let in a few at a time, and the sockets of those that are in already are looked at in between. Steps with public keys,
 * which take long, are done one in a turn of the event loop.
 *
 * @module
 */

import type { EventLoop } from "../base/clock.ts";
import type { BatchBudget, BatchWaiter, Share } from "./batch_budget.ts";
import { TurnQueue } from "./turn_queue.ts";

/** The assumed cost of one step before any was measured, in milliseconds. */
const GUESS_MS = 0.2;
/** The weight of the last step in the expected cost of the next one. */
const WEIGHT = 0.1;

/** The share of all strangers of a Server together. */
export class StrangerTurns implements Share {
  round = -1;
  usedBefore: number = Infinity;
  readonly inflates = false;
  used = 0;
  readonly #budget: BatchBudget;
  readonly #loop: Pick<EventLoop, "clock" | "yield">;
  readonly #steps: TurnQueue;
  #cost = GUESS_MS;

  constructor(budget: BatchBudget, loop: Pick<EventLoop, "clock" | "yield">) {
    this.#budget = budget;
    this.#loop = loop;
    this.#steps = new TurnQueue(loop);
  }

  /** See {@linkcode TurnQueue.next}. */
  step(): Promise<void> | undefined {
    return this.#steps.next();
  }

  /** Lets nobody do a step any more. See {@linkcode TurnQueue.close}. */
  close(error: Error): Promise<void> {
    return this.#steps.close(error);
  }

  /** Returns a promise that resolves when a stranger may go on; `undefined` if it may go on now. */
  next(): Promise<void> | undefined {
    if (!this.#budget.late) return undefined;
    return new Promise((resolve) => {
      const waiter: BatchWaiter = {
        proceed: () => {
          resolve();
          // The stranger goes on only after this round's waiters were called, so its cost is reported in advance.
          return this.#cost;
        },
      };
      this.#budget.wait(waiter);
    });
  }

  /** Begins a step. Returns the time for {@linkcode end}. */
  begin(): number {
    return this.#loop.clock.now();
  }

  /** Counts a step that began at `from` and ends now. */
  end(from: number): void {
    this.#cost += WEIGHT * (this.#loop.clock.now() - from - this.#cost);
    this.#budget.used(this, from, true);
  }
}
