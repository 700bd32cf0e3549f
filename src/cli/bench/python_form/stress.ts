/**
 * Python's `stress`: 100 clients send 100 messages of 32 bytes each at the same time, all in one process with the server. A first
 * round warms up, as Python does since 3.0.
 *
 * @module
 */

import { deviation, greatest, least, mean } from "../statistics.ts";
import { residentBytes } from "../usage.ts";
import type { FormBench } from "./context.ts";
import { MOVE, Stream, withEnds } from "./ends.ts";
import { record } from "./records.ts";

const SIZE = 32;
const MIB = 1024 * 1024;

/** See the module. */
export const pythonStress: FormBench = async (context) => {
  const { stressClients = 100, stressMessages: each = 100 } = context.numbers ?? {};
  const clients = Math.min(stressClients, context.pace.connections);
  return await withEnds(context, clients, async (ends) => {
    const stream = new Stream(clients, SIZE);
    let first = 0;
    let last = 0;
    ends.server.route(MOVE, ({ content }) => {
      last = performance.now();
      first ||= last;
      stream.take(content);
    });

    const send = (): Promise<number[]> =>
      Promise.all(ends.clients.map(async (client, sender) => {
        const start = performance.now();
        for (let i = 0; i < each; i++) {
          if (client.send(MOVE, stream.next(sender))) continue;
          await client.ready();
          context.signal?.throwIfAborted();
        }
        return performance.now() - start;
      }));
    await send();
    await stream.confirm(context);

    first = 0;
    const before = residentBytes();
    const start = performance.now();
    const times = await send();
    const sending = performance.now() - start;
    await stream.confirm(context);
    const elapsed = last - start;
    const count = clients * each;

    const rates = times.filter((time) => time > 0).map((time) => 1000 * each / time);
    const result = record("stress", ends.backend, {
      num_clients: clients,
      msgs_per_client: each,
      total_sent: count,
      total_recv: stream.received - count,
      success_rate: 100 * (stream.received - count) / count,
      throughput: 1000 * count / elapsed,
      duration_s: elapsed / 1000,
      ram_delta_mb: (residentBytes() - before) / MIB,
      send_phase_s: sending / 1000,
      drain_time_s: Math.max(0, elapsed - sending) / 1000,
      time_to_first_recv_ms: first - start,
      per_client_tps_avg: mean(rates),
      per_client_tps_min: rates.length > 0 ? least(rates) : 0,
      per_client_tps_max: rates.length > 0 ? greatest(rates) : 0,
      per_client_tps_stdev: deviation(rates),
    });
    context.python(result);
    return { "python stress": 1000 * count / elapsed };
  });
};
