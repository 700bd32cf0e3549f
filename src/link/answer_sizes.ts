/**
 * How large the answers of one route are. A handler takes no room until it answers, and nobody knows beforehand how
 * much it will take. Its answer is expected to be as large as the largest that its route has ever given. A route that has not
 * answered yet starts few handlers at first, over all connections, and twice as many with each half second that passes.
 *
 * @module
 */

/** How many handlers of a route may run at first before one of them has answered. */
const UNKNOWN_AT_FIRST = 2;
/** How long it takes until twice as many may, in milliseconds. */
const DOUBLE_AFTER = 500;

/** The answers of one route. */
export class AnswerSizes {
  /** The size of the largest one in bytes, its header included; -1 before the first. */
  largest = -1;
  /** How many handlers run that were started before any answer was seen. */
  #unknown = 0;
  /** When the first one started. */
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

  /** Counts the end of one. */
  ended(): void {
    this.#unknown--;
  }
}
