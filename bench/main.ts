/**
 * The benchmark: the library beside the bare floor of the same runtime, in the same run, and beside other libraries.
 *
 * Each sample is a server and a client process of one runtime on the loopback address; floor and library take turns, so that
 * whatever the machine does meanwhile meets both. The result is the ratio of medians; figures of different runs are not
 * comparable. Nothing is pinned to a core: where the system puts both processes on one, a round trip can take a third of the
 * time it takes across two, so that its rounds fall into two groups. More rounds, an idle machine and the CPU time help.
 *
 * ```sh
 * deno task bench --only rtt,burst --runtime node --rounds 5 --save results.json
 * ```
 *
 * @module
 */

import { compare } from "./compare.ts";
import { guard } from "./guard.ts";
import { describeMachine } from "../src/cli/bench/machine.ts";
import { parseOptions, USAGE } from "./options.ts";
import type { Options } from "./options.ts";
import { peerTable } from "./peer_table.ts";
import { planOf } from "./plan.ts";
import type { Step } from "./plan.ts";
import { killAll } from "./processes.ts";
import { Progress } from "./progress.ts";
import { pythonTable } from "../src/cli/bench/python_form/table.ts";
import { secureTable } from "./secure_table.ts";
import { Results } from "./results.ts";
import { findPrograms } from "./runtimes.ts";
import { table } from "./table.ts";
import { webSocketTable } from "./web_socket_table.ts";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    killAll();
    Deno.exit(130);
  });
}
globalThis.addEventListener("unload", killAll);

const options = parseOptions(Deno.args);
if (options === undefined) console.log(USAGE);
else if (options.compare !== undefined) {
  const [before, after] = options.compare.map((file) => JSON.parse(Deno.readTextFileSync(file)));
  console.log(compare(before, after));
} else Deno.exitCode = await run(options);

async function run(options: Options): Promise<number> {
  const programs = findPrograms(options.runtimes);
  const machine = describeMachine(programs);
  const results = new Results();
  const { steps, skipped } = await planOf(options, programs);
  for (const { text, who } of skipped) results.note(text, who);
  const progress = new Progress(steps.length);
  for (const [index, step] of steps.entries()) {
    progress.step(index, `${step.place} ${step.workload} ${step.subject}`);
    await take(step, results, (text) => progress.say(`  ${step.place} ${text}`));
  }
  progress.end();

  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.os}, ${machine.versions.join(", ")}`);
  console.log(`medians [least–greatest] of ${options.rounds} rounds; cpu: both processes, a message, floor / veltix`);
  console.log("~ not certain: one round only, or the extremes fall on both sides of the goal\n");
  console.log(table(results, options));
  const peers = peerTable(results.samples, options);
  if (peers !== "") console.log(`\nbeside others; factor: how many times as good\n\n${peers}`);
  const secure = secureTable(results.samples);
  if (secure !== "") console.log(`\nprotected connections; [95 % interval]; ~ not certain\n\n${secure}`);
  const webSockets = webSocketTable(results.samples);
  if (webSockets !== "") console.log(`\nWebSockets; [95 % interval]; ~ not certain\n\n${webSockets}`);
  const python = pythonTable(results.python);
  if (python !== "") console.log(`\nby the names of Python's benchmark\n\n${python}`);
  if (results.notes.size > 0) console.log("");
  for (const [text, who] of results.notes) console.log(`${text} (${[...who].join(", ")})`);
  if (results.counted > 0) {
    const counted = results.counted.toLocaleString("en");
    console.log(`\n${counted} messages counted by serial number where nothing failed: 0 lost, 0 twice, 0 inversions`);
  }
  if (machine.load > machine.cores / 4) {
    console.log(
      `\nThe machine was not idle at the start (load ${machine.load.toFixed(1)}): absolute goals say little.`,
    );
  }
  for (const { runtime, workload, subject, message, detail } of results.failures) {
    console.error(`\nFAILED ${runtime} ${workload} ${subject}: ${message}${detail === undefined ? "" : `\n${detail}`}`);
  }
  const command = ["deno", "task", "bench", ...Deno.args].join(" ");
  const about = { command, date: new Date().toISOString(), machine };
  if (options.save !== undefined) {
    const saved = { ...about, options, ...results.toJSON() };
    await Deno.writeTextFile(options.save, `${JSON.stringify(saved, null, 2)}\n`);
  }
  const guarded = !options.guard || guard(results, options.runtimes);
  return guarded && results.failures.length === 0 ? 0 : 1;
}

/** Does one step and keeps what it brings. */
async function take(step: Step, results: Results, said: (text: string) => void): Promise<void> {
  const { place: runtime, workload, subject } = step;
  try {
    const { figures, python, counted, notes } = await step.run(said);
    if (workload !== "veltix.benchmark") results.samples.push({ runtime, workload, subject, figures });
    results.addPython(runtime === "python" ? subject.replace("-", " ") : `${subject} on ${runtime}`, python);
    results.counted += counted;
    for (const note of notes) results.note(note, `${runtime} ${subject}`);
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    const detail = typeof cause === "string" ? cause : undefined;
    results.failures.push({ runtime, workload, subject, message, detail });
  }
}
