/**
 * Token buckets for messages and bytes, which limit how much one peer may send. They fill at the permitted rate, up to
 * a burst. A message that is larger than the bucket may pass when the bucket is not empty. The level is negative then,
 * and the next message waits until it has risen again.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";

/** A permitted rate. */
export interface Rate {
  /** Messages per second. */
  readonly messages: number;
  /** Bytes of payloads per second. */
  readonly bytes: number;
  /** The messages and bytes of how many seconds may come at once. */
  readonly burst: number;
  /** What happens to messages above the rate. */
  readonly action: "throttle" | "reject" | "close";
}

/** The buckets of one connection. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #clock: Clock;
  #messages: number;
  #bytes: number;
  #filledAt: number;

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#messages = Math.max(1, rate.messages * rate.burst);
    this.#bytes = Math.max(1, rate.bytes * rate.burst);
    this.#filledAt = clock.now();
  }

  /** Returns the time until a message may pass, in milliseconds; 0 if it may pass now. */
  wait(): number {
    this.#fill();
    const { messages, bytes } = this.#rate;
    const wait = Math.max(shortfall(this.#messages, messages), shortfall(this.#bytes, bytes));
    return Math.max(0, Math.ceil(wait * 1_000));
  }

  /** Counts a message of `size` bytes. */
  spend(size: number): void {
    this.#messages--;
    this.#bytes -= size;
  }

  /** Counts `size` bytes that are no message. */
  spendBytes(size: number): void {
    this.#fill();
    this.#bytes -= size;
  }

  #fill(): void {
    const now = this.#clock.now();
    const seconds = (now - this.#filledAt) / 1_000;
    this.#filledAt = now;
    const { messages, bytes, burst } = this.#rate;
    if (messages < Infinity) {
      this.#messages = Math.min(Math.max(1, messages * burst), this.#messages + seconds * messages);
    }
    if (bytes < Infinity) this.#bytes = Math.min(Math.max(1, bytes * burst), this.#bytes + seconds * bytes);
  }
}

/** Returns the seconds until a bucket has a level of 1. A rate of `Infinity` needs no bucket. */
function shortfall(level: number, rate: number): number {
  return rate === Infinity ? 0 : (1 - level) / rate;
}
