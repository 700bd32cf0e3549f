/**
 * A promise that resolves, never rejects, and can be replaced by a new one.
 *
 * @module
 */

/** Backs the `closed` promise of something that can start again. Each run has one promise. */
export class ResettablePromise {
  #settled = false;
  #resolve = (): void => {};
  #promise: Promise<void> = this.#make();

  /** Resolves when {@linkcode release} is called. */
  get promise(): Promise<void> {
    return this.#promise;
  }

  /** Resolves the promise. */
  release(): void {
    this.#settled = true;
    this.#resolve();
  }

  /** Creates a new promise if the last one has resolved. */
  reset(): void {
    if (this.#settled) this.#promise = this.#make();
    this.#settled = false;
  }

  #make(): Promise<void> {
    return new Promise((resolve) => this.#resolve = resolve);
  }
}
