/**
 * Limits how much one connection may hand out before the others have their turn: 1,024 frames or about 2 ms. That is
 * about one read full of small frames. With less, a burst of small frames loses throughput. Connections that have more
 * go on one after the other, for a round of 12 ms. Then the sockets are looked at, and a connection that had been quiet
 * is served at once. If connections wait in line, those that usually take little time come first.
 *
 * @module
 */

import type { EventLoop } from "../base/clock.ts";
import { Fifo } from "../base/fifo.ts";

/** The most frames of one batch. */
export const BATCH_FRAMES = 1024;
/** The most time of one batch, in milliseconds. */
const BATCH_MS = 2;
/** The most time that all connections together may take between two looks at the sockets, in milliseconds. */
const ROUND_MS = 12;
/** The most time of a batch of a connection that was quiet, after the time of the round is up, in milliseconds. */
const GUEST_MS = 0.1;
/**
 * A connection is light, and served at once, if it took less than this, in milliseconds, in its last round or in the
 * one before. A single round proves nothing, because the system may have run another process in the middle of it.
 */
const LIGHT_MS = 0.5;
/** A batch that took at least this long, in milliseconds, did not have many frames, but frames that take long. */
const HEAVY_MS = 2 * BATCH_MS;
/** A round in which one connection works without a pause ends after this time, in milliseconds. */
const LONGEST_MS = 100;
/** A round ends after several connections took this long together, in milliseconds, even if none has more to do. */
const BUSY_MS = 4;
/** If more connections than this wait, or if rounds take longer, all sockets are to be looked at after each round. */
const CROWD = 8;
/**
 * The most frames between two reads of the clock. It is read after 1, 2, 4 and so on frames, because a read costs as
 * much as a small frame.
 */
const ASK_EVERY = 32;
/** The same for a batch that has less time than usual. */
const ASK_OFTEN = 8;

/** The number of inflated bytes after which a connection does not read on in the same turn: about 0.1 ms. */
const MAX_INFLATED = 256 * 1024;
/**
 * The number of bytes that all connections together may inflate between two looks at the sockets. It may be exceeded by one
 * message of each line. Most take 1 ms for 8 MiB, but memory that was not used before can make it 20.
 */
const ROUND_INFLATED = 8 * 1024 * 1024;

/** The value of {@linkcode Share.round} for a connection that has handed out nothing yet. */
const NEW = -1;
/** The value of {@linkcode Share.round} for a connection that has waited in line. */
const CALLED = -2;

/** A connection that has more to hand out. */
export interface BatchWaiter {
  /**
   * Called when the others have had their turn. It must not throw. Returns the time that its work will take, in
   * milliseconds, if it is done later.
   */
  proceed(): number | void;
}

/** The time that one connection has used in its last rounds. */
export interface Share {
  /** The last round in which it handed out something; -1 before the first, -2 when it has waited in line. */
  round: number;
  /** The time that it used in that round, in milliseconds; Infinity if it had more to hand out. */
  used: number;
  /** The same for the previous round in which it handed out something; Infinity if there was none. */
  usedBefore: number;
  /** True if much was inflated in its last batch. */
  inflates: boolean;
}

/** The budget of one batch, and of the rounds that the connections of one Server or Client share. */
export class BatchBudget {
  readonly #loop: Pick<EventLoop, "clock" | "yield">;
  #started = 0;
  #spent = 0;
  /** The number of bytes that were inflated in this batch, and in this round. */
  #inflated = 0;
  #roundInflated = 0;
  /** The time that frames of this batch will take once it has ended, in milliseconds. */
  #later = 0;
  #askAt = 1;
  /** The most time of this batch, in milliseconds. */
  #most = BATCH_MS;
  #round = 0;
  #roundFrom = 0;
  /** The number of connections that were not light in this round, and the time that all connections took. */
  #active = 0;
  #worked = 0;
  /** The number of connections that waited when this round began. */
  #crowd = 0;
  /** True while the end of this round is scheduled. */
  #looking = false;
  /** True while connections that waited have their turn. */
  #calling = false;
  /** The connections that go on after that. Those that take little time come first. */
  readonly #light = new Fifo<BatchWaiter>();
  readonly #waiting = new Fifo<BatchWaiter>();
  /** The connections that come last: their single frames take long, or may do so. Created for the first one. */
  #heavy: Fifo<BatchWaiter> | undefined = undefined;
  /** Called when no end of a round is scheduled any more. */
  #onOver: (() => void)[] = [];

  /** @param loop Tells the time, and gives the others their turn. */
  constructor(loop: Pick<EventLoop, "clock" | "yield">) {
    this.#loop = loop;
  }

  /** Begins a batch of the connection with this share. The clock is read only if there are `several` frames. */
  start(several: boolean, now?: number, share?: Share): void {
    this.#spent = 0;
    this.#inflated = 0;
    this.#later = 0;
    this.#most = this.#left(share);
    this.#askAt = several ? 1 : Infinity;
    if (several) this.#started = now ?? this.#loop.clock.now();
  }

  /** Resumes a batch of `spent` frames that began at `started`. Returns false if the others must have their turn. */
  resume(spent: number, started: number, share: Share): boolean {
    this.#spent = spent;
    this.#inflated = 0;
    this.#later = 0;
    this.#started = started;
    this.#askAt = spent + 1;
    this.#most = this.#left(share);
    return spent < BATCH_FRAMES && this.#loop.clock.now() - started <= this.#most;
  }

