/**
 * How long the event loop of a server keeps a ping waiting while four requests that only compute are under way all the time: by
 * `route()`, where they run on that loop, and by `workerRoute()`. And what a request costs that has nothing to compute.
 *
 * @module
 */

import { Client, Server } from "../../mod.ts";
import { median, percentile } from "../../src/cli/bench/statistics.ts";
import type { Context, Figures, Workload } from "../workload.ts";
import { COUNT, count } from "./workers_type.ts";

const AT_ONCE = 4;
const THREADS = 4;
/** About 10 ms of computing. */
const HEAVY = 160_000;

/** See the module. */
export const workers: Workload = async (context): Promise<Figures> => {
  if (context.config.subject !== "veltix") return {};
  const loop = await measure(context, (server) => server.route(COUNT, ({ data }) => count(data)));
  const module = new URL("./workers_worker.ts", import.meta.url);
  const threads = await measure(context, (server) => server.workerRoute(COUNT, module, { threads: THREADS }));
  return {
    "workers: ping p99, route": loop.ping,
    "workers: ping p99, workerRoute": threads.ping,
    "workers: heavy, route": loop.rate,
    "workers: heavy, workerRoute": threads.rate,
    "workers: light p50, route": loop.light,
    "workers: light p50, workerRoute": threads.light,
  };
};

async function measure({ pace }: Context, route: (server: Server) => void): Promise<Figures> {
  await using server = new Server({ port: 0, hostname: "127.0.0.1" });
  route(server);
  await server.start();
  await using client = new Client({ ...server.addresses[0] });
  await using other = new Client({ ...server.addresses[0] });
  await Promise.all([client.connect(), other.connect()]);

  let heavy = 0;
  let over = false;
  const compute = async (): Promise<void> => {
    while (!over) {
      await client.request(COUNT, HEAVY, { timeout: 60_000 });
      heavy++;
    }
  };
  const computing = Array.from({ length: AT_ONCE }, compute);
  await pings(other, pace.warmUp);
  heavy = 0;
  const start = performance.now();
  const times = await pings(other, pace.measure);
  const rate = heavy / ((performance.now() - start) / 1_000);
  over = true;
  await Promise.all(computing);

  const light: number[] = [];
  for (const end = performance.now() + pace.measure / 4; performance.now() < end;) {
    const start = performance.now();
    await client.request(COUNT, 0);
    light.push((performance.now() - start) * 1_000);
  }
  return { ping: percentile(times, 99), rate, light: median(light) };
}

/** Round trips in milliseconds, some 2 ms apart, for so long and at least ten of them. */
async function pings(client: Client, ms: number): Promise<number[]> {
  const times: number[] = [];
  for (const end = performance.now() + ms; performance.now() < end || times.length < 10;) {
    times.push(await client.ping({ timeout: 60_000 }));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return times;
}
