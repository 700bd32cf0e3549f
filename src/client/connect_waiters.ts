/**
 * Who waits for a client's next connection: one promise for all of them, which each may leave for itself.
 *
 * @module
 */

/** Those who wait for one connection. It is settled once. */
export class Callers {
  readonly #outcome = Promise.withResolvers<void>();
  /** How many have come and not left. */
  #waiting = 0;
  #settled = false;

  constructor() {
    // Nobody has to watch it.
    this.#outcome.promise.catch(() => {});
  }

  /**
   * Waits with the others.
   *
   * @param signal Leaves when it is aborted.
   * @param giveUp Called when the last one leaves; returns whether all is given up. Then that one waits for the outcome, too.
   */
  join(signal: AbortSignal | undefined, giveUp: (reason: unknown) => boolean): Promise<void> {
    const { promise } = this.#outcome;
    this.#waiting++;
    if (signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        // It came in time: the promise says so in a moment.
        if (this.#settled || this.#waiting === 1 && giveUp(signal.reason)) return;
        this.#waiting--;
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      promise.finally(() => signal.removeEventListener("abort", leave)).then(resolve, reject);
    });
  }

  /** There is a connection. */
  resolve(): void {
    this.#settled = true;
    this.#outcome.resolve();
  }

  /** There will be none. The error is made only if somebody waits: with its stack it costs more than all the rest. */
  reject(why: () => unknown): void {
    if (!this.#settled && this.#waiting > 0) this.#outcome.reject(why());
    this.#settled = true;
  }
}
