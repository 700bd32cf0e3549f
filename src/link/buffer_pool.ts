/**
 * Lends buffers for outgoing bytes to connections while they have something to send. An idle connection owns none.
 *
 * @module
 */

/** The sizes of buffers, in bytes. A connection begins with a small one and takes larger ones while it is busy. */
export const POOL_SIZES = [4_096, 16_384, 65_536, 262_144] as const;

/**
 * The number of bytes that are kept for reuse in buffers of each size. The small ones are enough for a thousand Clients
 * that send a little in the same turn.
 */
const KEPT = [16, 16, 8, 2].map((mebibytes) => mebibytes * 1024 * 1024);

/** A buffer to write into. */
export interface WriteBuffer {
  readonly bytes: Uint8Array;
  /** A view of the same bytes, for writing integers. */
  readonly view: DataView;
}

/** Creates a buffer of `size` bytes. */
export function writeBuffer(size: number): WriteBuffer {
  // Create the buffer first, because asking an array for its buffer is expensive on Bun.
  const buffer = new ArrayBuffer(size);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

/** Lends buffers. All Servers and Clients with the same event loop share one pool. */
export class BufferPool {
  readonly #free: WriteBuffer[][] = POOL_SIZES.map(() => []);

  /** Lends a buffer of `POOL_SIZES[size]` bytes. Its content is arbitrary. */
  take(size: number): WriteBuffer {
    return this.#free[size].pop() ?? writeBuffer(POOL_SIZES[size]);
  }

  /** Takes a buffer back. One of another size, or one too many, is left to the garbage collector. */
  give(buffer: WriteBuffer): void {
    const { length } = buffer.bytes;
    const size = (POOL_SIZES as readonly number[]).indexOf(length);
    if (size >= 0 && this.#free[size].length * length < KEPT[size]) this.#free[size].push(buffer);
  }
}
