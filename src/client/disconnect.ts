/**
 * The argument of a client's `disconnect` event.
 *
 * @module
 */

import type { Refusal } from "../errors.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { SessionStats } from "../session/counters.ts";

/**
 * The end of a connection or of an attempt to reconnect, and what comes next.
 *
 * @category Events
 */
export interface DisconnectState {
  /** The reason for the end. */
  readonly reason: CloseReason;
  /** The error that caused the end, if there is one. */
  readonly error?: unknown;
  /** What the server said when it shut the client out: its code and text, and if coming back is pointless. */
  readonly refusal?: Refusal;
  /** `"lost"` if a session that could have gone on over another connection is lost; see the option `resume`. */
  readonly resume?: "lost";
  /** The counters of the connection that has ended, up to its end; `undefined` after an attempt that failed. */
  readonly stats?: SessionStats;
  /** True if no attempt to reconnect follows. */
  readonly permanent: boolean;
  /** The number of attempts to reconnect so far, in a row. */
  readonly attempt: number;
  /** The most attempts to make in a row; 0 without `reconnect`. */
  readonly retryMax: number;
  /** Milliseconds until the next attempt; `undefined` if there is none. */
  readonly nextDelay: number | undefined;
  /** How many messages of the server arrived and were not handled: they waited for other handlers, or came too late. */
  readonly unhandled: number;
  /** With `queueWhileDown`: what became of the messages sent since the last `disconnect` event. */
  readonly messages?: MessageCounts;
}

/**
 * The numbers of messages by what became of them. Messages keep their order, so the numbers also tell which ones they
 * are: first come the expired ones, then the delivered, the uncertain and the lost, and the queued ones stay. Requests
 * are not counted, because each reports its own outcome. A queued message that a new server does not take, because its
 * `maxMessageSize` is smaller, is lost, and the `error` event reports it.
 *
 * @category Client
 */
export interface MessageCounts {
  /** Messages that were never written, because they waited longer than `age`, or than their `maxAge`. */
  readonly expired: number;
  /** Messages that were never written, because newer ones of the same key replaced them; see the option `latest`. */
  readonly replaced: number;
  /**
   * Messages that the peer has received: it answered something that was sent after them. It need not have handled them;
   * use `request` if that matters.
   */
  readonly delivered: number;
  /** Messages that were written, but nothing came back that shows that the peer has received them. */
  readonly uncertain: number;
  /** Messages that were never written. */
  readonly lost: number;
  /** Messages that still wait for the next connection. */
  readonly queued: number;
}
