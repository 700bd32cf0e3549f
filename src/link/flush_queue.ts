/**
 * Gathers what the connections of one Server or Client send between two rounds of I/O, and writes it when the turn of the
 * event loop ends: a chunk full of requests is answered in one write.
 *
 * @module
 */

import type { EventLoop, TimerHandle } from "../base/clock.ts";

/** Something to be written when the turn ends. */
export interface Flushable {
  /** Writes what was gathered. */
  flush(): void;
}

/** The connections to flush at the end of this turn. */
export class FlushQueue {
  readonly #loop: EventLoop;
  readonly #gather: number;
  #waiting: Flushable[] = [];
  #open = false;
  #turn = 0;
  #timer: TimerHandle = undefined;

  /**
   * @param loop Where turns end.
   * @param gather How long to wait instead of for the end of a turn, in milliseconds; 0 for that.
   */
  constructor(loop: EventLoop, gather = 0) {
    this.#loop = loop;
    this.#gather = gather;
  }

  /** Whether even the first write waits. */
  get patient(): boolean {
    return this.#gather > 0;
  }

  /** Whether the end of this turn is waited for: then nothing needs to be written before. */
  get open(): boolean {
    return this.#open;
  }

  /** The number of this turn, of those whose end was waited for. */
  get turn(): number {
    return this.#turn;
  }

  /** Waits for the end of this turn, if that is not done already. */
  begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#loop.defer(this.#end);
  }

  /** Has something flushed at the end of this turn, or when enough was gathered. */
  add(writer: Flushable): void {
    this.begin();
    this.#waiting.push(writer);
    if (this.patient && this.#waiting.length === 1) {
      this.#timer = this.#loop.clock.setTimeout(this.#flush, this.#gather);
    }
  }

  /** Flushes something no more; the last one takes the timer with it. */
  remove(writer: Flushable): void {
    if (!this.patient || !this.#waiting.includes(writer)) return;
    this.#waiting = this.#waiting.filter((other) => other !== writer);
    if (this.#waiting.length === 0) this.#loop.clock.clearTimeout(this.#timer);
  }

  readonly #end = (): void => {
    this.#open = false;
    this.#turn++;
    if (!this.patient) this.#flush();
  };

  readonly #flush = (): void => {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const writer of waiting) writer.flush();
  };
}
