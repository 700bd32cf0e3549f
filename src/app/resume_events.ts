/**
 * The arguments of the events of resumption.
 *
 * @module
 */

import type { CloseReason } from "../link/close_reason.ts";

/**
 * A connection that is lost while its session waits for another one.
 *
 * @category Events
 */
export interface SuspendedInfo {
  /** The reason. */
  readonly reason: CloseReason;
  /** The error that ended the connection, if there is one. */
  readonly error?: unknown;
}

/**
 * A session that goes on over another connection.
 *
 * @category Events
 */
export interface ResumedInfo {
  /** How long the session was without a connection, in milliseconds. */
  readonly ms: number;
  /** How many bytes were sent again, because the other side had not received them. */
  readonly replayedBytes: number;
}
