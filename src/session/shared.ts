/**
 * What the connections of one Server or Client share, made anew each time it starts.
 *
 * @module
 */

import type { Transport } from "../transport.ts";
import { BatchBudget } from "./batch_budget.ts";
import { BufferPool } from "./buffer_pool.ts";
import type { DispatcherShared } from "./dispatcher.ts";
import type { OutboxShared } from "./outbox.ts";
import type { Routes } from "./routes.ts";
import { FlushQueue } from "./flush_queue.ts";
import { TimerWheel } from "./timer_wheel.ts";

/** What all connections of a Server or a Client share. */
export interface SessionShared extends OutboxShared, DispatcherShared {
  /** All limits. */
  readonly limits: OutboxShared["limits"] & DispatcherShared["limits"] & { readonly maxMessageSize: number };
}

/** Brings it together. Close its wheel when the last connection is gone. */
export function makeShared(transport: Transport, routes: Routes, limits: SessionShared["limits"]): SessionShared {
  return {
    transport,
    routes,
    limits,
    wheel: new TimerWheel(transport.clock),
    pool: new BufferPool(),
    flushes: new FlushQueue(transport),
    budget: new BatchBudget(transport.clock),
    buffered: 0,
  };
}
