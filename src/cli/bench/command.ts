/**
 * `veltix bench`: measures the package itself, or any server.
 *
 * @module
 */

import process from "node:process";
import type { Command } from "commander";
import { VERSION } from "../../version.ts";
import type { CommandContext } from "../command.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { clientConfig } from "../target.ts";
import {
  type BenchFile,
  benchFile,
  checkWritable,
  type Compared,
  comparedOf,
  readBench,
  saveBench,
} from "./bench_file.ts";
import { BUSY, changesOf, comparisonText, differencesOf } from "./comparison.ts";
import { Findings } from "./findings.ts";
import { describeMachine } from "./machine.ts";
import { type BenchOptions, type BenchPlan, planOf, withBenchOptions } from "./options.ts";
import { reportText } from "./report.ts";
import { ECHO_CODE, startEchoServer } from "./server_thread.ts";
import { type Step, stepsOf } from "./steps.ts";
import { Target } from "./target_bench.ts";
import { pause } from "./waiting.ts";

const HELP = `
Without an address it measures itself: the five benchmarks of Python's Veltix, by the same flags, both ends in this
process as there; then connecting, pings and requests to a server in a thread of its own. With an address it measures that
server: connecting, pings, and with --code requests.

Examples:
  veltix bench
  veltix bench --only memory latency burst --rounds 5 --save before.json
  veltix bench --only memory latency burst --rounds 5 --compare before.json
  veltix bench example.org:5000 --connections 10 --rate 1000 --duration 10
  veltix bench 5000 --code 201 --sizes 64,1024 --in-flight 100
`;

const DESCRIPTION =
  "Measures connecting, pings and requests of a server. Without an address it measures the package itself, " +
  "by the five benchmarks of Python's Veltix and by a server of its own.";

/** Adds the command. */
export function benchCommand(program: Command, context: CommandContext): void {
  withBenchOptions(program.command("bench").summary("measure a server, or the package itself").description(DESCRIPTION))
    .addHelpText("after", HELP)
    .action(async (address: string | undefined, options: BenchOptions, command: Command) => {
      const output = context.output(command);
      const plan = planOf(options, address !== undefined, (name) => command.getOptionValueSource(name) === "cli");
      const [before, after, ...more] = (options.compare ?? []).map(readBench);
      if (more.length > 0) throw new CommandError(ExitCode.USAGE, "--compare takes one file or two");
      if (after !== undefined) return showComparison(output, before, after);
      if (options.save !== undefined) checkWritable(options.save);
      await measure({ address, options, plan, before, output, signal: context.terminal.signal });
    });
}

interface Run {
  readonly address: string | undefined;
  readonly options: BenchOptions;
  readonly plan: BenchPlan;
  /** What the run is compared with. */
  readonly before: Compared | undefined;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** Measures, and prints what there is, also when it was interrupted or something failed. */
async function measure({ address, before, options, output, plan, signal }: Run): Promise<void> {
  const findings = new Findings();
  const date = new Date().toISOString();
  const machine = describeMachine([runtime()]);
  let protocol = "unknown";
  const closing: { close(): Promise<void> }[] = [];
  let opened: Promise<{ target: Target; code: number | undefined }> | undefined;
  const open = async (): Promise<{ target: Target; code: number | undefined }> => {
    if (address !== undefined) {
      const target = new Target(await clientConfig(address, options), signal);
      closing.push(target);
      protocol = await target.protocol();
      return { target, code: plan.code };
    }
    const server = await startEchoServer(plan.transport);
    const target = new Target({ hostname: "127.0.0.1", port: server.port, transport: plan.transport }, signal);
    closing.push(target, server);
    return { target, code: ECHO_CODE };
  };
  const steps = stepsOf({ plan, signal, target: () => opened ??= open() });
  let failure: { readonly error: unknown } | undefined;
  try {
    for (const [index, step] of steps.entries()) {
      await takeRounds(
        step,
        plan,
        findings,
        signal,
        (text) => output.progress(`[${index + 1}/${steps.length}] ${text}`),
      );
    }
  } catch (error) {
    failure = { error };
  }
  // The clients first, or they would see their server go.
  for (const one of closing) await one.close();
  output.clear();
  if (machine.load > BUSY * machine.cores) {
    findings.note(`The machine was busy at the start: load ${machine.load.toFixed(1)}`);
  }
  const file = benchFile({
    veltix: VERSION,
    date,
    machine,
    target: address === undefined ? null : { address: address.replace(/[?#].*/s, ""), protocol },
    settings: settingsOf(plan),
    interrupted: failure !== undefined,
    series: findings.series,
    errors: findings.errors,
    notes: findings.notes,
    python: findings.python,
  });
  if (!findings.isEmpty) {
    show(output, file);
    if (before !== undefined) showComparison(output, before, comparedOf(file));
    if (options.save !== undefined) saveBench(options.save, file);
  }
  if (failure !== undefined) throw failure.error;
}

/** Takes the rounds of a step, first those that do not count. */
async function takeRounds(
  step: Step,
  { cooldown, warmup }: BenchPlan,
  findings: Findings,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<void> {
  for (let i = -warmup; i < step.rounds; i++) {
    progress(i < 0 ? `${step.name}, warm-up` : `${step.name}, round ${i + 1} of ${step.rounds}`);
    signal.throwIfAborted();
    await step.round(i < 0 ? undefined : findings);
    if (cooldown > 0) await pause(cooldown, signal);
  }
}

function show(output: Output, file: BenchFile): void {
  const end = file.interrupted ? "\n\nended early: this is what there was" : "";
  output.result(file, () => reportText(file) + end);
}

function showComparison(output: Output, before: Compared, after: Compared): void {
  const value = { changes: changesOf(before, after), differences: differencesOf(before, after) };
  output.result(value, () => `\n${comparisonText(before, after)}`);
}

/** Returns how it was measured, for readers of the file and for comparisons. */
function settingsOf(plan: BenchPlan): Record<string, unknown> {
  const { code, connections, duration, inFlight, numbers, rate, share, sizes, transport, warmup } = plan;
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
  return { warmup, duration, connections, inFlight, rate, sizes, code, share, transport, ...given };
}

/** Returns the name and the version of this runtime. */
function runtime(): { readonly name: string; readonly version: string } {
  const { bun, deno, node } = process.versions as Readonly<Record<string, string | undefined>>;
  if (deno !== undefined) return { name: "deno", version: deno };
  return bun !== undefined ? { name: "bun", version: bun } : { name: "node", version: node ?? "unknown" };
}
