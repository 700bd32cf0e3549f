/**
 * Those who wait for a dispatcher: for room in its queue, or until it has nothing left to do.
 *
 * @module
 */

import { Waiters } from "../base/waiters.ts";
import type { IncomingMessage } from "./incoming_message.ts";

/** Who waits for one dispatcher. */
export class DispatcherWaiters {
  /** For room in the queue. */
  readonly room: Waiters = new Waiters();
  /** Until nothing waits and nothing runs. */
  readonly idle: Waiters = new Waiters();
  /** Until nothing is under way but {@linkcode excused} handlers. */
  readonly quiet: Waiters = new Waiters();
  /** The messages whose handlers wait for the end of their own connection. */
  readonly excused: Set<IncomingMessage> = new Set();

  /**
   * Lets those go on whose moment has come.
   *
   * @param busy Messages that wait for a handler or are in one.
   * @param closed Whether the dispatcher is closed.
   */
  settle(busy: number, closed: boolean): void {
    const { excused } = this;
    if (excused.size > 0 && busy <= excused.size) this.quiet.release();
    if (closed || busy === 0) this.idle.release();
  }
}