  /** Counts a frame. Returns true if the others must have their turn. */
  spend(): boolean {
    const spent = ++this.#spent;
    if (spent >= BATCH_FRAMES) return true;
    if (spent < this.#askAt) return false;
    if (this.#roundInflated >= ROUND_INFLATED) return true;
    this.#askAt = spent + Math.min(spent, this.#most < BATCH_MS ? ASK_OFTEN : ASK_EVERY);
    return this.#loop.clock.now() - this.#started + this.#later > this.#most;
  }

  /** Does the same for something that was skipped. The clock is read, because skipping may have taken long. */
  pass(): boolean {
    this.ask();
    return this.spend();
  }

  /** Has the clock read at the end of the current frame, because something in it may have taken long. */
  ask(): void {
    this.#askAt = Math.min(this.#askAt, this.#spent + 1);
  }

  /**
   * Does the same for a frame in which so many bytes were inflated. Many of them need as much time as many frames, however
   * few bytes came.
   */
  inflated(bytes: number): void {
    this.#inflated += bytes;
    this.#roundInflated += bytes;
    this.ask();
  }

  /**
   * Counts the work of `ms` milliseconds that a frame causes once the batch has ended, in microtasks that the clock of the
   * batch does not see.
   */
  postpone(ms: number): void {
    this.#later += ms;
    this.ask();
  }

  /** The sum of what was postponed in this batch, in milliseconds. */
  get later(): number {
    return this.#later;
  }

  /** True if so much was inflated in this batch that its connection must not read on before the others had their turn. */
  get inflates(): boolean {
    return this.#inflated >= MAX_INFLATED;
  }

  /** Returns whether a connection has used its share, so that it must wait for the others. */
  exhausted(share: Share): boolean {
    if (!this.#looking) return false;
    // A connection whose turn came may have had nothing to hand out. What arrives later is not of that turn.
    if (share.inflates && !this.#calling && this.#roundInflated >= ROUND_INFLATED) return true;
    if (share.round === CALLED) return false;
    if (share.round === this.#round && share.used >= BATCH_MS) return true;
    if (!this.late || isLight(share)) return false;
    // If single frames take long, a connection that is not known to take little waits in line, too.
    if (this.#worked >= 2 * ROUND_MS) return true;
    // A connection that was busy within the rounds that the line takes must wait in line once the time is up.
    return share.round >= 0 && this.#round - share.round <= 1 + this.#inLine * BATCH_MS / ROUND_MS;
  }

  /** True while the end of this round is scheduled and its time is up. */
  get late(): boolean {
    return this.#looking && this.#worked >= ROUND_MS;
  }

  /** Counts a batch that began at `from` and ends now. `many` is true if several connections have the same share. */
  used(share: Share, from: number, many = false): void {
    const took = this.#loop.clock.now() - from + this.#later;
    // A round whose end is not scheduled ends by itself, unless most of it was work.
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

  /** Lets `waiter` go on when the others have had their turn. */
  wait(waiter: BatchWaiter, share?: Share): void {
    // One that waits again without having handed out anything is known by nothing.
    const heavy = share !== undefined &&
      (share.round === NEW || share.used >= HEAVY_MS && share.round !== CALLED);
    if (share !== undefined && share.usedBefore < LIGHT_MS) this.#light.push(waiter);
    else if (heavy) (this.#heavy ??= new Fifo()).push(waiter);
    else this.#waiting.push(waiter);
    if (share !== undefined) {
      share.round = CALLED;
      share.used = Infinity;
    }
    this.#look();
  }

  /** Resolves once no end of a round is scheduled; never rejects. Closing waits for it, so that nothing is left over. */
  over(): Promise<void> {
    return this.#looking ? new Promise((resolve) => this.#onOver.push(resolve)) : Promise.resolve();
  }

  /** Returns the most time of the next batch, in milliseconds. */
  #left(share: Share | undefined): number {
    if (!this.late || share === undefined || share.round === CALLED) return BATCH_MS;
    return isLight(share) ? LIGHT_MS : GUEST_MS;
  }

  /** Schedules the end of this round: the sockets are looked at, then the next round begins. */
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
    // At least one of these goes on in each round, so that none waits forever.
    if (this.#heavy !== undefined) this.#call(this.#heavy, from, ROUND_MS / 2);
    if (this.#inLine > 0) this.#look();
    if (this.#looking) return;
    const onOver = this.#onOver;
    this.#onOver = [];
    for (const resolve of onOver) resolve();
  };

  /** Lets the present waiters of a line go on, at least one, until `most` milliseconds of the round are over. */
  #call(line: Fifo<BatchWaiter>, from: number, most: number): void {
    let later = 0;
    this.#calling = true;
    for (let left = line.size; left > 0; left--) {
      later += line.shift().proceed() ?? 0;
      if (this.#roundInflated >= ROUND_INFLATED || this.#loop.clock.now() - from + later >= most) break;
    }
    this.#calling = false;
  }

  get #inLine(): number {
    return this.#light.size + this.#waiting.size + (this.#heavy?.size ?? 0);
  }

  #next(now: number): void {
    this.#round++;
    this.#roundFrom = now;
    this.#active = 0;
    this.#worked = 0;
    this.#roundInflated = 0;
  }
}

function isLight(share: Share): boolean {
  return share.round >= 0 && Math.min(share.used, share.usedBefore) < LIGHT_MS;
}
