/**
 * The guard against losses of speed: ratios to the floors measured in the same run, beside those kept in the repository.
 * Figures of different runs are not comparable, their ratios to the same floor are.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { FIGURES, FLOOR_OF } from "./goals.ts";
import type { Options, Runtime } from "./options.ts";
import type { Results } from "./results.ts";
import { aligned, lessIsBetter } from "./units.ts";

/** The part that may be lost. */
const TOLERANCE = 0.25;

const FILE = new URL("./guard.json", import.meta.url);

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
export function ratiosOf(results: Pick<Results, "summary">, runtimes: readonly Runtime[]): Ratios {
  return Object.fromEntries(runtimes.map((runtime) => {
    const pairs = FIGURES.filter(isGuarded).flatMap(({ name, workload }) => {
      const floor = results.summary(runtime, FLOOR_OF[workload], name);
      const veltix = results.summary(runtime, "veltix", name);
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

/** Checks a run or keeps its ratios; prints what it finds and returns whether that is well. */
export function guard(results: Results, options: Options, about: object): boolean {
  const now = ratiosOf(results, options.runtimes);
  if (options.guard === "write") {
    const ratios = { ...keptRatios(), ...now };
    writeFileSync(FILE, `${JSON.stringify({ ...about, ratios }, null, 2)}\n`);
    console.log("\nguard: kept in bench/guard.json");
    return true;
  }
  const guarded = guardOf(keptRatios(), now);
  const rows = guarded.map(({ runtime, figure, kept, now, loss, failed }) => [
    figure,
    runtime,
    kept.toFixed(2),
    now.toFixed(2),
    `${(100 * loss).toFixed(0)} %`,
    failed ? "FAILED" : "ok",
  ]);
  if (guarded.length === 0) {
    console.log("\nguard: FAILED: none of these ratios is kept; keep some by --guard --write on an idle machine");
    return false;
  }
  console.log(`\nguard: ratios to the floor, kept and now\n`);
  console.log(aligned([["workload", "runtime", "kept", "now", "loss", ""], ...rows]));
  return guarded.every(({ failed }) => !failed);
}

function keptRatios(): Ratios {
  try {
    return JSON.parse(readFileSync(FILE, "utf8")).ratios;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return {};
    throw error;
  }
}
