/**
 * The options of closing.
 *
 * @module
 */

import { checkBoolean, nonEmpty, optional, type OptionTable, readOptions, show, whole } from "../base/checks.ts";

const LONGEST_DRAIN = 0x7fffffff;

/** How long closing may take, and when peers may come back, checked. */
export interface Closing {
  /** In milliseconds. */
  readonly drain: number;
  /** In milliseconds; `undefined` where that is not said. */
  readonly retryAfter: number | undefined;
}

/** What a client that is shut out is told, checked. */
export interface ClosingWords {
  /** Why, for programs. */
  readonly code?: string;
  /** Why, for people. */
  readonly message?: string;
  /** Whether coming back is pointless. */
  readonly final?: boolean;
}

const CLIENT_CLOSING = {
  drain: optional((name, value) => {
    if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
    if (value >= 0 && value <= LONGEST_DRAIN) return value;
    throw new RangeError(`${name} must be 0 to ${LONGEST_DRAIN} ms, not ${value}`);
  }, 5_000),
} satisfies OptionTable<Pick<Closing, "drain">>;

const CLOSING = { ...CLIENT_CLOSING, retryAfter: optional(whole(0)) } satisfies OptionTable<Closing>;

const SHUTTING = {
  ...CLOSING,
  code: optional(nonEmpty),
  message: optional(nonEmpty),
  final: optional(checkBoolean),
} satisfies OptionTable<Closing & ClosingWords>;

/** How to close a server, checked. */
export function closingOf(options: Partial<Closing>): Closing {
  return readOptions("close()", options, CLOSING);
}

/** How to close one connection of a server, checked. */
export function shuttingOf(options: Partial<Closing> & ClosingWords): Closing & ClosingWords {
  return readOptions("close()", options, SHUTTING);
}

/** How long closing a client may take, checked. */
export function drainOf(options: Partial<Pick<Closing, "drain">>): number {
  return readOptions("close()", options, CLIENT_CLOSING).drain;
}
