/**
 * Buffers for outgoing bytes, lent to connections while they have something to send, so that an idle connection owns none.
 *
 * @module
 */

/** Sizes of lent buffers, in bytes. A connection begins with the smallest and takes larger ones while it is busy. */
export const POOL_SIZES = [4 * 1024, 64 * 1024, 256 * 1024] as const;

/** How many bytes of each size are kept for reuse. */
const KEPT = 2 * 1024 * 1024;

/** Lends buffers; belongs to one Server or Client. */
export class BufferPool {
  readonly #free: Uint8Array[][] = POOL_SIZES.map(() => []);

  /** A buffer of `POOL_SIZES[size]` bytes with whatever was in it. */
  take(size: number): Uint8Array {
    return this.#free[size].pop() ?? new Uint8Array(POOL_SIZES[size]);
  }

  /** Takes a buffer back; one of another size, or one too many, is left to the garbage collector. */
  give(buffer: Uint8Array): void {
    const size = (POOL_SIZES as readonly number[]).indexOf(buffer.length);
    if (size >= 0 && this.#free[size].length * buffer.length < KEPT) this.#free[size].push(buffer);
  }
}
