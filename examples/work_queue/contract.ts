/**
 * What the producer, the queue and the workers say to each other.
 *
 * @module
 */

import { json, messageTypes } from "@veltix/core";

/** A job: to count the prime numbers up to a number. */
export interface Job {
  readonly id: number;
  readonly upTo: number;
}

/** A job as a worker gets it. */
export interface Task extends Job {
  /** 1 at first, and more if it is tried again. */
  readonly attempt: number;
}

/** What became of a job. */
export type Outcome =
  & { readonly id: number; readonly attempts: number }
  & ({ readonly answer: number } | { readonly error: string });

/** The messages and streams. */
export const contract = messageTypes({
  /** From a worker to the queue: its name. It takes one job at a time. */
  ready: json<string>(),
  /** From the queue to a worker. A declared error is an answer, and no fault of the worker. */
  work: { payload: json<Task>(), reply: json<number>(), errors: ["out-of-luck"] },
  /** Opened by a producer: jobs go up, and outcomes come down in whatever order they are there. */
  jobs: { stream: { up: json<Job>(), down: json<Outcome>() } },
});
