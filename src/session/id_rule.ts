/**
 * What every rule that numbers requests has in common.
 *
 * @module
 */

import type { ReceivedFrame } from "../wire/decoded_frame.ts";

/** An id as it stands in a frame. */
export type RequestId = number | string;

/** Numbers the requests of one connection. */
export interface RequestIds {
  /** The next free id. Throws a `BackpressureError`, `ids-exhausted`, when there is none. */
  next(): RequestId;
  /** The id of a frame that is no request. */
  plain(): RequestId;
  /** Whether a frame answers a request of this side, pending or not: such a frame is never handed to a handler. */
  answers(frame: ReceivedFrame): boolean;
  /** The peer used this id for a frame that is no answer. */
  seenFromPeer(id: RequestId): void;
  /** A request is over: it was answered, or never sent. Its id may be used again. */
  free(id: RequestId): void;
  /** A request ended without an answer: its id must not be taken for another's while the answer may still come. */
  abandon(id: RequestId): void;
  /** An answer came for an abandoned id, or for none. */
  settle(id: RequestId): void;
}

/** Which ids wait for an answer. */
export interface PendingIds {
  /** Whether this one does. */
  has(id: RequestId): boolean;
  /** All that do. */
  waiting(): Iterable<RequestId>;
}
