/**
 * The words with which a connection is left: what one side says, and what the other hears.
 *
 * @module
 */

import type { Refusal } from "../errors.ts";

/** The words of a server that shuts a client out. */
export interface PartingWords {
  /** The reason, for programs. */
  readonly code?: string;
  /** The reason, for people. */
  readonly message?: string;
  /** True if coming back is pointless. */
  readonly final?: boolean;
}

/** How a connection is left. */
export interface Parting extends PartingWords {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds. */
  readonly drain: number;
  /** When the peer may come back, in milliseconds. */
  readonly retryAfter?: number | undefined;
}

/** What a peer says that goes away. */
export interface PeerParting {
  /** The reason, in the peer's words. */
  readonly code: string;
  /** When it may be asked again, in milliseconds; 0 if it did not say. */
  readonly retryAfter: number;
  /** How long it waits, in milliseconds. */
  readonly drain: number;
  /** Its words, if it shuts this side out. */
  readonly refusal: Refusal | undefined;
}
