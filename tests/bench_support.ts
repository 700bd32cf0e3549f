/**
 * The benchmark in a tiny form, on the runtime that runs the test.
 *
 * @module
 */

import process from "node:process";
import type { Runtime } from "../bench/options.ts";
import { pythonRoles } from "../bench/peers.ts";
import { rolesOn, runSample } from "../bench/sample.ts";
import type { SubjectName } from "../bench/subject.ts";
import type { Outcome, Pace } from "../bench/workload.ts";
import type { WorkloadName } from "../bench/workloads/all.ts";

/** Some milliseconds of everything. */
const TINY: Pace = { warmUp: 10, measure: 20, connections: 20, share: 0.004, minutes: 0.01 };

/** The runtime that runs the test. */
export const RUNTIME: Runtime = process.versions.deno !== undefined
  ? "deno"
  : process.versions.bun !== undefined
  ? "bun"
  : "node";

/** Runs a workload with Python's Veltix. */
export async function pythonSample(workload: WorkloadName, release: string): Promise<Outcome> {
  const subject = { subject: `python-${release}`, sockets: "native", core: "auto" } as const;
  return await runSample(await pythonRoles(release), workload, subject, TINY);
}

/** Runs a workload with a subject on this runtime. */
export function sample(
  workload: WorkloadName,
  subject: SubjectName = "veltix",
  said?: (text: string) => void,
): Promise<Outcome> {
  const program = { name: RUNTIME, version: process.version, path: process.execPath };
  return runSample(rolesOn(program), workload, { subject, sockets: "native", core: "auto" }, TINY, said);
}
