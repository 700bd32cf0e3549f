/**
 * What the tests of worker routes share: threads that are no threads, whose every word the test says itself.
 *
 * @module
 */

import { FakeClock } from "../src/adapters/memory.ts";
import type { AnyMessageType } from "../src/message/message_type.ts";
import type { Thread, ThreadEvents, Threads } from "../src/thread_seam.ts";
import { type PoolOptions, WorkerPool } from "../src/workers/pool.ts";
import { RoutePool } from "../src/workers/route_pool.ts";
import type { ErrorLikeness, Order, Report, TaskInfo } from "../src/workers/worker_messages.ts";
import { text } from "../src/message/codecs.ts";
import { messageType } from "../src/message/message_type.ts";

export const JOB = messageType(200, "job", text, text);
export const INFO: Omit<TaskInfo, "timeLeft"> = {
  requestId: 7,
  receivedAt: 1,
  sentAt: undefined,
  wantsReply: true,
  client: undefined,
  meta: {},
};
export const BOOM: ErrorLikeness = {
  name: "Error",
  message: "boom",
  code: "E_BOOM",
  stack: "Error: boom\n    at there",
};

/** A thread that the test plays. */
export class FakeThread {
  readonly orders: Order[] = [];
  terminated = false;
  /** How many orders cannot be posted to it. */
  refuses = 0;
  /** Settles when it is over, once it is told to end. */
  over: Promise<void> = Promise.resolve();
  readonly #events: ThreadEvents;

  constructor(events: ThreadEvents) {
    this.#events = events;
  }

  say(report: Report): void {
    this.#events.message(report);
  }

  ready(): void {
    this.say({ kind: "ready", code: 200, name: "job", replies: true });
  }

  /** The message in it, as text. */
  get task(): string | undefined {
    const order = this.orders.at(-1);
    if (order?.kind !== "run") return undefined;
    return new TextDecoder().decode(new Uint8Array(order.payload.buffer, order.payload.start));
  }

  /** Answers the message in it. */
  answer(reply: string): void {
    const id = this.orders.findLast((order) => order.kind === "run")!.id;
    this.say({ kind: "done", id, reply: new TextEncoder().encode(reply).slice().buffer });
  }

  die(message: string): void {
    this.#events.exit(new Error(message));
  }
}

/** The options of such a pool. */
type FakeOptions = Partial<Omit<PoolOptions, "type">> & { readonly type?: unknown };

/** A pool on such threads, and what the test has of it. */
interface FakePool<Pool> {
  readonly pool: Pool;
  readonly threads: FakeThread[];
  readonly clock: FakeClock;
  readonly failures: unknown[];
  readonly run: Run;
}

/** A pool on such threads. */
export function fakePool(options?: FakeOptions): FakePool<WorkerPool> {
  return poolOn((all) => new WorkerPool(all), options);
}

/** The same whose code is imported when the first message comes. */
export function fakeRoutePool(options?: FakeOptions): FakePool<RoutePool> {
  return poolOn((all) => new RoutePool(all), options);
}

function poolOn<Pool extends Pick<WorkerPool, "run">>(
  make: (options: PoolOptions) => Pool,
  { type = JOB, ...options }: FakeOptions = {},
): FakePool<Pool> {
  const threads: FakeThread[] = [];
  const failures: unknown[] = [];
  const clock = new FakeClock();
  const factory: Threads = {
    cores: 4,
    clock,
    start(_source, _data, events): Thread {
      const thread = new FakeThread(events);
      threads.push(thread);
      return {
        post: (value) => {
          if (thread.refuses-- > 0) throw new Error("Its buffer is detached");
          thread.orders.push(value as Order);
        },
        terminate(): Promise<void> {
          thread.terminated = true;
          return thread.over;
        },
      };
    },
  };
  const pool = make({
    type: type as AnyMessageType,
    module: "file:///job.ts",
    threads: 2,
    timeout: undefined,
    maxQueued: 1_024,
    load: () => Promise.resolve(factory),
    failed: (error) => void failures.push(error),
    ...options,
  });
  const run: Run = (content, signal = new AbortController().signal) => {
    const payload = { buffer: new TextEncoder().encode(content).slice().buffer, start: 0 };
    return pool.run(payload, INFO, { signal, timeLeft: undefined, setReplyMeta: () => {} }).then(
      (reply) => reply instanceof Uint8Array ? new TextDecoder().decode(reply) : reply,
    );
  };
  return { pool, threads, clock, failures, run };
}

/** Has a message handled; settles with the reply as text. */
export type Run = (content: string, signal?: AbortSignal) => Promise<unknown>;
