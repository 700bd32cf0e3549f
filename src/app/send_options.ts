/**
 * Defines the options of a message that is sent.
 *
 * @module
 */

import type { LatestKey } from "../base/latest_index.ts";
import { type Checks, optional, type OptionTable, readOptions, show } from "../base/checks.ts";
import type { Latest } from "../session/sender.ts";

/** Options of `send`; all optional. */
export interface SendOptions {
  /**
   * A key. While the message waits, a newer one of the same type and key takes its place, so that a slow peer gets the
   * newest value instead of all of them. A string and a number are two keys.
   * @default none: every message is sent
   */
  readonly latest?: string | number | undefined;
  /**
   * How long the message may wait before it is written, in milliseconds. One that has waited longer is dropped when its
   * turn comes.
   * @default unlimited
   */
  readonly maxAge?: number | undefined;
}

/** The checks of these options, for tables that have others as well. */
export const LATEST_OPTIONS: Checks<Latest> = {
  latest: optional(latestKey),
  maxAge: optional(age, Infinity),
} satisfies OptionTable<SendOptions>;

/**
 * Returns the checked options of a message; `undefined` if they change nothing.
 *
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 */
export function latestOf(options: SendOptions): Latest | undefined {
  const read = readOptions("send()'s options", options, LATEST_OPTIONS);
  return changes(read) ? read : undefined;
}

/** Returns whether a message with these options may be replaced or expire. */
export function changes({ latest, maxAge }: Latest): boolean {
  return latest !== undefined || maxAge !== Infinity;
}

function latestKey(name: string, value: unknown): LatestKey {
  if (typeof value === "string" || typeof value === "number" && !Number.isNaN(value)) return value;
  throw new TypeError(`${name} must be a string or a number, not ${show(value)}`);
}

function age(name: string, value: unknown): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
  if (value > 0) return value;
  throw new RangeError(`${name} must be above 0 ms, not ${value}`);
}
