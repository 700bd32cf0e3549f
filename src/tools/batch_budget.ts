/**
 * How much one connection may hand out before the others have their turn: 1,024 frames or about 2 ms. That is about
 * one read full of small frames; fewer cost a burst of them throughput. Connections that have more go on one after the
 * other. Where many do, each has less time, and the sockets are looked at before all have had it: whoever comes in between
 * waits for a few of them only.
 *
 * @module
 */

import type { Transport } from "../transport.ts";
import { Fifo } from "./fifo.ts";

/** The most frames of one batch. */
export const BATCH_FRAMES = 1024;
/** The most time of one batch, in milliseconds. */
const BATCH_MS = 2;
/** The least, where many share a round. */
const LEAST_MS = 0.5;
/** How long all connections together may take between two looks at the sockets, in milliseconds. */
const ROUND_MS = 8;
/** A batch of a connection that was quiet is handed out all the same when a round is over, for so many milliseconds. */
const GUEST_MS = 0.1;
/** So much time of several connections, in milliseconds, is a round, even if none has more. */
const BUSY_MS = 4;
/** Above so many connections that wait, all sockets are to be looked at in each round. */
const CROWD = 8;
/** The clock is asked after 1, 2, 4 and so on frames, and every so many at least: asking costs as much as a small frame. */
const ASK_EVERY = 32;
/** The same where there is less time. */
const ASK_OFTEN = 8;

/** In place of a round: it has waited in line. */
const CALLED = -2;

/** What one connection has used of the rounds. */
export interface Share {
  /** The last round in which it handed out several frames at once; -1 before the first, -2 when it has waited in line. */
  round: number;
  /** How long that took in this round, in milliseconds. */
  used: number;
}

/** The budget of one batch, and of the rounds that the connections of one Server or Client share. */
export class BatchBudget {
  readonly #transport: Pick<Transport, "clock" | "yield">;
  #started = 0;
  #spent = 0;
  #askAt = 1;
  /** How long this batch may take. */
  #most = BATCH_MS;
  #round = 0;
  #roundFrom = 0;
  /** How many connections had a batch of several frames in this round, and how long these took. */
  #active = 0;
  #worked = 0;
  /** How many waited when this round began, and how long each of them may take. */
  #crowd = 0;
  #part = BATCH_MS;
  /** Whether the end of this round is waited for. */
  #looking = false;
  /** Who goes on after that. */
  readonly #waiting = new Fifo<() => void>();

  /** @param transport The time, and where the others have their turn. */
  constructor(transport: Pick<Transport, "clock" | "yield">) {
    this.#transport = transport;
  }

  /** Begins a batch, of a connection if it has a share; the clock is left alone for a single frame. */
  start(several: boolean, now?: number, share?: Share): void {
    this.#spent = 0;
    this.#most = this.#left(share);
    this.#askAt = several ? 1 : Infinity;
    if (several) this.#started = now ?? this.#transport.clock.now();
  }

  /** Goes on with a batch of `spent` frames that began at `started`; false when the others are to have their turn. */
  resume(spent: number, started: number, share: Share): boolean {
    this.#spent = spent;
    this.#started = started;
    this.#askAt = spent + 1;
    this.#most = this.#left(share);
    return spent < BATCH_FRAMES && this.#transport.clock.now() - started <= this.#most;
  }

  /** Counts a frame; true when the others are to have their turn. */
  spend(): boolean {
    const spent = ++this.#spent;
    if (spent >= BATCH_FRAMES) return true;
    if (spent < this.#askAt) return false;
    this.#askAt = spent + Math.min(spent, this.#most < BATCH_MS ? ASK_OFTEN : ASK_EVERY);
    return this.#transport.clock.now() - this.#started > this.#most;
  }

  /** The same for what was passed over: nobody knows how long that took. */
  pass(): boolean {
    this.#askAt = Math.min(this.#askAt, this.#spent + 1);
    return this.spend();
  }

  /** Whether a connection has had its share, so that it is to wait for the others. */
  exhausted(share: Share): boolean {
    if (!this.#looking || share.round < 0) return false;
    if (share.round === this.#round && share.used >= this.#part) return true;
    // It was busy just now: when the time is up it waits in line.
    const rounds = 1 + this.#waiting.size * this.#part / ROUND_MS;
    return this.#worked >= ROUND_MS && this.#round - share.round <= rounds;
  }

  /** Counts a batch of several frames that began at `from` and ends now. */
  used(share: Share, from: number): void {
    // A round that nobody waits for ends by itself.
    if (!this.#looking && from - this.#roundFrom >= ROUND_MS) this.#next(from);
    if (share.round !== this.#round) {
      share.round = this.#round;
      share.used = 0;
      this.#active++;
    }
    const took = this.#transport.clock.now() - from;
    share.used += took;
    this.#worked += took;
    if (this.#worked >= BUSY_MS && this.#active > 1) this.#look();
  }

  /** Calls `fn` when the others had their turn. */
  wait(fn: () => void, share?: Share): void {
    this.#waiting.push(fn);
    if (share !== undefined) share.round = CALLED;
    this.#look();
  }

  /** How long the next batch may take. */
  #left(share: Share | undefined): number {
    return this.#looking && this.#worked >= ROUND_MS && share?.round !== CALLED ? GUEST_MS : this.#part;
  }

  /** Sees to it that the sockets are looked at; then the next round begins. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#transport.yield(this.#begin, Math.max(this.#crowd, this.#active) > CROWD);
  }

  readonly #begin = (): void => {
    this.#looking = false;
    this.#next(this.#transport.clock.now());
    const waiting = this.#waiting;
    this.#crowd = waiting.size;
    this.#part = Math.min(BATCH_MS, Math.max(LEAST_MS, ROUND_MS / this.#crowd));
    for (let count = Math.min(waiting.size, ROUND_MS / this.#part); count > 0; count--) waiting.shift()!();
    if (waiting.size > 0) this.#look();
  };

  #next(now: number): void {
    this.#round++;
    this.#roundFrom = now;
    this.#active = 0;
    this.#worked = 0;
  }
}
