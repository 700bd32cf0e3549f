/**
 * `deno task test`: runs every `tests/*_test.ts` on Deno, Bun and Node, one runtime after another. `test_plan.ts` says
 * which files share a process, and which run beside each other. The last line is `N passed, N failed`.
 *
 *     deno task test [--runtime deno,bun,node] [part of a path]...
 *
 * A file that has no test, writes no report, leaves something open (Node) or does not end counts as one failure.
 *
 * When anything is wrong with files that share a process, each of them runs once more, alone, to find the cause. That
 * lets no failure disappear: what failed in the report of the process counts even if the file passes alone, and if no
 * file has failed at all, the process counts as one failure.
 *
 * @module
 */
import { bold, dim, getColorEnabled, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import { spawn } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { countGroup, type Counts, countTests, notesOf } from "./junit.ts";
import { installPeers } from "../bench/peers/install.ts";
import { bringRuntimes, describeProblem, ROOT, type Runtime, RUNTIME_NAMES, type RuntimeName } from "./runtimes.ts";
import { runPlan } from "./test_plan.ts";

const FILE_TIME_LIMIT = 300_000;

interface Outcome extends Counts {
  milliseconds: number;
}

function command(runtime: RuntimeName, files: readonly string[], report: string): string[] {
  switch (runtime) {
    case "deno": // `deno task ok` checks the types.
      return ["test", "-A", "--no-check", "--reporter=dot", `--junit-path=${report}`, ...files];
    case "bun":
      return ["test", "--only-failures", "--reporter=junit", `--reporter-outfile=${report}`].concat(
        files.map((file) => `./${file}`),
      );
    case "node":
      return [
        ...(files.length > 1 ? ["--test", "--test-isolation=none"] : []),
        "--import=./scripts/node_leaks.mjs",
        "--test-reporter=dot",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        `--test-reporter-destination=${report}`,
        files.length > 1 ? "scripts/node_group.ts" : files[0],
      ];
  }
}

/** Runs a program to its end and collects what it prints. */
function run(
  path: string,
  args: string[],
  folder: string,
  files: readonly string[],
): Promise<{ output: string; problem?: string }> {
  return new Promise((resolve) => {
    const child = spawn(path, args, {
      cwd: ROOT,
      env: {
        ...process.env,
        NO_COLOR: "1",
        FORCE_COLOR: undefined,
        RUST_BACKTRACE: undefined,
        // Else each Node strips the types from the same sources again.
        NODE_COMPILE_CACHE: join(folder, "node"),
        VELTIX_TEST_GROUP: files.length > 1 ? files.join(" ") : undefined,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks: Uint8Array[] = [];
    const limit = FILE_TIME_LIMIT * files.length;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, limit);
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => chunks.push(chunk));
    const end = (problem?: string): void => {
      clearTimeout(timer);
      resolve({ output: Buffer.concat(chunks).toString(), problem });
    };
    child.on("error", (error) => end(error.message));
    child.on("exit", (code, signal) => {
      // Something the test started may hold the pipes open: they get a moment, not more.
      const problem = late
        ? `not finished after ${limit} ms`
        : signal
        ? `ended by ${signal}`
        : code
        ? `exit code ${code}`
        : undefined;
      const grace = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, 2_000);
      child.on("close", () => {
        clearTimeout(grace);
        end(problem);
      });
    });
  });
}

type Found = Runtime & { path: string };

/** Runs the files of a group in one process. */
async function testGroup(runtime: Found, files: readonly string[], folder: string): Promise<Counts> {
  if (files.length === 1) return await testFile(runtime, files[0], folder);
  const start = performance.now();
  const report = join(folder, `group-${files[0].replaceAll("/", "-")}.xml`);
  const { output, problem } = await run(runtime.path, command(runtime.name, files, report), folder, files);
  const milliseconds = Math.round(performance.now() - start);
  const xml = read(report) ?? "";
  const { sum, byFile, complete } = countGroup(xml, files);
  if (problem === undefined && complete) {
    const [last] = files.slice(-1);
    const time = `${milliseconds} ms for ${files.length} files`;
    for (const file of files) show(file, byFile.get(file)!, file === last ? time : "together");
    return sum;
  }

  const reason = problem ?? (sum.failed > 0 ? "a test failed" : "the report does not tell all tests of all files");
  console.log(yellow(`        ${files.length} files did not pass in one process (${reason}), so each runs alone:`));
  console.log(detailsOf(output, xml, undefined));
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) {
    const failed = byFile.get(file)?.failed ?? 0;
    const alone = await testFile(runtime, file, folder, failed);
    for (const key of ["passed", "failed", "skipped"] as const) total[key] += alone[key];
  }
  if (total.failed === 0) {
    total.failed++;
    console.log(`${red("FAILED")} ${files.join(" ")}: each passes alone, but not in one process: ${reason}`);
  }
  return total;
}

