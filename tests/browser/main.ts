/**
 * `deno task browser [--browser chromium,firefox] [--runtime deno,bun,node] [--only part of a name] [--long] [--install]`:
 * pages in real browsers against servers on all runtimes. Ends with a table and the line `N passed, N failed`.
 *
 * With `--long`, pages are in the background for more than a minute each, too.
 * With `--install`, the browsers that are missing are installed first by `apt-get`, which needs Debian and root.
 *
 * @module
 */

import { dim, green, red, yellow } from "@std/fmt/colors";
import { spawn, spawnSync } from "node:child_process";
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
import { BROWSER_NAMES, type BrowserName, DEBIAN_PACKAGES, findBrowsers, isInstalled } from "./find.ts";
import type { Outcome } from "./run.ts";

const RUN = fileURLToPath(new URL("./run.ts", import.meta.url));
/** How long one browser may take against one runtime, in milliseconds. */
const RUN_LIMIT = 600_000;

/** What became of a scenario, and where. */
type Row = Outcome & { readonly runtime: RuntimeName };

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { browser: text, runtime: text, only: text, long: { type: "boolean" }, install: { type: "boolean" } },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const browsers = chosen("browser", values.browser, BROWSER_NAMES);
  const names = chosen("runtime", values.runtime, RUNTIME_NAMES);
  if (values.install) install(browsers);
  const found = findBrowsers(browsers);
  for (const { problem } of found) if (problem !== undefined) console.log(yellow(`SKIPPED: ${problem}`));
  const runtimes = bringRuntimes(names);
  for (const runtime of runtimes) {
    if (runtime.problem !== undefined) console.log(yellow(`SKIPPED: ${describeProblem(runtime)}`));
  }
  const rows: Row[] = [];
  let broken = 0;
  for (const { name, problem } of found) {
    if (problem !== undefined) continue;
    for (const runtime of runtimes) {
      if (runtime.path === undefined) continue;
      const code = await run(name, runtime, (row) => {
        rows.push(row);
        print(row);
      });
      if (code === 0) continue;
      broken++;
      console.log(red(`FAILED ${name} against ${runtime.name}: the program ended with ${code}`));
    }
  }
  const failed = rows.filter(({ error }) => error !== undefined).length + broken;
  console.log(`\n${tableOf(rows)}\n\n${rows.length + broken - failed} passed, ${failed} failed`);
  return failed > 0 || rows.length === 0 ? 1 : 0;
}

/** Installs the browsers that are missing. */
function install(names: readonly BrowserName[]): void {
  const packages = names.filter((name) => !isInstalled(name)).map((name) => DEBIAN_PACKAGES[name]);
  if (packages.length === 0) return;
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...packages]]) {
    const { error, status } = spawnSync("apt-get", args, {
      stdio: "inherit",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    if (status === 0) continue;
    throw new Error(`Cannot install ${packages.join(" and ")}: apt-get ${args[0]} failed`, { cause: error ?? status });
  }
}

/** Runs all scenarios of a browser against a runtime. Resolves with the exit code, or the reason for the end. */
async function run(
  browser: BrowserName,
  runtime: Runtime & { readonly path: string },
  done: (row: Row) => void,
): Promise<number | string> {
  const more = [...values.long ? ["--long"] : [], ...values.only === undefined ? [] : ["--only", values.only]];
  const flags = runtime.name === "deno" ? ["run", "-A", "--no-check", RUN] : [RUN];
  const child = spawn(runtime.path, [...flags, browser, ...more], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_LIMIT);
  createInterface({ input: child.stdout }).on("line", (line) => done({ ...JSON.parse(line), runtime: runtime.name }));
  const code = await new Promise<number | string>((resolve) => {
    child.on("error", ({ message }) => resolve(message));
    child.on("close", (code, signal) => resolve(code ?? signal ?? "no exit code"));
  });
  clearTimeout(timer);
  return code;
}

function print({ browser, error, milliseconds, runtime, scenario, way }: Row): void {
  const mark = error === undefined ? green("ok    ") : red("FAILED");
  console.log(`${mark} ${browser} against ${runtime}, ${way}: ${scenario} ${dim(`${milliseconds} ms`)}`);
  if (error !== undefined) console.log(error.replaceAll(/^/gm, "    "));
}

/** A row for each scenario and way, a column for each browser against each runtime, in milliseconds. */
function tableOf(rows: readonly Row[]): string {
  const columns = [...new Set(rows.map(({ browser, runtime }) => `${browser.replace(/\..*/, "")}, ${runtime}`))];
  const names = [...new Set(rows.map(({ scenario, way }) => `${scenario}: ${way}`))];
  const cell = (name: string, column: string): string => {
    const row = rows.find(({ browser, runtime, scenario, way }) =>
      `${scenario}: ${way}` === name && `${browser.replace(/\..*/, "")}, ${runtime}` === column
    );
    return row === undefined ? "" : row.error === undefined ? `${row.milliseconds} ms` : "FAILED";
  };
  const width = Math.max(...names.map(({ length }) => length), 0);
  return [["", ...columns], ...names.map((name) => [name, ...columns.map((column) => cell(name, column))])]
    .map(([name, ...cells]) => name.padEnd(width) + cells.map((text) => text.padStart(16)).join(""))
    .join("\n");
}

function chosen<Name extends string>(option: string, given: string | undefined, all: readonly Name[]): readonly Name[] {
  const names = given?.split(",") ?? all;
  const unknown = names.find((name) => !all.some((known) => known === name));
  if (unknown !== undefined) throw new TypeError(`Unknown ${option} "${unknown}": there are ${all.join(", ")}`);
  return names as readonly Name[];
}
