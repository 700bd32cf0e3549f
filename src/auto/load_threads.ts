/**
 * Loads the threads of the runtime. They are imported when the first message for a worker comes.
 *
 * @module
 */

import type { Threads } from "../thread_seam.ts";

/** Returns the threads of this runtime. */
export async function loadThreads(): Promise<Threads> {
  return (await import("../adapters/threads.ts")).workerThreads();
}
