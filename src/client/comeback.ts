/**
 * Brings the session of a client back over another connection: when attempts are made, what they say to the server, and
 * when they are given up.
 *
 * @module
 */

import { ConnectionError, ProtocolError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import { integerMember, member, type PeerObject } from "../base/untrusted.ts";
import type { Channel } from "../link/channel.ts";
import { type CloseReason, handshakeReason } from "../link/close_reason.ts";
import { RESUME, type Resumption } from "../session/resumption.ts";
import type { Dialed, Target } from "./dial.ts";
import { Pause } from "./pause.ts";
import { delayBefore, LASTING, type ReconnectPolicy, worthComingBack } from "./reconnect.ts";

/** The longest wait before the first attempt after a cut, in milliseconds. */
const SOON = 200;
/** The longest wait before an attempt while the connection is only suspected, in milliseconds. */
const SUSPECTED = 2_000;
/**
 * The least time that a suspected connection still has after the server has spoken on the new one, in milliseconds. After
 * a server stood still, it speaks on the new one first.
 */
const GRACE = 250;
/** The same as a part of the silence: the longer a server stood still, the more clients it has to answer at once. */
const GRACE_SHARE = 0.25;
/** While the server keeps the session, there is time for this many attempts in a row, even if each times out. */
const LEAST_ATTEMPTS = 4;
/** The least time limit of an attempt, in milliseconds, unless the client's own is less. */
const LEAST_TIME = 2_000;

/** The session that comes back. */
export interface ReturningSession {
  readonly resumption: Resumption | undefined;
  readonly link: { readonly lastReceived: number };
  suspend(reason: CloseReason, error?: Error): void;
  resume(channel: Channel, received: number): number;
  run(): void;
  lose(reason: CloseReason, error: Error): void;
}

/** What an attempt adds to the target. */
export type AttemptTerms = Pick<Target, "attempt" | "timeout" | "answered" | "heard">;

/** The connect loop, as a comeback uses it. */
export interface ComebackHost {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly policy: ReconnectPolicy;
  /** The time limit of an attempt to connect, in milliseconds. */
  readonly timeout: number;
  /** Returns a random number from 0 up to 1. */
  random(): number;
  dial(terms: AttemptTerms, signal: AbortSignal): Promise<Dialed>;
  /** Called when the session waits for another connection. */
  suspended(reason: CloseReason, getError: () => unknown): void;
  /** Called when the session goes on, after `ms` milliseconds without a connection. */
  resumed(ms: number, replayedBytes: number): void;
}

/** Attempts in a row. A session continues that of the one before, so that a server that closes at once is given time. */
export interface AttemptRow {
  /** How many attempts failed, or brought a connection that did not last. */
  readonly failed: number;
  /** When the last of them brought the connection in use, by the clock. */
  readonly connectedAt: number;
}

const NO_ROW: AttemptRow = { failed: 0, connectedAt: -Infinity };

/**
 * Returns how long to wait before an attempt to come back, in milliseconds: at most an eighth of `keep`.
 *
 * @param policy The option `reconnect`.
 * @param failed How many attempts in the row have failed.
 * @param keep How long the server keeps the session, in milliseconds.
 * @param error The error of the last attempt.
 * @param random A random number from 0 up to 1.
 */
export function comebackDelay(
  policy: ReconnectPolicy,
  failed: number,
  keep: number,
  error: unknown,
  random: number,
): number {
  const wait = failed === 0 ? Math.round(random * SOON) : delayBefore(policy, failed, error, random);
  return Math.min(Math.floor(keep / 8), wait);
}

/** A session without a connection. */
interface Cut {
  readonly reason: CloseReason;
  readonly getError: () => unknown;
}

/** The comebacks of one session, one after the other. */
export class Comeback {
  readonly #session: ReturningSession;
  readonly #host: ComebackHost;
  readonly #pause = new Pause();
  readonly #expiry: Timeout;
  /** The number of the last attempt that was told to the server. */
  #told = 0;
  /** How many attempts in the row have failed, or brought a connection that did not last. */
  #failed: number;
  /** When an attempt brought the connection in use, by the clock. */
  #connectedAt: number;
  /** How many bytes had been received by then. */
  #receivedAt = Infinity;
  /** The error of the last attempt. */
  #error: unknown = undefined;
  /** Set while there is no connection. */
  #cut: Cut | undefined = undefined;
  #cutAt = 0;
  /** Released when the session loses its connection, gets another one, or is over. */
  #change = new ResettablePromise();
  /** Set while attempts are made. */
  #running: Promise<void> | undefined = undefined;
  /** Set during an attempt. */
  #dialing: AbortController | undefined = undefined;
  /** True if the next attempt is to begin at once. */
  #hurried = false;
  /** Why no attempt is to follow; `undefined` while attempts may. */
  #stopped: string | undefined = undefined;
  #closing = false;
  #over = false;
  #lost = false;
  #fresh: Dialed | undefined = undefined;

  /** @param row The row of attempts that has led to this session. */
  constructor(session: ReturningSession, host: ComebackHost, row: AttemptRow = NO_ROW) {
    this.#session = session;
    this.#host = host;
    this.#failed = row.failed;
    this.#connectedAt = row.connectedAt;
    this.#expiry = new Timeout(() => this.#lose(`no connection within ${this.#resumption.keep} ms`));
  }

  /** True while the session has no connection. */
  get away(): boolean {
    return this.#cut !== undefined;
  }

  /** True if the session is over, and could have gone on over another connection. */
  get lost(): boolean {
    return this.#lost;
  }

  /** The connection of the new session that the server has begun in place of this one. */
  get fresh(): Dialed | undefined {
    return this.#fresh;
  }

  /** When the session lost its connection last, by the clock. */
  get cutAt(): number {
    return this.#cutAt;
  }

  /** The row of attempts so far. */
  get row(): AttemptRow {
    return { failed: this.#failed, connectedAt: this.#connectedAt };
  }

  /** Resolves when no attempt is under way; never rejects. */
  done(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Called when the connection may be dead. It stays in use until the server has spoken on another one. */
  suspected(): void {
    if (!this.#over && this.#stopped === undefined) this.#start();
  }

  /** Called when the session has lost its connection. */
  suspended(reason: CloseReason, getError: () => unknown): void {
    // What was read last may have ended the session.
    if (this.#over) return;
    const { clock, wheel } = this.#host;
    const at = this.#cutAt = clock.now();
    // A client replaces only a connection on which nothing comes any more.
    const cut = this.#cut = { reason: reason === "replaced" ? "heartbeat" : reason, getError };
    if (this.#stopped !== undefined) return this.#lose(this.#stopped);
    // An attempt has not failed if something came over its connection, or if that lasted.
    if (at - this.#connectedAt >= LASTING || this.#resumption.received > this.#receivedAt) this.#failed = 0;
    else this.#failed++;
    this.#connectedAt = -Infinity;
    this.#error = undefined;
    this.#hurried = false;
    wheel.add(this.#expiry, this.#resumption.keep);
    this.#changed();
    // A wait may have begun while the connection was only suspected.
    this.#pause.end();
    this.#start();
    this.#host.suspended(cut.reason, getError);
  }

  /** Begins the next attempt at once, unless one is under way. */
  hurry(): void {
    this.#failed = 0;
    if (this.#dialing !== undefined || !this.away) return;
    this.#hurried = true;
    this.#pause.end();
  }

  /** Gives up coming back. A session with a connection stays, but is over when it loses it. `why` is for the error. */
  stop(why: string): void {
    this.#stopped = why;
    if (this.away) this.#lose(why);
    else this.#dialing?.abort();
  }

  /** Allows attempts again. */
  allow(): void {
    this.#stopped = undefined;
  }

  /** Called when the client is being closed. From now on attempts are made only while there is no connection. */
  close(): void {
    this.#closing = true;
    if (!this.away) this.#dialing?.abort();
  }

  /** Tries to come back at once, within `ms` milliseconds. Returns how long it took, in milliseconds. */
  async back(ms: number): Promise<number> {
    const { clock, wheel } = this.#host;
    const since = clock.now();
    this.hurry();
    if (this.away) await wheel.within(ms, this.#change.promise);
    return clock.now() - since;
  }

  /** Called when the session is over. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.away) this.#lost = true;
    this.#cut = undefined;
    this.#host.wheel.remove(this.#expiry);
    this.#dialing?.abort();
    this.#pause.end();
    this.#changed();
  }

  /** Lets the process end during a wait. */
  unref(): void {
    this.#pause.unref();
  }

  get #resumption(): Resumption {
    return this.#session.resumption!;
  }

  #changed(): void {
    this.#change.release();
    this.#change.reset();
  }

  #start(): void {
    this.#running ??= this.#run();
  }

  /** Makes attempts as long as they are needed. */
  async #run(): Promise<void> {
    while (await this.#wait()) {
      await this.#once();
      if (!this.away) break;
    }
    this.#running = undefined;
  }

  /** Waits until it is time for the next attempt. Returns false if there is none to make. */
  async #wait(): Promise<boolean> {
    const { clock, policy, random } = this.#host;
    let away: boolean;
    do {
      away = this.away;
      const wait = away
        ? comebackDelay(policy, this.#failed, this.#resumption.keep, this.#error, random())
        : Math.round(random() * SUSPECTED);
      if (!this.#hurried) await this.#pause.run(clock, wait);
      // If the connection was cut meanwhile, another wait applies.
    } while (away !== this.away && !this.#over);
    this.#hurried = false;
    if (this.#over || away) return !this.#over;
    return this.#stopped === undefined && !this.#closing && this.#resumption.suspect;
  }

  /** Makes one attempt. */
  async #once(): Promise<void> {
    const { dial, timeout } = this.#host;
    const terms: AttemptTerms = {
      attempt: this.#failed + 1,
      timeout: Math.min(timeout, Math.max(LEAST_TIME, Math.ceil(this.#resumption.keep / LEAST_ATTEMPTS))),
      answered: () => this.#answer(),
      heard: this.away ? undefined : () => this.#settle(),
    };
    this.#dialing = new AbortController();
    let dialed: Dialed;
    try {
      dialed = await dial(terms, this.#dialing.signal);
    } catch (error) {
      if (this.away && error !== ALIVE) this.#refused(error);
      return;
    } finally {
      this.#dialing = undefined;
    }
    const { channel, outcome } = dialed;
    if (!this.away) return channel.abort();
    const answer = outcome.features.get(RESUME);
    if (answer === undefined || member(answer, "received") === undefined) this.#begunAnew(dialed);
    else this.#resume(channel, integerMember(answer, "received", 0, Number.MAX_SAFE_INTEGER));
  }

  /** Called when the server has spoken. Resolves when the suspected connection is to be left. */
  async #settle(): Promise<void> {
    if (!this.away) {
      const silent = this.#host.clock.now() - this.#session.link.lastReceived;
      await this.#host.wheel.within(Math.max(GRACE, silent * GRACE_SHARE), this.#change.promise);
    }
    if (!this.away && (this.#over || !this.#resumption.suspect)) throw ALIVE;
  }

  /** Leaves the old connection. Returns what is said to the server about the session, and what was received of it. */
  #answer(): Readonly<Record<string, PeerObject>> {
    const session = this.#session;
    if (!this.away) {
      if (this.#over || !this.#resumption.suspect) throw ALIVE;
      const silent = Math.round(this.#host.clock.now() - session.link.lastReceived);
      session.suspend("replaced", new ConnectionError("timed-out", `The peer sent nothing for ${silent} ms`));
      // A listener may have closed the client.
      if (!this.away) throw ALIVE;
    }
    const { buffer, received, ticket: { id, key } } = this.#resumption;
    return { [RESUME]: { buffer, id, key, attempt: ++this.#told, received } };
  }

  /** Goes on over another connection. `received` is `undefined` if the server said nothing that makes sense. */
  #resume(channel: Channel, received: number | undefined): void {
    const { clock, wheel } = this.#host;
    if (received === undefined) {
      const text = 'The server goes on with the session, but its "received" is no whole number';
      channel.abort();
      return this.#lose(text, "protocol-error", new ProtocolError("protocol-error", text));
    }
    const at = this.#cutAt;
    this.#cut = undefined;
    wheel.remove(this.#expiry);
    this.#connectedAt = clock.now();
    this.#receivedAt = this.#resumption.received;
    let replayed: number;
    try {
      replayed = this.#session.resume(channel, received);
    } catch {
      // The session is over, and has said why.
      this.#lost = true;
      channel.abort();
      return;
    }
    this.#changed();
    if (this.#over) return;
    this.#host.resumed(Math.round(this.#connectedAt - at), replayed);
    // Only now: what was pushed back may cut the connection again.
    this.#session.run();
  }

  /** Called when the server has begun a new session in place of this one. */
  #begunAnew({ channel, outcome }: Dialed): void {
    // The parameters that were sent have the key of this session.
    const own = { ...outcome.own, [RESUME]: { buffer: this.#resumption.buffer } };
    this.#fresh = { channel, outcome: { ...outcome, own } };
    this.#connectedAt = this.#host.clock.now();
    this.#lose("the server does not have it any more");
  }

  /** Called when an attempt has failed. */
  #refused(error: unknown): void {
    this.#error = error;
    this.#failed++;
    if (worthComingBack(error)) return;
    this.#lose("the server does not let the client in", handshakeReason(error), error as Error);
  }

  #lose(why: string, reason?: CloseReason, error?: Error): void {
    if (this.#over) return;
    const cut = this.#cut!;
    this.#session.lose(
      this.#closing ? "manual" : reason ?? cut.reason,
      error ?? new ConnectionError("closed", `The session is lost: ${why}`, { cause: cut.getError() }),
    );
  }
}

/** Ends an attempt because the session needs none: the old connection is alive, or the session is over. */
const ALIVE = new ConnectionError("closed", "Cannot come back: the session does not wait for another connection");
