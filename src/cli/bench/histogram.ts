/**
 * Times in buckets: percentiles of any number of values in the same memory.
 *
 * @module
 */

/** The least time that has a bucket of its own, in milliseconds. */
const LEAST = 1e-4;

/** Buckets for each doubling. A bucket is 0.5 % wide, so a percentile is off by 0.3 % at most. */
const EACH_DOUBLING = 128;

/** From a ten-thousandth of a millisecond to 16 minutes, about. */
const BUCKETS = 33 * EACH_DOUBLING + 1;

/** A histogram of times in milliseconds. Least, greatest and mean are exact. */
export class Histogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #least = Infinity;
  #greatest = 0;

  /** The number of values. */
  get count(): number {
    return this.#count;
  }

  /** The least value; 0 without values. */
  get least(): number {
    return this.#count === 0 ? 0 : this.#least;
  }

  /** The greatest value; 0 without values. */
  get greatest(): number {
    return this.#greatest;
  }

  /** The mean; 0 without values. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Adds a time, once or several times. */
  record(ms: number, times = 1): void {
    const value = Math.max(0, ms);
    const bucket = value <= LEAST ? 0 : Math.round(Math.log2(value / LEAST) * EACH_DOUBLING);
    this.#buckets[Math.min(bucket, BUCKETS - 1)] += times;
    this.#count += times;
    this.#sum += value * times;
    this.#least = Math.min(this.#least, value);
    this.#greatest = Math.max(this.#greatest, value);
  }

  /** Returns the time that `percent` of the values do not exceed; 0 without values. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil(percent / 100 * this.#count));
    let seen = 0;
    for (const [bucket, count] of this.#buckets.entries()) {
      seen += count;
      if (seen < rank) continue;
      // It has all that is longer, too.
      if (bucket === BUCKETS - 1) return this.#greatest;
      const middle = LEAST * 2 ** (bucket / EACH_DOUBLING);
      return Math.min(Math.max(middle, this.#least), this.#greatest);
    }
    return 0;
  }
}
