/**
 * The wait before a client's next attempt, which can be cut short.
 *
 * @module
 */

import type { Clock, TimerHandle } from "../base/clock.ts";

/** A wait that can be cut short. Only one runs at a time. */
export class Pause {
  #running: { readonly clock: Clock; readonly timer: TimerHandle; readonly done: () => void } | undefined = undefined;
  #unref = false;

  /** Waits for `ms` milliseconds, or until {@linkcode end}. */
  run(clock: Clock, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#running = undefined;
        resolve();
      };
      const timer = clock.setTimeout(done, ms);
      if (this.#unref) clock.unref(timer);
      this.#running = { clock, timer, done };
    });
  }

  /** Ends the current wait, if there is one. Later ones are not affected. */
  end(): void {
    if (this.#running === undefined) return;
    const { clock, timer, done } = this.#running;
    clock.clearTimeout(timer);
    done();
  }

  /** Lets the process end during a wait, from now on. */
  unref(): void {
    this.#unref = true;
    this.#running?.clock.unref(this.#running.timer);
  }
}
