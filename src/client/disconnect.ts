/**
 * The argument of a client's `disconnect` event.
 *
 * @module
 */

import type { Refusal } from "../errors.ts";
import type { CloseReason } from "../link/close_reason.ts";

/** The end of a connection or of an attempt to reconnect, and what comes next. */
export interface DisconnectState {
  /** Why it ended. */
  readonly reason: CloseReason;
  /** The error that caused it, if there is one. */
  readonly error?: unknown;
  /** What the server said that shut the client out: its code and text, and whether coming back is pointless. */
  readonly refusal?: Refusal;
  /** Whether no attempt to reconnect follows. */
  readonly permanent: boolean;
  /** Attempts to reconnect so far, in a row. */
  readonly attempt: number;
  /** The most attempts to make in a row; 0 without `reconnect`. */
  readonly retryMax: number;
  /** Milliseconds until the next; `undefined` if there is none. */
  readonly nextDelay: number | undefined;
  /** How many messages of the server had come and were not handled: they waited for other handlers, or came too late. */
  readonly unhandled: number;
  /** With `queueWhileDown`: what became of the messages sent since the last `disconnect` event. */
  readonly messages?: MessageCounts;
}

/**
 * What became of messages, in numbers. As their order is kept, the numbers name them: first come the expired ones, then
 * the delivered, the uncertain and the lost, and the queued ones stay. Requests are not counted: each tells its own end. A queued
 * message that a new server does not take, because its `maxMessageSize` is smaller, is lost: the `error` event tells of it.
 */
export interface MessageCounts {
  /** Never written: they waited longer than `age`. */
  readonly expired: number;
  /**
   * The peer has them: it answered something that was sent after them. That says that they came, not that they were handled;
   * ask by `request` where that matters.
   */
  readonly delivered: number;
  /** Written, but nothing came back that shows that the peer has them. */
  readonly uncertain: number;
  /** Never written. */
  readonly lost: number;
  /** Still waiting for the next connection. */
  readonly queued: number;
}
