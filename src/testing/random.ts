/**
 * Random choices from a seed.
 *
 * @module
 */

import { seeded } from "../base/random.ts";

/**
 * Random choices that are the same for the same seed, on every runtime.
 *
 * @category Testing
 */
export class SeededRandom {
  readonly #next: () => number;

  /**
   * Creates a source of numbers.
   *
   * @param seed Any integer; its lowest 32 bits count.
   */
  constructor(seed: number) {
    this.#next = seeded(seed);
  }

  /** Returns a number from 0 up to 1, as `Math.random` does. */
  next(): number {
    return this.#next();
  }

  /** Returns a whole number from 0 to `limit` − 1. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  /** Returns true with this probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** Returns one of the items. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)];
  }
}
