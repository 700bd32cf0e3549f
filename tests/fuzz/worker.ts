/**
 * One thread of `main.ts`: takes batches of inputs until there are none, or one fails.
 *
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { fuzz } from "./fuzz.ts";

/** What a thread is told. */
export interface Job {
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  readonly batch: number;
  /** The number of the next batch, of all threads. */
  readonly next: Int32Array;
  /** The input that runs now, of each thread. */
  readonly current: Float64Array;
  /** Which of them this thread is. */
  readonly thread: number;
}

/** What a thread says at its end: `undefined` for "all passed". */
export type Report = { readonly index: number; readonly kind: string; readonly error: string } | undefined;

const { seed, from, count, batch, next, current, thread } = workerData as Job;
// Nobody reads the stacks of the errors that are meant to be, and they are dear.
if (count > 1) Error.stackTraceLimit = 0;

let report: Report;
for (let start = 0; report === undefined;) {
  start = Atomics.add(next, 0, 1) * batch;
  if (start >= count) break;
  const failure = fuzz(seed, from + start, Math.min(batch, count - start), (index) => {
    current[thread] = index;
  });
  if (failure !== undefined) {
    const { index, kind, error } = failure;
    report = { index, kind, error: error instanceof Error ? error.stack ?? String(error) : String(error) };
  }
}
current[thread] = -1;
parentPort!.postMessage(report);
