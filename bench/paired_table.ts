/**
 * Tables of workloads whose rounds measure all subjects in turn. So the comparisons are ratios or differences of medians,
 * with an interval that resampling the rounds gives.
 *
 * @module
 */

import { FIGURES } from "./goals.ts";
import type { Sample } from "./results.ts";
import { type Compared, interval } from "../src/cli/bench/statistics.ts";
import type { SubjectName } from "./subject.ts";
import { aligned, amount, type Unit } from "../src/cli/bench/units.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** The subjects that stand in it; on each runtime at most one of them is measured. */
  readonly subjects: readonly SubjectName[];
}

/** What a figure is to reach. */
export interface PairedGoal {
  /** The title of the column that it is compared with. @default the first column */
  readonly against?: string;
  /** `value`: the figure itself is judged. */
  readonly how: "ratio" | "difference" | "value";
  readonly atLeast?: number;
  readonly atMost?: number;
  /** The bound between different runtimes, where it is another one. */
  readonly mixed?: number;
}

/** What a table has. */
export interface PairedTable {
  readonly workloads: readonly WorkloadName[];
  readonly columns: readonly Column[];
  /** The title of the column that is judged. */
  readonly ours: string;
  /** By figure. A figure without a goal is compared with the first column, and not judged. */
  readonly goals: Readonly<Record<string, PairedGoal>>;
  /** The title of a column that all figures are compared with besides, as ratios. @default none */
  readonly beside?: string;
}

type Values = Readonly<Record<string, readonly number[]>>;

/** The table as text; empty if nothing of it was measured. */
export function pairedTable(samples: readonly Sample[], table: PairedTable): string {
  const { workloads, columns, ours, goals, beside } = table;
  const figures = FIGURES.filter(({ workload }) => workloads.includes(workload));
  const measured = samples.filter(({ workload }) => (workloads as readonly string[]).includes(workload));
  const rows = figures.flatMap(({ name, unit }) =>
    [...new Set(measured.map(({ runtime }) => runtime))].flatMap((place): string[][] => {
      const here = measured.filter(({ runtime }) => runtime === place);
      const values = Object.fromEntries(columns.map((column) => [column.title, valuesOf(here, column, name)]));
      if (values[ours].length === 0) return [];
      const cells = columns.map(({ title }) =>
        values[title].length === 0 ? "–" : amount(interval(values[title]).middle, unit)
      );
      const first = columns[0].title;
      const more = beside === undefined ? [] : [comparison(values, ours, beside, "ratio", unit)?.cell ?? "–"];
      const rounds = String(values[ours].length);
      return [[name, place, ...cells, ...more, ...judged(values, table, goals[name], first, unit, place), rounds]];
    })
  );
  if (rows.length === 0) return "";
  const more = beside === undefined ? [] : [`× ${beside}`];
  const titles = columns.map(({ title }) => title);
  return aligned([["figure", "runtime", ...titles, ...more, "compared", "goal", "ok", "rounds"], ...rows]);
}

/** The comparison with its interval, the goal, and whether it is reached. */
function judged(
  values: Values,
  { ours }: PairedTable,
  goal: PairedGoal | undefined,
  first: string,
  unit: Unit,
  place: string,
): string[] {
  const { how, against = first } = goal ?? { how: "ratio" };
  const compared = comparison(values, ours, against, how, unit);
  if (compared === undefined) return ["–", "", ""];
  if (goal === undefined) return [compared.cell, "", ""];
  const least = place.includes("-") ? goal.mixed ?? goal.atLeast : goal.atLeast;
  const bound = least !== undefined ? `≥ ${written(least, how, unit)}` : `≤ ${written(goal.atMost!, how, unit)}`;
  return [compared.cell, bound, verdict(compared.interval, least, goal.atMost)];
}

/** Compares two columns; `undefined` if the other one was not measured. */
function comparison(
  values: Values,
  ours: string,
  against: string,
  how: PairedGoal["how"],
  unit: Unit,
): { readonly cell: string; readonly interval: Compared } | undefined {
  const theirs = how === "value" ? undefined : values[against];
  if (theirs?.length === 0) return undefined;
  const compared = interval(values[ours], theirs, how === "difference" ? "difference" : "ratio");
  const [low, middle, high] = [compared.low, compared.middle, compared.high].map((value) => written(value, how, unit));
  const sign = how === "value" ? "" : how === "ratio" ? ` × ${against}` : ` + ${against}`;
  return { cell: `${middle} [${low}–${high}]${sign}`, interval: compared };
}

function written(value: number, how: PairedGoal["how"], unit: Unit): string {
  return how === "ratio" ? value.toFixed(2) : amount(value, unit);
}

/** "~" marks a verdict that is not certain: the bound lies within the interval. */
function verdict({ low, middle, high }: Compared, least: number | undefined, most = Infinity): string {
  const reached = (value: number): boolean => least === undefined ? value <= most : value >= least;
  const certain = reached(low) === reached(high) && low < high;
  return `${reached(middle) ? "yes" : "NO"}${certain ? "" : " ~"}`;
}

function valuesOf(samples: readonly Sample[], { subjects }: Column, figure: string): number[] {
  return samples
    .filter(({ subject }) => (subjects as readonly string[]).includes(subject))
    .map(({ figures }) => figures[figure])
    .filter((value) => value !== undefined);
}
