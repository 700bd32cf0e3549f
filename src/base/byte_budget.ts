/**
 * A number of bytes of which several users take parts.
 *
 * @module
 */

/** Bytes that can be taken and given back. */
export class ByteBudget {
  /** The number of bytes, taken or not. */
  readonly size: number;
  #left: number;

  /** @param bytes The number of bytes. */
  constructor(bytes: number) {
    this.size = this.#left = bytes;
  }

  /** The number of bytes that nobody has taken. */
  get left(): number {
    return this.#left;
  }

  /** Takes `bytes`. Returns false, and takes nothing, if fewer are left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  /** Gives `bytes` back. */
  give(bytes: number): void {
    this.#left += bytes;
  }
}
