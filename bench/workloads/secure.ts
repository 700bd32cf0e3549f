/**
 * What protection costs: large and small messages one way, round trips, and connecting and leaving, one after the other.
 * The subjects take turns: plain, encrypted, over TLS, and the floor over bare `node:tls`.
 *
 * @module
 */

import { median } from "../../src/cli/bench/statistics.ts";
import type { Workload } from "../workload.ts";
import { open, settledMemory } from "./idle.ts";
import { measureOneWay } from "./one_way.ts";
import { measurePasses } from "./passes.ts";
import { measureRoundTrips } from "./round_trips.ts";

const LARGE = 64 * 1024;
const SMALL = 64;
/** Connections of a pass, and passes at most: each connection keeps its client port for a minute. */
const CONNECTIONS = { each: 25, warmUp: 60, measure: 40 };
/** A library takes some hundred connections until its runtime has compiled it, in milliseconds. */
const CONNECT_WARM_UP = 1_500;
/** Connections whose memory is measured, and those before them, which bring code and pools into memory. */
const IDLE = 2_000;
const WARM = 50;

/** See the module. */
export const secure: Workload = async (context) => {
  const large = await measureOneWay(context, { clients: 1, each: 500, size: LARGE });
  const small = await measureOneWay(context, { clients: 1, each: 50_000, size: SMALL });
  const trips = await measureRoundTrips(context);
  const opened: number[] = [];
  const pace = { ...context.pace, warmUp: CONNECT_WARM_UP * context.pace.share };
  const connect = await measurePasses({ ...context, pace }, CONNECTIONS.each, async () => {
    for (let i = 0; i < CONNECTIONS.each; i++) {
      const start = performance.now();
      const peer = await context.connect();
      opened.push(performance.now() - start);
      await peer.close();
    }
  }, CONNECTIONS);
  return {
    "secure 64 KiB": large.rate * LARGE,
    "secure 64 KiB cpu": large.cpu,
    "secure 64 B": small.rate,
    "secure 64 B cpu": small.cpu,
    "secure round trip": trips.time,
    "secure round trip cpu": trips.cpu,
    "secure handshakes": 1000 / median(opened.slice(connect.warmUpPasses * CONNECTIONS.each)),
    "secure connects": connect.rate,
    "secure connects cpu": connect.cpu,
  };
};

/** What an idle connection takes on the server: what the garbage collector holds, and what is resident. */
export const secureIdle: Workload = async (context) => {
  const count = Math.min(IDLE, context.pace.connections);
  await open(context, WARM);
  const before = await settledMemory(context);
  await open(context, count);
  const after = await settledMemory(context);
  return {
    "secure idle heap": (after.heap - before.heap) / count,
    "secure idle resident": (after.memory - before.memory) / count,
  };
};
