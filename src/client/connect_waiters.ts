/**
 * The callers that wait for a client's next connection. They share one promise, and each may leave separately.
 *
 * @module
 */

/** The callers that wait for one connection. They get its outcome once. */
export class ConnectWaiters {
  readonly #outcome = Promise.withResolvers<void>();
  /** The number of callers that have joined and not left. */
  #waiting = 0;
  #settled = false;

  constructor() {
    // A rejection is not an unhandled error if nobody waits.
    this.#outcome.promise.catch(() => {});
  }

  /** True if they have their outcome. */
  get settled(): boolean {
    return this.#settled;
  }

  /**
   * Waits with the others.
   *
   * @param signal Leaves when it is aborted.
   * @param giveUp Called when the last caller leaves. Returns true if the attempt is given up: then that caller waits
   * for the outcome, too.
   */
  join(signal: AbortSignal | undefined, giveUp: (reason: unknown) => boolean): Promise<void> {
    const { promise } = this.#outcome;
    this.#waiting++;
    if (signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        // If the outcome is settled, `promise` is about to report it.
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

  /**
   * Called when there will be no connection. The error is created only if somebody waits: capturing its stack is
   * expensive.
   */
  reject(why: () => unknown): void {
    if (!this.#settled && this.#waiting > 0) this.#outcome.reject(why());
    this.#settled = true;
  }
}
