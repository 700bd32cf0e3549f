/**
 * Holds the messages of one connection to its rate limit: lets them wait, refuses them, or has the connection closed.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { type Rate, TokenBuckets } from "./token_buckets.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import type { Observers } from "../session/observers.ts";

/** Whose messages they are. */
export interface RateLimiterHost {
  /** The second argument of handlers, for observers. */
  readonly handle: unknown;
  /** Messages that waited for the rate may flow again. */
  resume(): void;
  /** The peer sent more than it may, and is to be closed. */
  rateExceeded(): void;
}

/** The rate limiter of one connection. */
export class RateLimiter {
  readonly #limit: TokenBuckets;
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #observers: Observers;
  readonly #host: RateLimiterHost;
  /** Runs while messages wait. */
  #waiting: Timeout | undefined = undefined;
  /** Frames that are no messages have buckets of their own where messages wait: what waits would keep theirs empty. */
  #others: TokenBuckets | undefined = undefined;
  #holding: Timeout | undefined = undefined;
  /** Whether nothing is to be read for now, as such a frame came too early. */
  held = false;

  /**
   * @param rate What is permitted.
   * @param shared Time, and who watches.
   * @param host Whose messages they are.
   */
  constructor(
    rate: Rate,
    { clock, wheel, observers }: {
      readonly clock: Clock;
      readonly wheel: TimerWheel;
      readonly observers: Observers;
    },
    host: RateLimiterHost,
  ) {
    this.#limit = new TokenBuckets(rate, clock);
    this.#rate = rate;
    this.#clock = clock;
    this.#wheel = wheel;
    this.#observers = observers;
    this.#host = host;
  }

  /** Whether the next message, of type `code`, may be handed out; it is told when one that may not does. */
  flows(code: number): boolean {
    if (!this.#throttles) return true;
    const wait = this.#limit.wait();
    if (wait === 0) return true;
    if (this.#waiting === undefined || this.#waiting.tick < 0) {
      this.#waiting ??= new Timeout(() => this.#host.resume());
      this.#wheel.add(this.#waiting, wait);
      this.#observers.limited?.({ action: "throttled", code }, this.#host.handle);
    }
    return false;
  }

  /** Counts a message of so many bytes that was handed out. */
  handed(size: number): void {
    if (this.#throttles) this.#limit.spend(size);
  }

  /** Whether a message that came may be taken; where messages wait, all are. */
  admits({ code, size }: ReceivedFrame): boolean {
    if (this.#throttles) return true;
    if (this.#limit.wait() === 0) {
      this.#limit.spend(size);
      return true;
    }
    this.#observers.limited?.({ action: "rejected", code }, this.#host.handle);
    if (this.#rate.action === "close") this.#host.rateExceeded();
    return false;
  }

  /**
   * Counts a frame that is no message; false if it is not to be answered. It waits for nothing, as it would have to go past
   * messages that do: where messages wait, nothing is read until it is paid off.
   */
  counts(frame: ReceivedFrame): boolean {
    if (!this.#throttles) return this.admits(frame);
    this.#others ??= new TokenBuckets(this.#rate, this.#clock);
    const early = this.#others.wait() > 0;
    this.#others.spend(frame.size);
    if (!early || this.held) return true;
    this.held = true;
    this.#holding ??= new Timeout(() => {
      this.held = false;
      this.#host.resume();
    });
    this.#wheel.add(this.#holding, this.#others.wait());
    this.#observers.limited?.({ action: "throttled", code: frame.code }, this.#host.handle);
    return true;
  }

  /** Whether messages wait; otherwise those above the limit are refused. */
  get #throttles(): boolean {
    return this.#rate.action === "throttle";
  }

  /** Lets nothing flow any more. */
  close(): void {
    if (this.#waiting !== undefined) this.#wheel.remove(this.#waiting);
    if (this.#holding !== undefined) this.#wheel.remove(this.#holding);
  }
}
