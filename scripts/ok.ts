/**
 * `deno task ok`: the gate. Every check on one line with its time; a check that fails shows its output. What is under way
 * is named before it begins, and the tests tell how far they are. The exit code is 1 when any failed.
 *
 *     deno task ok [--no-test]
 *
 * With `--no-test`, or `VELTIX_TESTED=1` in the environment, the tests are left out because they have just run.
 *
 * @module
 */
import { bold, dim, getColorEnabled, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import { spawn } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import process from "node:process";
import { ROOT } from "./runtimes.ts";
import { markdownFiles } from "./site/pages.ts";

/** The code of runtimes. That of a page has the types of browsers, which exclude those of Deno. */
const CODE = [
  ...["mod.ts", "src", "tests", "scripts", "std"],
  ...globSync(["examples/*.ts", "examples/*/*.ts"], { cwd: ROOT }).sort(),
];
const PAGES = globSync("examples/*/page/page.ts", { cwd: ROOT });
const entries: string[] = Object.values(JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8")).exports);
const required = [
  "mod.ts",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CODE_OF_CONDUCT.md",
];

const steps: [name: string, args: string[]][] = [
  ["format", ["fmt", "--check"]],
  ["lint", ["lint"]],
  ["types", ["check", ...CODE]],
  ["types of pages", ["check", ...PAGES]],
  ["types of the benchmark", ["check", "--lock=bench/deno.lock", "bench"]],
  // One by one: what one of them exports, another may still leave out.
  ...entries.map((entry): [string, string[]] => [`public docs of ${entry}`, ["doc", "--lint", entry]]),
  ["code in the pages", ["check", "--doc-only", ...markdownFiles()]],
  ["types of the examples in the sources", ["check", "--doc", "mod.ts", "src"]],
  // A thread that checks its types first may take longer than a request.
  ["examples in the sources", ["test", "--doc", "-A", "--no-check", "--reporter=dot", "mod.ts", "src"]],
  ["types of the package", ["test", "-A", "--no-check", "--reporter=dot", "tests/types"]],
  ["package", ["publish", "--dry-run", "--config=jsr.json", "--allow-dirty"]],
];
const tests: [name: string, args: string[]] = ["tests", ["run", "-A", "scripts/test.ts"]];

/** Runs a check, says so, prints its line, and its output when it fails. */
async function check(name: string, args: string[]): Promise<boolean> {
  const start = performance.now();
  const terminal = process.stdout.isTTY === true;
  const say = (what: string): void => {
    if (terminal) process.stdout.write(`\r\x1b[K${dim(what.slice(0, 100))}`);
  };
  if (terminal) say(`…      ${name}`);
  else console.log(dim(`…      ${name}`));
  const child = spawn(Deno.execPath(), args, {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, RUST_BACKTRACE: undefined },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let files = 0;
  const hear = (chunk: string): void => {
    output += chunk;
    if (name !== "tests") return;
    for (const line of chunk.split("\n")) {
      if (/^(deno|bun|node) \d/.test(line)) {
        terminal ? say(`…      ${name}: ${line}`) : console.log(dim(`       ${line}`));
      } else if (line.startsWith("FAILED")) console.log(`${terminal ? "\r\x1b[K" : ""}${red(line)}`);
      else if (line.startsWith("ok ")) say(`…      ${name}: ${++files} files, ${line.slice(7)}`);
    }
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", hear);
  const status = await new Promise<number | string | null>((resolve) => {
    child.on("error", ({ message }) => resolve(message));
    child.on("close", resolve);
  });
  const seconds = dim(`${((performance.now() - start) / 1000).toFixed(1)} s`);
  const passed = status === 0;
  const count = name === "tests" ? `: ${output.trim().split("\n").at(-1)}` : "";
  console.log(`${terminal ? "\r\x1b[K" : ""}${passed ? green("ok    ") : red("FAILED")} ${name}${count} ${seconds}`);
  if (!passed) {
    console.log(dim(`    deno ${args.join(" ")}`));
    console.log(`${output}${typeof status === "string" ? status : ""}`.trim().replaceAll(/^/gm, "    "));
  }
  return passed;
}

async function main(): Promise<number> {
  const missing = required.filter((path) => !existsSync(ROOT + path));
  if (missing.length > 0) console.log(`${red("FAILED")} files: there is no ${missing.join(", no ")}`);
  const failed: string[] = [];
  for (const [name, args] of steps) if (!await check(name, args)) failed.push(name);
  if (missing.length > 0) failed.unshift("files");
  if (process.argv.includes("--no-test") || process.env.VELTIX_TESTED === "1") {
    console.log(yellow(`left out: tests${process.env.VELTIX_TESTED === "1" ? " (they have just run)" : ""}`));
  } else if (!await check(...tests)) failed.push("tests");
  console.log(bold(failed.length === 0 ? green("ok") : red(`failed: ${failed.join(", ")}`)));
  return failed.length === 0 ? 0 : 1;
}

setColorEnabled(getColorEnabled() && process.stdout.isTTY === true);
process.exitCode = await main();
