/**
 * Defines what all rules for numbering requests have in common.
 *
 * @module
 */

import type { ReceivedFrame } from "../wire/decoded_frame.ts";

/** The id in a frame: a number, or a UUID in the protocols that have them. */
export type RequestId = number | string;

/** Numbers the requests of one connection. */
export interface RequestIds {
  /** Returns the next free id. Throws a `BackpressureError` `ids-exhausted` if there is none. */
  next(): RequestId;
  /** Returns the id for a frame that is no request. */
  plain(): RequestId;
  /**
   * Returns whether a frame answers a request of this side, pending or not. Such a frame is never handed to a handler.
   */
  answers(frame: ReceivedFrame): boolean;
  /** Called when the peer has used an id for a frame that is no answer. */
  seenFromPeer(id: RequestId): void;
  /** Called when a request was answered, or never sent. Its id may be used again. */
  free(id: RequestId): void;
  /**
   * Called when a request ended without an answer. Its id must not be used for another request while the answer may
   * still arrive.
   */
  abandon(id: RequestId): void;
  /** Called when an answer arrived for an abandoned request, or for none. */
  settle(id: RequestId): void;
}

/** The ids of the requests that wait for an answer. */
export interface PendingIds {
  /** Returns whether a request with this id waits. */
  has(id: RequestId): boolean;
  /** Returns the ids of all requests that wait. */
  waiting(): Iterable<RequestId>;
}
