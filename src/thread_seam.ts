/**
 * The seam between the core and a runtime's threads: types only. An adapter is a {@linkcode Threads}; it runs a text of
 * JavaScript beside the program and passes messages, and knows nothing of what they say.
 *
 * @module
 */

import type { Clock } from "./base/clock.ts";

/** Starts threads. */
export interface Threads {
  /** How many can run at the same time. */
  readonly cores: number;
  /** The time. */
  readonly clock: Clock;
  /**
   * Starts a thread. It never keeps the program alive.
   *
   * @param source The script, which finds `data` as `workerData`, and as `parentPort` what posts to the program.
   * @param data A value that can be cloned.
   * @param events Receives what it says, and its end.
   */
  start(source: string, data: unknown, events: ThreadEvents): Thread;
}

/** One thread. */
export interface Thread {
  /** Sends a value; the buffers are transferred: they are empty here from then on. Does nothing after its end. */
  post(value: unknown, transfer: readonly ArrayBuffer[]): void;
  /** Ends it at once, whatever it does; settles, never rejects, when it is over. Idempotent. */
  terminate(): Promise<void>;
}

/** Receives a thread's events. */
export interface ThreadEvents {
  /** It sent a value. */
  message(value: unknown): void;
  /** It is over, called once: what it threw, or an error that says how it ended. */
  exit(error: Error): void;
}
