/**
 * Python's `burst`: 10,000 messages of 64 bytes on one connection, client and server in one process. Python looks every 50 ms
 * whether all have come; here the last one itself ends the measurement. A first burst warms up, as Python does since 3.0.
 *
 * @module
 */

import { deviation, interpolated, mean } from "../statistics.ts";
import type { FormBench } from "./context.ts";
import { MOVE, Stream, withEnds } from "./ends.ts";
import { record } from "./records.ts";

const MIB = 1024 * 1024;

/** See the module. */
export const pythonBurst: FormBench = async (context) => {
  const { burstCount: count = 10_000, burstPayload: size = 64 } = context.numbers ?? {};
  return await withEnds(context, 1, async (ends) => {
    const [client] = ends.clients;
    const stream = new Stream(1, size);
    let arrivals: number[] = [];
    ends.server.route(MOVE, ({ content }) => {
      arrivals.push(performance.now());
      stream.take(content);
    });
    const send = async (): Promise<void> => {
      for (let i = 0; i < count; i++) {
        if (client.send(MOVE, stream.next(0))) continue;
        await client.ready();
        context.signal?.throwIfAborted();
      }
    };
    await send();
    await stream.confirm(context);

    arrivals = [];
    const start = performance.now();
    await send();
    const sending = performance.now() - start;
    await stream.confirm(context);
    const elapsed = arrivals[arrivals.length - 1] - start;

    const drain = arrivals.map((time) => time - start);
    const gaps = arrivals.slice(1).map((time, i) => time - arrivals[i]);
    const result = record("burst", ends.backend, {
      count,
      payload_bytes: size,
      send_throughput: 1000 * count / sending,
      recv_throughput: 1000 * arrivals.length / elapsed,
      data_mbps: 1000 * arrivals.length * size / elapsed / MIB,
      success_rate: 100 * arrivals.length / count,
      duration_s: elapsed / 1000,
      send_duration_s: sending / 1000,
      drain_p50_ms: interpolated(drain, 50),
      drain_p95_ms: interpolated(drain, 95),
      drain_p99_ms: interpolated(drain, 99),
      drain_max_ms: interpolated(drain, 100),
      drain_jitter_ms: deviation(gaps),
      recv_gap_avg_ms: mean(gaps),
    });
    context.python(result);
    return {
      "python burst: sent": 1000 * count / sending,
      "python burst: received": 1000 * arrivals.length / elapsed,
    };
  });
};
