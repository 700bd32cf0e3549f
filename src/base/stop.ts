/**
 * A one-time order to stop, for one who listens: what an `AbortController` is, for less.
 *
 * @module
 */

/** The order. */
export class Stop {
  #order: { readonly reason: unknown } | undefined = undefined;
  #listener: ((reason: unknown) => void) | undefined = undefined;

  /** Whether it was given. */
  get given(): boolean {
    return this.#order !== undefined;
  }

  /** Why. */
  get reason(): unknown {
    return this.#order?.reason;
  }

  /** Gives it; only the first one counts. */
  give(reason: unknown): void {
    if (this.#order !== undefined) return;
    this.#order = { reason };
    this.#listener?.(reason);
  }

  /** From now on calls this one when it is given, or none. */
  listen(listener: ((reason: unknown) => void) | undefined): void {
    this.#listener = listener;
  }
}
