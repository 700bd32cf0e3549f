/**
 * `deno task release`: prepares a release. It checks the checkout, writes the version into the files that name it, moves
 * the unreleased part of the changelog to the version, runs the gate and builds the site, and then makes a commit and a
 * tag. It publishes nothing: `.github/workflows/release.yml` does when the tag is pushed. `docs/releasing.md` has the
 * whole list.
 *
 *     deno task release VERSION [--dry-run]
 *     deno task release --notes TAG
 *
 * With `--dry-run` it checks, and prints what it would do. `--notes` prints what the changelog says about a tag that is
 * checked out, for the page of the release.
 *
 * @module
 */
import { bold, getColorEnabled, setColorEnabled } from "@std/fmt/colors";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import {
  type Checkout,
  currentVersion,
  notesOf,
  planRelease,
  RELEASE_BRANCH,
  RELEASED_FILES,
  ReleaseError,
  tagOf,
} from "./release_plan.ts";
import { ROOT } from "./runtimes.ts";

const USAGE = "Usage: deno task release VERSION [--dry-run], or deno task release --notes TAG";

/** Runs git, and returns the lines that it prints. */
function git(...args: string[]): string[] {
  const { error, status, stderr, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  if (status === 0) return stdout.split("\n").filter((line) => line !== "");
  throw new ReleaseError(`git ${args[0]} failed: ${(error?.message ?? stderr).trim()}`);
}

/** Runs a task or a command of Deno, which prints what it does. */
function deno(...args: string[]): void {
  console.log(bold(`deno ${args.join(" ")}`));
  const { error, status } = spawnSync(Deno.execPath(), args, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) throw new ReleaseError(`deno ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

function readFiles(): Record<string, string> {
  return Object.fromEntries(RELEASED_FILES.map((path) => [path, readFileSync(ROOT + path, "utf8")]));
}

function writeFiles(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) writeFileSync(ROOT + path, text);
}

function look(): Checkout {
  const [branch = "no branch"] = git("branch", "--show-current");
  return { branch, changes: git("status", "--porcelain"), tags: git("tag", "--list"), files: readFiles() };
}

/** Prints the part of the changelog about a tag, and checks that the files name its version. */
function printNotes(tag: string | undefined): void {
  const files = readFiles();
  const version = currentVersion(files);
  if (tag !== tagOf(version)) throw new ReleaseError(`The tag is "${tag}", and the files name ${version}`);
  const notes = notesOf(files["CHANGELOG.md"], version);
  if (notes === "") throw new ReleaseError(`CHANGELOG.md says nothing about ${version}`);
  console.log(notes);
}

function release(version: string, dry: boolean): void {
  const checkout = look();
  const date = new Date().toISOString().slice(0, 10);
  const changed = planRelease(checkout, version, date);
  const tag = tagOf(version);
  const site = "site" in JSON.parse(readFileSync(`${ROOT}deno.json`, "utf8")).tasks;
  if (dry) {
    const lines = notesOf(changed["CHANGELOG.md"], version).split("\n").length;
    console.log(`${currentVersion(checkout.files)} becomes ${version} in ${Object.keys(changed).join(", ")}.`);
    console.log(`CHANGELOG.md gets a heading for ${version} of ${date}, over ${lines} lines.`);
    console.log(`Then: the gate${site ? ", the site" : ""}, a commit and the tag ${tag}. Nothing was changed.`);
    return;
  }
  writeFiles(changed);
  try {
    deno("fmt", "--check", ...RELEASED_FILES);
    // The gate also packs the package as `deno publish` would, without uploading it.
    deno("task", "ok");
    if (site) deno("task", "site");
  } catch (error) {
    writeFiles(checkout.files);
    console.error("The files are as they were.");
    throw error;
  }
  git("commit", "--quiet", "--message", `chore(release): ${version}`, "--", ...RELEASED_FILES);
  git("tag", "--annotate", "--message", `Version ${version}`, tag);
  console.log(`Made the commit and the tag. To publish: git push origin ${RELEASE_BRANCH} ${tag}`);
}

function main(args: string[]): void {
  const dry = args.includes("--dry-run");
  const [first, second, ...more] = args.filter((arg) => arg !== "--dry-run");
  if (first === "--notes" && !dry && more.length === 0) printNotes(second);
  else if (first === undefined || first.startsWith("-") || second !== undefined) throw new ReleaseError(USAGE);
  else release(first, dry);
}

setColorEnabled(getColorEnabled() && process.stdout.isTTY === true);
try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ReleaseError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
