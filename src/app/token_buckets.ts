/**
 * How much one peer may send: token buckets for messages and for bytes, that fill at the permitted rate up to a burst. What
 * is larger than the bucket is let through when it is not empty, and paid off afterwards.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";

/** A permitted rate. */
export interface Rate {
  /** Messages a second. */
  readonly messages: number;
  /** Bytes of payloads a second. */
  readonly bytes: number;
  /** How many seconds' worth may come at once. */
  readonly burst: number;
  /** What happens to what is above it. */
  readonly action: "throttle" | "reject" | "close";
}

/** The buckets of one connection. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #clock: Clock;
  #messages: number;
  #bytes: number;
  #filledAt: number;

  /**
   * @param rate What is permitted.
   * @param clock The time.
   */
  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#messages = Math.max(1, rate.messages * rate.burst);
    this.#bytes = Math.max(1, rate.bytes * rate.burst);
    this.#filledAt = clock.now();
  }

  /** How many milliseconds until a message may pass; 0 for now. */
  wait(): number {
    this.#fill();
    const { messages, bytes } = this.#rate;
    const wait = Math.max(shortfall(this.#messages, messages), shortfall(this.#bytes, bytes));
    return Math.max(0, Math.ceil(wait * 1_000));
  }

  /** Takes a message of `size` bytes off. */
  spend(size: number): void {
    this.#messages--;
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

/** How many seconds until a bucket has 1 in it; a rate without a limit has no bucket. */
function shortfall(level: number, rate: number): number {
  return rate === Infinity ? 0 : (1 - level) / rate;
}
