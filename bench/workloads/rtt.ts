/**
 * Sequential round trips on one connection: a request is sent when the reply to the last one is there.
 *
 * @module
 */

import { percentile } from "../../src/cli/bench/statistics.ts";
import type { Workload } from "../workload.ts";
import { measurePasses } from "./passes.ts";
import { Requests } from "./requests.ts";

const EACH = 1000;

/** See the module. */
export const rtt: Workload = async (context) => {
  const peer = await context.connect();
  const requests = new Requests(peer, 64);
  let times: number[] = [];
  let sent = 0;
  const replied = () => {
    const now = performance.now();
    times.push(now - sent);
    sent = now;
  };
  const passes: number[][] = [];
  const result = await measurePasses(context, EACH, async () => {
    times = [];
    sent = performance.now();
    await requests.run(EACH, 1, replied);
    passes.push(times);
  });
  requests.confirm(context);
  await peer.close();
  const measured = passes.slice(result.warmUpPasses).flat();
  return {
    "rtt p50": 1000 * percentile(measured, 50),
    "rtt p99": 1000 * percentile(measured, 99),
    "rtt cpu": result.cpu,
  };
};
