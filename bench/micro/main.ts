/**
 * `deno task bench:micro [--only PARTS] [--runtime NAMES] [--time MS] [--turns] [--save FILE]`: what single functions
 * cost on each runtime, in nanoseconds a call: encoding, decoding, CRC-32, dispatch, the table of requests, telemetry, codecs.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { parseArgs, promisify } from "node:util";
import { describeMachine } from "../../src/cli/bench/machine.ts";
import { RUNTIMES } from "../options.ts";
import type { Runtime } from "../options.ts";
import { commandLine, findPrograms } from "../runtimes.ts";
import { aligned, amount } from "../../src/cli/bench/units.ts";
import type { MicroConfig, MicroResult } from "./run.ts";

const RUN = new URL("./run.ts", import.meta.url);

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { only: text, runtime: text, time: text, turns: { type: "boolean" }, save: text },
});
const programs = findPrograms((values.runtime?.split(",") ?? RUNTIMES) as Runtime[]);
const config: MicroConfig = { only: values.only?.split(","), time: Number(values.time ?? 300), turns: values.turns };
const machine = describeMachine(programs);

const results: Record<string, MicroResult[]> = {};
for (const program of programs) {
  console.error(`${program.name} ${program.version}`);
  const [command, ...args] = commandLine(program, RUN, JSON.stringify(config));
  const { stdout } = await promisify(execFile)(command, args, { maxBuffer: 2 ** 24 });
  results[program.name] = JSON.parse(stdout);
}

const [first] = Object.values(results);
const rows = first.map(({ name, bytes }, i) => [
  name,
  ...Object.values(results).flatMap((measured) => {
    const { p50, rme } = measured[i];
    const rate = bytes === undefined ? amount(1e9 / p50, "/s") : amount(1e9 * bytes / p50, "B/s");
    return [
      p50 < 10_000 ? amount(p50, "ns") : amount(p50 / 1000, "µs"),
      `± ${rme.toFixed(1)} %`,
      `${rate}${bytes === undefined ? "" : "/s"}`,
    ];
  }),
]);
console.log(`${machine.cpu}, ${machine.os}, ${machine.versions.join(", ")}`);
console.log("medians of the time a call takes, margin of error, calls or bytes a second\n");
console.log(aligned([["function", ...programs.flatMap(({ name }) => [name, "", ""])], ...rows]));
if (values.save !== undefined) {
  const saved = { date: new Date().toISOString(), machine, config, results };
  await Deno.writeTextFile(values.save, `${JSON.stringify(saved, null, 2)}\n`);
}
