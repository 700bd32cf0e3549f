/**
 * Gathers what connections send in one turn of the event loop, and writes it when the turn ends. A chunk full of requests
 * is thus answered in one write.
 *
 * @module
 */

import type { EventLoop, TimerHandle } from "../base/clock.ts";

/** Something that is written when the turn ends. */
export interface Flushable {
  /** Writes what has been gathered. */
  flush(): void;
}

/** The connections that are flushed at the end of this turn. */
export class FlushQueue {
  readonly #loop: EventLoop;
  readonly #gather: number;
  #waiting: Flushable[] = [];
  #open = false;
  #turn = 0;
  #timer: TimerHandle = undefined;

  /**
   * @param loop Reports the end of a turn.
   * @param gather The time to gather writes, in milliseconds; 0 gathers until the end of the turn.
   */
  constructor(loop: EventLoop, gather = 0) {
    this.#loop = loop;
    this.#gather = gather;
  }

  /** True if writes are gathered for longer than a turn, so that even the first one waits. */
  get patient(): boolean {
    return this.#gather > 0;
  }

  /** True from {@linkcode begin} until the turn ends, so that nothing needs to be written earlier. */
  get open(): boolean {
    return this.#open;
  }

  /** The number of turns that have ended after a call of {@linkcode begin}. */
  get turn(): number {
    return this.#turn;
  }

  /** Schedules the end of this turn, which flushes what waits unless writes are gathered for longer. */
  begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#loop.defer(this.#end);
  }

  /** Flushes what waits, unless writes are gathered for longer than a turn. The turn goes on. */
  flush(): void {
    if (!this.patient) this.#flush();
  }

  /** Flushes `writer` at the end of this turn, or when the time to gather is over. */
  add(writer: Flushable): void {
    this.begin();
    this.#waiting.push(writer);
    if (this.patient && this.#waiting.length === 1) {
      this.#timer = this.#loop.clock.setTimeout(this.#flush, this.#gather);
    }
  }

  /** Removes a writer from those that are gathered for longer than a turn. Removing the last one clears the timer. */
  remove(writer: Flushable): void {
    if (!this.patient || !this.#waiting.includes(writer)) return;
    this.#waiting = this.#waiting.filter((other) => other !== writer);
    if (this.#waiting.length === 0) this.#loop.clock.clearTimeout(this.#timer);
  }

  readonly #end = (): void => {
    this.#open = false;
    this.#turn++;
    this.flush();
  };

  readonly #flush = (): void => {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    let next = 0;
    try {
      while (next < waiting.length) waiting[next++].flush();
    } finally {
      // A transport may be anybody's. What fails in it must not hold up the others.
      while (next < waiting.length) this.add(waiting[next++]);
    }
  };
}
