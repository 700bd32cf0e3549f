/**
 * Keeps the buffer of a connection's last large write for its next one.
 *
 * @module
 */

/** Ciphers in JavaScript are fast if the ciphertext, which follows two bytes, begins at a multiple of four bytes. */
const LEAD = 2;

/**
 * One free buffer. It is held weakly: the garbage collector takes that of a connection that has become idle, and a busy
 * one does not make new buffers faster than the collector can free them.
 */
export class SpareBuffer {
  #free: WeakRef<Uint8Array> | undefined = undefined;

  /** Returns a buffer of at least `size` bytes. Its content is arbitrary. It is the caller's until it is given back. */
  take(size: number): Uint8Array {
    const free = this.#free?.deref();
    this.#free = undefined;
    return free !== undefined && free.length >= size ? free : new Uint8Array(LEAD + size).subarray(LEAD);
  }

  /** Takes a buffer back, which nobody looks at any more. */
  give(buffer: Uint8Array): void {
    this.#free = new WeakRef(buffer);
  }
}
