/**
 * Round trips of 64 bytes, one after the other, on one connection: the common part of the workloads that compare kinds of
 * connections.
 *
 * @module
 */

import { median } from "../../src/cli/bench/statistics.ts";
import type { Context } from "../workload.ts";
import { measurePasses } from "./passes.ts";
import { Requests } from "./requests.ts";

/** Round trips of a pass. */
const TRIPS = 500;
const SIZE = 64;

/** What a round trip takes. */
export interface RoundTrips {
  /** The median over all passes of the median of a pass, in microseconds. */
  readonly time: number;
  /** CPU time of both processes, in microseconds. */
  readonly cpu: number;
}

/** Opens a connection and measures. */
export async function measureRoundTrips(context: Context): Promise<RoundTrips> {
  const peer = await context.connect();
  const requests = new Requests(peer, SIZE);
  const times: number[] = [];
  let sent = 0;
  const replied = (): void => {
    const now = performance.now();
    times.push(now - sent);
    sent = now;
  };
  const passes: number[] = [];
  const result = await measurePasses(context, TRIPS, async () => {
    times.length = 0;
    sent = performance.now();
    await requests.run(TRIPS, 1, replied);
    passes.push(1000 * median(times));
  });
  requests.confirm(context);
  await peer.close();
  return { time: median(passes.slice(result.warmUpPasses)), cpu: result.cpu };
}
