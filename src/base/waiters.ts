/**
 * Those who wait for one thing to happen.
 *
 * @module
 */

/** A group that waits for the same thing, and goes on together. Where few ever wait, make one when the first does. */
export class Waiters {
  #promise: Promise<void> | undefined = undefined;
  #resolve: (() => void) | undefined = undefined;
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Returns a promise that resolves at the next {@linkcode release}. */
  wait(): Promise<void> {
    this.#size++;
    return this.#promise ??= new Promise((resolve) => this.#resolve = resolve);
  }

  /** Lets all go on, in the order in which they came. */
  release(): void {
    this.#resolve?.();
    this.#promise = undefined;
    this.#resolve = undefined;
    this.#size = 0;
  }
}
