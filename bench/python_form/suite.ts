/**
 * Python's own benchmark, run as its users run it: `python3 -m veltix.benchmark --save FILE`.
 *
 * @module
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { ROOT } from "../../scripts/runtimes.ts";
import { install, PYTHON } from "../../tests/interop/install.ts";
import { runToEnd } from "../processes.ts";
import type { Outcome, Pace } from "../workload.ts";
import type { WorkloadName } from "../workloads/all.ts";
import type { PythonBench, PythonResult } from "../../src/cli/bench/python_form/records.ts";
import { resultsOf } from "../../src/cli/bench/python_form/saved.ts";

/** What Python's benchmark needs besides Veltix. */
const PSUTIL = "7.2.2";
const LIMIT = 300_000;
const ITERATIONS = 50_000;
const SECONDS = 5;

/** Those of Python's benchmarks that a run of ours asks for. */
export function benchesOf(workloads: readonly WorkloadName[]): PythonBench[] {
  return (["memory", "latency", "fps", "burst", "stress"] as const).filter((name) => workloads.includes(name));
}

/** Runs some of the benchmarks of a release. */
export async function runPythonSuite(release: string, benches: readonly PythonBench[], pace: Pace): Promise<Outcome> {
  const env = { PYTHONPATH: `${await install(release)}:${await installPsutil()}`, PYTHONDONTWRITEBYTECODE: "1" };
  const folder = mkdtempSync(`${tmpdir()}/bench-python-`);
  const suite = async (only: readonly string[], ...options: string[]): Promise<PythonResult[]> => {
    const file = `${folder}/results.json`;
    await runToEnd([PYTHON, "-m", "veltix.benchmark", "--save", file, ...options, "--only", ...only], env, LIMIT);
    return resultsOf(JSON.parse(readFileSync(file, "utf8")));
  };
  try {
    const duration = ["--fps-duration", `${SECONDS * pace.share}`];
    const python = await suite(benches, "--latency-iterations", `${ITERATIONS * pace.share}`, ...duration);
    // Since 3.0 it plays one game at a time.
    if (python.filter(({ bench }) => bench === "fps").length === 1) {
      python.push(...await suite(["fps"], "--fps-players", "128", "--fps-tick-rate", "20", ...duration));
    }
    return { figures: {}, python, counted: 0, notes: [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Installs what Python's benchmark measures memory with, beside the releases, and returns its folder. */
async function installPsutil(): Promise<string> {
  const folder = `${ROOT}.tmp/python/psutil-${PSUTIL}`;
  const options = ["--quiet", "--disable-pip-version-check", "--no-input", "--target", folder];
  if (!existsSync(folder)) await runToEnd([PYTHON, "-m", "pip", "install", ...options, `psutil==${PSUTIL}`], {}, LIMIT);
  return folder;
}
