/**
 * Holds the messages of one connection to its rate limit: lets them wait, refuses them, or has the connection closed.
 *
 * @module
 */

import type { Transport } from "../transport.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { type Rate, RateLimit } from "./rate_limit.ts";
import { Timeout, type TimerWheel } from "../tools/timer_wheel.ts";
import type { Taps } from "./traffic.ts";

/** Whose messages they are. */
export interface RateGateHost {
  /** The second argument of handlers, for observers. */
  readonly peer: unknown;
  /** Messages that waited for the rate may flow again. */
  resume(): void;
  /** The peer sent more than it may, and is to be closed. */
  overrate(): void;
}

/** The gate of one connection. */
export class RateGate {
  /** Whether messages wait for it; otherwise those above the limit are refused. */
  readonly throttles: boolean;
  readonly #limit: RateLimit;
  readonly #rate: Rate;
  readonly #wheel: TimerWheel;
  readonly #taps: Taps;
  readonly #host: RateGateHost;
  /** Runs while messages wait. */
  #waiting: Timeout | undefined = undefined;

  /**
   * @param rate What is permitted.
   * @param shared Time, and who watches.
   * @param host Whose messages they are.
   */
  constructor(
    rate: Rate,
    { transport, wheel, taps }: { readonly transport: Transport; readonly wheel: TimerWheel; readonly taps: Taps },
    host: RateGateHost,
  ) {
    this.throttles = rate.action === "throttle";
    this.#limit = new RateLimit(rate, transport.clock);
    this.#rate = rate;
    this.#wheel = wheel;
    this.#taps = taps;
    this.#host = host;
  }

  /** Whether the next message, of type `code`, may be handed out; if not, says when. */
  flows(code: number): boolean {
    const wait = this.#limit.wait();
    if (wait === 0) return true;
    if (this.#waiting === undefined || this.#waiting.tick < 0) {
      this.#waiting ??= new Timeout(() => this.#host.resume());
      this.#wheel.add(this.#waiting, wait);
      this.#taps.limited?.({ action: "throttled", code }, this.#host.peer);
    }
    return false;
  }

  /** Takes a message of so many bytes off the limit. */
  spend(size: number): void {
    this.#limit.spend(size);
  }

  /** Whether a message is within the limit; if so, takes it off. */
  permits({ code, size }: ReceivedFrame): boolean {
    if (this.#limit.wait() === 0) {
      this.spend(size);
      return true;
    }
    this.#taps.limited?.({ action: "rejected", code }, this.#host.peer);
    if (this.#rate.action === "close") this.#host.overrate();
    return false;
  }

  /** Lets nothing flow any more. */
  close(): void {
    if (this.#waiting !== undefined) this.#wheel.remove(this.#waiting);
  }
}
