/**
 * What came of a run of the suite: how it is kept, and the table made of it.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { ROOT, type RuntimeName } from "../../scripts/runtimes.ts";
import type { Outcome, Role } from "./run.ts";

/** Where the last run that was written is kept, and the page that shows it. */
export const RESULTS: string = `${ROOT}tests/interop/results.json`;
const PAGE = `${ROOT}docs/interop.md`;
const BEGIN = "<!-- results: `deno task interop --write` -->";
const END = "<!-- end of results -->";
const HEADS: Readonly<Record<Role, string>> = { server: "Python server", client: "Python client" };

/** What came of all checks of one release in one role on one runtime. */
export interface Row {
  readonly release: string;
  /** What Python was. */
  readonly role: Role;
  readonly runtime: RuntimeName;
  /** How many checks passed, and the names of those that failed. */
  readonly passed: number;
  readonly failed: readonly string[];
  /** Checks that say nothing about the release, and why. */
  readonly without: Readonly<Record<string, string>>;
}

/** A whole run. */
export interface Results {
  readonly python: string;
  readonly runtimes: readonly { readonly name: RuntimeName; readonly version: string }[];
  readonly rows: readonly Row[];
  /** How many Python programs were killed, over all runtimes. */
  readonly kills: number;
}

/** Makes rows of outcomes, in the order of their coming. */
export function rowsOf(outcomes: readonly (Outcome & { readonly runtime: RuntimeName })[]): Row[] {
  const groups = Map.groupBy(outcomes, ({ release, role, runtime }) => `${release} ${role} ${runtime}`);
  return [...groups.values()].map((group) => {
    const of = (wanted: Outcome["state"]): Outcome[] => group.filter(({ state }) => state === wanted);
    const [{ release, role, runtime }] = group;
    const failed = of("failed").map(({ check }) => check);
    const without = Object.fromEntries(of("none").map(({ check, note = "" }) => [check, note]));
    return { release, role: role as Role, runtime, passed: of("ok").length, failed, without };
  });
}

/** The table: a release a row, and how many checks passed in each role on each runtime. */
export function tableOf({ rows, runtimes }: Pick<Results, "rows" | "runtimes">): string {
  const roles = (["server", "client"] as const).filter((wanted) => rows.some(({ role }) => role === wanted));
  const columns = roles.flatMap((role) => runtimes.map(({ name }) => ({ role, name })));
  const head = ["release", ...columns.map(({ role, name }) => `${HEADS[role]}, ${name}`), "not there to be checked"];
  const releases = [...new Set(rows.map(({ release }) => release))];
  const lines = releases.map((release) => {
    const own = rows.filter((row) => row.release === release);
    const cells = columns.map(({ role, name }) => {
      const row = own.find((row) => row.role === role && row.runtime === name);
      if (row === undefined) return "?";
      const { passed, failed } = row;
      return failed.length === 0 ? `${passed}` : `**${passed} of ${passed + failed.length}**`;
    });
    const missing = new Set(
      own.flatMap(({ role, without }) => Object.entries(without).map(([check, why]) => `${check} (${role}): ${why}`)),
    );
    return [release, ...cells, [...missing].join("; ")];
  });
  return table([head, ...lines]);
}

/** Puts the table into the page. */
export function pageWith(page: string, results: Results): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`Cannot find "${BEGIN}" and "${END}" in ${PAGE}`);
  const { python, runtimes, kills } = results;
  const programs = [...runtimes.map(({ name, version }) => `${name} ${version}`), `Python ${python}`].join(", ");
  const about = `Checks passed, with ${programs}:`;
  const killed = `${kills} Python programs were killed at random moments, and missed at once each time.`;
  const parts = [page.slice(0, from) + BEGIN, about, tableOf(results), killed, page.slice(to)];
  return parts.join("\n\n");
}

/** A run as it is kept: a member a line, a row a line. */
export function fileOf({ rows, ...about }: Results): string {
  const members = Object.entries(about).map(([name, value]) => `"${name}": ${JSON.stringify(value)},`);
  const lines = rows.map((row) => JSON.stringify(row));
  return ["{", ...members, '"rows": [', lines.join(",\n"), "]", "}", ""].join("\n");
}

/** Keeps a run, and shows it in the page. */
export function writeResults(results: Results): void {
  writeFileSync(RESULTS, fileOf(results));
  writeFileSync(PAGE, pageWith(readFileSync(PAGE, "utf8"), results));
}

/** Cells as Markdown with columns of equal width. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, i) => Math.max(3, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const [head, ...body] = rows.map(line);
  return [head, line(widths.map((width) => "-".repeat(width))), ...body].join("\n");
}
