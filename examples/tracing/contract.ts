/**
 * What the services of the example say to each other.
 *
 * @module
 */

import { json, messageType, streamType, text } from "@veltix/core";

/** An order, whose answer is its number. */
export const ORDER = messageType(200, "order", json<{ readonly item: string; readonly count: number }>(), text);

/** Takes things out of the store. The answer is what is left. */
export const RESERVE = messageType(
  201,
  "reserve",
  json<{ readonly item: string; readonly count: number }>(),
  json<number>(),
);

/** Tells the shop that something happened to an order. */
export const NEWS = messageType(202, "news", text);

/** The steps of packing an order, one after the other. */
export const PACKING = streamType(203, "packing", { head: text, up: false, down: text, result: text });
