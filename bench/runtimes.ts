/**
 * How a script is started on each runtime, in the version that the repository pins.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { bringRuntimes } from "../scripts/runtimes.ts";
import type { Runtime as FoundRuntime } from "../scripts/runtimes.ts";
import type { Runtime } from "./options.ts";
import type { CommandLine } from "./processes.ts";

/** A runtime that is there. */
export interface Program {
  readonly name: Runtime;
  readonly version: string;
  readonly path: string;
}

/** Finds the runtimes. Throws when one is missing: a benchmark that leaves one out would look complete. */
export function findPrograms(names: readonly Runtime[]): Program[] {
  return bringRuntimes(names).map(programOf);
}

function programOf({ name, version, path, problem }: FoundRuntime): Program {
  if (path === undefined) throw new Error(`Cannot measure on ${name} ${version}: ${problem}`);
  return { name, version, path };
}

/** The command line that runs `script` with one argument. */
export function commandLine({ name, path }: Program, script: URL, argument: string): CommandLine {
  const file = fileURLToPath(script);
  switch (name) {
    case "deno":
      return [path, "run", "-A", "--no-check", "--quiet", "--v8-flags=--expose-gc", file, argument];
    case "bun":
      return [path, file, argument];
    case "node":
      return [path, "--expose-gc", file, argument];
  }
}
