/**
 * Load from some lanes, each of which has one operation under way at a time: as fast as they go, or at a rate.
 *
 * At a rate, operations are due by a timetable that does not care for answers. An operation that finds no free lane waits,
 * and its time counts from when it was due. So a server that stands still shows in all operations that were due meanwhile,
 * and not in one alone ("coordinated omission"). What still waits at the end counts with the time that it has waited.
 *
 * @module
 */

import type { Clock, TimerHandle } from "../../base/clock.ts";
import { Histogram } from "./histogram.ts";

/** The timetable's step in milliseconds: finer, timers are not. What is due within a step is sent at its end. */
const STEP = 2;

/** A pause after an operation that failed, in milliseconds, so that failing at once is no endless loop. */
const BREATH = 1;

/** Kinds of errors that are counted apart. */
const KINDS = 8;

/** Does one thing after the other. */
export interface Lane {
  /** Does it once. It rejects where that failed. */
  run(): Promise<unknown>;
  /** False once it can do no more, because its connection is gone. */
  readonly isUp: boolean;
}

/** How to load. */
export interface LoadOptions {
  readonly lanes: readonly Lane[];
  /** How long operations are begun, in milliseconds. */
  readonly duration: number;
  /** Operations a second, over all lanes. @default as many as go */
  readonly rate?: number | undefined;
  readonly clock: Clock;
  /** Ends it early: what is under way is given up, and the result has what there is. */
  readonly signal?: AbortSignal | undefined;
}

/** What it came to. */
export interface LoadResult {
  /** Operations that succeeded. */
  readonly done: number;
  /** Operations that failed, by what they said. */
  readonly errors: ReadonlyMap<string, number>;
  /** Operations that were due and were not begun. 0 without a rate. */
  readonly waiting: number;
  /** From the beginning to the end of the last operation, in milliseconds. */
  readonly elapsed: number;
  /** Times of the operations that succeeded, and of those that still waited. */
  readonly times: Histogram;
  /** How late the timetable's timers came. */
  readonly late: Histogram;
  /** True if all connections were lost before the end. */
  readonly isCut: boolean;
}

/** Operations that are due: since when, and how many. */
interface Due {
  readonly since: number;
  count: number;
}

/** Runs the lanes. Never rejects. */
export function runLoad(options: LoadOptions): Promise<LoadResult> {
  return new Load(options).run();
}

class Load {
  readonly #options: LoadOptions;
  readonly #start: number;
  readonly #end: number;
  readonly #times = new Histogram();
  readonly #late = new Histogram();
  readonly #errors = new Map<string, number>();
  readonly #over = Promise.withResolvers<void>();
  readonly #free: Lane[] = [];
  readonly #due: Due[] = [];
  /** Operations of the timetable, and those of them that are due. */
  readonly #total: number;
  #scheduled = 0;
  #done = 0;
  #busy = 0;
  #lastEnd: number;
  #isOver = false;
  #timer: TimerHandle | undefined = undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#start = options.clock.now();
    this.#end = this.#start + options.duration;
    this.#lastEnd = this.#start;
    this.#total = options.rate === undefined ? 0 : Math.ceil(options.rate * options.duration / 1000 - 1e-9);
  }

  async run(): Promise<LoadResult> {
    const { lanes, rate, signal } = this.#options;
    const stop = (): void => this.#finish();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    else if (rate === undefined) { for (const lane of lanes) this.#begin(lane, this.#now()); }
    else {
      this.#free.push(...lanes);
      this.#schedule(rate);
    }
    await this.#over.promise;
    signal?.removeEventListener("abort", stop);

    const now = this.#now();
    const isCut = lanes.every(({ isUp }) => !isUp);
    const isEarly = isCut || signal?.aborted === true;
    const waiting = this.#due.reduce((sum, { count }) => sum + count, 0);
    for (const { since, count } of this.#due) this.#times.record(now - since, count);
    return {
      done: this.#done,
      errors: this.#errors,
      waiting,
      elapsed: (rate === undefined ? this.#lastEnd : isEarly ? now : Math.max(this.#lastEnd, this.#end)) - this.#start,
      times: this.#times,
      late: this.#late,
      isCut,
    };
  }

  #now(): number {
    return this.#options.clock.now();
  }

  /** Waits until the next step of the timetable at which something is due. */
  #schedule(rate: number): void {
    const { clock } = this.#options;
    if (this.#scheduled === this.#total) return this.#finishIfDone();
    const wake = (): void => {
      if (this.#isOver) return;
      this.#takeDue(rate, clock.now());
      this.#send();
      this.#schedule(rate);
    };
    this.#timer = clock.setTimeout(wake, Math.max(0, Math.ceil(this.#step(rate) - clock.now())));
  }

  /** The step at whose end the next operation is due. */
  #step(rate: number): number {
    return this.#start + STEP * Math.ceil(1000 * this.#scheduled / rate / STEP);
  }

  /** Takes all from the timetable that is due by now. */
  #takeDue(rate: number, now: number): void {
    for (let step = this.#step(rate); step <= now && this.#scheduled < this.#total; step = this.#step(rate)) {
      const until = Math.min(this.#total, Math.floor(rate * (step - this.#start) / 1000 + 1e-9) + 1);
      this.#late.record(now - step);
      // A timer's grain is no fault of the server. A loop that stood still may hide one.
      this.#due.push({ since: now - step <= STEP ? now : step, count: until - this.#scheduled });
      this.#scheduled = until;
    }
  }

  /** Gives what is due to lanes that are free. */
  #send(): void {
    while (this.#due.length > 0 && this.#free.length > 0 && !this.#isOver) {
      const [first] = this.#due;
      if (--first.count === 0) this.#due.shift();
      this.#begin(this.#free.pop()!, first.since);
    }
  }

  /** Does an operation whose time counts from `since`. */
  #begin(lane: Lane, since: number): void {
    this.#busy++;
    lane.run().then(() => {
      if (this.#isOver) return;
      this.#done++;
      this.#times.record(this.#now() - since);
      this.#ended(lane);
    }, (error: unknown) => {
      if (this.#isOver) return;
      this.#count(error);
      this.#options.clock.setTimeout(() => this.#ended(lane), BREATH);
    });
  }

  /** A lane has done an operation. */
  #ended(lane: Lane): void {
    if (this.#isOver) return;
    this.#busy--;
    this.#lastEnd = this.#now();
    if (!lane.isUp) return this.#finishIfDone();
    if (this.#options.rate !== undefined) {
      this.#free.push(lane);
      if (this.#lastEnd < this.#end) this.#send();
    } else if (this.#lastEnd < this.#end) return this.#begin(lane, this.#lastEnd);
    this.#finishIfDone();
  }

  /** Ends when nothing is under way and nothing more will be. */
  #finishIfDone(): void {
    if (this.#busy > 0) return;
    if (this.#scheduled === this.#total || this.#options.lanes.every(({ isUp }) => !isUp)) this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    this.#over.resolve();
  }

  #count(error: unknown): void {
    const { message } = (error ?? {}) as { readonly message?: unknown };
    const text = typeof message === "string" ? message : String(error);
    const key = this.#errors.has(text) || this.#errors.size < KINDS ? text : "other errors";
    this.#errors.set(key, (this.#errors.get(key) ?? 0) + 1);
  }
}
