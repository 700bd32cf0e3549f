/**
 * The worker routes of one Server or Client, and all their threads.
 *
 * @module
 */

import { bytes } from "../message/codecs.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { optional, type OptionTable, readOptions, whole } from "../base/checks.ts";
import type { Threads } from "../thread_seam.ts";
import { takePayload } from "./payload.ts";
import { RoutePool } from "./route_pool.ts";
import type { TaskOrigin } from "./task.ts";
import type { TaskInfo, WorkerPeer } from "./worker_messages.ts";

/**
 * Options of a worker route; all optional.
 *
 * @category Workers
 */
export interface WorkerRouteOptions {
  /**
   * The largest number of threads. A thread is started when a message comes and no other thread is idle.
   * @default one less than there are cores
   */
  readonly threads?: number;
  /**
   * How long a message may take in its thread, in milliseconds. After that the thread is ended, even in an endless
   * loop, and replaced. The request rejects with the code `timeout`.
   * @default unlimited
   */
  readonly timeout?: number;
  /**
   * How many messages may wait for a thread, over all connections. Above that, messages fail with `queue-full`.
   * @default 1024
   */
  readonly maxQueued?: number;
}

const OPTIONS = {
  threads: optional(whole(1)),
  timeout: optional(whole(1)),
  maxQueued: optional(whole(1), 1_024),
} satisfies OptionTable<WorkerRouteOptions>;

/** The parts of a message that a worker route needs. */
export interface Incoming extends Omit<TaskInfo, "client">, TaskOrigin {
  readonly content: Uint8Array;
  /** The metadata as received; `undefined` if there is none. */
  readonly metadata: { readonly size: number } | undefined;
}

/** A route to be added. Its messages come as bytes, and what its handler returns is sent as it is. */
export interface WorkerRoute {
  /** The code and name of the type, with codecs that pass bytes through. */
  readonly type: AnyMessageType;
  /** Handles the message in a thread. */
  readonly handler: (message: Incoming, client: WorkerPeer | undefined) => Promise<unknown>;
}

/** The worker routes of one Server or Client. */
export class WorkerRoutes {
  readonly #pools = new Set<RoutePool>();
  readonly #byCode = new Map<number, RoutePool>();
  readonly #failed: (error: unknown) => void;

  /** @param failed Called with an error that no message rejects with. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Checks the arguments of a route and makes it. Call {@linkcode add} when its code is known to be free. */
  make(
    type: AnyMessageType,
    module: string | URL,
    options: WorkerRouteOptions,
    load: () => Promise<Threads>,
  ): WorkerRoute & { readonly pool: RoutePool } {
    const { threads, timeout, maxQueued } = readOptions("a worker route's options", options, OPTIONS);
    const pool = new RoutePool({
      type,
      module: absolute(type, module),
      threads,
      timeout,
      maxQueued,
      load,
      failed: this.#failed,
    });
    const raw = { ...type, payload: bytes, reply: type.reply === undefined ? undefined : bytes };
    return {
      pool,
      type: raw as unknown as AnyMessageType,
      handler: (message, client): Promise<unknown> => {
        // A message may come late from the queue of a connection, when its route is removed and its pool forgotten.
        this.#pools.add(pool);
        const { content, meta, metadata, requestId, receivedAt, sentAt, wantsReply } = message;
        const payload = takePayload(content, metadata?.size);
        return pool.run(payload, { requestId, receivedAt, sentAt, wantsReply, client, meta }, message);
      },
    };
  }

  /** Remembers the pool of a route, and forgets all pools that are empty. */
  add({ code }: { readonly code: number }, pool: RoutePool): void {
    this.#byCode.set(code, pool);
    for (const other of this.#pools) if (other.empty) this.#pools.delete(other);
  }

  /** Ends the threads of a route, if it has any, when they have handled the messages that came before. */
  remove({ code }: { readonly code: number }): void {
    this.#byCode.get(code)?.retire();
    this.#byCode.delete(code);
  }

  /** Ends all threads at once. Later messages start them again. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools].map((pool) => pool.stop()));
  }
}

function absolute(type: AnyMessageType, module: string | URL): string {
  const url = String(module);
  if (URL.canParse(url)) return url;
  throw new TypeError(
    `Cannot route "${type?.name}": module must be an absolute URL, such as new URL("./worker.ts", import.meta.url), not ` +
      `"${url}"`,
  );
}
