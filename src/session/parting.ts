/**
 * Defines what one side says when it leaves a connection, and what the other side learns from it.
 *
 * @module
 */

import type { Refusal } from "../errors.ts";

/** What a server says to a client that it shuts out. */
export interface PartingWords {
  /** The reason, for programs. */
  readonly code?: string;
  /** The reason, for people. */
  readonly message?: string;
  /** True if connecting again is pointless. */
  readonly final?: boolean;
}

/** How this side leaves a connection. */
export interface Parting extends PartingWords {
  /** The most time that handlers, pending requests and unsent bytes may take, in milliseconds. */
  readonly drain: number;
  /** The time after which the peer may connect again, in milliseconds. */
  readonly retryAfter?: number | undefined;
}

/** What a peer says when it goes away. */
export interface PeerParting {
  /** The reason, in the peer's words. */
  readonly code: string;
  /** The time after which this side may connect again, in milliseconds; 0 if the peer did not say. */
  readonly retryAfter: number;
  /** The time that the peer waits, in milliseconds. */
  readonly drain: number;
  /** What it says to this side if it shuts it out; `undefined` otherwise. */
  readonly refusal: Refusal | undefined;
}
