/**
 * A run beside an earlier one: how each figure changed, and whether that is more than noise.
 *
 * @module
 */

import type { Compared } from "./bench_file.ts";
import { written } from "./series.ts";
import { changeOf, median, ROUNDS_TO_TELL } from "./statistics.ts";
import { aligned, lessIsBetter, type Unit } from "./units.ts";

/** A load of a core from which on other programs show in the figures. */
export const BUSY = 0.5;

/** What a change is worth. `few`: one of the runs has too few rounds to tell. */
export type Verdict = "better" | "worse" | "noise" | "same" | "few";

/** The change of one figure. */
export interface FigureChange {
  readonly name: string;
  readonly unit: Unit;
  /** Medians. */
  readonly before: number;
  readonly after: number;
  readonly rounds: readonly [before: number, after: number];
  /** Median after by median before; absent if that was 0. */
  readonly ratio?: number | undefined;
  /** The interval that holds the ratio in 95 of 100 cases. */
  readonly range?: readonly [low: number, high: number] | undefined;
  readonly verdict: Verdict;
}

/** Returns the changes of all figures that both have, in the order of the later run. */
export function changesOf(before: Compared, after: Compared): FigureChange[] {
  return after.series.flatMap(({ name, unit, values }) => {
    const old = before.series.find((series) => series.name === name && series.unit === unit);
    if (old === undefined) return [];
    const rounds = [old.values.length, values.length] as const;
    const medians = { before: median(old.values), after: median(values) };
    const { isCertain, range, ratio } = changeOf(old.values, values);
    const isFew = Math.min(...rounds) < ROUNDS_TO_TELL;
    const isBetter = medians.after < medians.before === lessIsBetter(unit);
    const verdict: Verdict = medians.before === medians.after
      ? "same"
      : isFew
      ? "few"
      : !isCertain
      ? "noise"
      : isBetter
      ? "better"
      : "worse";
    return [{ name, unit, ...medians, rounds, ratio, range: isFew ? undefined : range, verdict }];
  });
}

/** Returns what differs in how the two were measured. */
export function differencesOf(before: Compared, after: Compared): string[] {
  const names = [...new Set([...Object.keys(before.settings), ...Object.keys(after.settings)])];
  const settings = Object.keys(before.settings).length === 0 ? [] : names.flatMap((name) => {
    const [old, now] = [before, after].map(({ settings }) => JSON.stringify(settings[name]) ?? "none");
    return old === now ? [] : [`${name} was ${old} and is ${now}`];
  });
  const { load, machine } = before;
  return [
    ...machine === after.machine || machine === undefined ? [] : [`before: ${machine}`],
    ...settings,
    ...Math.max(load, after.load) < BUSY
      ? []
      : [`other programs were busy: load of a core ${load.toFixed(1)} before, ${after.load.toFixed(1)} after`],
  ];
}

/** The comparison as text. */
export function comparisonText(before: Compared, after: Compared): string {
  const changes = changesOf(before, after);
  if (changes.length === 0) return "The runs have no figure in common.";
  const rows = changes.map((change) => [
    change.name,
    written(change.before, change.unit),
    written(change.after, change.unit),
    change.ratio === undefined ? "" : percent(change.ratio),
    change.range === undefined ? "" : change.range.map(percent).join(" … "),
    textOf(change),
  ]);
  const lines = [
    aligned([["figure", before.title, after.title, "change", "95 % interval", ""], ...rows]),
    "",
    "noise: the rounds do not tell the runs apart; of twenty figures, one is told apart by chance",
    ...differencesOf(before, after),
  ];
  return lines.join("\n");
}

function textOf({ rounds, verdict }: FigureChange): string {
  if (verdict === "few") return `cannot tell by ${rounds[0]} and ${rounds[1]} rounds: from ${ROUNDS_TO_TELL} each`;
  return verdict;
}

function percent(ratio: number): string {
  const change = 100 * (ratio - 1);
  return `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(Math.abs(change) < 10 ? 1 : 0)} %`;
}
