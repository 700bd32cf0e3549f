/**
 * `deno task interop [--release a,b] [--runtime deno,bun,node] [--role server,client] [--kills N] [--seed N] [--write]`: our library
 * against the real Python releases of `veltix`, each as a process, in both roles, on all three runtimes; then so many Python
 * programs are killed at random moments. Ends with a table and the line `N passed, N failed`.
 *
 * `--write` keeps the outcome in `tests/interop/results.json` and the table in `docs/interop.md`.
 *
 * @module
 */

import { dim, green, red, yellow } from "@std/fmt/colors";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  bringRuntimes,
  describeProblem,
  type Runtime,
  RUNTIME_NAMES,
  type RuntimeName,
} from "../../scripts/runtimes.ts";
import { compareGolden } from "./golden.ts";
import { install, pythonVersion } from "./install.ts";
import { releaseNamed, RELEASES } from "./releases.ts";
import { rowsOf, tableOf, writeResults } from "./results.ts";
import type { Order, Outcome, Role } from "./run.ts";

const RUN = fileURLToPath(new URL("./run.ts", import.meta.url));
const ROLES: readonly Role[] = ["server", "client"];
/** Messages of the bulk checks, each way. */
const MESSAGES = 10_000;
/** How many programs are killed on each runtime. */
const KILLS = 34;
/** How long a runtime may take for all, and how long it may take to end once it is done, in milliseconds. */
const RUN_LIMIT = 1_200_000;
const END_LIMIT = 2_000;

type Found = Runtime & { readonly path: string };

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { release: text, runtime: text, role: text, kills: text, seed: text, write: { type: "boolean" } },
});
const releases = chosen("release", values.release, RELEASES.map(({ name }) => name)).map(releaseNamed);
const names = chosen("runtime", values.runtime, RUNTIME_NAMES) as RuntimeName[];
const roles = chosen("role", values.role, ROLES) as Role[];
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const kills = Number(values.kills ?? KILLS);

process.exitCode = await main();

async function main(): Promise<number> {
  const required = process.env.VELTIX_REQUIRE_ALL === "1";
  try {
    for (const { name } of releases) await install(name);
  } catch (error) {
    console.log((required ? red : yellow)(`${required ? "FAILED" : "SKIPPED"}: ${(error as Error).message}`));
    console.log(`0 passed, ${required ? 1 : 0} failed`);
    return required ? 1 : 0;
  }
  const runtimes = bringRuntimes(names);
  for (const runtime of runtimes) {
    if (runtime.problem !== undefined) console.log(yellow(`SKIPPED: ${describeProblem(runtime)}`));
  }
  const there = runtimes.filter((runtime): runtime is Found => runtime.problem === undefined);
  const python = pythonVersion();
  console.log(`Python ${python}, ${releases.length} releases, seed ${seed}`);
  const outcomes: (Outcome & { readonly runtime: RuntimeName })[] = [];
  const note = (runtime: RuntimeName, outcome: Outcome): void => {
    outcomes.push({ runtime, ...outcome });
    print(runtime, outcome);
  };
  for (const { name } of releases) note("deno", await compareFrames(name));
  // The peers wait for each other most of the time: the runtimes run beside each other.
  await Promise.all(there.map((runtime) => runOn(runtime, (outcome) => note(runtime.name, outcome))));
  const rows = rowsOf(outcomes.filter(({ role }) => role !== "both"));
  const killed = outcomes.filter(({ check, state }) => check === "kills" && state === "ok").length * kills;
  const results = { python, runtimes: there.map(({ name, version }) => ({ name, version })), rows, kills: killed };
  console.log(`\n${tableOf(results)}\n`);
  const [passed, failed] = ["ok", "failed"].map((state) =>
    outcomes.filter((outcome) => outcome.state === state).length
  );
  if (values.write === true && failed === 0) writeResults(results);
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

/** Whether a release still makes the frames that are kept in the repository. */
async function compareFrames(release: string): Promise<Outcome> {
  const start = performance.now();
  const outcome = await compareGolden(release).then(
    () => ({ state: "ok" as const }),
    (error) => ({ state: "failed" as const, note: String(error) }),
  );
  const milliseconds = Math.round(performance.now() - start);
  return { release, role: "both", check: "golden frames", ...outcome, milliseconds };
}

/** Runs all on one runtime; a process that says nothing, or does not end, is a failure, too. */
async function runOn(runtime: Found, tell: (outcome: Outcome) => void): Promise<void> {
  const order: Order = { releases: releases.map(({ name }) => name), roles, messages: MESSAGES, kills, seed };
  const [command, ...args] = commandLine(runtime);
  const child = spawn(command, [...args, RUN, JSON.stringify(order)], { stdio: ["ignore", "pipe", "inherit"] });
  let done = 0;
  let late: ReturnType<typeof setTimeout> = setTimeout(() => child.kill("SIGKILL"), RUN_LIMIT);
  createInterface({ input: child.stdout! }).on("line", (line) => {
    if (line !== "done") return tell(JSON.parse(line) as Outcome);
    done = performance.now();
    clearTimeout(late);
    late = setTimeout(() => child.kill("SIGKILL"), END_LIMIT);
  });
  const [code, signal] = await once(child, "close");
  clearTimeout(late);
  if (code === 0 && done > 0) return;
  const note = done > 0 ? `it does not end by itself: ${signal ?? code}` : `it ended with ${signal ?? code}`;
  tell({ release: "all", role: "both", check: "end", state: "failed", note, milliseconds: 0 });
}

function commandLine({ name, path }: Found): string[] {
  // `deno task ok` checks the types.
  return name === "deno" ? [path, "run", "-A", "--no-check", "--quiet"] : [path];
}

function print(runtime: RuntimeName, { release, role, check, state, note, milliseconds }: Outcome): void {
  if (state === "none") return;
  const place = `${runtime} ${release} ${role}: ${check}`;
  if (state === "ok") console.log(`${green("ok    ")} ${place} ${dim(`${milliseconds} ms`)}`);
  else console.log(`${red("FAILED")} ${place}\n${(note ?? "").replaceAll(/^/gm, "    ")}`);
}

/** What an option names, or all there is. */
function chosen(option: string, value: string | undefined, known: readonly string[]): string[] {
  const wanted = value?.split(",") ?? [...known];
  const strange = wanted.find((name) => !known.includes(name));
  if (strange === undefined) return wanted;
  console.error(`Cannot run with --${option} "${strange}": there are ${known.join(", ")}`);
  process.exit(2);
}
