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

/** How many faults a network is excused. */
const EXCUSED = 20;
/** How many it is excused again in each second. */
const EXCUSED_PER_SECOND = 2;
/** The time between two connections of an offender that are greeted, in milliseconds. */
const SPACING = 10;
/**
 * The longest that one of its connections waits, in milliseconds. There may be honest clients behind the same router or
 * proxy: they come in a second later.
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
  /** How many faults it is excused for now. */
  excused: number;
  /** When that was counted, by the clock. */
  at: number;
  /** When its next connection may be greeted. */
  next: number;
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
    const offender = this.#byNetwork.get(network) ?? { excused: EXCUSED, at: now, next: 0 };
    this.#byNetwork.delete(network);
    this.#byNetwork.set(network, offender);
    if (this.#byNetwork.size > MOST_NETWORKS) this.#forgetOldest();
    excuse(offender, now);
    if (offender.excused < 1) return false;
    offender.excused--;
    return offender.excused < 1;
  }

  /** Settles when a connection of this network may be greeted; `undefined` if it may be greeted now. */
  turn(network: string): Promise<void> | undefined {
    const offender = this.#byNetwork.get(network);
    if (offender === undefined) return undefined;
    const now = this.#clock.now();
    excuse(offender, now);
    if (offender.excused >= 1) return undefined;
    offender.next = Math.max(now, offender.next) + SPACING;
    const ms = Math.min(offender.next - now, LONGEST);
    return new Promise((resolve) => {
      const timeout = new Timeout(() => {
        this.#waiting.delete(timeout);
        resolve();
      });
      this.#waiting.add(timeout);
      this.#wheel.add(timeout, ms);
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

function excuse(offender: Offender, now: number): void {
  offender.excused = Math.min(EXCUSED, offender.excused + (now - offender.at) / 1_000 * EXCUSED_PER_SECOND);
  offender.at = now;
}
