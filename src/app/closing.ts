/**
 * The options of `close()`.
 *
 * @module
 */

import { checkBoolean, nonEmpty, optional, type OptionTable, readOptions, show, whole } from "../base/checks.ts";

const LONGEST_DRAIN = 0x7fffffff;

/** How long closing may take, and when peers may come back. */
export interface Closing {
  /** The time for running work, in milliseconds. */
  readonly drain: number;
  /** The least wait before a client comes back, in milliseconds; `undefined` if the program does not say. */
  readonly retryAfter: number | undefined;
}

/** What a server tells a client that it shuts out. */
export interface ClosingWords {
  /** The reason, for programs. */
  readonly code?: string;
  /** The reason, for people. */
  readonly message?: string;
  /** True if the client should not come back. */
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

/** Checks the options for closing a server. Returns them with defaults. */
export function closingOf(options: Partial<Closing>): Closing {
  return readOptions("close()", options, CLOSING);
}

/** Checks the options for closing one connection of a server. Returns them with defaults. */
export function shuttingOf(options: Partial<Closing> & ClosingWords): Closing & ClosingWords {
  return readOptions("close()", options, SHUTTING);
}

/** Checks the options for closing a client. Returns `drain`, in milliseconds. */
export function drainOf(options: Partial<Pick<Closing, "drain">>): number {
  return readOptions("close()", options, CLIENT_CLOSING).drain;
}
