/**
 * The guard against losses of speed: ratios to the floors measured in the same run, beside those of the run that is kept in the
 * repository, `bench/results.json`.
 * Figures of different runs are not comparable, their ratios to the same floor are.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { FIGURES, FLOOR_OF } from "./goals.ts";
import type { Runtime } from "./options.ts";
import { type Results, type Sample, summarize } from "./results.ts";
import { aligned, lessIsBetter } from "../src/cli/bench/units.ts";

/** The part that may be lost. */
const TOLERANCE = 0.25;

const FILE = new URL("./results.json", import.meta.url);

/** Ratios to the floor by runtime and figure. */
export type Ratios = Readonly<Partial<Record<Runtime, Readonly<Record<string, number>>>>>;

/** One ratio beside the one kept. */
export interface Guarded {
  readonly runtime: Runtime;
  readonly figure: string;
  readonly kept: number;
  readonly now: number;
  /** The part that is lost; negative for a gain. */
  readonly loss: number;
  readonly failed: boolean;
}

/** The ratios of a run: figures with a goal beside a floor, and memory. Tails and the like vary too much. */
export function ratiosOf(samples: readonly Sample[], runtimes: readonly Runtime[]): Ratios {
  return Object.fromEntries(runtimes.map((runtime) => {
    const pairs = FIGURES.filter(isGuarded).flatMap(({ name, workload }) => {
      const floor = summarize(samples, runtime, FLOOR_OF[workload], name);
      const veltix = summarize(samples, runtime, "veltix", name);
      if (floor === undefined || veltix === undefined) return [];
      return [[name, Number((veltix.median / floor.median).toPrecision(3))] as const];
    });
    return [runtime, Object.fromEntries(pairs)];
  }));
}

function isGuarded({ name, goal }: (typeof FIGURES)[number]): boolean {
  return goal?.kind === "ratio" || name === "idle memory";
}

/** Compares with what is kept; a figure that only one side has is left out. */
export function guardOf(kept: Ratios, now: Ratios): Guarded[] {
  return Object.entries(now).flatMap(([runtime, ratios]) =>
    Object.entries(ratios).flatMap(([figure, ratio]): Guarded[] => {
      const before = kept[runtime as Runtime]?.[figure];
      if (before === undefined) return [];
      const unit = FIGURES.find(({ name }) => name === figure)!.unit;
      const loss = lessIsBetter(unit) ? 1 - before / ratio : 1 - ratio / before;
      return [{ runtime: runtime as Runtime, figure, kept: before, now: ratio, loss, failed: loss > TOLERANCE }];
    })
  );
}

/** Checks a run; prints what it finds and returns whether that is well. */
export function guard(results: Results, runtimes: readonly Runtime[]): boolean {
  const kept = ratiosOf(JSON.parse(readFileSync(FILE, "utf8")).samples, runtimes);
  const guarded = guardOf(kept, ratiosOf(results.samples, runtimes));
  if (guarded.length === 0) {
    console.log("\nguard: FAILED: none of these ratios is in bench/results.json");
    return false;
  }
  const rows = guarded.map(({ runtime, figure, kept, now, loss, failed }) => [
    figure,
    runtime,
    kept.toFixed(2),
    now.toFixed(2),
    `${(100 * loss).toFixed(0)} %`,
    failed ? "FAILED" : "ok",
  ]);
  console.log("\nguard: ratios to the floor, kept and now\n");
  console.log(aligned([["workload", "runtime", "kept", "now", "loss", ""], ...rows]));
  return guarded.every(({ failed }) => !failed);
}
