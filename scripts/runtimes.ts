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
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import process from "node:process";

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

const PROGRAMS: Record<RuntimeName, string[]> = {
  deno: ["deno/deno", "deno/deno.exe"],
  bun: ["bun/bin/bun.exe", "bun/bin/bun"],
  node: ["node/bin/node", "node/bin/node.exe"],
};

/**
 * Installs `node_modules` when it is missing or older than `package.json`, and finds the runtimes.
 *
 * @param names The runtimes asked for.
 * @returns One entry for each, in the same order.
 * @throws {Error} When one cannot be had and the environment variable `VELTIX_REQUIRE_ALL` is `1`.
 */
export function findRuntimes(names: readonly RuntimeName[] = RUNTIME_NAMES): Runtime[] {
  const problem = install();
  const found = names.map((name) => find(name, problem));
  const missing = found.filter((runtime) => runtime.problem !== undefined);
  if (missing.length > 0 && process.env.VELTIX_REQUIRE_ALL === "1") {
    throw new Error(`Cannot run on every runtime: ${missing.map(describeProblem).join("; ")}`);
  }
  return found;
}

/** Says which runtime is missing and why. */
export function describeProblem({ name, version, problem }: Runtime): string {
  return `${name} ${version} is not available (${problem})`;
}

function pins(): Record<string, string> {
  return JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")).optionalDependencies;
}

function find(name: RuntimeName, problem: string | undefined): Runtime {
  const version = pins()[name];
  const host = globalThis as { Deno?: { version: { deno: string }; execPath(): string } };
  if (name === "deno" && host.Deno?.version.deno === version) return { name, version, path: host.Deno.execPath() };
  const path = PROGRAMS[name].map((program) => `${ROOT}node_modules/${program}`).find(existsSync);
  if (!path) return { name, version, problem: problem ?? "npm did not install it" };
  const { stdout, error } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const actual = stdout?.match(/\d+\.\d+\.\d+/)?.[0];
  if (actual === version) return { name, version, path };
  return { name, version, problem: error ? `it does not start: ${error.message}` : `the one installed is ${actual}` };
}

/** Runs `npm install` unless the stamp in `node_modules` carries the hash of `package.json`. */
function install(): string | undefined {
  const stamp = `${ROOT}node_modules/.package-json.sha256`;
  const hash = createHash("sha256").update(readFileSync(`${ROOT}package.json`)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return undefined;
  console.log("Installing the pinned runtimes and test libraries (npm install)");
  const windows = process.platform === "win32";
  const { status, stderr, error } = spawnSync(
    windows ? "npm.cmd" : "npm",
    ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"],
    { cwd: ROOT, encoding: "utf8", shell: windows },
  );
  if (status === 0) {
    writeFileSync(stamp, hash);
    return undefined;
  }
  if (stderr) console.error(stderr.trim());
  return `npm install failed: ${error ? error.message : `exit code ${status}`}`;
}
