/**
 * One timer for all timeouts of a Server or a Client: entries hang in the slots of a wheel, and only the next slot in use
 * has a real timer, which does not keep the process alive unless it is held. Adding and removing an entry costs a few assignments; a timeout
 * comes up to two ticks late and never early.
 *
 * Hashed timing wheels: Varghese and Lauck, 1987.
 *
 * @module
 */

import type { Clock, TimerHandle } from "./clock.ts";

const SLOTS = 512;

/** How fine deadlines are, in milliseconds. */
const TICK_MS = 10;

/** So many entries are kept in a list: a client with nothing to do has two or three, and a wheel takes 4 KB. */
const FEW = 8;

/** A timer this late shows that our own event loop stood still, in milliseconds. */
export const LATE_MS = 500;
/** A timer this late waits for so long again, in milliseconds: what came in time is read first. */
const LOOK_AFTER_MS = 30;
const LOOK_FOR_MS = 20;
/** It waits so many times at most. */
const PUT_OFF = 4;

/** Something that has a deadline. Extend it; an entry hangs in one wheel at a time. */
export abstract class TimerEntry {
  /** The neighbours in its slot; the wheel's own. */
  before: TimerEntry | undefined = undefined;
  /** The neighbours in its slot; the wheel's own. */
  after: TimerEntry | undefined = undefined;
  /** The tick it is due at; -1 while it hangs in no wheel. */
  tick = -1;

  /** Called once, when the time is over; the entry is free again by then. */
  abstract expire(): void;
}

/** An entry that calls a function. */
export class Timeout extends TimerEntry {
  readonly #onExpire: () => void;

  /** @param onExpire What to call. */
  constructor(onExpire: () => void) {
    super();
    this.#onExpire = onExpire;
  }

  /** Calls it. */
  override expire(): void {
    this.#onExpire();
  }
}

/** The wheel. */
export class TimerWheel {
  readonly #clock: Clock;
  /** Where entries hang from the first time on that they are more than a few. */
  #slots: (TimerEntry | undefined)[] | undefined = undefined;
  /** Where they are before, in no order. */
  #few: TimerEntry[] = [];
  #size = 0;
  #holds = 0;
  /** The last tick whose slot was served. */
  #served: number;
  /** The tick that the real timer is set for, and the timer. */
  #armed = Infinity;
  #timer: TimerHandle = undefined;
  /** How often the timer was put off. */
  #putOff = 0;
  #closed = false;

  /** @param clock The time. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#served = tickAt(clock.now());
  }

  /** How many entries hang in it. */
  get size(): number {
    return this.#size;
  }

  /** Hangs an entry up; one that hangs already gets the new deadline. A closed wheel takes nothing. */
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

  /** Takes an entry down; one that hangs nowhere is ignored. */
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
   * Waits for a promise to settle, but for no longer than `ms` milliseconds. A closed wheel waits for the promise alone.
   *
   * @returns Whether the promise settled in time. It never rejects.
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

  /** Keeps the process alive until as many {@linkcode release}s: somebody waits for an entry that must not be lost. */
  hold(): void {
    if (this.#holds++ === 0) this.#rehold();
  }

  /** Takes a {@linkcode hold} back. */
  release(): void {
    if (--this.#holds === 0) this.#rehold();
  }

  /** Takes the real timer down, for good; entries that still hang are forgotten. */
  close(): void {
    this.#closed = true;
    this.#disarm();
    this.#slots = undefined;
    this.#few = [];
    this.#size = 0;
  }

  #arm(due: number, now: number): void {
    this.#disarm();
    // Looks once a turn at least: no runtime has timers for more than 2^31 - 1 ms.
    const tick = Math.min(due, tickAt(now) + SLOTS);
    this.#armed = tick;
    this.#timer = this.#clock.setTimeout(() => this.#fire(tick * TICK_MS), Math.max(0, tick * TICK_MS - now));
    if (this.#holds === 0) this.#clock.unref(this.#timer);
  }

  /** Makes the real timer keep the process alive, or let it end. */
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
   * Serves a timer that was set for `due`. While the event loop stands still, whatever arrives is not read: so a deadline that is
   * called late is called a moment later, when the loop has had time for the sockets. It is not put off without end: a loop
   * that is always busy is always late.
   */
  #fire(due: number): void {
    const now = this.#clock.now();
    if (now - due <= LOOK_AFTER_MS || this.#putOff === PUT_OFF) return this.#serve();
    this.#putOff++;
    this.#timer = this.#clock.setTimeout(() => this.#fire(now + LOOK_FOR_MS), LOOK_FOR_MS);
    if (this.#holds === 0) this.#clock.unref(this.#timer);
  }

  #serve(): void {
    if (this.#closed) return;
    this.#putOff = 0;
    if (this.#armed < Infinity) this.#disarm();
    const now = tickAt(this.#clock.now());
    const due = this.#due(now);
    this.#served = now;
    // An expiring entry may take others down or hang them up anew: what is no longer due is left alone.
    for (const entry of due) {
      if (this.#closed) return;
      if (entry.tick < 0 || entry.tick > now) continue;
      this.remove(entry);
      entry.expire();
    }
    // One that hung itself up again may have armed the timer for later than what else hangs.
    const next = this.#size > 0 ? this.#nextTick(now) : Infinity;
    if (next < this.#armed) this.#arm(next, this.#clock.now());
  }

  /** The entries whose time is over. */
  #due(now: number): TimerEntry[] {
    const slots = this.#slots;
    // In the order of a wheel: by ticks, and what was added last first.
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

  /** The first tick after `now` with anything in its slot; what hangs there may be due a whole turn later. */
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
