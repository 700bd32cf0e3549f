/**
 * The table of a run: each figure beside its floor, with the goal.
 *
 * @module
 */

import { boundOf, FIGURES, FLOOR_OF, reaches } from "./goals.ts";
import type { Figure, Goal } from "./goals.ts";
import type { Options, Runtime } from "./options.ts";
import { isPeer } from "./peers.ts";
import type { Results, Summary } from "./results.ts";
import { aligned, amount } from "../src/cli/bench/units.ts";
import type { Unit } from "../src/cli/bench/units.ts";

/** The table as text. Medians, with the least and the greatest value of the rounds in brackets. */
export function table(results: Results, options: Options): string {
  const suffix = options.floors[0] === "node" ? "/node" : "";
  const compares = options.subjects !== undefined || options.floors.length > 1;
  const others = results.subjects.filter((subject) =>
    subject !== "veltix" && !isPeer(subject) && (compares || subject.startsWith("webstreams"))
  );
  const head = ["workload", "runtime", "floor", "veltix", "ratio", "goal", "ok", "cpu µs", ...others];
  const rows = [head];
  for (const figure of FIGURES) {
    // These have a table of their own.
    if (figure.workload === "secure" || figure.workload === "secure_idle") continue;
    for (const runtime of options.runtimes) {
      const floorName = floorOn(runtime, FLOOR_OF[figure.workload], suffix);
      const floor = results.summary(runtime, floorName, figure.name);
      const veltix = results.summary(runtime, "veltix", figure.name);
      const all = others.map((subject) => results.summary(runtime, subject, figure.name));
      if (veltix === undefined && all.every((summary) => summary === undefined)) continue;
      rows.push([
        figure.name,
        runtime,
        withRange(floor, figure.unit),
        withRange(veltix, figure.unit),
        veltix !== undefined && floor !== undefined && showsRatio(figure)
          ? (veltix.median / floor.median).toFixed(2)
          : "",
        figure.goal === undefined ? "" : goalText(figure.goal, figure.unit, runtime),
        verdict(figure.goal, runtime, floor, veltix),
        cpuText(results, runtime, floorName, figure.name),
        ...all.map((summary) => summary === undefined ? "" : amount(summary.median, figure.unit)),
      ]);
    }
  }
  return aligned(rows);
}

/** On Node the native sockets are `node:net`. */
export function floorOn(runtime: Runtime, floor: string, suffix: string): string {
  return runtime === "node" ? floor : floor + suffix;
}

/** A ratio of differences or of ratios would say nothing. */
export function showsRatio(figure: Figure): boolean {
  return figure.unit !== "%" && figure.unit !== "×" && figure.unit !== "ns" && figure.name !== "silent: delay";
}

/** "~" marks a verdict that is not certain: one round only, or the rounds' extremes fall on both sides of the goal. */
function verdict(goal: Goal | undefined, runtime: Runtime, floor?: Summary, veltix?: Summary): string {
  if (goal === undefined || veltix === undefined) return "";
  const against = goal.kind === "value" ? ONE : floor;
  if (against === undefined) return "";
  const reached = reaches(goal, runtime, veltix.median / against.median);
  const certain = veltix.rounds > 1 &&
    reached === reaches(goal, runtime, veltix.min / against.max) &&
    reached === reaches(goal, runtime, veltix.max / against.min);
  return `${reached ? "yes" : "NO"}${certain ? "" : " ~"}`;
}

/** What a value by itself is divided by. */
const ONE: Summary = { median: 1, min: 1, max: 1, rounds: 1 };

function goalText(goal: Goal, unit: Unit, runtime: Runtime): string {
  const bound = boundOf(goal, runtime);
  const text = goal.kind === "ratio" ? `${bound} × floor` : amount(bound, unit);
  return `${"atLeast" in goal ? "≥" : "≤"} ${text}`;
}

function cpuText(results: Results, runtime: Runtime, floorName: string, figure: string): string {
  const name = figure === "rtt p50" ? "rtt cpu" : `${figure} cpu`;
  const [floor, veltix] = [floorName, "veltix"].map((subject) => results.summary(runtime, subject, name));
  if (floor === undefined && veltix === undefined) return "";
  return `${floor?.median.toFixed(2) ?? "–"} / ${veltix?.median.toFixed(2) ?? "–"}`;
}

function withRange(summary: Summary | undefined, unit: Unit): string {
  if (summary === undefined) return "–";
  if (summary.min === summary.max) return amount(summary.median, unit);
  return `${amount(summary.median, unit)} [${amount(summary.min, unit)}–${amount(summary.max, unit)}]`;
}
