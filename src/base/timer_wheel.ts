/**
 * Runs all timeouts of a Server or a Client on one timer. Entries are kept in the slots of a wheel, and only the next
 * slot in use has a real timer. That timer does not keep the process alive unless the wheel is held. Adding and
 * removing an entry costs a few assignments. A timeout fires up to two ticks late and never early.
 *
 * Hashed timing wheels: Varghese and Lauck, 1987.
 *
 * @module
 */

import type { Clock, EventLoop, TimerHandle } from "./clock.ts";
import { Timeout, type TimerEntry } from "./timer_entry.ts";

export { Timeout, TimerEntry } from "./timer_entry.ts";

const SLOTS = 512;

/** The resolution of deadlines, in milliseconds. */
const TICK_MS = 10;

/** Up to this many entries are kept in a list. A client with nothing to do has two or three, and a wheel takes 4 KB. */
const FEW = 8;

/** A timer that is late by more than this shows that the event loop of this process stood still, in milliseconds. */
export const LATE_MS = 500;
/**
 * A timer that is late by more than this waits for `LOOK_FOR_MS` longer, so that data that arrived in time is read
 * first. Both are in milliseconds.
 */
const LOOK_AFTER_MS = 30;
const LOOK_FOR_MS = 20;
/** The most times in a row that a timer is put off. */
const PUT_OFF = 4;
/** Where a timer would come too late for that, it waits for so many turns of the event loop. */
const LOOK_TURNS = 10;

