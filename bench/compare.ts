/**
 * Two saved results side by side: the ratio of medians for each figure that both have.
 *
 * @module
 */

import { FIGURES } from "./goals.ts";
import { type Sample, summarize, type Summary } from "./results.ts";
import { aligned, amount, lessIsBetter } from "../src/cli/bench/units.ts";

/** What is read of a saved file. */
export interface Saved {
  readonly date: string;
  readonly samples: readonly Sample[];
}

/** One figure of one subject in both. */
export interface Change {
  readonly figure: string;
  readonly runtime: Sample["runtime"];
  readonly subject: string;
  readonly before: Summary;
  readonly after: Summary;
  /** Median after by median before. */
  readonly ratio: number;
  /** Whether the ranges of the rounds overlap: then the change may be none. */
  readonly overlap: boolean;
}

/** All figures that both have, in the order of the figures. */
export function changesOf(before: readonly Sample[], after: readonly Sample[]): Change[] {
  const who = new Map(after.map(({ runtime, subject }) => [`${runtime} ${subject}`, { runtime, subject }]));
  return FIGURES.flatMap(({ name: figure }) =>
    [...who.values()].flatMap(({ runtime, subject }): Change[] => {
      const [old, now] = [before, after].map((samples) => summarize(samples, runtime, subject, figure));
      if (old === undefined || now === undefined) return [];
      const overlap = old.min <= now.max && now.min <= old.max;
      return [{ figure, runtime, subject, before: old, after: now, ratio: now.median / old.median, overlap }];
    })
  );
}

/** The comparison as text. */
export function compare(before: Saved, after: Saved): string {
  const rows = changesOf(before.samples, after.samples).map((change) => {
    const unit = FIGURES.find(({ name }) => name === change.figure)!.unit;
    const [old, now] = [change.before, change.after].map(({ median, min, max }) =>
      min === max ? amount(median, unit) : `${amount(median, unit)} [${amount(min, unit)}–${amount(max, unit)}]`
    );
    const better = (change.ratio < 1) === lessIsBetter(unit);
    const certain = !change.overlap && change.before.rounds > 1 && change.after.rounds > 1;
    const verdict = change.ratio === 1 ? "" : `${better ? "better" : "worse"}${certain ? "" : " ~"}`;
    return [change.figure, change.runtime, change.subject, old, now, change.ratio.toFixed(2), verdict];
  });
  const head = ["workload", "runtime", "subject", before.date, after.date, "ratio", ""];
  return [
    aligned([head, ...rows]),
    "\nmedians [least–greatest]; ~ not certain: the ranges overlap, or one round only; different runs: what the machine did besides is in the ratios, too",
  ].join("\n");
}
