/**
 * WebSockets: round trips, and messages one way in three sizes, one after the other. The subjects take turns: WebSockets of
 * the runtime without the library, the library over them, and the library over TCP.
 *
 * @module
 */

import type { Workload } from "../workload.ts";
import { open, settledMemory } from "./idle.ts";
import { measureOneWay } from "./one_way.ts";
import { measureRoundTrips } from "./round_trips.ts";

const LOADS = [
  { name: "websocket 64 B", size: 64, each: 50_000 },
  { name: "websocket 1 KB", size: 1024, each: 20_000 },
  { name: "websocket 64 KB", size: 65_536, each: 500 },
] as const;

/** A runtime compiles both ends within several thousand round trips, in milliseconds. */
const WARM_UP = 1_500;

/** Connections whose memory is measured, and those before them, which bring code and pools into memory. */
const IDLE = 1_000;
const WARM = 50;

/** See the module. */
export const webSocket: Workload = async (context) => {
  const pace = { ...context.pace, warmUp: WARM_UP * context.pace.share };
  const trips = await measureRoundTrips({ ...context, pace });
  const figures: Record<string, number> = {
    "websocket round trip": trips.time,
    "websocket round trip cpu": trips.cpu,
  };
  for (const { name, size, each } of LOADS) {
    const { rate, cpu } = await measureOneWay(context, { clients: 1, each, size });
    figures[name] = rate;
    figures[`${name} cpu`] = cpu;
  }
  return figures;
};

/** What an idle connection takes on the server: what the garbage collector holds, and what is resident. */
export const webSocketIdle: Workload = async (context) => {
  const count = Math.min(IDLE, context.pace.connections);
  await open(context, WARM);
  const before = await settledMemory(context);
  await open(context, count);
  const after = await settledMemory(context);
  return {
    "websocket idle heap": (after.heap - before.heap) / count,
    "websocket idle resident": (after.memory - before.memory) / count,
  };
};
