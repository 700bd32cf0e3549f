/**
 * How much one connection may hand out before the others have their turn: 1,024 frames or about 2 ms. That is about
 * one read full of small frames; fewer cost a burst of them throughput. Connections that have more go on one after the
 * other, for a round of 12 ms. Then the sockets are looked at: whoever comes in between is served at once. Where there is a
 * line, those who usually take little stand at its head.
 *
 * @module
 */

import type { EventLoop } from "../base/clock.ts";
import { Fifo } from "../base/fifo.ts";

/** The most frames of one batch. */
export const BATCH_FRAMES = 1024;
/** The most time of one batch, in milliseconds. */
const BATCH_MS = 2;
/** How long all connections together may take between two looks at the sockets, in milliseconds. */
const ROUND_MS = 12;
/** A batch of a connection that was quiet is handed out all the same when a round is over, for so many milliseconds. */
const GUEST_MS = 0.1;
/**
 * A connection that took less than this, in milliseconds, in its last round or in the one before, is served at once. One
 * round tells nothing: the system may have run another process in the middle of it.
 */
const LIGHT_MS = 0.5;
/** From here on, in milliseconds, it was not many frames that took the time of a batch, but long ones. */
const HEAVY_MS = 2 * BATCH_MS;
/** A round of one connection that works on and on ends after this, in milliseconds. */
const LONGEST_MS = 100;
/** So much time of several connections, in milliseconds, is a round, even if none has more. */
const BUSY_MS = 4;
/** Above so many connections that wait, all sockets are to be looked at in each round; also where rounds take longer. */
const CROWD = 8;
/** The clock is asked after 1, 2, 4 and so on frames, and every so many at least: asking costs as much as a small frame. */
const ASK_EVERY = 32;
/** The same where there is less time. */
const ASK_OFTEN = 8;

/** In place of a round: it has handed out nothing yet. */
const NEW = -1;
/** In place of a round: it has waited in line. */
const CALLED = -2;

/** A connection that has more to hand out. */
export interface BatchWaiter {
  /** Goes on: the others had their turn. It must not throw. Returns what it will cost, in milliseconds, if that comes later. */
  proceed(): number | void;
}

/** What one connection has used of the rounds. */
export interface Share {
  /** The last round in which it handed out something; -1 before the first, -2 when it has waited in line. */
  round: number;
  /** How long that took in this round, in milliseconds; Infinity where it had more. */
  used: number;
  /** The same of the round before that in which it handed out something; Infinity where there was none. */
  usedBefore: number;
}

/** The budget of one batch, and of the rounds that the connections of one Server or Client share. */
export class BatchBudget {
  readonly #loop: Pick<EventLoop, "clock" | "yield">;
  #started = 0;
  #spent = 0;
  #askAt = 1;
  /** How long this batch may take. */
  #most = BATCH_MS;
  #round = 0;
  #roundFrom = 0;
  /** How many connections took much time in this round, and how long all of them took. */
  #active = 0;
  #worked = 0;
  /** How many waited when this round began. */
  #crowd = 0;
  /** Whether the end of this round is waited for. */
  #looking = false;
  /** Who goes on after that: first those that take little. */
  readonly #light = new Fifo<BatchWaiter>();
  readonly #waiting = new Fifo<BatchWaiter>();
  /** Those behind them: whose single frames take long, or may. Made when there is one. */
  #heavy: Fifo<BatchWaiter> | undefined = undefined;
  /** Called when no end of a round is waited for. */
  #onOver: (() => void)[] = [];

  /** @param loop The time, and where the others have their turn. */
  constructor(loop: Pick<EventLoop, "clock" | "yield">) {
    this.#loop = loop;
  }

  /** Begins a batch, of a connection if it has a share; the clock is left alone for a single frame. */
  start(several: boolean, now?: number, share?: Share): void {
    this.#spent = 0;
    this.#most = this.#left(share);
    this.#askAt = several ? 1 : Infinity;
    if (several) this.#started = now ?? this.#loop.clock.now();
  }

  /** Goes on with a batch of `spent` frames that began at `started`; false when the others are to have their turn. */
  resume(spent: number, started: number, share: Share): boolean {
    this.#spent = spent;
    this.#started = started;
    this.#askAt = spent + 1;
    this.#most = this.#left(share);
    return spent < BATCH_FRAMES && this.#loop.clock.now() - started <= this.#most;
  }

