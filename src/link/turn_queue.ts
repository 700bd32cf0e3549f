/**
 * Lets work that takes long go on one piece at a time, each in a turn of the event loop of its own. Sockets and timers have
 * their turn between two pieces, so a thousand of them delay nobody for longer than one takes.
 *
 * @module
 */

import type { EventLoop } from "../base/clock.ts";
import { Fifo } from "../base/fifo.ts";

/** The pieces that wait, in their order. */
export class TurnQueue {
  readonly #loop: Pick<EventLoop, "yield">;
  readonly #waiting = new Fifo<PromiseWithResolvers<void>>();
  /** True if a piece was done since the last turn began. The next turn is then scheduled. */
  #taken = false;
  #closed: Error | undefined = undefined;
  #onOver: (() => void) | undefined = undefined;

  /** @param loop Gives the others their turn. */
  constructor(loop: Pick<EventLoop, "yield">) {
    this.#loop = loop;
  }

  /**
   * Returns a promise that resolves when the next piece may be done, in the turn in which it resolves; `undefined` if it
   * may be done now. The promise rejects once the queue is closed.
   */
  next(): Promise<void> | undefined {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (!this.#taken) {
      this.#take();
      return undefined;
    }
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** Lets nobody go on any more: who waits gets the error. Resolves once no turn is scheduled; never rejects. */
  close(error: Error): Promise<void> {
    this.#closed = error;
    while (this.#waiting.size > 0) this.#waiting.shift()!.reject(error);
    return this.#taken ? new Promise((resolve) => this.#onOver = resolve) : Promise.resolve();
  }

  #take(): void {
    this.#taken = true;
    this.#loop.yield(this.#turn);
  }

  readonly #turn = (): void => {
    this.#taken = false;
    if (this.#waiting.size > 0) {
      this.#take();
      this.#waiting.shift()!.resolve();
    } else this.#onOver?.();
  };
}
