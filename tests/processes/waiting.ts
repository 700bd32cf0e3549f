/**
 * Waiting for other processes, with a limit.
 *
 * @module
 */

/** Waits `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks every `step` milliseconds until the answer is true; throws after `limit` milliseconds. */
export async function until(
  what: string,
  limit: number,
  holds: () => boolean | Promise<boolean>,
  step = 20,
): Promise<void> {
  const end = performance.now() + limit;
  while (!await holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${limit} ms`);
    await sleep(step);
  }
}

/** What a promise brings, if it does so within `limit` milliseconds. */
export async function limited<Value>(what: string, limit: number, promise: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
