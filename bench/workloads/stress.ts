/**
 * 100 clients, each of which sends 1,000 one-way messages in a pass.
 *
 * @module
 */

import type { Workload } from "../workload.ts";
import { measureOneWay } from "./one_way.ts";

/** See the module. */
export const stress: Workload = async (context) => {
  const result = await measureOneWay(context, { clients: 100, each: 1000, size: 64 });
  return { "stress": result.rate, "stress cpu": result.cpu };
};
