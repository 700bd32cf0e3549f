/**
 * What the demonstration looks like: text made of the state of a run, and nothing else.
 *
 * @module
 */

import { bold, cyan, dim, green, red, yellow } from "@std/fmt/colors";
import { STEPS } from "./channel.ts";
import { BURST_MESSAGES } from "./contract.ts";
import { aligned, bytes, count, duration, indented, scaled, width } from "./format.ts";
import type { Input, Row, Run } from "./run.ts";

const BAR = 10;
const SHORT_HASH = 8;

/** What this is and what it works with. */
export function introduction({ name, size, lines, sha256 }: Input): string[] {
  return [
    "",
    `${bold("Veltix")} ${dim("typed messages over TCP, one code on Deno, Bun and Node")}`,
    "",
    `${bold(name)}  ${bytes(size)} in ${count(lines)} ${lines === 1 ? "line" : "lines"}`,
    dim(`SHA-256 ${sha256}`),
    "",
    "Each client streams it, line by line, through a server to all the others.",
    "In the middle its cable is cut. Then it asks, pings, and sends a burst.",
    "",
  ].map(indented);
}

/** The steps and the table, while it runs and in the end. */
export function progress(run: Run): string[] {
  const live = run.step < STEPS.length;
  const seconds = ((performance.now() - run.began) / 1_000).toFixed(1);
  const over = run.problems.length > 0;
  const steps = STEPS.map((step, i) => {
    if (i < run.step) return `${green("✓")} ${step}`;
    if (i > run.step) return dim(`· ${step}`);
    return over ? `${red("✗")} ${step}` : `${cyan("▸")} ${bold(step)}`;
  });
  // As wide as the figures get: the columns of a live table should not move.
  const titles: [string, number][] = [
    ["sent", 7],
    ["received", 8],
    ["burst", 7],
    ["cuts", 4],
    ["lost", 4],
    ["rtt p50", 7],
    ["rtt p99", 7],
  ];
  const figures = [...titles, [live ? "msg/s" : "avg/s", 5] as const].map(([title, size]) => title.padStart(size));
  const head = ["", "client", "runtime", ...figures, ""];
  const table = aligned([head.map(dim), ...run.rows.map((row) => cells(row, live))], {
    right: [3, 4, 5, 6, 7, 8, 9, 10],
  });
  table.splice(1, 0, dim("─".repeat(Math.max(...table.map(width)))));
  const note = dim(
    "received: each line from each of the others; burst: sent to the server, which counts it; cuts: survived",
  );
  return [`${steps.join("   ")}   ${dim(`${seconds} s`)}`, "", ...table, "", note, ""].map(indented);
}

/** What each client received from each other, against the file; its answers, and its burst. */
export function findings(run: Run): string[] {
  const rows = run.active;
  const head = ["at", ...rows.map(({ name }) => `from ${name}`), "answers", "burst"].map(dim);
  const table = aligned([
    head,
    ...rows.map((at) => [
      bold(at.name),
      ...rows.map((from) => from === at ? dim("–") : hashCell(at, from, run.input)),
      answersCell(at),
      burstCell(at),
    ]),
  ]);
  const passes = Math.max(
    0,
    ...rows.flatMap((row) => Object.values(row.status?.inflows ?? {}).map((flow) => flow.passes)),
  );
  const note = passes > 1 ? dim(`, in each of up to ${count(passes)} passes`) : "";
  return [`SHA-256 of what arrived, against the file's ${bold(short(run.input.sha256))}${note}`, "", ...table, ""].map(
    indented,
  );
}

/** What is not as it should be, in words; empty when all is well. */
export function faults({ active, input, problems, step }: Run): string[] {
  const found = [...problems];
  for (const { name, status } of active) {
    if (status === undefined) continue;
    if (status.lost > 0) found.push(`${name}: ${count(status.lost)} lost`);
    if (status.disordered > 0) found.push(`${name}: ${count(status.disordered)} out of order or twice`);
    if (input.size > 0 && step === STEPS.length && status.cuts === 0) found.push(`${name}: its cable was not cut`);
    if (status.answers.wrong > 0) found.push(`${name}: ${count(status.answers.wrong)} wrong answers`);
    const differing = Object.values(status.inflows).filter(({ sha256 }) => sha256 !== "" && sha256 !== input.sha256);
    if (differing.length > 0) found.push(`${name}: ${differing.length} streams differ from the file`);
  }
  return found;
}

