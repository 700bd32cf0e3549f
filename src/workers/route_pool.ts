/**
 * The threads of one worker route before there are any. Their code is imported when the first message comes, as most
 * programs have no worker route.
 *
 * @module
 */

import type { PoolOptions, WorkerPool } from "./pool.ts";
import { stopped } from "./stopped.ts";
import type { TaskOrigin } from "./task.ts";
import type { Payload, TaskInfo } from "./worker_messages.ts";

/** Stands for a {@linkcode WorkerPool}, and passes everything on to it. */
export class RoutePool {
  readonly #options: PoolOptions;
  #pool: WorkerPool | undefined = undefined;
  /** Set from the first message on. */
  #loading: Promise<WorkerPool> | undefined = undefined;
  /** The number of messages that wait for the pool. */
  #waiting = 0;
  /** How often {@linkcode stop} was called. */
  #stops = 0;
  #retired = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** See `WorkerPool.empty`. */
  get empty(): boolean {
    return this.#waiting === 0 && (this.#pool?.empty ?? true);
  }

  /** See `WorkerPool.run`. */
  run(payload: Payload, info: Omit<TaskInfo, "timeLeft">, origin: TaskOrigin): Promise<unknown> {
    return this.#pool?.run(payload, info, origin) ?? this.#wait(payload, info, origin);
  }

  /** See `WorkerPool.retire`. */
  retire(): void {
    this.#retired = true;
    this.#pool?.retire();
  }

  /** See `WorkerPool.stop`. */
  stop(): Promise<void> {
    this.#stops++;
    return this.#pool?.stop() ?? Promise.resolve();
  }

  /** All that wait go on one after the other, in the order in which they came, before anything else comes. */
  async #wait(payload: Payload, info: Omit<TaskInfo, "timeLeft">, origin: TaskOrigin): Promise<unknown> {
    const stops = this.#stops;
    this.#waiting++;
    try {
      this.#pool = await (this.#loading ??= poolOf(this.#options));
    } catch (error) {
      // The next message tries again.
      this.#loading = undefined;
      throw error;
    } finally {
      this.#waiting--;
    }
    if (this.#retired) this.#pool.retire();
    if (this.#stops !== stops) throw stopped(this.#options.type.name);
    return await this.#pool.run(payload, info, origin);
  }
}

async function poolOf(options: PoolOptions): Promise<WorkerPool> {
  const { WorkerPool } = await import("./pool.ts");
  return new WorkerPool(options);
}
