/**
 * Waiting, until a signal ends it.
 *
 * @module
 */

/**
 * Waits `ms` milliseconds.
 *
 * @throws {unknown} `signal.reason`, when `signal` is aborted.
 */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/**
 * Asks every millisecond until the answer is true.
 *
 * @throws {Error} It is not, `limit` milliseconds later.
 * @throws {unknown} `signal.reason`, when `signal` is aborted.
 */
export async function until(what: string, limit: number, holds: () => boolean, signal?: AbortSignal): Promise<void> {
  const end = performance.now() + limit;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${limit} ms`);
    await pause(1, signal);
  }
}
