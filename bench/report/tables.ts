/**
 * The tables of `docs/performance.md`, made of saved results.
 *
 * @module
 */

import { type Figure, FIGURES, FLOOR_OF, type Goal, reaches } from "../goals.ts";
import { type Runtime, RUNTIMES } from "../options.ts";
import { PEERS } from "../peers.ts";
import { type Place, type Sample, summarize } from "../results.ts";
import { amount } from "../../src/cli/bench/units.ts";
import { PEER_FIGURES, peerTitle, RUNTIME_TITLES, TITLES } from "./data.ts";

/** Titles of figures that have no bar in a chart. */
const MORE_TITLES: Readonly<Record<string, string>> = {
  "idle memory, 10,000": "Memory, idle connection, of 10,000",
  "growth fall": "Growth, 10 → 1,000 connections, loss",
  "decode 64 B": "Decode and CRC, 64 B",
  "decode 64 KB": "Decode and CRC, 64 KB",
  "decode linear": "10 MiB in 1-byte pieces / ten times 1 MiB",
  "silent: delay": "Connect beside 1,000 silent peers, extra",
};

/** Each figure beside its goal and its floor, bold where the goal is reached. */
export function goalsTable(samples: readonly Sample[]): string {
  const rows = FIGURES.filter(({ name }) => name in TITLES || name in MORE_TITLES).map((figure) => {
    const { name, unit, goal } = figure;
    const cells = RUNTIMES.map((runtime) => {
      const ours = summarize(samples, runtime, "veltix", name);
      if (ours === undefined) return "–";
      const ratio = goal?.kind === "ratio" ? ratioOf(samples, runtime, figure, ours.median) : ours.median;
      const text = amount(ours.median, unit) + (goal?.kind === "ratio" ? `, ${ratio?.toFixed(2) ?? "–"}` : "");
      return goal !== undefined && ratio !== undefined && reaches(goal, runtime, ratio) ? `**${text}**` : text;
    });
    return [TITLES[name] ?? MORE_TITLES[name], goal === undefined ? "" : goalText(figure, goal), ...cells];
  });
  return markdown([["workload", "goal", ...RUNTIMES.map((runtime) => RUNTIME_TITLES[runtime])], ...rows]);
}

/** The library beside the others. */
export function peersTable(samples: readonly Sample[]): string {
  const own = (runtime: Runtime): Column => ({ title: RUNTIME_TITLES[runtime], place: runtime, subject: "veltix" });
  const columns = [
    ...RUNTIMES.flatMap((
      runtime,
    ) => [own(runtime), ...columnsOf(([only, ...more]) => only === runtime && !more.length)]),
    ...columnsOf(({ length }) => length > 1),
  ].filter(({ place, subject }) => samples.some((sample) => sample.runtime === place && sample.subject === subject));
  const rows = FIGURES.filter(({ name }) => PEER_FIGURES.includes(name)).map(({ name, unit }) => [
    TITLES[name] ?? MORE_TITLES[name],
    ...columns.map(({ place, subject }) => {
      const found = summarize(samples, place, subject, name);
      return found === undefined ? "–" : amount(found.median, unit);
    }),
  ]);
  return markdown([["workload", ...columns.map(({ title }) => title)], ...rows]);
}

/** Puts both tables where the comments of a page say. */
export function withTables(page: string, samples: readonly Sample[]): string {
  let text = page;
  for (const [name, table] of [["goals", goalsTable(samples)], ["peers", peersTable(samples)]]) {
    const place = new RegExp(`(<!-- bench:report ${name} -->\n\n).*?(\n\n<!-- end -->)`, "s");
    if (!place.test(text)) throw new Error(`Cannot fill the page: it has no "<!-- bench:report ${name} -->"`);
    text = text.replace(place, (_, begin, end) => begin + table + end);
  }
  return text;
}

interface Column {
  readonly title: string;
  readonly place: Place;
  readonly subject: string;
}

function columnsOf(wanted: (against: readonly Runtime[]) => boolean): Column[] {
  return PEERS.filter(({ against }) => wanted(against)).map(({ name, place }) => (
    { title: peerTitle(name), place, subject: name }
  ));
}

function ratioOf(samples: readonly Sample[], runtime: Runtime, figure: Figure, ours: number): number | undefined {
  const floor = summarize(samples, runtime, FLOOR_OF[figure.workload], figure.name);
  return floor === undefined ? undefined : ours / floor.median;
}

function goalText({ workload, unit }: Figure, goal: Goal): string {
  const bound = "atLeast" in goal ? goal.atLeast : goal.atMost;
  const sign = "atLeast" in goal ? "≥" : "≤";
  if (goal.kind === "ratio") return `${sign} ${bound} × ${FLOOR_OF[workload]}`;
  const bounds = typeof bound === "number" ? [bound] : RUNTIMES.map((runtime) => bound[runtime]);
  return `${sign} ${bounds.map((one) => amount(one, unit)).join(" / ")}`;
}

function markdown(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`);
  lines.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return lines.join("\n");
}
