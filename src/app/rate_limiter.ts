/**
 * The rate limit of one connection. Messages above it wait or are rejected, or the connection is closed.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { type Rate, TokenBuckets } from "./token_buckets.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import type { Observers } from "../session/observers.ts";

/** The dispatcher whose messages are limited. */
export interface RateLimiterHost {
  /** The second argument of handlers, for observers. */
  readonly handle: unknown;
  /** Called when messages that waited for the rate may be handed out again. */
  resume(): void;
  /** Called when the peer sent more than it may, and is to be closed. */
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
  /** Scheduled while messages wait. */
  #waiting: Timeout | undefined = undefined;
  /**
   * The buckets of frames that are no messages, if messages above the limit wait. Those would keep a common bucket
   * empty.
   */
  #others: TokenBuckets | undefined = undefined;
  /** The buckets of streams. In a common one, a stream within its window would have messages rejected. */
  #streams: TokenBuckets | undefined = undefined;
  /** Scheduled while {@linkcode held} is true. */
  #holding: Timeout | undefined = undefined;
  /** True while nothing is to be read, because a frame that is no message came too early. */
  held = false;

  /**
   * @param rate The permitted rate.
   * @param shared The clock, the timers and the observers.
   * @param host The dispatcher whose messages are limited.
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

  /**
   * Returns whether the next message, with the type `code`, may be handed out now. If it may not, the host is resumed
   * later.
   */
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

  /** Counts a message of `size` bytes that is handed out. */
  handed(size: number): void {
    if (this.#throttles) this.#limit.spend(size);
  }

  /** Returns whether a received message may be accepted. If messages above the limit wait, all are. */
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
   * Counts a frame that is no message. Returns false if it must not be answered. Such a frame never waits itself. If
   * messages above the limit wait, nothing more is read until the rate allows the frame.
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

  /**
   * Counts bytes of streams, which cannot be refused: they were permitted before. Returns how long the next ones have to
   * wait, in milliseconds.
   */
  delay(bytes: number): number {
    this.#streams ??= new TokenBuckets(this.#rate, this.#clock);
    this.#streams.spendBytes(bytes);
    return this.#streams.wait();
  }

  /** True if messages above the limit wait. Otherwise they are rejected. */
  get #throttles(): boolean {
    return this.#rate.action === "throttle";
  }

  /** Stops the timers, so that the host is not resumed any more. */
  close(): void {
    if (this.#waiting !== undefined) this.#wheel.remove(this.#waiting);
    if (this.#holding !== undefined) this.#wheel.remove(this.#holding);
  }
}
