/**
 * Finds the threads of the runtime, and imports them when the first message for a worker comes.
 *
 * @module
 */

import type { Threads } from "../thread_seam.ts";

/** The threads of this runtime. */
export async function loadThreads(): Promise<Threads> {
  return (await import("../adapters/threads.ts")).workerThreads();
}
