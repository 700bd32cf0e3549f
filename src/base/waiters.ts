/**
 * Lets several callers wait for one event.
 *
 * @module
 */

/**
 * A group of callers that wait for the same event and go on together. Where few ever wait, create it for the first one.
 */
export class Waiters {
  #promise: Promise<void> | undefined = undefined;
  #resolve: (() => void) | undefined = undefined;
  #size = 0;

  /** The number of callers that wait. */
  get size(): number {
    return this.#size;
  }

  /** Returns a promise that resolves at the next {@linkcode release}. */
  wait(): Promise<void> {
    this.#size++;
    return this.#promise ??= new Promise((resolve) => this.#resolve = resolve);
  }

  /** Lets all callers go on, in the order in which they came. */
  release(): void {
    this.#resolve?.();
    this.#promise = undefined;
    this.#resolve = undefined;
    this.#size = 0;
  }
}
