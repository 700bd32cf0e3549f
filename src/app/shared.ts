/**
 * The state that the connections of one Server or Client share. It is created anew each time that the Server or Client
 * starts, except for the buffers.
 *
 * @module
 */

import type { EventLoop } from "../base/clock.ts";
import type { HandlerLoad } from "./handler_load.ts";
import { ByteBudget } from "../base/byte_budget.ts";
import { BatchBudget } from "../link/batch_budget.ts";
import { BufferPool } from "../link/buffer_pool.ts";
import type { DispatcherShared } from "./dispatcher.ts";
import type { FaultLog } from "./fault_log.ts";
import { FlushQueue } from "../link/flush_queue.ts";
import type { Tuning } from "./tuning.ts";
import type { FeatureSet } from "../session/feature.ts";
import type { SessionShared } from "../session/shared.ts";
import { TimerWheel } from "../base/timer_wheel.ts";
import { TotalBuffer } from "../link/total_buffer.ts";

/** The state that all peers of a Server or a Client share. */
export interface PeerShared extends SessionShared, DispatcherShared {
  readonly tuning: Tuning;
  /** Returns a random number from 0 up to 1. */
  readonly random: () => number;
  readonly limits: SessionShared["limits"] & DispatcherShared["limits"] & { readonly maxTotalStreamBytes: number };
  /** Releases it. Called once, when the last connection is gone. */
  close(): void;
}

/** What all users of an event loop share. */
interface LoopShared {
  readonly pool: BufferPool;
  readonly flushes: FlushQueue;
  users: number;
}

/**
 * The event loops in use. A program may have a thousand Clients. With a pool for each, one would create buffers while
 * another has just returned some, and with a queue for each, every turn would end a thousand times.
 */
const LOOPS = new WeakMap<EventLoop, LoopShared>();

/** Returns what an event loop's users share, and a function to call when it is no longer used. The last call frees it. */
function lend(loop: EventLoop): LoopShared & { leave(): void } {
  const lent = LOOPS.get(loop) ?? { pool: new BufferPool(), flushes: new FlushQueue(loop), users: 0 };
  LOOPS.set(loop, lent);
  lent.users++;
  const leave = (): void => {
    if (--lent.users === 0) LOOPS.delete(loop);
  };
  return { ...lent, leave };
}

/**
 * Creates the shared state.
 *
 * @param endpoint The Server or Client.
 * @param features The features that it offers.
 */
export function makeShared(
  loop: EventLoop,
  { routes, limits, observers, tuning, faults }:
    & Pick<PeerShared, "routes" | "limits" | "observers" | "tuning">
    & { readonly faults?: FaultLog },
  features: FeatureSet,
  load?: HandlerLoad,
): PeerShared {
  const { pool, flushes, leave } = lend(loop);
  const { clock } = loop;
  const wheel = new TimerWheel(clock, loop);
  faults?.begin(wheel, clock);
  return {
    clock,
    throttled: loop.throttled,
    random: loop.random ?? Math.random,
    routes,
    limits,
    observers,
    tuning,
    load,
    inside: { dispatcher: undefined, waits: false },
    rate: tuning.rate,
    wheel,
    pool,
    // Writes that are gathered for longer have a timer of their own.
    flushes: tuning.gather > 0 ? new FlushQueue(loop, tuning.gather) : flushes,
    budget: new BatchBudget(loop),
    features,
    total: new TotalBuffer(limits, wheel, clock),
    streamBudget: new ByteBudget(limits.maxTotalStreamBytes),
    close: () => {
      faults?.end();
      wheel.close();
      leave();
    },
  };
}
