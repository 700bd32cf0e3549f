/**
 * The benchmark: the library beside the bare floor of the same runtime, in the same run.
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

import { FLOOR_OF } from "./goals.ts";
import { describeMachine } from "./machine.ts";
import { parseOptions, USAGE } from "./options.ts";
import type { Options } from "./options.ts";
import { killAll } from "./processes.ts";
import { Results } from "./results.ts";
import { findPrograms } from "./runtimes.ts";
import type { Program } from "./runtimes.ts";
import { paceOf, runSample } from "./sample.ts";
import type { SubjectName } from "./subject.ts";
import type { SubjectConfig } from "./subjects/load.ts";
import { table } from "./table.ts";
import type { WorkloadName } from "./workloads/all.ts";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    killAll();
    Deno.exit(130);
  });
}
globalThis.addEventListener("unload", killAll);

const options = parseOptions(Deno.args);
if (options === undefined) console.log(USAGE);
else Deno.exitCode = await run(options);

async function run(options: Options): Promise<number> {
  const programs = findPrograms(options.runtimes);
  const machine = describeMachine(programs);
  const results = new Results();
  const plan = planOf(options, programs);
  const start = performance.now();
  for (const [index, { program, workload, subject }] of plan.entries()) {
    const label = labelOf(subject);
    const runtime = program.name;
    progress(`[${index + 1}/${plan.length}] ${runtime} ${workload} ${label}`, start);
    try {
      const figures = await runSample(program, workload, subject, paceOf(options));
      results.samples.push({ runtime, workload, subject: label, figures });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      results.failures.push({ runtime, workload, subject: label, message });
    }
  }
  progress("", start);
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.os}, ${machine.versions.join(", ")}`);
  console.log(`medians [least–greatest] of ${options.rounds} rounds; cpu: both processes, a message, floor / veltix`);
  console.log(
    "~ not certain: one round only, or the extremes fall on both sides of the goal\n",
  );
  console.log(table(results, options));
  if (machine.load > machine.cores / 4) {
    console.log(
      `\nThe machine was not idle at the start (load ${machine.load.toFixed(1)}): absolute goals say little.`,
    );
  }
  for (const { runtime, workload, subject, message } of results.failures) {
    console.error(`\nFAILED ${runtime} ${workload} ${subject}: ${message}`);
  }
  if (options.save !== undefined) {
    const command = ["deno", "task", "bench", ...Deno.args].join(" ");
    const saved = { command, date: new Date().toISOString(), machine, options, ...results };
    await Deno.writeTextFile(options.save, `${JSON.stringify(saved, null, 2)}\n`);
  }
  return results.failures.length > 0 ? 1 : 0;
}

interface PlannedSample {
  readonly program: Program;
  readonly workload: WorkloadName;
  readonly subject: SubjectConfig;
}

/** The samples in order: within a workload the subjects take turns. */
function planOf(options: Options, programs: readonly Program[]): PlannedSample[] {
  const plan: PlannedSample[] = [];
  for (const workload of options.workloads) {
    for (const program of programs) {
      for (let round = 0; round < options.rounds; round++) {
        for (const subject of subjectsOf(options, program.name, workload)) plan.push({ program, workload, subject });
      }
    }
  }
  return plan;
}

function subjectsOf(options: Options, runtime: Program["name"], workload: WorkloadName): SubjectConfig[] {
  const names: readonly SubjectName[] = options.subjects ?? [FLOOR_OF[workload], "veltix"];
  return names.flatMap((subject): SubjectConfig[] => {
    if (subject === "veltix") return [{ subject, sockets: "native", core: options.core }];
    const kinds = runtime === "node" ? ["native"] as const : options.floors;
    return kinds.map((sockets) => ({ subject, sockets, core: options.core }));
  });
}

function labelOf({ subject, sockets }: SubjectConfig): string {
  return sockets === "node" ? `${subject}/node` : subject;
}

/** On a terminal one line that changes, elsewhere a line for each sample. */
function progress(text: string, start: number): void {
  const line = text && `${text}, ${((performance.now() - start) / 1000).toFixed(0)} s`;
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line}`));
  else if (text) console.error(line);
}
