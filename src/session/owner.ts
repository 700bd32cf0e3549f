/**
 * The layer above a session, as a session sees it.
 *
 * @module
 */

import type { CloseReason } from "../link/close_reason.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";

/** Takes the messages of a session. */
export interface Inbox {
  /** True while it takes no more messages. */
  readonly full: boolean;
  /** Settles when it takes more messages, or when it is closed. */
  room(): Promise<void>;
  /** Takes a message or a request. Throws a `ProtocolError` if it may not come now. */
  accept(frame: ReceivedFrame, receivedAt: number): void;
  /** The peer cancels a request. Returns false if there is no such request, or if it was cancelled before. */
  cancel(id: number | string): boolean;
  /** Counts a frame that is no message against the peer's rate limit. Returns false if it must not be answered. */
  permits(frame: ReceivedFrame): boolean;
  /** There may be room for answers again. */
  resume(): void;
  /** Settles when no message waits and no handler runs, or when it is closed. */
  idle(): Promise<void>;
  /** Drops all messages that wait. Nothing more comes. */
  close(): void;
}

/** The layer above a session. */
export interface SessionOwner {
  readonly inbox: Inbox;
  /** The second argument of observers. */
  readonly handle: unknown;
  /** Something failed. The session goes on, or ends with it. */
  error(error: unknown): void;
  /** The session stopped being open: nothing more can be sent. */
  closing(): void;
  /** The session is over, its socket released. Called once; `getError` makes the error that ended it, if there is one. */
  closed(reason: CloseReason, getError: () => unknown): void;
}
