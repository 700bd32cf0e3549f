/**
 * A promise that settles, never rejects, and can be set anew.
 *
 * @module
 */

/** What `closed` stands on: one promise a life, the next one made when the next life begins. */
export class ResettablePromise {
  #settled = false;
  #resolve = (): void => {};
  #promise: Promise<void> = this.#make();

  /** Settles when it is released. */
  get promise(): Promise<void> {
    return this.#promise;
  }

  /** Settles the promise. */
  release(): void {
    this.#settled = true;
    this.#resolve();
  }

  /** Begins anew, if it was released. */
  reset(): void {
    if (this.#settled) this.#promise = this.#make();
    this.#settled = false;
  }

  #make(): Promise<void> {
    return new Promise((resolve) => this.#resolve = resolve);
  }
}
