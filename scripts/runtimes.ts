/**
 * The pinned runtimes: `package.json` names their versions, npm brings them, and each is asked for its version before it
 * is used, because the `node` package silently falls back to the system's Node. They are `optionalDependencies`:
 * `deno task` would bring development dependencies a second time, into its own cache.
 *
 * Runs on Deno, Bun and Node, so that tests and benchmarks can start the other runtimes.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { npmInstall } from "./npm.ts";

/** The runtimes this package supports. */
export const RUNTIME_NAMES = ["deno", "bun", "node"] as const;

/** The name of a runtime. */
export type RuntimeName = typeof RUNTIME_NAMES[number];

/** A runtime in its pinned version, or the reason why it cannot be had. */
export type Runtime =
  & { readonly name: RuntimeName; readonly version: string }
  & ({ readonly path: string; readonly problem?: undefined } | { readonly path?: undefined; readonly problem: string });

/** The root folder of the repository. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));

/** Where npm puts their programs, below `node_modules`. */
export const PROGRAMS: Readonly<Record<RuntimeName, readonly string[]>> = {
  deno: ["deno/deno", "deno/deno.exe"],
  bun: ["bun/bin/bun.exe", "bun/bin/bun"],
  node: ["node/bin/node", "node/bin/node.exe"],
};

/**
 * Finds the runtimes that are there. Installs nothing.
 *
 * @param names The runtimes asked for.
 * @param problem Why one that is missing may be so.
 * @returns One entry for each, in the same order.
 * @throws {Error} When one cannot be had and the environment variable `VELTIX_REQUIRE_ALL` is `1`.
 */
export function findRuntimes(names: readonly RuntimeName[] = RUNTIME_NAMES, problem?: string): Runtime[] {
  const found = names.map((name) => find(name, problem));
  const missing = found.filter((runtime) => runtime.problem !== undefined);
  if (missing.length > 0 && process.env.VELTIX_REQUIRE_ALL === "1") {
    throw new Error(`Cannot run on every runtime: ${missing.map(describeProblem).join("; ")}`);
  }
  return found;
}

/**
 * Installs `node_modules` when it is missing or older than `package.json`, and finds the runtimes.
 *
 * @param names The runtimes asked for.
 * @returns One entry for each, in the same order.
 * @throws {Error} As {@linkcode findRuntimes}.
 */
export function bringRuntimes(names: readonly RuntimeName[] = RUNTIME_NAMES): Runtime[] {
  return findRuntimes(names, npmInstall(ROOT, "the pinned runtimes and test libraries, some 410 MB"));
}

/** Says which runtime is missing and why. */
export function describeProblem({ name, version, problem }: Runtime): string {
  return `${name} ${version} is not available (${problem})`;
}

/** The pinned versions of the runtimes, and of TypeScript. */
export function pins(): Record<string, string> {
  return JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")).optionalDependencies;
}

function find(name: RuntimeName, problem: string | undefined): Runtime {
  const version = pins()[name];
  const host = globalThis as { Deno?: { version: { deno: string }; execPath(): string } };
  if (name === "deno" && host.Deno?.version.deno === version) return { name, version, path: host.Deno.execPath() };
  const path = PROGRAMS[name].map((program) => `${ROOT}node_modules/${program}`).find(existsSync);
  if (!path) return { name, version, problem: problem ?? "it is not installed" };
  const { stdout, error } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const actual = stdout?.match(/\d+\.\d+\.\d+/)?.[0];
  if (actual === version) return { name, version, path };
  return { name, version, problem: error ? `it does not start: ${error.message}` : `the one installed is ${actual}` };
}
