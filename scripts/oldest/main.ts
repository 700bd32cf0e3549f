/**
 * `deno task oldest`: fetches the oldest runtimes that the package asks for, some 660 MB, into `.tmp`, and has a server and a
 * client of every kind of protocol talk on each. It fails when one of them does not.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { OLDEST } from "../../src/adapters/runtime_check.ts";
import { npmInstall } from "../npm.ts";
import { PROGRAMS, ROOT, RUNTIME_NAMES, type RuntimeName } from "../runtimes.ts";

const PROGRAM = fileURLToPath(new URL("program.ts", import.meta.url));
const ARGS: Record<RuntimeName, string[]> = {
  deno: ["run", "-A", "--no-check", "--no-lock", "--no-config"],
  bun: ["run"],
  node: ["--experimental-strip-types", "--disable-warning=ExperimentalWarning"],
};

const folder = `${ROOT}.tmp/oldest/`;
const versions: Record<RuntimeName, string> = { deno: OLDEST.Deno, bun: OLDEST.Bun, node: OLDEST.Node };
mkdirSync(folder, { recursive: true });
const allowed = { deno: true, bun: true, node: true };
writeFileSync(
  `${folder}package.json`,
  JSON.stringify({ private: true, dependencies: versions, allowScripts: allowed }),
);
const problem = npmInstall(folder, "the oldest runtimes, some 660 MB");
if (problem !== undefined) throw new Error(`Cannot fetch the oldest runtimes: ${problem}`);

let good = true;
for (const name of RUNTIME_NAMES) {
  const path = PROGRAMS[name].map((program) => `${folder}node_modules/${program}`).find(existsSync);
  const { status, stdout, stderr, error } = path === undefined
    ? { status: 1, stdout: "", stderr: "it is not there", error: undefined }
    : spawnSync(path, [...ARGS[name], PROGRAM], { encoding: "utf8", timeout: 60_000 });
  // The program says which runtime it ran on: npm's Node may fall back to the system's.
  const ok = status === 0 && stdout.trim().endsWith(`${versions[name]}: native, 2.0, 1.6.3`);
  good &&= ok;
  console.log(`${ok ? "ok    " : "FAILED"} ${name} ${versions[name]}`);
  if (!ok) console.log([stdout, stderr, error?.message].filter(Boolean).join("\n").trim());
}
process.exitCode = good ? 0 : 1;
