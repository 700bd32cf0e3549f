/**
 * The sessions of a server that wait for their clients to come back. Their number, their bytes and their time are limited.
 * Above a limit, sessions of the network with most of them end first, and of these the one that has waited for longest.
 *
 * A session on which nothing has come yet is unproven: its client may not even know it, or may have come only to leave. It
 * waits no longer than a handshake may take. Above their limit, unproven sessions make only unproven ones end.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import { Held, Shares } from "./shares.ts";

/** The limits of suspended sessions. */
export interface SuspendedLimits {
  /** The longest time that a session waits, in milliseconds. */
  readonly keep: number;
  /** The most sessions that wait, without unproven ones. */
  readonly maxSuspended: number;
  /** The most bytes that all of them hold together. */
  readonly maxSuspendedBytes: number;
  /** The longest time that an unproven session waits, in milliseconds. The lower one of the two counts. */
  readonly handshakeTimeout: number;
  /** The most unproven sessions that wait. */
  readonly maxPendingHandshakes: number;
}

/** How often the bytes of all sessions are counted, in milliseconds. They grow by what is sent to suspended clients. */
const COUNT_EVERY = 1_000;

/** A session that can be suspended. */
export abstract class Suspendable extends Held {
  /** When its connection was lost, by the clock. */
  since = 0;
  /** The bytes that it held when they were last counted. */
  counted = 0;
  /** Ends its wait. */
  deadline: Timeout | undefined = undefined;

  /** The network of its last connection. */
  abstract get network(): string;
  /** True once something has come from its client. */
  abstract get proven(): boolean;
  /** The bytes that it holds. */
  abstract get heldBytes(): number;
  /** Ends it for good. `why` is the error that says so. */
  abstract lose(why: Error): void;
}

/** The suspended sessions. */
export class SuspendedSessions {
  readonly #limits: SuspendedLimits;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  readonly #proven = new Shares<Suspendable>();
  readonly #unproven = new Shares<Suspendable>();
  /** Counts the bytes again while there are any sessions. */
  readonly #count: Timeout;
  #bytes = 0;
  /** The errors of the sessions that give way. They are shared, because there may be thousands a second. */
  readonly #tooMany: ConnectionError;
  readonly #tooManyBytes: ConnectionError;
  readonly #tooManyUnproven: ConnectionError;

  /**
   * @param limits The limits.
   * @param wheel Runs the time limits.
   * @param clock The clock.
   */
  constructor(limits: SuspendedLimits, wheel: TimerWheel, clock: Clock) {
    this.#limits = limits;
    this.#wheel = wheel;
    this.#clock = clock;
    this.#count = new Timeout(() => this.#countAgain());
    const { maxSuspended, maxSuspendedBytes, maxPendingHandshakes } = limits;
    this.#tooMany = gaveWay(`more than the ${maxSuspended} that maxSuspended allows were suspended`);
    this.#tooManyBytes = gaveWay(`they held more than the ${maxSuspendedBytes} bytes that maxSuspendedBytes allows`);
    this.#tooManyUnproven = gaveWay(
      `more than the ${maxPendingHandshakes} that maxPendingHandshakes allows were suspended before anything came on them`,
    );
  }

  /** The number of sessions, without unproven ones. */
  get size(): number {
    return this.#proven.size;
  }

  /** The number of unproven sessions. */
  get unproven(): number {
    return this.#unproven.size;
  }

  /** The bytes that all of them held when they were last counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a session that waits since `session.since`. Call {@linkcode trim} next. */
  add(session: Suspendable): void {
    const { keep, handshakeTimeout } = this.#limits;
    if (this.#proven.size + this.#unproven.size === 0) this.#wheel.add(this.#count, COUNT_EVERY);
    const { proven } = session;
    (proven ? this.#proven : this.#unproven).add(session.network, session);
    this.#bytes += session.counted = session.heldBytes;
    const most = proven ? keep : Math.min(keep, handshakeTimeout);
    const deadline = session.deadline = new Timeout(() => {
      this.delete(session);
      session.lose(new ConnectionError("timed-out", `The client did not come back within ${most} ms`));
    });
    this.#wheel.add(deadline, Math.max(0, session.since + most - this.#clock.now()));
  }

  /** Removes a session: its client is back, or it is over. One that is not there is ignored. */
  delete(session: Suspendable): void {
    if (session.deadline === undefined) return;
    this.#wheel.remove(session.deadline);
    session.deadline = undefined;
    this.#proven.delete(session);
    this.#unproven.delete(session);
    this.#bytes -= session.counted;
    if (this.#proven.size + this.#unproven.size === 0) this.#wheel.remove(this.#count);
  }

  /** Ends sessions while they are above a limit. */
  trim(): void {
    const { maxSuspended, maxSuspendedBytes, maxPendingHandshakes } = this.#limits;
    while (this.#unproven.size > maxPendingHandshakes) this.#end(this.#unproven.oldest!, this.#tooManyUnproven);
    while (this.#proven.size > maxSuspended) this.#end(this.#proven.oldest!, this.#tooMany);
    while (this.#bytes > maxSuspendedBytes) {
      this.#end(this.#unproven.oldest ?? this.#proven.oldest!, this.#tooManyBytes);
    }
  }

  #end(session: Suspendable, why: ConnectionError): void {
    this.delete(session);
    session.lose(why);
  }

  #countAgain(): void {
    let bytes = 0;
    for (const sessions of [this.#proven, this.#unproven]) {
      for (const session of sessions) bytes += session.counted = session.heldBytes;
    }
    this.#bytes = bytes;
    this.trim();
    if (this.#proven.size + this.#unproven.size > 0) this.#wheel.add(this.#count, COUNT_EVERY);
  }
}

function gaveWay(why: string): ConnectionError {
  return new ConnectionError("closed", `The session had to give way to others: ${why}`);
}
