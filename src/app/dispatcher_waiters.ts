/**
 * The callers that wait for a dispatcher: for room in its queue, or until it has nothing left to do.
 *
 * @module
 */

import { Waiters } from "../base/waiters.ts";

/** The callers that wait for one dispatcher. */
export class DispatcherWaiters {
  /** Waits for room in the queue. */
  readonly room: Waiters = new Waiters();
  /** Waits until no message waits and no handler runs. */
  readonly idle: Waiters = new Waiters();
  /** Waits until the only work left is handlers that wait for the end of their own connection. */
  readonly quiet: Waiters = new Waiters();

  /**
   * Releases {@linkcode idle} and {@linkcode quiet}, if what they wait for has come.
   *
   * @param busy The number of messages that wait for a handler or are in one.
   * @param excused The number of those in handlers that wait for the end of their own connection.
   * @param closed True if the dispatcher is closed.
   */
  settle(busy: number, excused: number, closed: boolean): void {
    if (excused > 0 && busy <= excused) this.quiet.release();
    if (closed || busy === 0) this.idle.release();
  }
}
