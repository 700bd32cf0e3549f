/**
 * The orderly end of a connection: work, bytes, FIN, the peer's FIN, each waited for within a limit, and all of it cut short
 * when that is asked for.
 *
 * @module
 */

import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** What an end goes through. None of its promises rejects. */
export interface ShutdownSteps {
  /** Settles when nothing runs and nobody waits any more. */
  work(): Promise<unknown>;
  /** Settles when all bytes are written. */
  flushed(): Promise<void>;
  /** Sends FIN; settles when the peer's came. */
  finish(): Promise<unknown>;
}

/** One end. */
export class ShutdownRun {
  readonly #wheel: TimerWheel;
  readonly #hold: boolean;
  /** One for each call that asked for an end by a time: the earliest cuts. */
  readonly #limits: Timeout[] = [];
  readonly #stopped: Promise<void>;
  #stop = (): void => {};
  #cut = false;
  #over = false;

  /**
   * @param wheel For the limits.
   * @param hold Whether the process stays alive for them: a program that awaits `close()` must get to what comes after it,
   * and a socket after the peer's FIN does not keep Node alive.
   */
  constructor(wheel: TimerWheel, hold: boolean) {
    this.#wheel = wheel;
    this.#hold = hold;
    this.#stopped = new Promise((resolve) => this.#stop = resolve);
  }

  /** Waits for nothing any more. */
  cut(): void {
    this.#cut = true;
    this.#stop();
  }

  /** Waits for at most `ms` milliseconds more, or for less if that was asked for before. */
  hurry(ms: number): void {
    if (this.#over) return;
    if (ms <= 0) {
      this.cut();
      return;
    }
    const limit = new Timeout(() => this.cut());
    this.#limits.push(limit);
    this.#wheel.add(limit, ms);
  }

  /**
   * Goes through the steps: the first two within `drain` milliseconds, the last within `linger`, or within `late` where the
   * work was not done in time.
   */
  async run(drain: number, linger: number, late: number, steps: ShutdownSteps): Promise<void> {
    if (drain <= 0) this.cut();
    if (this.#hold) this.#wheel.hold();
    let worked = false;
    let flushed = false;
    const drained = steps.work().then(() => {
      worked = true;
      return steps.flushed();
    }).then(() => flushed = true);
    await this.#within(drain, drained);
    // Work that took too long does not take down with it what was written meanwhile.
    if (!flushed && !this.#cut) await this.#within(0, steps.flushed().then(() => flushed = true));
    if (flushed && !this.#cut) await this.#within(worked ? linger : late, steps.finish());
    this.#over = true;
    for (const limit of this.#limits) this.#wheel.remove(limit);
    if (this.#hold) this.#wheel.release();
  }

  async #within(ms: number, step: Promise<unknown>): Promise<void> {
    let limit: Timeout | undefined;
    const late = new Promise<void>((resolve) => this.#wheel.add(limit = new Timeout(resolve), ms));
    await Promise.race([step, late, this.#stopped]);
    this.#wheel.remove(limit!);
  }
}
