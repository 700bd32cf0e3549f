/**
 * `npm install`, once at a time: whoever starts it while another process is at it waits for that one.
 *
 * Runs on Deno, Bun and Node.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import process from "node:process";

const SILENT = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"];
/** What npm is told besides what to do: no lock file, no advice, no warnings about packages of others. */
export const QUIET = [...SILENT, "--no-package-lock"];
/** The same for a folder that has a lock file: it is read, and stays as it is. */
const LOCKED = [...SILENT, "--no-save"];
/** The name of npm's program. */
export const NPM: string = process.platform === "win32" ? "npm.cmd" : "npm";
/** So long it is waited for another process, in milliseconds. */
const PATIENCE = 600_000;

/** Whether `npm install` brought what the `package.json` and the lock file of a folder name: it leaves a stamp when it is through. */
export function isInstalled(folder: string): boolean {
  const stamp = stampOf(folder);
  return existsSync(stamp) && readFileSync(stamp, "utf8") === hashOf(folder);
}

/**
 * Runs `npm install` in a folder unless it is up to date.
 *
 * @param folder Where the `package.json` is; ends with a slash.
 * @param what What comes; for the line that tells.
 * @returns Why it failed.
 */
export function npmInstall(folder: string, what: string): string | undefined {
  if (isInstalled(folder)) return undefined;
  const release = lock(folder);
  try {
    if (isInstalled(folder)) return undefined;
    console.log(`Installing ${what} (npm install)`);
    const { status, stderr, error } = spawnSync(NPM, ["install", ...existsSync(lockFileOf(folder)) ? LOCKED : QUIET], {
      cwd: folder,
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    if (status === 0) {
      writeFileSync(stampOf(folder), hashOf(folder));
      return undefined;
    }
    if (stderr) console.error(stderr.trim());
    return `npm install failed: ${error ? error.message : `exit code ${status}`}`;
  } finally {
    release();
  }
}

/**
 * Keeps other processes from installing into a folder. One that ended without giving it back does not count.
 *
 * @returns Gives it back.
 */
export function lock(folder: string): () => void {
  const path = `${folder}node_modules/.installing`;
  mkdirSync(`${folder}node_modules`, { recursive: true });
  const end = performance.now() + PATIENCE;
  for (let told = false;;) {
    try {
      writeFileSync(path, `${process.pid}`, { flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
    if (isLeft(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (performance.now() > end) {
      throw new Error(`Cannot install: another process has been at it for long; see ${path}`);
    }
    if (!told) console.log("Waiting for another process that installs");
    told = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
}

function isLeft(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    // Without a number it is just being written, or never will be.
    if (pid === 0) return Date.now() - statSync(path).mtimeMs > 5_000;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as { code?: string }).code !== "EPERM";
  }
}

function stampOf(folder: string): string {
  return `${folder}node_modules/.package-json.sha256`;
}

function lockFileOf(folder: string): string {
  return `${folder}package-lock.json`;
}

function hashOf(folder: string): string {
  const hash = createHash("sha256").update(readFileSync(`${folder}package.json`));
  if (existsSync(lockFileOf(folder))) hash.update(readFileSync(lockFileOf(folder)));
  return hash.digest("hex");
}
