/**
 * Those who wait for a client's next connection. They share one promise, and each may leave by itself.
 *
 * @module
 */

/** Those who wait for one connection. They are told once. */
export class ConnectWaiters {
  readonly #outcome = Promise.withResolvers<void>();
  /** The number of those who have come and not left. */
  #waiting = 0;
  #settled = false;

  constructor() {
    // A rejection is no error where nobody waits.
    this.#outcome.promise.catch(() => {});
  }

  /**
   * Waits with the others.
   *
   * @param signal Leaves when it is aborted.
   * @param giveUp Called when the last one leaves. Returns whether all is given up: then that one, too, waits for the outcome.
   */
  join(signal: AbortSignal | undefined, giveUp: (reason: unknown) => boolean): Promise<void> {
    const { promise } = this.#outcome;
    this.#waiting++;
    if (signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        // If the outcome is settled, the promise is about to say so.
        if (this.#settled || this.#waiting === 1 && giveUp(signal.reason)) return;
        this.#waiting--;
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      promise.finally(() => signal.removeEventListener("abort", leave)).then(resolve, reject);
    });
  }

  /** Called when there is a connection. */
  resolve(): void {
    this.#settled = true;
    this.#outcome.resolve();
  }

  /** Called when there will be none. The error is made only if somebody waits, as its stack is expensive. */
  reject(why: () => unknown): void {
    if (!this.#settled && this.#waiting > 0) this.#outcome.reject(why());
    this.#settled = true;
  }
}
