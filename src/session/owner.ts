/**
 * Defines what a session needs of the layer above it.
 *
 * @module
 */

import type { CloseReason } from "../link/close_reason.ts";
import type { AcceptedStream } from "./streams.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";

/** Takes the messages of a session. */
export interface Inbox {
  /** True while it takes no more messages. */
  readonly full: boolean;
  /** The number of bytes that wait for handlers. */
  readonly queuedBytes: number;
  /** Resolves when it takes more messages, or when it is closed. */
  room(): Promise<void>;
  /** True while it has gathered messages for one call of a handler. A field: it is read for every frame. */
  readonly gathering: boolean;
  /** Returns whether a message goes to the same call of a handler as those that are gathered. */
  joins(frame: ReceivedFrame): boolean;
  /** Hands out what is gathered. */
  handOut(): void;
  /** Takes a message or a request. Throws a `ProtocolError` if it is not allowed now. */
  accept(frame: ReceivedFrame, receivedAt: number): void;
  /**
   * Called when the peer cancels a request. Returns false if there is no such request, or if it was canceled before.
   */
  cancel(id: number | string): boolean;
  /** Returns whether a request of the peer with this id is not answered yet. */
  asked(id: number | string): boolean;
  /** Counts a frame that is not a message against the peer's rate limit. Returns false if it must not be answered. */
  permits(frame: ReceivedFrame): boolean;
  /** Takes a stream that the peer has opened. */
  opened(stream: AcceptedStream): void;
  /** Counts bytes of streams against the peer's rate limit. Returns how long the next ones have to wait, in milliseconds. */
  delay(bytes: number): number;
  /** Called when there may be room for answers again. */
  resume(): void;
  /** Resolves when no message waits and no handler runs, or when it is closed. */
  idle(): Promise<void>;
  /** Drops all messages that wait. No message is handed to a handler after that. */
  close(): void;
}

/** The layer above a session. */
export interface SessionOwner {
  readonly inbox: Inbox;
  /** The second argument of observers. */
  readonly handle: unknown;
  /** Called when something failed. The session may go on or end after that. */
  error(error: unknown): void;
  /** Called when the session stops being open. No new message can be sent from then on. */
  closing(): void;
  /**
   * Called when the connection is lost and the session waits for another one; see `Session.resume`. `getError` returns the
   * error that ended the connection, if there is one.
   */
  suspended(reason: CloseReason, getError: () => unknown): void;
  /**
   * Called on a client when the server has been silent for so long that the connection may be dead. The connection stays
   * in use. Called again if it stays silent.
   */
  suspected(): void;
  /**
   * Called once, when the session is over and its socket is released. `getError` returns the error that ended it, if
   * there is one.
   */
  closed(reason: CloseReason, getError: () => unknown): void;
}