/** The last line. */
export function verdict(run: Run, found: readonly string[]): string {
  if (found.length > 0) {
    const where = run.step >= 0 && run.step < STEPS.length ? ` at "${STEPS[run.step]}"` : "";
    return `${bold(red(`demo: failed${where}`))} — ${found.join("; ")}`;
  }
  const total = run.active.reduce((sum, { status }) => sum + status!.sent + status!.burstSent + status!.received, 0);
  const runtimes = new Set(run.active.map(({ runtime }) => runtime.name)).size;
  const skipped = run.rows.filter(({ state }) => state === "skipped").map(({ name }) => name);
  const missing = skipped.length > 0 ? ` (without ${skipped.join(" and ")})` : "";
  const cuts = run.active.reduce((sum, { status }) => sum + status!.cuts, 0);
  const cables = `${count(cuts)} ${cuts === 1 ? "cut cable" : "cut cables"}`;
  const what = `${runtimes} ${runtimes === 1 ? "runtime" : "runtimes"}${missing}, ${
    count(total)
  } messages, ${cables}, 0 lost`;
  return `${bold(green("demo: ok"))} — ${what}`;
}

function cells({ name, runtime, state, status, rate }: Row, live: boolean): string[] {
  const client = [mark(state), bold(name), runtime.version];
  if (state === "skipped") return [...client, yellow(`skipped: ${runtime.problem}`)];
  if (status === undefined) return [...client, ...Array(9).fill("")];
  const { sent, received, burstSent, cuts, lost, disordered, roundTrip } = status;
  const wrong = lost + disordered;
  return [
    ...client,
    count(sent),
    count(received),
    burstSent > 0 ? count(burstSent) : dim("–"),
    cuts > 0 ? count(cuts) : dim("–"),
    wrong > 0 ? red(count(wrong)) : green("0"),
    roundTrip === undefined ? dim("–") : duration(roundTrip.p50),
    roundTrip === undefined ? dim("–") : duration(roundTrip.p99),
    scaled(rate),
    live ? bar(status.progress) : "",
  ];
}

function mark(state: Row["state"]): string {
  switch (state) {
    case "skipped":
    case "waiting":
      return dim("○");
    case "busy":
      return cyan("●");
    case "through":
      return green("●");
    case "failed":
      return red("✗");
  }
}

function hashCell(at: Row, from: Row, { sha256 }: Input): string {
  const inflow = at.status?.inflows[from.number];
  if (inflow === undefined || inflow.sha256 === "") return red("✗ incomplete");
  if (inflow.sha256 !== sha256) return red(`✗ ${short(inflow.sha256)}`);
  return inflow.complete ? `${green("✓")} ${short(sha256)}` : red("✗ incomplete");
}

function answersCell({ status }: Row): string {
  const { right, wrong } = status?.answers ?? { right: 0, wrong: 0 };
  if (wrong > 0) return red(`✗ ${count(wrong)} wrong`);
  return right > 0 ? `${green("✓")} ${count(right)}` : dim("–");
}

function burstCell({ status }: Row): string {
  const burst = status?.burst;
  if (burst === undefined) return dim("–");
  const text = `${count(burst.received)} at ${scaled(burst.rate)}/s`;
  return burst.received === BURST_MESSAGES ? `${green("✓")} ${text}` : red(`✗ ${text}`);
}

function bar(part: number): string {
  const full = Math.round(Math.max(0, Math.min(1, part)) * BAR);
  return cyan("━".repeat(full)) + dim("─".repeat(BAR - full));
}

function short(hash: string): string {
  return hash.slice(0, SHORT_HASH);
}
