/**
 * The networks whose clients were closed for a fault of their own again and again, such as frames that mean nothing. Their
 * next connections are greeted at a limited pace, so that whoever comes back at once after each end costs the server
 * little. All others are greeted at once.
 *
 * @module
 */

import { type Address, networkOf } from "../base/address.ts";
import type { Clock } from "../base/clock.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import type { CloseReason } from "../link/close_reason.ts";

/** How many faults of a network are forgiven at first. */
const FORGIVEN = 20;
/** How many more are forgiven in each second. A network is an offender until all of them are forgiven again. */
const FORGIVEN_PER_SECOND = 2;
/** The time between two connections of an offender that are greeted, in milliseconds. */
const SPACING = 10;
/**
 * The longest that one of its connections waits, in milliseconds. If more come than can be greeted in this time, the rest is
 * greeted at once: there may be honest clients behind the same router or proxy, and they must not be locked out.
 */
const LONGEST = 1_000;
/** The most networks to remember. The one whose last fault is the oldest is forgotten first. */
const MOST_NETWORKS = 1_024;

const FAULTS: ReadonlySet<CloseReason> = new Set(
  [
    "corrupt",
    "message-too-large",
    "protocol-error",
    "rate-limited",
  ] satisfies CloseReason[],
);

interface Offender {
  /** How many faults are still forgiven, and when that was counted, by the clock. */
  forgiven: number;
  at: number;
  /** True from the moment that no fault is forgiven any more until all are again. */
  paced: boolean;
  /** When its last connection was, or will be, greeted. */
  last: number;
}

/** Counts faults by network. */
export class Offenders {
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  /** In the order of their last faults. */
  readonly #byNetwork = new Map<string, Offender>();
  readonly #waiting = new Set<Timeout>();

  constructor(clock: Clock, wheel: TimerWheel) {
    this.#clock = clock;
    this.#wheel = wheel;
  }

  /**
   * Called when the connection of a client is over. Returns true if its network becomes an offender by that. Peers without
   * an IP address never do.
   */
  ended(address: Address, reason: CloseReason): boolean {
    const network = FAULTS.has(reason) ? networkOf(address) : "";
    if (network === "") return false;
    const now = this.#clock.now();
    const offender = this.#byNetwork.get(network) ?? { forgiven: FORGIVEN, at: now, paced: false, last: -Infinity };
    this.#byNetwork.delete(network);
    this.#byNetwork.set(network, offender);
    if (this.#byNetwork.size > MOST_NETWORKS) this.#forgetOldest();
    forgive(offender, now);
    offender.forgiven = Math.max(0, offender.forgiven - 1);
    const begins = !offender.paced && offender.forgiven < 1;
    if (begins) offender.paced = true;
    return begins;
  }

  /** Settles when a connection of this network may be greeted; `undefined` if it may be greeted now. */
  turn(network: string): Promise<void> | undefined {
    const offender = this.#byNetwork.get(network);
    if (offender === undefined) return undefined;
    const now = this.#clock.now();
    forgive(offender, now);
    if (!offender.paced) return undefined;
    const next = offender.last + SPACING;
    if (next > now + LONGEST) return undefined;
    offender.last = Math.max(now, next);
    if (next <= now) return undefined;
    return new Promise((resolve) => {
      const timeout = new Timeout(() => {
        this.#waiting.delete(timeout);
        resolve();
      });
      this.#waiting.add(timeout);
      this.#wheel.add(timeout, next - now);
    });
  }

  /** Lets all connections that wait go on. Called when the server stops. */
  close(): void {
    for (const timeout of this.#waiting) {
      this.#wheel.remove(timeout);
      timeout.expire();
    }
  }

  #forgetOldest(): void {
    for (const network of this.#byNetwork.keys()) {
      this.#byNetwork.delete(network);
      return;
    }
  }
}

function forgive(offender: Offender, now: number): void {
  offender.forgiven = Math.min(FORGIVEN, offender.forgiven + (now - offender.at) / 1_000 * FORGIVEN_PER_SECOND);
  offender.at = now;
  if (offender.forgiven === FORGIVEN) offender.paced = false;
}
