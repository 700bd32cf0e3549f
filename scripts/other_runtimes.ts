/**
 * Runtimes in other versions than the pinned ones, each in a folder of its own below `.tmp`, so that it is fetched once.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { npmInstall } from "./npm.ts";
import { describeProblem, PROGRAMS, ROOT, type Runtime, type RuntimeName } from "./runtimes.ts";

/**
 * Fetches a runtime in a version unless it is there. Returns the path of its program.
 *
 * @throws {Error} It cannot be had.
 */
export function pathOf(name: RuntimeName, version: string): string {
  const runtime = bring(name, version);
  if (runtime.path === undefined) throw new Error(describeProblem(runtime));
  return runtime.path;
}

function bring(name: RuntimeName, version: string): Runtime {
  const folder = `${ROOT}.tmp/runtimes/${name}-${version}/`;
  mkdirSync(folder, { recursive: true });
  const manifest = { private: true, dependencies: { [name]: version }, allowScripts: { [name]: true } };
  writeFileSync(`${folder}package.json`, JSON.stringify(manifest));
  const problem = npmInstall(folder, `${name} ${version}`);
  if (problem !== undefined) return { name, version, problem };
  const path = PROGRAMS[name].map((program) => `${folder}node_modules/${program}`).find(existsSync);
  if (path === undefined) return { name, version, problem: "npm did not bring its program" };
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  // npm's Node may fall back to the system's.
  const actual = stdout?.match(/\d+\.\d+\.\d+/)?.[0] ?? "none";
  return actual === version ? { name, version, path } : { name, version, problem: `the one installed is ${actual}` };
}
