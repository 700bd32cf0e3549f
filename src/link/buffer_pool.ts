/**
 * Buffers for outgoing bytes, lent to connections while they have something to send, so that an idle connection owns none.
 *
 * @module
 */

/** Sizes of lent buffers, in bytes. A connection begins with the smallest and takes larger ones while it is busy. */
export const POOL_SIZES = [4_096, 16_384, 65_536, 262_144] as const;

/** How many bytes of each size are kept for reuse: of the small ones enough for a thousand Clients that send a little in the same turn. */
const KEPT = [16, 16, 2, 2].map((mebibytes) => mebibytes * 1024 * 1024);

/** A buffer to write into. */
export interface WriteBuffer {
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** The same bytes for writing integers. */
  readonly view: DataView;
}

/** Makes a buffer of `size` bytes. */
export function writeBuffer(size: number): WriteBuffer {
  // To ask an array for its buffer is expensive on Bun.
  const buffer = new ArrayBuffer(size);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

/** Lends buffers; one for all that live by the same event loop. */
export class BufferPool {
  readonly #free: WriteBuffer[][] = POOL_SIZES.map(() => []);

  /** A buffer of `POOL_SIZES[size]` bytes with whatever was in it. */
  take(size: number): WriteBuffer {
    return this.#free[size].pop() ?? writeBuffer(POOL_SIZES[size]);
  }

  /** Takes a buffer back; one of another size, or one too many, is left to the garbage collector. */
  give(buffer: WriteBuffer): void {
    const { length } = buffer.bytes;
    const size = (POOL_SIZES as readonly number[]).indexOf(length);
    if (size >= 0 && this.#free[size].length * length < KEPT[size]) this.#free[size].push(buffer);
  }
}
