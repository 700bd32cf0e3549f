/**
 * Defines the options of a message that is sent.
 *
 * @module
 */

import type { LatestKey } from "../base/latest_index.ts";
import { type Checks, optional, type OptionTable, readOptions, show, unchecked } from "../base/checks.ts";
import type { Latest } from "../session/sender.ts";
import { type Metadata, metadataMembers } from "../wire/metadata.ts";

/**
 * Options of `send`; all optional. Messages with `latest` or `maxAge` keep their order, with one exception: a newer value
 * comes as early as the one whose place it takes would have come.
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
  /**
   * Metadata for the handler, which reads it as `message.meta`: at most 64 names, and 8 KiB as JSON.
   * @default none
   */
  readonly meta?: Metadata | undefined;
}

/** The checked options of a message. */
export interface SendTerms {
  /** The members of its metadata, see `metadataMembers`; empty for none. */
  readonly meta: string;
  /** How long it may wait; `undefined` if nothing replaces it, however long it waits. */
  readonly latest: Latest | undefined;
}

/** The options as they were given, with the defaults of those that are checked here. */
export interface GivenSendOptions extends Latest {
  readonly meta: Metadata | undefined;
}

/** The checks of these options, for tables that have others as well. */
export const SEND_OPTIONS: Checks<GivenSendOptions> = {
  latest: optional(latestKey),
  maxAge: optional(age, Infinity),
  meta: unchecked<Metadata | undefined>(),
} satisfies OptionTable<SendOptions>;

/**
 * Returns the checked options of a message.
 *
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 */
export function sendTerms(name: string, options: SendOptions): SendTerms {
  return termsOf(name, readOptions("send()'s options", options, SEND_OPTIONS));
}

/** Returns the terms of options whose `meta` is not checked yet. Throws what {@linkcode sendTerms} throws. */
export function termsOf(name: string, { latest, maxAge, meta }: GivenSendOptions): SendTerms {
  return {
    meta: meta === undefined ? "" : metadataMembers(`Cannot send "${name}"`, meta, false),
    latest: latest === undefined && maxAge === Infinity ? undefined : { latest, maxAge },
  };
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
