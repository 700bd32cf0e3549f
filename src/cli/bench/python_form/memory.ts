/**
 * Python's `memory`: what a process weighs before there is a server, with an idle one, with 10 and with 50 clients of its
 * own, and when all of them are gone.
 *
 * @module
 */

import { deviation, greatest, least, mean, median } from "../statistics.ts";
import { residentBytes } from "../usage.ts";
import { pause } from "../waiting.ts";
import type { FormBench } from "./context.ts";
import { withEnds } from "./ends.ts";
import { record } from "./records.ts";

/** See the module. */
export const memory: FormBench = async (context) => {
  const settled = async (milliseconds: number): Promise<number> => {
    await pause(Math.min(milliseconds, 2 * context.pace.measure), context.signal);
    return residentKilobytes();
  };
  const baseline = await settled(50);
  return await withEnds(context, 0, async (ends) => {
    const idle = await settled(300);
    const costs: number[] = [];
    for (let i = 0; i < 10; i++) {
      const before = residentKilobytes();
      await ends.join(1);
      costs.push(await settled(50) - before);
    }
    const ten = residentKilobytes();
    await ends.join(40);
    const fifty = await settled(500);
    await ends.close();
    const after = await settled(500);

    const result = record("memory", ends.backend, {
      baseline_kb: baseline,
      server_idle_kb: idle - baseline,
      client_cost_avg_kb: mean(costs),
      client_cost_min_kb: least(costs),
      client_cost_max_kb: greatest(costs),
      client_cost_median_kb: median(costs),
      client_cost_stdev_kb: deviation(costs),
      ram_10_clients_kb: ten,
      ram_50_clients_kb: fifty,
      ram_after_teardown_kb: after,
      leak_kb: after - baseline,
    });
    context.python(result);
    return {
      "memory: idle server": 1024 * (idle - baseline),
      "memory: client, first 10": 1024 * mean(costs),
      "memory: client, 10 to 50": 1024 * (fifty - ten) / 40,
      "memory: left behind": 1024 * (after - baseline),
    };
  });
};

function residentKilobytes(): number {
  return residentBytes() / 1024;
}
