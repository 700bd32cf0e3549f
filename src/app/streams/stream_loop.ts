/**
 * What an opened stream receives, as a loop reads it.
 *
 * @module
 */

/** A loop over what an opened stream receives. Leaving the loop before its end aborts the stream. */
export class StreamLoop implements AsyncIterator<unknown> {
  readonly #reader: ReadableStreamDefaultReader;
  readonly #abort: (reason: unknown) => void;
  /** True once there is nothing more to read. */
  #over = false;

  /**
   * @param readable What the stream receives. It is locked from then on.
   * @param abort Ends the stream.
   */
  constructor(readable: ReadableStream, abort: (reason: unknown) => void) {
    this.#reader = readable.getReader();
    this.#abort = abort;
  }

  /** Resolves with what comes next. Rejects with the error of the stream. */
  async next(): Promise<IteratorResult<unknown>> {
    if (this.#over) return END;
    try {
      const { done, value } = await this.#reader.read();
      if (!done) return { done: false, value };
    } catch (error) {
      // If the loop was left meanwhile, that is the reason.
      if (!this.#over) {
        this.#over = true;
        throw error;
      }
    }
    this.#over = true;
    return END;
  }

  /** Leaves the loop. */
  return(): Promise<IteratorResult<unknown>> {
    if (!this.#over) {
      this.#over = true;
      this.#abort(new DOMException("The loop over the stream was left", "AbortError"));
    }
    return Promise.resolve(END);
  }
}

const END: IteratorResult<unknown> = Object.freeze({ done: true, value: undefined });
