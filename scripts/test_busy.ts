/**
 * `deno task test:busy`: runs `deno task test` again and again while every core is kept busy by something else: a test that
 * a slow machine can fail fails here. A line for each run, and the sum.
 *
 *     deno task test:busy [--times 10] [what deno task test takes]...
 *
 * The first of all runs that fails shows its output, and the exit code is 1 when any did.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import process from "node:process";
import { ROOT } from "./runtimes.ts";

/** A run that takes longer is stopped and counts as failed, in milliseconds. */
const RUN_LIMIT = 3_600_000;
/** Busy until the program that started it is gone. */
const LOAD = "while (Deno.ppid === Number(Deno.args[0])) for (let i = 0; i < 1e7; i++);";

interface Outcome {
  readonly output: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

const children = new Set<ChildProcess>();

function start(args: string[], group: boolean): ChildProcess {
  // A group of its own: what the tests start ends with them.
  const child = spawn(Deno.execPath(), args, {
    cwd: ROOT,
    detached: group,
    stdio: ["ignore", group ? "pipe" : "ignore", group ? "pipe" : "ignore"],
  });
  children.add(child);
  child.on("error", (error) => console.error(error.message));
  child.on("exit", () => children.delete(child));
  return child;
}

function stop(child: ChildProcess): void {
  try {
    if (child.stdout === null || process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid!, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function runTests(args: string[]): Promise<Outcome> {
  const began = performance.now();
  const child = start(["run", "-A", "scripts/test.ts", ...args], true);
  const limit = setTimeout(() => stop(child), RUN_LIMIT);
  let output = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk) => output += chunk);
  return new Promise((resolve) =>
    child.on("close", (code) => {
      clearTimeout(limit);
      const [, passed = "0", failed = "0"] =
        /^(\d+) passed, (\d+) failed.*\n*$/m.exec(output.trim().split("\n").at(-1)!) ?? [];
      const seconds = (performance.now() - began) / 1_000;
      resolve({ output, passed: Number(passed), failed: Math.max(Number(failed), code === 0 ? 0 : 1), seconds });
    })
  );
}

function parse(args: string[]): { times: number; rest: string[] } {
  const at = args.indexOf("--times");
  if (at < 0) return { times: 10, rest: args };
  const times = Number(args[at + 1]);
  if (!Number.isInteger(times) || times < 1) {
    throw new TypeError(`--times takes a number of runs, not "${args[at + 1]}"`);
  }
  return { times, rest: args.toSpliced(at, 2) };
}

async function main(): Promise<number> {
  const { times, rest } = parse(process.argv.slice(2));
  const cores = availableParallelism();
  for (let i = 0; i < cores; i++) start(["eval", "--ext=ts", LOAD, String(process.pid)], false);
  console.log(`${times} runs, ${cores} cores busy with ${cores} endless loops`);
  const sum = { passed: 0, failed: 0, green: 0 };
  for (let run = 1; run <= times; run++) {
    const { output, passed, failed, seconds } = await runTests(rest);
    if (failed > 0 && sum.green === run - 1) console.log(output.trim());
    console.log(`run ${run} of ${times}: ${passed} passed, ${failed} failed, ${seconds.toFixed(0)} s`);
    sum.passed += passed;
    sum.failed += failed;
    if (failed === 0) sum.green++;
  }
  console.log(`${sum.green} of ${times} runs without a failure: ${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed > 0 ? 1 : 0;
}

function stopAll(): void {
  for (const child of children) stop(child);
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.on(signal, () => {
    stopAll();
    process.exit(code);
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  stopAll();
}
