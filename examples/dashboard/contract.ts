/**
 * What the server, its devices and its page say to each other. This file is a part of all three.
 *
 * @module
 */

import { json, messageTypes } from "@veltix/core";

/** What the server was doing at one moment. */
export interface Sample {
  /** The time, in milliseconds since 1970. */
  readonly time: number;
  /** The clients that are connected, pages included. */
  readonly connections: number;
  /** The messages of devices since the sample before, as a rate. */
  readonly messagesPerSecond: number;
  /** The memory of the process, in bytes. */
  readonly memory: number;
  /** How long the clients take to answer a ping, in milliseconds. Half of them take at most `median`. */
  readonly latency: { readonly median: number; readonly highest: number };
}

/** What a device has measured. */
export interface Reading {
  readonly device: number;
  readonly value: number;
}

/** The messages and streams. */
export const CONTRACT = messageTypes({
  /** From a device to the server. */
  reading: json<Reading>(),
  /** From the server to a page: the samples that are kept, then one each second. */
  samples: { stream: { up: false, down: json<Sample>() } },
});
