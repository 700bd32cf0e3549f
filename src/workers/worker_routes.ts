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
import { WorkerPool } from "./pool.ts";
import type { TaskInfo, WorkerPeer } from "./worker_messages.ts";

/** Options of a worker route; all optional. */
export interface WorkerRouteOptions {
  /** The most threads. They are started when messages come, as many as work at once. @default one less than there are cores */
  readonly threads?: number;
  /**
   * How long a message may take in its thread, in milliseconds. After that the thread is cut, even in an endless loop, and
   * replaced, and the request rejects with the code `timeout`. @default unlimited
   */
  readonly timeout?: number;
  /** Messages that wait for a thread, over all connections; above it they fail with `queue-full`. @default 1024 */
  readonly maxQueued?: number;
}

const OPTIONS = {
  threads: optional(whole(1)),
  timeout: optional(whole(1)),
  maxQueued: optional(whole(1), 1_024),
} satisfies OptionTable<WorkerRouteOptions>;

/** What is needed of a message. */
export interface Incoming extends Omit<TaskInfo, "client"> {
  /** Its payload. */
  readonly content: Uint8Array;
  /** Fires when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/** A route to be added: messages come as bytes, and what the handler returns is sent as it is. */
export interface WorkerRoute {
  /** The code, the name, and codecs that pass bytes on. */
  readonly type: AnyMessageType;
  /** Gives the message to a thread. */
  readonly handler: (message: Incoming, client: WorkerPeer | undefined) => Promise<unknown>;
}

/** Worker routes and their threads. */
export class WorkerRoutes {
  readonly #pools = new Set<WorkerPool>();
  readonly #byCode = new Map<number, WorkerPool>();
  readonly #failed: (error: unknown) => void;

  /** @param failed Told of what fails without a message that it fails. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Checks the arguments of a route and makes it; {@linkcode add} it when its code is free. */
  make(
    type: AnyMessageType,
    module: string | URL,
    options: WorkerRouteOptions,
    load: () => Promise<Threads>,
  ): WorkerRoute & { readonly pool: WorkerPool } {
    const { threads, timeout, maxQueued } = readOptions("a worker route's options", options, OPTIONS);
    const pool = new WorkerPool({
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
        // A message may come late, from the queue of a connection, when its route and its threads are gone.
        this.#pools.add(pool);
        const { content, requestId, receivedAt, sentAt, signal, wantsReply } = message;
        return pool.run(takePayload(content), { requestId, receivedAt, sentAt, wantsReply, client }, signal);
      },
    };
  }

  /** Keeps the threads of a route. */
  add({ code }: { readonly code: number }, pool: WorkerPool): void {
    this.#byCode.set(code, pool);
    for (const other of this.#pools) if (other.empty) this.#pools.delete(other);
  }

  /** Ends the threads of a route, if it has any, when they have done what came before. */
  remove({ code }: { readonly code: number }): void {
    this.#byCode.get(code)?.retire();
    this.#byCode.delete(code);
  }

  /** Ends all threads at once. They are started again when messages come. Never rejects. */
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
