/**
 * The results of several rounds in Python's form as one: medians, and for each field that varies how far it does, as Python
 * 3.3 exports it (`n_runs` and `metrics`).
 *
 * @module
 */

import { deviation, greatest, interpolated, least, mean, median } from "../statistics.ts";
import type { PythonForm, PythonResult } from "./records.ts";

/** Resamples of a confidence interval. */
const RESAMPLES = 2000;

/** Half an interval wider than this part of the median is called noisy. */
const NOISY = 0.1;

/** The results of all rounds of one subject. */
export function aggregate(results: readonly PythonResult[]): PythonForm {
  const form: Record<string, unknown> = {};
  for (const bench of ["memory", "latency", "burst", "stress"] as const) {
    const rounds = results.filter((result) => result.bench === bench);
    if (rounds.length > 0) form[bench] = combine(rounds.map(({ values }) => values));
  }
  const fps = Map.groupBy(results.filter(({ bench }) => bench === "fps"), ({ values }) => values.players);
  if (fps.size > 0) form.fps = [...fps.values()].map((rounds) => combine(rounds.map(({ values }) => values)));
  return form;
}

function combine(rounds: readonly PythonResult["values"][]): PythonResult["values"] {
  const combined: Record<string, unknown> = { ...rounds[0] };
  const metrics: Record<string, unknown> = {};
  for (const [name, first] of Object.entries(rounds[0])) {
    if (typeof first !== "number" || name === "n_runs") continue;
    const values = rounds.map((round) => round[name] as number);
    if (values.every((value) => value === first)) continue;
    const middle = median(values);
    // What is a whole number stays one, as Python does it.
    combined[name] = values.every(Number.isInteger) ? Math.round(middle) : Number(middle.toFixed(6));
    metrics[name] = spread(values);
  }
  return { ...combined, n_runs: rounds.length, metrics };
}

/** How far the values of a field lie apart. */
function spread(values: readonly number[]): Record<string, unknown> {
  const middle = median(values);
  const medians = Array.from({ length: RESAMPLES }, () => median(values.map(() => values[random(values.length)])));
  const [low, high] = [interpolated(medians, 2.5), interpolated(medians, 97.5)];
  const relative = middle === 0 ? null : (high - low) / 2 / Math.abs(middle);
  const [p25, p75] = [interpolated(values, 25), interpolated(values, 75)];
  return {
    n: values.length,
    median: middle,
    mean: mean(values),
    stdev: deviation(values),
    p25,
    p75,
    iqr: p75 - p25,
    min: least(values),
    max: greatest(values),
    ci95: [low, high],
    rel_ci: relative,
    noisy: values.length > 1 && relative !== null && relative > NOISY,
  };
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}
