/**
 * The interface between the core and a runtime's threads: types only. An adapter implements {@linkcode Threads}. It
 * runs JavaScript source beside the program and passes messages, whose meaning it does not know.
 *
 * @module
 */

import type { Clock } from "./base/clock.ts";

/** Starts threads. */
export interface Threads {
  /** The number of threads that can run at the same time. */
  readonly cores: number;
  readonly clock: Clock;
  /**
   * Starts a thread. It never keeps the program alive.
   *
   * @param source The source of the script. It finds `data` as `workerData`, and can post to the program by
   * `parentPort`.
   * @param data A value that can be cloned.
   * @param events Receives the thread's values and its end.
   */
  start(source: string, data: unknown, events: ThreadEvents): Thread;
}

/** One thread. */
export interface Thread {
  /**
   * Sends a value. The buffers are transferred, so they are empty here from then on. Does nothing after the thread's
   * end.
   */
  post(value: unknown, transfer: readonly ArrayBuffer[]): void;
  /** Ends the thread at once, whatever it does. Resolves when it is over, and never rejects. Idempotent. */
  terminate(): Promise<void>;
}

/** Receives a thread's events. */
export interface ThreadEvents {
  /** Called when the thread sent a value. */
  message(value: unknown): void;
  /** Called once, when the thread is over, with what it threw or an error that says how it ended. */
  exit(error: Error): void;
}
