/**
 * What the connections of one Server or Client share, made anew each time it starts, but for the buffers.
 *
 * @module
 */

import type { Transport } from "../transport.ts";
import type { HandlerLoad } from "./handler_load.ts";
import { BatchBudget } from "../link/batch_budget.ts";
import { BufferPool } from "../link/buffer_pool.ts";
import type { DispatcherShared } from "./dispatcher.ts";
import type { FaultLog } from "./fault_log.ts";
import { FlushQueue } from "../link/flush_queue.ts";
import type { Tuning } from "./tuning.ts";
import type { SessionShared } from "../session/shared.ts";
import { TimerWheel } from "../base/timer_wheel.ts";
import { TotalBuffer } from "../link/total_buffer.ts";

/** What all peers of a Server or a Client share. */
export interface PeerShared extends SessionShared, DispatcherShared {
  /** The sockets. */
  readonly transport: Transport;
  readonly tuning: Tuning;
  readonly limits: SessionShared["limits"] & DispatcherShared["limits"];
  /** Ends it, once, when the last connection is gone. */
  close(): void;
}

/** A program may have a thousand Clients: each would make buffers that others have just given back. */
const POOLS = new WeakMap<Transport, { readonly pool: BufferPool; users: number }>();

/** The pool of those who use the same sockets, and what its last user frees it by. */
function lend(transport: Transport): { readonly pool: BufferPool; leave(): void } {
  const lent = POOLS.get(transport) ?? { pool: new BufferPool(), users: 0 };
  POOLS.set(transport, lent);
  lent.users++;
  const leave = (): void => {
    if (--lent.users === 0) POOLS.delete(transport);
  };
  return { pool: lent.pool, leave };
}

/** Brings it together. */
export function makeShared(
  transport: Transport,
  { features, routes, limits, observers, tuning, faults }:
    & Pick<PeerShared, "features" | "routes" | "limits" | "observers" | "tuning">
    & {
      readonly faults?: FaultLog;
    },
  load?: HandlerLoad,
): PeerShared {
  const { pool, leave } = lend(transport);
  const { clock } = transport;
  const wheel = new TimerWheel(clock);
  faults?.begin(wheel, clock);
  return {
    transport,
    clock,
    routes,
    limits,
    observers,
    tuning,
    load,
    inside: { dispatcher: undefined, waits: false },
    rate: tuning.rate,
    wheel,
    pool,
    flushes: new FlushQueue(transport, tuning.gather),
    budget: new BatchBudget(transport),
    features,
    total: new TotalBuffer(limits, wheel, clock),
    close: () => {
      faults?.end();
      wheel.close();
      leave();
    },
  };
}
