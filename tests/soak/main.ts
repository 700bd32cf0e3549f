/**
 * `deno task soak [--short] [--only a,b] [--runtime deno,bun,node] [--seed N] [--attack a,b] [--part a,b]
 * [--table]`: what must hold for
 * long and under load, over real sockets and between real processes. One line for each scenario; exits with 1 when one failed.
 *
 * In full it runs on Deno, with `--short` on all runtimes, about a minute each. The short form judges no delays: it runs in
 * CI, where a machine may be slow. `--attack` picks attacks of the scenario `hostile`, `--part` parts of the scenarios `resume` and `websocket`; `--table` prints what came of them as
 * the table of `SECURITY.md`.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { bringRuntimes, describeProblem, RUNTIME_NAMES, type RuntimeName } from "../../scripts/runtimes.ts";
import { limited } from "../processes/waiting.ts";
import { churn } from "./churn.ts";
import { cuts } from "./cuts.ts";
import { flood } from "./flood.ts";
import { frozen } from "./frozen.ts";
import { game } from "./game.ts";
import { attackTable } from "./attack_table.ts";
import { hostile } from "./hostile.ts";
import { order } from "./order.ts";
import { Child, killAll, killAllNow, type Program } from "./processes.ts";
import { restarts } from "./restarts.ts";
import { resume } from "./resume.ts";
import { type Attacked, type Context, type Scenario, Verdict } from "./scenario.ts";
import { storm } from "./storm.ts";
import { streams } from "./streams.ts";
import { webSocket } from "./web_socket.ts";

const SCENARIOS: readonly Scenario[] = [
  frozen,
  game,
  cuts,
  restarts,
  storm,
  flood,
  churn,
  order,
  hostile,
  streams,
  resume,
  webSocket,
];
const LIMIT = { short: 60_000, full: 900_000 } as const;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const { values } = parseArgs({
  options: { only: text, runtime: text, seed: text, attack: text, part: text, short: flag, table: flag },
});
const short = values.short === true;
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const only = values.only?.split(",") ?? SCENARIOS.map(({ name }) => name);
const names = values.runtime?.split(",") ?? (short ? RUNTIME_NAMES : ["deno"]);

for (
  const [name, known] of [
    ...only.map((name) => [name, SCENARIOS.map(({ name }) => name)] as const),
    ...names.map((name) => [name, RUNTIME_NAMES] as const),
  ]
) {
  if ((known as readonly string[]).includes(name)) continue;
  console.error(`Cannot run "${name}": there are ${known.join(", ")}`);
  process.exit(2);
}
if (!Number.isSafeInteger(seed) || seed < 0) {
  console.error("Cannot run: --seed takes a whole number");
  process.exit(2);
}

const attacked: (Attacked & { readonly runtime: RuntimeName })[] = [];

/** Runs one scenario, and prints its line. */
async function run({ name, run, limit = LIMIT }: Scenario, program: Program): Promise<boolean> {
  const start = performance.now();
  const verdict = new Verdict();
  let figures = "";
  try {
    const context: Context = {
      short,
      seed,
      verdict,
      attacks: values.attack?.split(","),
      parts: values.part?.split(","),
      runtime: program.name,
      runtimes: there.map(({ name }) => name),
      start: (file, role, config, runtime) =>
        Child.start(there.find(({ name }) => name === runtime) ?? program, file, role, config),
      say: (good, line) => console.log(`  ${good ? "ok    " : "FAILED"} ${program.name} ${line}`),
      tell(one: Attacked): void {
        attacked.push({ ...one, runtime: program.name });
        this.say(one.ok, one.line);
      },
    };
    figures = await limited(`"${name}"`, short ? limit.short : limit.full, run(context));
  } catch (error) {
    verdict.failures.push((error as Error)?.message ?? String(error));
  }
  await killAll();
  const ok = verdict.failures.length === 0;
  const told = [figures, ...verdict.failures.map((failure) => `NOT SO: ${failure}`)].filter((part) => part !== "");
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${ok ? "ok    " : "FAILED"} ${program.name} ${name}: ${told.join("; ")}, ${seconds} s`);
  return ok;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    killAllNow();
    process.exit(1);
  });
}

const there = bringRuntimes(RUNTIME_NAMES).filter(({ path }) => path !== undefined) as readonly Program[];
let good = true;
let ran = 0;
console.log(`seed ${seed}`);
for (const runtime of bringRuntimes(names as readonly RuntimeName[])) {
  if (runtime.path === undefined) {
    if (values.runtime !== undefined) good = false;
    console.log(`left out: ${describeProblem(runtime)}`);
    continue;
  }
  for (const scenario of SCENARIOS) {
    if (!only.includes(scenario.name)) continue;
    good = await run(scenario, runtime) && good;
    ran++;
  }
}
if (values.table === true) console.log(attackTable(attacked));
process.exit(good && ran > 0 ? 0 : 1);
