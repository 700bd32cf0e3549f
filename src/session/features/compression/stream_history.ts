/**
 * Remembers whether the pieces of a stream shrink, so that a stream of images or archives is not compressed in vain.
 *
 * @module
 */

/** The number of consecutive pieces that did not shrink after which the stream is left alone. */
const MISSES = 8;
/** The number of bytes that then pass uncompressed. */
const PAUSE = 1024 * 1024;

/** What was learned of one direction of one stream. */
export class StreamHistory {
  #misses = 0;
  /** The number of bytes that are still to pass uncompressed. */
  #left = 0;

  /** Returns whether the next piece, of `size` bytes, is to pass uncompressed. */
  skips(size: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= size;
    return true;
  }

  /** Called when compressing a piece was tried. */
  tried(shrank: boolean): void {
    this.#misses = shrank ? 0 : this.#misses + 1;
    if (this.#misses < MISSES) return;
    this.#misses = 0;
    this.#left = PAUSE;
  }
}
