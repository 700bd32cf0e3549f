/**
 * Runs the steps of the orderly end of a connection: the work, the unsent bytes, FIN, the peer's FIN. Each step has a
 * time limit, and the whole can be cut short.
 *
 * @module
 */

import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** The steps of an end. None of the promises rejects. */
export interface ShutdownSteps {
  /** Resolves when no handler runs and no request waits any more. */
  work(): Promise<unknown>;
  /** Resolves when all bytes are written. */
  flushed(): Promise<void>;
  /** Sends FIN. Resolves when the peer's FIN has arrived. */
  finish(): Promise<unknown>;
}

/** One run of the steps. */
export class ShutdownRun {
  readonly #wheel: TimerWheel;
  readonly #hold: boolean;
  /** The limits that {@linkcode hurry} has set. The earliest one cuts the run short. */
  readonly #limits: Timeout[] = [];
  readonly #stopped: Promise<void>;
  #stop = (): void => {};
  #cut = false;
  #over = false;

  /**
   * @param wheel Runs the limits.
   * @param hold True if the process stays alive until the run is over. A program that awaits `close()` must get to the
   * code after it, and a socket after the peer's FIN does not keep Node alive.
   */
  constructor(wheel: TimerWheel, hold: boolean) {
    this.#wheel = wheel;
    this.#hold = hold;
    this.#stopped = new Promise((resolve) => this.#stop = resolve);
  }

  /** Stops waiting at once. */
  cut(): void {
    this.#cut = true;
    this.#stop();
  }

  /** Limits the remaining time to `ms` milliseconds. An earlier limit stays in force. */
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
   * Runs the steps. The first two may take `drain` milliseconds together. The last one may take `linger` milliseconds,
   * or `late` milliseconds if the work was not done in time.
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
    // Even if the work took too long, what was written meanwhile must arrive, so FIN is sent if all is flushed.
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
