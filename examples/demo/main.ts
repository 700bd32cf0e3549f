/**
 * `deno task demo [FILE]`: a server on Deno and a client on each runtime there is, each a process of its own, on loopback.
 * Each client streams the file line by line through the server to the others, and in the middle its cable is cut. Then it
 * asks typed requests, pings, and sends a burst. The end shows the SHA-256 of what each received against the file's.
 *
 * Runtimes that are missing are fetched, and it runs on those that are there meanwhile; then once more, on all.
 *
 * The exit code is 0 when all is as it should be, 1 when anything differs, 2 when the file can't be read.
 *
 * @module
 */

import { getColorEnabled, setColorEnabled } from "@std/fmt/colors";
import { resolve } from "node:path";
import { type Fetch, fetchRuntimes } from "../../scripts/fetch_runtimes.ts";
import { describeProblem, findRuntimes, ROOT, type Runtime, RUNTIME_NAMES } from "../../scripts/runtimes.ts";
import { count } from "./format.ts";
import { describeFile } from "./pieces.ts";
import { type Input, type Row, Run } from "./run.ts";
import { Screen } from "./screen.ts";
import { faults, findings, introduction, progress, verdict } from "./view.ts";

const USAGE = "Usage: deno task demo [FILE]";
const DEFAULT_FILE = "README.md";
const REDRAW_INTERVAL = 100;
/** Where there is no terminal, a long run shows that it lives, in milliseconds. */
const NOTE_INTERVAL = 10_000;
/** All steps together may take so long, and so much more for each mebibyte of the file, in milliseconds. */
const TIME_LIMIT = 60_000;
const TIME_LIMIT_PER_MIB = 5_000;

async function readInput(args: readonly string[]): Promise<Input> {
  if (args.length > 1 || args[0]?.startsWith("-")) throw new TypeError(USAGE);
  const name = args[0] ?? DEFAULT_FILE;
  // A task runs in the repository's folder; INIT_CWD is where the user is.
  const path = args.length === 0 ? ROOT + name : resolve(Deno.env.get("INIT_CWD") ?? ".", name);
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw new TypeError("it is no file");
  return { name, path, size, ...await describeFile(path, size) };
}

/** A row for each runtime; where only one is there, a second client on it, so that it has someone to stream to. */
function rowsFor(runtimes: readonly Runtime[]): Row[] {
  const there = runtimes.filter(({ path }) => path !== undefined);
  const all = there.length === 1 ? [...runtimes, ...there] : runtimes;
  return all.map((runtime, number) => ({
    number,
    name: all.indexOf(runtime) < number ? `${runtime.name} 2` : runtime.name,
    runtime,
    state: runtime.path === undefined ? "skipped" : "waiting",
    status: undefined,
    rate: 0,
  }));
}

async function show(run: Run, screen: Screen): Promise<void> {
  const note = (what: string): void => {
    const { sent, received, lost } = run.active.reduce(
      (sum, { status }) => ({
        sent: sum.sent + (status?.sent ?? 0) + (status?.burstSent ?? 0),
        received: sum.received + (status?.received ?? 0),
        lost: sum.lost + (status?.lost ?? 0),
      }),
      { sent: 0, received: 0, lost: 0 },
    );
    const seconds = ((performance.now() - run.began) / 1_000).toFixed(1);
    screen.note(`  ${what.padEnd(12)} ${seconds.padStart(5)} s  ${count(sent + received)} messages, ${lost} lost`);
  };
  const drawing = setInterval(() => screen.draw(progress(run)), REDRAW_INTERVAL);
  const noting = setInterval(() => note("…"), NOTE_INTERVAL);
  try {
    await run.go((step) => note(`✓ ${step}`));
  } finally {
    clearInterval(drawing);
    clearInterval(noting);
  }
}

async function main(): Promise<number> {
  let input: Input;
  try {
    input = await readInput(Deno.args);
  } catch (error) {
    const { message } = error as Error;
    console.error(message === USAGE ? USAGE : `Cannot read "${Deno.args[0] ?? DEFAULT_FILE}": ${message}`);
    return 2;
  }
  let runtimes = findRuntimes();
  const fetches = fetchRuntimes(runtimes.filter(({ path }) => path === undefined).map(({ name }) => name));
  const screen = new Screen();
  let running: Run | undefined;
  const interrupt = (): void => {
    running?.kill();
    for (const fetch of fetches) fetch.stop();
    screen.restore();
    console.log("demo: interrupted");
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", interrupt);
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", interrupt);
  const once = (runtimes: readonly Runtime[]): Promise<number> =>
    runOnce(running = new Run(rowsFor(runtimes), input), screen);
  screen.print(introduction(input));
  if (fetches.length === 0) return await once(runtimes);

  const what = fetches.map(({ name, version, size }) => `${name} ${version} (${size} MB)`).join(" and ");
  const there = runtimes.filter(({ path }) => path !== undefined);
  const meanwhile = there.length > 0 ? `; meanwhile it runs on ${there.map(({ name }) => name).join(" and ")}` : "";
  screen.print([`Fetching ${what}${meanwhile}`, ""]);
  const first = there.length > 0 ? await once(there) : 0;
  runtimes = await awaitAll(fetches, runtimes, screen);
  if (runtimes.filter(({ path }) => path !== undefined).length > there.length) return await once(runtimes);
  if (there.length > 0) return first;
  console.error("Cannot run: neither Deno, Bun nor Node is there in the version that package.json names");
  return 1;
}

/** Waits for what is fetched, and shows how much is left; settles with all runtimes, in their order. */
async function awaitAll(fetches: readonly Fetch[], runtimes: Runtime[], screen: Screen): Promise<Runtime[]> {
  const line = (): string =>
    fetches.map(({ name, size, came }) => `${name} ${Math.min(came(), size)} of ${size} MB`).join(", ");
  const drawing = setInterval(() => screen.draw([`Fetching: ${line()}`]), 5 * REDRAW_INTERVAL);
  const noting = setInterval(() => screen.note(`Fetching: ${line()}`), NOTE_INTERVAL / 2);
  try {
    const fetched = await Promise.all(fetches.map(({ done }) => done));
    const lines = fetched.filter(({ path }) => path === undefined).map(describeProblem);
    screen.print([...lines, ""]);
    const by = new Map(fetched.map((runtime) => [runtime.name, runtime]));
    return RUNTIME_NAMES.map((name, at) => by.get(name) ?? runtimes[at]);
  } finally {
    clearInterval(drawing);
    clearInterval(noting);
  }
}

/** Runs all steps and shows them; the exit code. */
async function runOnce(run: Run, screen: Screen): Promise<number> {
  const timeLimit = TIME_LIMIT + TIME_LIMIT_PER_MIB * run.input.size / 2 ** 20;
  const deadline = setTimeout(() => run.giveUp(`not through after ${count(timeLimit / 1_000)} s`), timeLimit);
  try {
    await show(run, screen);
    const found = faults(run);
    screen.print([...progress(run), ...findings(run), verdict(run, found)]);
    return found.length > 0 ? 1 : 0;
  } finally {
    clearTimeout(deadline);
    run.kill();
    screen.restore();
  }
}

setColorEnabled(getColorEnabled() && Deno.stdout.isTerminal());
try {
  Deno.exit(await main());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
