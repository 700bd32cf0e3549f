/**
 * `deno task ok`: the gate. Every check on one line with its time; a check that fails shows its output. The exit code is
 * 1 when any failed.
 *
 *     deno task ok [--no-test]
 *
 * With `--no-test`, or `VELTIX_TESTED=1` in the environment, the tests are left out because they have just run.
 *
 * @module
 */
import { bold, dim, getColorEnabled, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import process from "node:process";
import { ROOT } from "./runtimes.ts";

const CODE = ["mod.ts", "src", "tests", "bench", "examples", "scripts", "std"];
const entries: string[] = Object.values(JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8")).exports);
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...globSync("docs/**/*.md", { cwd: ROOT }).sort()];
const required = ["mod.ts", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"];

const steps: [name: string, args: string[]][] = [
  ["format", ["fmt", "--check"]],
  ["lint", ["lint"]],
  ["types", ["check", ...CODE]],
  // One by one: what one of them exports, another may still leave out.
  ...entries.map((entry): [string, string[]] => [`public docs of ${entry}`, ["doc", "--lint", entry]]),
  ["code in the pages", ["check", "--doc-only", ...pages]],
  ["examples in the sources", ["test", "--doc", "-A", "--reporter=dot", "mod.ts", "src"]],
  ["package", ["publish", "--dry-run", "--config=jsr.json", "--allow-dirty"]],
];
const tests: [name: string, args: string[]] = ["tests", ["run", "-A", "scripts/test.ts"]];

/** Runs a check, prints its line, and its output when it fails. */
function check(name: string, args: string[]): boolean {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(Deno.execPath(), args, {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, RUST_BACKTRACE: undefined },
    encoding: "utf8",
    maxBuffer: 256 * 2 ** 20,
  });
  const seconds = dim(`${((performance.now() - start) / 1000).toFixed(1)} s`);
  const passed = status === 0;
  const count = name === "tests" ? `: ${stdout?.trim().split("\n").at(-1)}` : "";
  console.log(`${passed ? green("ok    ") : red("FAILED")} ${name}${count} ${seconds}`);
  if (!passed) {
    console.log(dim(`    deno ${args.join(" ")}`));
    console.log(`${stdout ?? ""}${stderr ?? ""}${error ? error.message : ""}`.trim().replaceAll(/^/gm, "    "));
  }
  return passed;
}

function main(): number {
  const missing = required.filter((path) => !existsSync(ROOT + path));
  if (missing.length > 0) console.log(`${red("FAILED")} files: there is no ${missing.join(", no ")}`);
  const failed = steps.filter(([name, args]) => !check(name, args)).map(([name]) => name);
  if (missing.length > 0) failed.unshift("files");
  if (process.argv.includes("--no-test") || process.env.VELTIX_TESTED === "1") {
    console.log(yellow(`left out: tests${process.env.VELTIX_TESTED === "1" ? " (they have just run)" : ""}`));
  } else if (!check(...tests)) failed.push("tests");
  console.log(bold(failed.length === 0 ? green("ok") : red(`failed: ${failed.join(", ")}`)));
  return failed.length === 0 ? 0 : 1;
}

setColorEnabled(getColorEnabled() && process.stdout.isTTY === true);
process.exitCode = main();