  /** Counts a frame; true when the others are to have their turn. */
  spend(): boolean {
    const spent = ++this.#spent;
    if (spent >= BATCH_FRAMES) return true;
    if (spent < this.#askAt) return false;
    this.#askAt = spent + Math.min(spent, this.#most < BATCH_MS ? ASK_OFTEN : ASK_EVERY);
    return this.#loop.clock.now() - this.#started > this.#most;
  }

  /** The same for what was passed over: nobody knows how long that took. */
  pass(): boolean {
    this.#askAt = Math.min(this.#askAt, this.#spent + 1);
    return this.spend();
  }

  /** Whether a connection has had its share, so that it is to wait for the others. */
  exhausted(share: Share): boolean {
    if (!this.#looking || share.round === CALLED) return false;
    if (share.round === this.#round && share.used >= BATCH_MS) return true;
    if (!this.late || isLight(share)) return false;
    // Where single frames take long, whoever is not known for less waits in line, too.
    if (this.#worked >= 2 * ROUND_MS) return true;
    // It was busy just now: when the time is up it waits in line.
    return share.round >= 0 && this.#round - share.round <= 1 + this.#inLine * BATCH_MS / ROUND_MS;
  }

  /** Whether the time of this round is up, and its end is waited for. */
  get late(): boolean {
    return this.#looking && this.#worked >= ROUND_MS;
  }

  /** Counts a batch that began at `from` and ends now; `many` if others stand behind the same share. */
  used(share: Share, from: number, many = false): void {
    const took = this.#loop.clock.now() - from;
    // A round that nobody waits for ends by itself, unless most of it was work.
    const since = from - this.#roundFrom;
    if (!this.#looking && since >= ROUND_MS && (this.#worked < since / 2 || since > LONGEST_MS)) this.#next(from);
    if (share.round !== this.#round) {
      if (share.round !== NEW) share.usedBefore = share.used;
      share.round = this.#round;
      share.used = 0;
    }
    if (share.used < LIGHT_MS && share.used + took >= LIGHT_MS) this.#active += many ? CROWD + 1 : 1;
    share.used += took;
    this.#worked += took;
    if (this.#worked >= BUSY_MS && this.#active > 1) this.#look();
  }

  /** Lets `waiter` go on when the others had their turn. */
  wait(waiter: BatchWaiter, share?: Share): void {
    const heavy = share !== undefined && (share.round === NEW || share.used >= HEAVY_MS);
    if (share !== undefined && share.usedBefore < LIGHT_MS) this.#light.push(waiter);
    else if (heavy) (this.#heavy ??= new Fifo()).push(waiter);
    else this.#waiting.push(waiter);
    if (share !== undefined) {
      share.round = CALLED;
      share.used = Infinity;
    }
    this.#look();
  }

  /** Resolves once no round is pending, and never rejects. Closing waits for it, so that no timer is left behind. */
  over(): Promise<void> {
    return this.#looking ? new Promise((resolve) => this.#onOver.push(resolve)) : Promise.resolve();
  }

  /** How long the next batch may take. */
  #left(share: Share | undefined): number {
    if (!this.late || share === undefined || share.round === CALLED) return BATCH_MS;
    return isLight(share) ? LIGHT_MS : GUEST_MS;
  }

  /** Sees to it that the sockets are looked at; then the next round begins. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    const long = this.#worked >= 2 * ROUND_MS || (this.#heavy?.size ?? 0) > 0;
    this.#loop.yield(this.#begin, long || Math.max(this.#crowd, this.#active) > CROWD);
  }

  readonly #begin = (): void => {
    this.#looking = false;
    const from = this.#loop.clock.now();
    this.#next(from);
    this.#crowd = this.#inLine;
    this.#call(this.#light, from, ROUND_MS);
    this.#call(this.#waiting, from, ROUND_MS);
    // One of these at least: they are not to wait for good.
    if (this.#heavy !== undefined) this.#call(this.#heavy, from, ROUND_MS / 2);
    if (this.#inLine > 0) this.#look();
    if (this.#looking) return;
    const onOver = this.#onOver;
    this.#onOver = [];
    for (const resolve of onOver) resolve();
  };

  /** Lets those go on who wait now, one at least, until `most` milliseconds of the round are over. */
  #call(line: Fifo<BatchWaiter>, from: number, most: number): void {
    let later = 0;
    for (let left = line.size; left > 0; left--) {
      later += line.shift().proceed() ?? 0;
      if (this.#loop.clock.now() - from + later >= most) return;
    }
  }

  get #inLine(): number {
    return this.#light.size + this.#waiting.size + (this.#heavy?.size ?? 0);
  }

  #next(now: number): void {
    this.#round++;
    this.#roundFrom = now;
    this.#active = 0;
    this.#worked = 0;
  }
}

function isLight(share: Share): boolean {
  return share.round >= 0 && Math.min(share.used, share.usedBefore) < LIGHT_MS;
}
