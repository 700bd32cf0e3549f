/**
 * Defines the options of a message that is sent.
 *
 * @module
 */

import type { LatestKey } from "../base/latest_index.ts";
import { checkBoolean, type Checks, optional, type OptionTable, readOptions, show, unchecked } from "../base/checks.ts";
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
 *
 * @category Messages
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
  /**
   * Gives the payload's memory away, as `postMessage` does: the payload is empty after the call, and sending it again is
   * a `PayloadError`. One of 256 KiB or more is then written from where it lies. A smaller one is copied as usual,
   * and its memory is freed at once. Nothing is given away if `send` throws. The encoded payload must be a `Uint8Array`
   * that is the whole of its `ArrayBuffer`. Memory that the runtime does not give away, such as that of WebAssembly, is
   * copied and stays as it is. Where compression was agreed on, payloads of any size are copied.
   * @default false: the payload is copied, and may be changed after the call
   */
  readonly transfer?: boolean | undefined;
}

/** The checked options of a message. */
export interface SendTerms {
  /** The members of its metadata, see `metadataMembers`; empty for none. */
  readonly meta: string;
  /** How long it may wait; `undefined` if nothing replaces it, however long it waits. */
  readonly latest: Latest | undefined;
  /** True if the memory of the payload is given away. */
  readonly transfer: boolean;
}

/** The options as they were given, with the defaults of those that are checked here. */
export interface GivenSendOptions extends Latest {
  readonly meta: Metadata | undefined;
}

/** The checks of those options that a broadcast has as well. */
export const SEND_OPTIONS: Checks<GivenSendOptions> = {
  latest: optional(latestKey),
  maxAge: optional(age, Infinity),
  meta: unchecked<Metadata | undefined>(),
} satisfies OptionTable<Omit<SendOptions, "transfer">>;

const ALL_OPTIONS: Checks<GivenSendOptions & { readonly transfer: boolean }> = {
  ...SEND_OPTIONS,
  transfer: optional(checkBoolean, false),
} satisfies OptionTable<SendOptions>;

/**
 * Returns the checked options of a message.
 *
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 */
export function sendTerms(name: string, options: SendOptions): SendTerms {
  const given = readOptions("send()'s options", options, ALL_OPTIONS);
  return termsOf(name, given, given.transfer);
}

/** Returns the terms of options whose `meta` is not checked yet. Throws what {@linkcode sendTerms} throws. */
export function termsOf(name: string, { latest, maxAge, meta }: GivenSendOptions, transfer = false): SendTerms {
  return {
    meta: meta === undefined ? "" : metadataMembers(`Cannot send "${name}"`, meta, false),
    latest: latest === undefined && maxAge === Infinity ? undefined : { latest, maxAge },
    transfer,
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
