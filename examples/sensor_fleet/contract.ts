/**
 * What the hub and its devices say to each other.
 *
 * @module
 */

import { empty, json, messageTypes } from "@veltix/core";

/** What a device has measured. */
export interface Reading {
  readonly celsius: number;
  /** What is left of its battery, from 0 to 1. */
  readonly battery: number;
}

/** The messages. */
export const contract = messageTypes({
  /** From a device. */
  reading: json<Reading>(),
  /** From the hub to a device: it starts anew, and is back in a moment. */
  restart: [empty, empty],
});
