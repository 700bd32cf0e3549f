/**
 * The table of the workload `secure`: plain, encrypted, over TLS, and bare `node:tls`. Each round measures all of them in
 * turn, so the comparisons are ratios or differences of medians, with an interval that resampling the rounds gives.
 *
 * @module
 */

import { FIGURES } from "./goals.ts";
import type { Sample } from "./results.ts";
import { type Compared, interval } from "./statistics.ts";
import { aligned, amount, type Unit } from "./units.ts";

/** The subjects, in the order of the columns. */
const SUBJECTS = ["veltix", "noise", "tls", "node:tls"] as const;

type SecureSubject = (typeof SUBJECTS)[number];

/** What encryption is to reach in a figure. */
interface SecureGoal {
  /** The subject that it is compared with; none: the figure itself is judged. */
  readonly against?: SecureSubject;
  readonly how: "ratio" | "difference" | "value";
  readonly atLeast?: number;
  readonly atMost?: number;
  /** The bound between different runtimes, where it is another one. */
  readonly mixed?: number;
}

const GOALS: Readonly<Record<string, SecureGoal>> = {
  "secure 64 KiB": { how: "value", atLeast: 300e6, mixed: 150e6 },
  "secure 64 B": { how: "ratio", against: "veltix", atLeast: 0.7 },
  "secure round trip": { how: "difference", against: "veltix", atMost: 20 },
  "secure round trip cpu": { how: "difference", against: "veltix", atMost: 20 },
  "secure handshakes": { how: "ratio", against: "node:tls", atLeast: 1 },
  "secure idle heap": { how: "difference", against: "veltix", atMost: 2_048 },
};

/** The table as text; empty if nothing of it was measured. */
export function secureTable(samples: readonly Sample[]): string {
  const figures = FIGURES.filter(({ workload }) => workload === "secure" || workload === "secure_idle");
  const places = [
    ...new Set(samples.filter(({ workload }) => workload.startsWith("secure")).map((one) => one.runtime)),
  ];
  const rows = figures.flatMap(({ name, unit }) =>
    places.flatMap((place): string[][] => {
      const values = Object.fromEntries(SUBJECTS.map((subject) => [subject, valuesOf(samples, place, subject, name)]));
      if (values.noise.length === 0) return [];
      const cells = SUBJECTS.map((subject) =>
        values[subject].length === 0 ? "–" : amount(interval(values[subject]).middle, unit)
      );
      return [[name, place, ...cells, ...judged(values, GOALS[name], unit, place.includes("-"))]];
    })
  );
  if (rows.length === 0) return "";
  return aligned([["figure", "runtime", "plain", ...SUBJECTS.slice(1), "compared", "goal", "ok", "rounds"], ...rows]);
}

/** The comparison with its interval, the goal, whether it is reached, and the number of rounds. */
function judged(
  values: Readonly<Record<string, readonly number[]>>,
  goal: SecureGoal | undefined,
  unit: Unit,
  mixed: boolean,
): string[] {
  const ours = values.noise;
  const { how, against = "veltix" } = goal ?? { how: "ratio" };
  const theirs = how === "value" ? undefined : values[against];
  if (theirs?.length === 0) return ["–", "", "", String(ours.length)];
  const compared = interval(ours, theirs, how === "difference" ? "difference" : "ratio");
  const text = (value: number): string => how === "ratio" ? value.toFixed(2) : amount(value, unit);
  const name = against === "veltix" ? "plain" : against;
  const sign = how === "value" ? "" : how === "ratio" ? ` × ${name}` : ` + ${name}`;
  const cell = `${text(compared.middle)} [${text(compared.low)}–${text(compared.high)}]${sign}`;
  if (goal === undefined) return [cell, "", "", String(ours.length)];
  const least = mixed ? goal.mixed ?? goal.atLeast : goal.atLeast;
  const bound = least !== undefined ? `≥ ${text(least)}` : `≤ ${text(goal.atMost!)}`;
  return [cell, bound, verdict(compared, least, goal.atMost), String(ours.length)];
}

/** "~" marks a verdict that is not certain: the bound lies within the interval. */
function verdict({ low, middle, high }: Compared, least: number | undefined, most = Infinity): string {
  const reached = (value: number): boolean => least === undefined ? value <= most : value >= least;
  const certain = reached(low) === reached(high) && low < high;
  return `${reached(middle) ? "yes" : "NO"}${certain ? "" : " ~"}`;
}

function valuesOf(samples: readonly Sample[], place: string, subject: SecureSubject, figure: string): number[] {
  return samples
    .filter((sample) => sample.runtime === place && sample.subject === subject)
    .map((sample) => sample.figures[figure])
    .filter((value) => value !== undefined);
}
