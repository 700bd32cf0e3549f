/**
 * Makes pseudo-random numbers from a seed, the same on every runtime.
 *
 * @module
 */

/**
 * Returns a function that draws numbers from 0 up to 1 (Mulberry32). The same seed gives the same numbers.
 * https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
 *
 * @param seed Any integer; its lowest 32 bits count.
 */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
