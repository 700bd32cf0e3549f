/**
 * The same total load of one-way messages over 10 connections and over 1,000.
 *
 * @module
 */

import type { Workload } from "../workload.ts";
import { measureOneWay } from "./one_way.ts";

const TOTAL = 100_000;

/** See the module. */
export const growth: Workload = async (context) => {
  const few = await measureOneWay(context, { clients: 10, each: TOTAL / 10, size: 64 });
  const many = await measureOneWay(context, { clients: 1000, each: TOTAL / 1000, size: 64 });
  return {
    "growth 10": few.rate,
    "growth 1000": many.rate,
    "growth fall": 100 * (1 - many.rate / few.rate),
    "growth 10 cpu": few.cpu,
    "growth 1000 cpu": many.cpu,
  };
};
