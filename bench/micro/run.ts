/**
 * Measures the single functions on the runtime that runs it, and prints nanoseconds a call as JSON. Its argument is JSON, too:
 * `{"only": ["crc"], "time": 200}`, parts of names and milliseconds a case.
 *
 * @module
 */

import process from "node:process";
import { Bench } from "tinybench";
import { microCases } from "./cases.ts";

/** What to measure. */
export interface MicroConfig {
  /** Parts of names; undefined for all cases. */
  readonly only?: readonly string[];
  /** Milliseconds a case, the same for warming up. */
  readonly time: number;
}

/** One case. */
export interface MicroResult {
  readonly name: string;
  readonly bytes?: number;
  /** Nanoseconds a call: the median, the 99th percentile, and the relative margin of error of the mean in percent. */
  readonly p50: number;
  readonly p99: number;
  readonly rme: number;
}

/** Measures. */
export async function measure({ only, time }: MicroConfig): Promise<MicroResult[]> {
  await using made = await microCases();
  const cases = made.cases.filter(({ name }) => only?.some((part) => name.includes(part)) ?? true);
  const bench = new Bench({ time, warmupTime: time, throws: true });
  for (const { name, run } of cases) bench.add(name, run);
  await bench.run();
  return cases.map(({ name, calls, bytes }) => {
    const result = bench.getTask(name)?.result;
    if (result?.state !== "completed") throw new Error(`Cannot measure "${name}": it is ${result?.state}`);
    const { p50, p99, rme } = result.latency;
    const nanoseconds = (milliseconds: number) => 1e6 * milliseconds / calls;
    return { name, bytes, p50: nanoseconds(p50), p99: nanoseconds(p99), rme };
  });
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]))));
}
