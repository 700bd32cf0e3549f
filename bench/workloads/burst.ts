/**
 * One-way messages on one connection, as fast as they go: 64 B, 1 KB and 64 KB.
 *
 * @module
 */

import type { Figures, Workload } from "../workload.ts";
import { measureOneWay } from "./one_way.ts";

const LOADS = [
  { name: "burst 64 B", size: 64, each: 100_000 },
  { name: "burst 1 KB", size: 1024, each: 50_000 },
  { name: "burst 64 KB", size: 65_536, each: 2000 },
] as const;

/** See the module. */
export const burst: Workload = async (context) => {
  const figures: Figures = {};
  for (const { name, size, each } of LOADS) {
    const result = await measureOneWay(context, { clients: 1, each, size });
    figures[name] = result.rate;
    figures[`${name} cpu`] = result.cpu;
  }
  return figures;
};