/** Schedules entries; see the module. */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #loop: Pick<EventLoop, "throttled" | "yield"> | undefined;
  /** The slots, from the first time on that there are more than a few entries. */
  #slots: (TimerEntry | undefined)[] | undefined = undefined;
  /** All entries before that, in no order. */
  #few: TimerEntry[] = [];
  #size = 0;
  #holds = 0;
  /** The last tick whose slot was served. */
  #served: number;
  /** The tick that the real timer is set for; `Infinity` without a timer. */
  #armed = Infinity;
  #timer: TimerHandle = undefined;
  /** How many times in a row the timer was put off. */
  #putOff = 0;
  #closed = false;

  /**
   * @param clock The time.
   * @param loop The event loop, if its timers may be throttled.
   */
  constructor(clock: Clock, loop?: Pick<EventLoop, "throttled" | "yield">) {
    this.#clock = clock;
    this.#loop = loop;
    this.#served = tickAt(clock.now());
  }

  /** The number of scheduled entries. */
  get size(): number {
    return this.#size;
  }

  /**
   * Schedules an entry for `ms` milliseconds from now. An entry that is already scheduled is rescheduled. A closed
   * wheel ignores it.
   */
  add(entry: TimerEntry, ms: number): void {
    if (this.#closed) return;
    if (entry.tick >= 0) this.remove(entry);
    const now = this.#clock.now();
    if (this.#size === 0) this.#served = tickAt(now);
    const tick = tickAt(now + ms) + 1;
    entry.tick = tick;
    if (this.#slots === undefined && this.#size === FEW) {
      this.#slots = new Array(SLOTS);
      for (const other of this.#few) hang(this.#slots, other);
      this.#few = [];
    }
    if (this.#slots === undefined) this.#few.push(entry);
    else hang(this.#slots, entry);
    this.#size++;
    if (tick < this.#armed) this.#arm(tick, now);
  }

  /** Removes an entry. One that is not scheduled is ignored. */
  remove(entry: TimerEntry): void {
    if (entry.tick < 0 || this.#closed) return;
    if (this.#slots === undefined) {
      const last = this.#few.pop()!;
      if (last !== entry) this.#few[this.#few.indexOf(entry)] = last;
    } else takeDown(this.#slots, entry);
    entry.tick = -1;
    this.#size--;
  }

  /**
   * Waits for a promise to settle, but for no longer than `ms` milliseconds. A closed wheel waits for the promise
   * alone.
   *
   * @returns True if the promise settled in time, otherwise false. It never rejects.
   */
  within(ms: number, promise: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const limit = new Timeout(() => resolve(false));
      const settled = (): void => {
        this.remove(limit);
        resolve(true);
      };
      this.add(limit, ms);
      promise.then(settled, settled);
    });
  }

  /**
   * Keeps the process alive until {@linkcode release} has been called as often. Somebody waits for an entry that must
   * not be lost.
   */
  hold(): void {
    if (this.#holds++ === 0) this.#rehold();
  }

  /** Reverts one {@linkcode hold}. */
  release(): void {
    if (--this.#holds === 0) this.#rehold();
  }

  /** Cancels the real timer for good. Entries that are still scheduled are forgotten. */
  close(): void {
    this.#closed = true;
    this.#disarm();
    // Another wheel may schedule them.
    for (const entry of this.#few) entry.tick = -1;
    for (const slot of this.#slots ?? []) {
      for (let entry = slot; entry !== undefined;) {
        const { after } = entry;
        entry.tick = -1;
        entry.before = entry.after = undefined;
        entry = after;
      }
    }
    this.#slots = undefined;
    this.#few = [];
    this.#size = 0;
  }

  #arm(due: number, now: number): void {
    this.#disarm();
    // The timer fires at least once a turn of the wheel: no runtime has timers for more than 2^31 - 1 ms.
    const tick = Math.min(due, tickAt(now) + SLOTS);
    this.#armed = tick;
    this.#timer = this.#clock.setTimeout(() => this.#fire(tick * TICK_MS), Math.max(0, tick * TICK_MS - now));
    if (this.#holds === 0) this.#clock.unref(this.#timer);
  }

  /** Makes the real timer keep the process alive, or lets the process exit. */
  #rehold(): void {
    if (this.#armed === Infinity) return;
    if (this.#holds === 0) this.#clock.unref(this.#timer);
    else if (this.#clock.ref !== undefined) this.#clock.ref(this.#timer);
    else this.#arm(this.#armed, this.#clock.now());
  }

  #disarm(): void {
    if (this.#armed !== Infinity) this.#clock.clearTimeout(this.#timer);
    this.#armed = Infinity;
    this.#timer = undefined;
  }

  /**
   * Serves a timer that was set for `due`. While the event loop stands still, nothing that arrives is read. A deadline
   * that fires late is therefore put off for a moment, until the loop has had time for the sockets. It is not put off
   * without end: a loop that is always busy is always late.
   */
  #fire(due: number): void {
    const now = this.#clock.now();
    if (now - due <= LOOK_AFTER_MS || this.#putOff === PUT_OFF) return this.#serve();
    if (this.#loop?.throttled?.()) return this.#serveIn(LOOK_TURNS, this.#loop);
    this.#putOff++;
    this.#timer = this.#clock.setTimeout(() => this.#fire(now + LOOK_FOR_MS), LOOK_FOR_MS);
    if (this.#holds === 0) this.#clock.unref(this.#timer);
  }

  /** Serves after so many turns of the event loop, in which what has arrived is read. */
  #serveIn(turns: number, loop: Pick<EventLoop, "yield">): void {
    if (turns === 0) this.#serve();
    else loop.yield(() => this.#serveIn(turns - 1, loop));
  }

  #serve(): void {
    if (this.#closed) return;
    this.#putOff = 0;
    if (this.#armed < Infinity) this.#disarm();
    const now = tickAt(this.#clock.now());
    const due = this.#due(now);
    this.#served = now;
    // An expiring entry may remove others or reschedule them. An entry that is no longer due is left alone.
    for (const entry of due) {
      if (this.#closed) return;
      if (entry.tick < 0 || entry.tick > now) continue;
      this.remove(entry);
      entry.expire();
    }
    // An entry that scheduled itself again may have armed the timer for later than the next of the others.
    const next = this.#size > 0 ? this.#nextTick(now) : Infinity;
    if (next < this.#armed) this.#arm(next, this.#clock.now());
  }

  /** Returns the entries whose time is over. */
  #due(now: number): TimerEntry[] {
    const slots = this.#slots;
    // The order is that of a wheel: by ticks, and for the same tick the last one added first (unless one was removed).
    if (slots === undefined) {
      return this.#few.filter(({ tick }) => tick <= now).reverse().sort((a, b) => a.tick - b.tick);
    }
    const due: TimerEntry[] = [];
    for (let tick = Math.max(this.#served + 1, now - SLOTS + 1); tick <= now; tick++) {
      for (let entry = slots[tick % SLOTS]; entry !== undefined; entry = entry.after) {
        if (entry.tick <= now) due.push(entry);
      }
    }
    return due;
  }

  /** Returns the first tick after `now` whose slot is in use. The entries in it may be due one or more turns later. */
  #nextTick(now: number): number {
    if (this.#slots === undefined) return Math.min(...this.#few.map(({ tick }) => tick));
    for (let tick = now + 1; tick < now + SLOTS; tick++) {
      if (this.#slots[tick % SLOTS] !== undefined) return tick;
    }
    return now + SLOTS;
  }
}

function tickAt(ms: number): number {
  return Math.floor(ms / TICK_MS);
}

function hang(slots: (TimerEntry | undefined)[], entry: TimerEntry): void {
  const slot = entry.tick % SLOTS;
  const first = slots[slot];
  entry.after = first;
  if (first !== undefined) first.before = entry;
  slots[slot] = entry;
}

function takeDown(slots: (TimerEntry | undefined)[], entry: TimerEntry): void {
  const { before, after } = entry;
  if (before === undefined) slots[entry.tick % SLOTS] = after;
  else before.after = after;
  if (after !== undefined) after.before = before;
  entry.before = undefined;
  entry.after = undefined;
}
