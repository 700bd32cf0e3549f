/**
 * The argument of a client's `disconnect` event.
 *
 * @module
 */

import type { CloseReason } from "../session/close_reason.ts";

/** The end of a connection, and what comes next. */
export interface DisconnectState {
  /** Why it ended. */
  readonly reason: CloseReason;
  /** The error behind it, if there is one. */
  readonly error?: unknown;
  /** Whether no attempt to reconnect follows. Always true in this release. */
  readonly permanent: boolean;
  /** Attempts to reconnect so far. */
  readonly attempt: number;
  /** The most attempts to make. */
  readonly retryMax: number;
  /** Milliseconds until the next; `undefined` if there is none. */
  readonly nextDelay: number | undefined;
}
