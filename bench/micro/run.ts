/**
 * Measures the single functions on the runtime that runs it, and prints nanoseconds a call as JSON. Its argument is JSON, too:
 * `{"only": ["crc"], "time": 200}`, parts of names and milliseconds a case.
 *
 * @module
 */

import process from "node:process";
import { microCases } from "./cases.ts";

/** What to measure. */
export interface MicroConfig {
  /** Parts of names; undefined for all cases. */
  readonly only?: readonly string[];
  /** Milliseconds a case, the same for warming up. */
  readonly time: number;
  /** Whether the cases of a group are measured in turns, so that a busy moment of the machine is one for all of them. */
  readonly turns?: boolean;
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
export async function measure({ only, time, turns = false }: MicroConfig): Promise<MicroResult[]> {
  await using made = await microCases();
  const cases = made.cases.filter(({ name }) => only?.some((part) => name.includes(part)) ?? true);
  const results: MicroResult[] = [];
  const groups = turns ? [...Map.groupBy(cases, ({ group }) => group).values()] : cases.map((one) => [one]);
  for (const group of groups) {
    await rounds(group.map(({ run }) => run), time);
    const all = await rounds(group.map(({ run }) => run), time);
    for (const [i, { name, calls, bytes }] of group.entries()) {
      const took = all[i].sort((a, b) => a - b);
      const nanoseconds = (part: number): number => 1e6 * took[Math.floor(part * (took.length - 1))] / calls;
      results.push({ name, bytes, p50: nanoseconds(0.5), p99: nanoseconds(0.99), rme: marginOf(took) });
    }
  }
  return results;
}

/** Runs each in turn, for so long together as there are some, and at least ten times; the milliseconds of each time. */
async function rounds(runs: readonly (() => unknown)[], time: number): Promise<number[][]> {
  const took: number[][] = runs.map(() => []);
  for (const end = performance.now() + time * runs.length; took[0].length < 10 || performance.now() < end;) {
    for (const [i, run] of runs.entries()) {
      const start = performance.now();
      const result = run();
      if (result instanceof Promise) await result;
      took[i].push(performance.now() - start);
    }
  }
  return took;
}

/** The relative margin of error of the mean at 95 %, in percent. */
function marginOf(took: readonly number[]): number {
  const mean = took.reduce((sum, one) => sum + one, 0) / took.length;
  const variance = took.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (took.length - 1);
  return 100 * 1.96 * Math.sqrt(variance / took.length) / mean;
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]))));
}
