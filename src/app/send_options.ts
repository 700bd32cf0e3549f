/**
 * Defines the options of a message that is sent.
 *
 * @module
 */

import type { LatestKey } from "../base/latest_index.ts";
import { type Checks, optional, type OptionTable, readOptions, show } from "../base/checks.ts";
import type { Latest } from "../session/sender.ts";

/**
 * Options of `send`; all optional. With `latest` or `maxAge` no message overtakes one that was sent before it either. Only
 * a newer value comes as early as the one whose place it takes.
 *
 * @example The newest position instead of all of them
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, json, messageType, Server } from "@veltix/core";
 *
 * const POSITION = messageType(200, "position", json<number>());
 * const got: number[] = [];
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * const both = new Promise<void>((resolve) => {
 *   server.route(POSITION, ({ data }) => void (got.push(data) === 2 && resolve()));
 * });
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * client.send(POSITION, 1, { latest: "me" }); // Nothing waits, so it is written at once.
 * client.send(POSITION, 2, { latest: "me" }); // It waits for that write, and 3 takes its place.
 * client.send(POSITION, 3, { latest: "me", maxAge: 60_000 });
 * await both;
 * assertEquals([got, client.stats().replaced], [[1, 3], 1]);
 * ```
 */
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
