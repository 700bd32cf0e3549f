/**
 * Estimates how large the answers of one route are. A handler takes no room until it answers, and how much it will take
 * is not known beforehand. Its answer is expected to be as large as the largest one that its route has ever given. A
 * route that has not answered yet starts few handlers at first, over all connections. That number doubles with each
 * half second.
 *
 * @module
 */

/** The number of handlers of a route that may run at first, before any has answered. */
const UNKNOWN_AT_FIRST = 2;
/** The time after which twice as many may run, in milliseconds. */
const DOUBLE_AFTER = 500;

/** The answers of one route. */
export class AnswerSizes {
  /** The size of the largest answer, header included, in bytes; -1 before the first answer. */
  largest = -1;
  /** The number of running handlers that were started before any answer was seen. */
  #unknown = 0;
  /** The time at which the first of them started. */
  #since = 0;

  /** Counts an answer of `size` bytes. */
  seen(size: number): void {
    if (size > this.largest) this.largest = size;
  }

  /** Returns whether one more handler may start before the size of its answer is known. */
  mayStart(now: number): boolean {
    if (this.#unknown < UNKNOWN_AT_FIRST) return true;
    return this.#unknown < UNKNOWN_AT_FIRST * 2 ** Math.floor((now - this.#since) / DOUBLE_AFTER);
  }

  /** Counts a handler that starts before the size of its answer is known. */
  started(now: number): void {
    if (this.#unknown++ === 0) this.#since = now;
  }

  /** Counts the end of such a handler. */
  ended(): void {
    this.#unknown--;
  }
}
