/**
 * The times of many round trips and their percentiles.
 *
 * @module
 */

/** How many of the latest it keeps. */
const KEPT = 20_000;

/** Collects round trips, in milliseconds. */
export class RoundTrips {
  readonly #times = new Float64Array(KEPT);
  #count = 0;
  #known: { count: number; p50: number; p99: number } | undefined = undefined;

  /** Adds one. */
  add(time: number): void {
    this.#times[this.#count++ % KEPT] = time;
  }

  /** Half of them, and 99 of 100, took no longer; `undefined` while there are none. */
  percentiles(): { p50: number; p99: number } | undefined {
    if (this.#count > 0 && this.#known?.count !== this.#count) {
      const sorted = this.#times.slice(0, this.#count).sort();
      const at = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1];
      this.#known = { count: this.#count, p50: at(0.5), p99: at(0.99) };
    }
    return this.#known;
  }
}
