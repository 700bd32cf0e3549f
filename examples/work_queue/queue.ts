/**
 * The queue: it takes jobs from producers, hands each to a worker, and tries again if that fails.
 *
 * @module
 */

import { type ConnectedClient, type Server, TimeoutError } from "@veltix/core";
import { setTimeout as sleep } from "node:timers/promises";
import { contract, type Job, type Outcome } from "./contract.ts";

/** How many jobs are taken that are not finished yet. While there are so many, no more is read from the producers. */
const LIMIT = 16;
/** How often a job is tried. */
const ATTEMPTS = 3;
/** How long a worker may take, in milliseconds. */
const TIME_LIMIT = 30_000;
/** How long a job waits before its second attempt, in milliseconds; before each further one, twice as long. */
const PAUSE = 100;

/** A queue. */
export class WorkQueue {
  /** What has happened so far. */
  readonly counts = { taken: 0, done: 0, givenUp: 0, retries: 0 };
  readonly #stop = new AbortController();
  /** The workers with nothing to do. */
  readonly #idle: ConnectedClient[] = [];
  /** The jobs that wait for a worker. */
  readonly #wanting: ((worker: ConnectedClient) => void)[] = [];

  /** @param server The server to which workers and producers connect. */
  constructor(server: Server) {
    server.route(contract.ready, ({ data: name }, client) => {
      client.setTag("worker", name);
      this.#release(client);
    });
    server.stream(contract.jobs, async ({ readable, writable }) => {
      const outcomes = writable.getWriter();
      const open = new Set<Promise<void>>();
      const jobs = readable.getReader();
      // The producer's writes then fail with this reason, and a read that waits ends.
      const refuse = (): void => void jobs.cancel(new Error("The queue takes no more jobs"));
      if (this.#stop.signal.aborted) refuse();
      this.#stop.signal.addEventListener("abort", refuse);
      // The next job is read only when there is room. The window of the stream then fills, and the producer waits.
      for (;;) {
        const { value: job, done } = await jobs.read();
        if (done) break;
        this.counts.taken++;
        const one = this.#perform(job).then((outcome) => outcomes.write(outcome)).finally(() => open.delete(one));
        open.add(one);
        if (open.size >= LIMIT) await Promise.race(open);
      }
      this.#stop.signal.removeEventListener("abort", refuse);
      await Promise.all(open);
      await outcomes.close();
    });
  }

  /** Takes no more jobs. Those that were taken are finished. */
  stop(): void {
    this.#stop.abort();
  }

  /** How many jobs wait for a worker. */
  get waiting(): number {
    return this.#wanting.length;
  }

  async #perform(job: Job): Promise<Outcome> {
    for (let attempt = 1;; attempt++) {
      const worker = await this.#idleWorker();
      try {
        const answer = await worker.request(contract.work, { ...job, attempt }, { timeout: TIME_LIMIT });
        this.#release(worker);
        this.counts.done++;
        return { id: job.id, attempts: attempt, answer };
      } catch (error) {
        // A worker that is gone is not released; one that took too long may still be busy with the job.
        if (error instanceof TimeoutError) void worker.close("manual");
        else if (worker.connected && !worker.leaving) this.#release(worker);
        if (attempt === ATTEMPTS) {
          this.counts.givenUp++;
          return { id: job.id, attempts: attempt, error: error instanceof Error ? error.message : String(error) };
        }
        this.counts.retries++;
        await sleep(PAUSE * 2 ** (attempt - 1));
      }
    }
  }

  /** Resolves with a worker, which then has something to do. */
  #idleWorker(): Promise<ConnectedClient> {
    for (let worker = this.#idle.shift(); worker !== undefined; worker = this.#idle.shift()) {
      if (worker.connected && !worker.leaving) return Promise.resolve(worker);
    }
    return new Promise((resolve) => this.#wanting.push(resolve));
  }

  #release(worker: ConnectedClient): void {
    const wanting = this.#wanting.shift();
    if (wanting === undefined) this.#idle.push(worker);
    else wanting(worker);
  }
}
