/**
 * What the connections of one Server or Client share, made anew each time it starts, but for the buffers.
 *
 * @module
 */

import type { Transport } from "../transport.ts";
import { BatchBudget } from "../tools/batch_budget.ts";
import { BufferPool } from "../tools/buffer_pool.ts";
import { creditOffer, type CreditTerms, creditTerms } from "./credit.ts";
import type { DispatcherShared } from "./dispatcher.ts";
import type { OutboxShared } from "./outbox.ts";
import { FlushQueue } from "../tools/flush_queue.ts";
import type { Pace } from "./pace.ts";
import type { Taps } from "./traffic.ts";
import { TimerWheel } from "../tools/timer_wheel.ts";

/** What all connections of a Server or a Client share. */
export interface SessionShared extends OutboxShared, DispatcherShared {
  /** When peers are asked whether they live, how eagerly is written, and how much may come. */
  readonly pace: Pace;
  /** Who watches single messages. */
  readonly taps: Taps;
  /** What peers may send, on native connections. */
  readonly credit: CreditTerms;
  /** All limits. */
  readonly limits: OutboxShared["limits"] & DispatcherShared["limits"] & { readonly maxMessageSize: number };
}

/** A program may have a thousand Clients: each would make buffers that others have just given back. */
const POOLS = new WeakMap<Transport, BufferPool>();

function poolOf(transport: Transport): BufferPool {
  let pool = POOLS.get(transport);
  if (pool === undefined) POOLS.set(transport, pool = new BufferPool());
  return pool;
}

/** Brings it together. Close its wheel when the last connection is gone. */
export function makeShared(
  transport: Transport,
  { routes, limits, taps, pace }: Pick<SessionShared, "routes" | "limits" | "taps" | "pace">,
): SessionShared {
  return {
    transport,
    routes,
    limits,
    taps,
    pace,
    rate: pace.rate,
    wheel: new TimerWheel(transport.clock),
    pool: poolOf(transport),
    flushes: new FlushQueue(transport, pace.gather),
    budget: new BatchBudget(transport.clock),
    credit: creditTerms(creditOffer(limits)),
    buffered: 0,
  };
}