async function testFile(runtime: Found, file: string, folder: string, failedBefore = 0): Promise<Counts> {
  const start = performance.now();
  const report = join(folder, `${file.replaceAll("/", "-")}.xml`);
  const { output, problem } = await run(runtime.path, command(runtime.name, [file], report), folder, [file]);
  const xml = read(report);
  const counts = countTests(xml ?? "");
  const total = counts.passed + counts.failed + counts.skipped;
  let reason = problem ?? (xml === undefined ? "no report was written" : total === 0 ? "no test in it" : undefined);
  if (reason !== undefined && counts.failed === 0) counts.failed++;
  if (counts.failed === 0 && failedBefore > 0) {
    counts.failed = failedBefore;
    counts.passed = Math.max(counts.passed - failedBefore, 0);
    reason = `it passes alone, but ${failedBefore} of its tests failed in a process with other files`;
  }
  show(file, counts, `${Math.round(performance.now() - start)} ms`);
  if (counts.failed) console.log(detailsOf(output, xml ?? "", reason));
  return counts;
}

function show(file: string, counts: Counts, time: string): void {
  const notes = [`${counts.passed} passed`];
  if (counts.failed) notes.push(red(`${counts.failed} failed`));
  if (counts.skipped) notes.push(yellow(`${counts.skipped} skipped`));
  notes.push(dim(time));
  console.log(`${counts.failed ? red("FAILED") : green("ok    ")} ${file}: ${notes.join(", ")}`);
}

function detailsOf(output: string, xml: string, reason: string | undefined): string {
  const withoutDots = output.replaceAll(/^[.,!]+\n/gm, "").trim();
  return [withoutDots, ...notesOf(xml), reason ?? ""].filter(Boolean).join("\n").replaceAll(/^/gm, "    ");
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  } finally {
    rmSync(path, { force: true });
  }
}

async function testRuntime(runtime: Runtime, files: string[], folder: string): Promise<Outcome> {
  const sum: Outcome = { passed: 0, failed: 0, skipped: 0, milliseconds: 0 };
  if (runtime.problem !== undefined) {
    console.log(yellow(`SKIPPED: ${describeProblem(runtime)}`));
    return sum;
  }
  console.log(bold(`${runtime.name} ${runtime.version}`));
  const start = performance.now();
  await runPlan(files, async (group) => {
    const outcome = await testGroup(runtime, group, folder);
    for (const key of ["passed", "failed", "skipped"] as const) sum[key] += outcome[key];
  });
  return { ...sum, milliseconds: performance.now() - start };
}

function parse(args: string[]): { names: RuntimeName[]; filters: string[] } {
  let names: string[] = [...RUNTIME_NAMES];
  const filters: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const [flag, value] = args[index].split("=", 2);
    if (flag === "--runtime") names = (value ?? args[++index] ?? "").split(",");
    else if (flag.startsWith("--")) throw new TypeError(`Unknown option "${flag}": there is "--runtime deno,bun,node"`);
    else filters.push(args[index]);
  }
  const unknown = names.find((name) => !RUNTIME_NAMES.some((known) => known === name));
  if (unknown !== undefined) throw new TypeError(`Unknown runtime "${unknown}": there are ${RUNTIME_NAMES.join(", ")}`);
  return { names: names as RuntimeName[], filters };
}

function table(rows: [Runtime, Outcome][]): string {
  const lines = rows.map(([{ name, version, problem }, { passed, failed, skipped, milliseconds }]) =>
    `${`${name} ${version}`.padEnd(14)}` +
    (problem === undefined
      ? `${`${passed}`.padStart(8)}${`${failed}`.padStart(8)}${`${skipped}`.padStart(9)}${
        `${(milliseconds / 1000).toFixed(1)} s`.padStart(10)
      }`
      : yellow("   not available"))
  );
  return [`${"".padEnd(14)}  passed  failed  skipped      time`, ...lines].join("\n");
}

async function main(): Promise<number> {
  const { names, filters } = parse(process.argv.slice(2));
  const files = globSync("tests/*_test.ts", { cwd: ROOT })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort();
  if (files.length === 0) throw new TypeError(`No test file: nothing in tests/ matches ${JSON.stringify(filters)}`);

  const folder = mkdtempSync(join(tmpdir(), "veltix-test-"));
  const rows: [Runtime, Outcome][] = [];
  // Where nothing may be left out, a test needs them; else it is skipped.
  if (process.env.VELTIX_REQUIRE_ALL === "1") installPeers();
  try {
    for (const runtime of bringRuntimes(names)) rows.push([runtime, await testRuntime(runtime, files, folder)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const total = (key: keyof Counts): number => rows.reduce((sum, [, outcome]) => sum + outcome[key], 0);
  const [passed, failed, skipped] = [total("passed"), total("failed"), total("skipped")];
  console.log(`\n${table(rows)}\n`);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

setColorEnabled(getColorEnabled() && process.stdout.isTTY === true);
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
}
