/**
 * Python's `latency`: pings one after another, client and server in one process.
 *
 * @module
 */

import { deviation, greatest, interpolated, least, mean, median } from "../statistics.ts";
import type { FormBench } from "./context.ts";
import { withEnds } from "./ends.ts";
import { record } from "./records.ts";

const WARM_UP = 20;

/** See the module. */
export const latency: FormBench = async (context) => {
  return await withEnds(context, 1, async (ends) => {
    const [client] = ends.clients;
    for (let i = 0; i < WARM_UP; i++) await client.ping({ timeout: 2000 });

    const times: number[] = [];
    const iterations = Math.max(2, Math.round((context.numbers?.latencyIterations ?? 50_000) * context.pace.share));
    const start = performance.now();
    for (let i = 0; i < iterations; i++) {
      context.signal?.throwIfAborted();
      times.push(await client.ping({ timeout: 2000 }));
    }
    const elapsed = performance.now() - start;

    const changes = times.slice(1).map((time, i) => Math.abs(time - times[i]));
    const result = record("latency", ends.backend, {
      count: times.length,
      avg_ms: mean(times),
      p50_ms: median(times),
      p95_ms: interpolated(times, 95),
      p99_ms: interpolated(times, 99),
      min_ms: least(times),
      max_ms: greatest(times),
      stdev_ms: deviation(times),
      jitter_ms: deviation(changes),
      throughput: 1000 * times.length / elapsed,
    });
    context.python(result);
    return {
      "latency: ping p50": 1000 * median(times),
      "latency: ping p99": 1000 * interpolated(times, 99),
      "latency: pings": 1000 * times.length / elapsed,
    };
  });
};
