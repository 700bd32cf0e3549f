/**
 * Fetches single runtimes, and nothing else of `package.json`: each into a folder of its own first, and into `node_modules`
 * when it is whole, so that an interrupted fetch leaves nothing that looks like a runtime.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { NPM, QUIET } from "./npm.ts";
import { findRuntimes, pins, ROOT, type Runtime, type RuntimeName } from "./runtimes.ts";

/** What each takes while it is fetched, on Linux, in megabytes: for the progress, not for anything else. */
const SIZES: Record<RuntimeName, number> = { deno: 92, bun: 103, node: 189 };

/** A fetch under way. */
export interface Fetch {
  readonly name: RuntimeName;
  readonly version: string;
  /** Megabytes that it takes, as a rule. */
  readonly size: number;
  /** Megabytes that have come. */
  came(): number;
  /** Settles, never rejects, with the runtime, or with why it cannot be had. */
  readonly done: Promise<Runtime>;
  /** Gives it up. */
  stop(): void;
}

/** Begins to fetch runtimes, all at the same time. */
export function fetchRuntimes(names: readonly RuntimeName[]): Fetch[] {
  return names.map(fetchOne);
}

function fetchOne(name: RuntimeName): Fetch {
  const version = pins()[name];
  mkdirSync(`${ROOT}node_modules`, { recursive: true });
  removeLeft(name);
  const folder = mkdtempSync(`${ROOT}node_modules/.fetch-${name}-${process.pid}-`);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, allowScripts: { [name]: true } }));
  const child = spawn(NPM, ["install", ...QUIET, "--no-save", "--no-bin-links", `${name}@${version}`], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    shell: process.platform === "win32",
    // A group of its own ends with what npm started.
    detached: process.platform !== "win32",
  });
  let last = 0;
  const came = (): number => last = Math.max(last, megabytesIn(folder));
  return {
    name,
    version,
    size: SIZES[name],
    came,
    done: finished(child).then((problem) => {
      if (problem === undefined) moveInto(join(folder, "node_modules"), `${ROOT}node_modules`);
      rmSync(folder, { recursive: true, force: true });
      return findRuntimes([name], problem)[0];
    }),
    stop: () => {
      stop(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Settles with why it failed. */
function finished(child: ChildProcess): Promise<string | undefined> {
  let said = "";
  child.stderr!.on("data", (chunk) => said = (said + chunk).slice(-2_000));
  return new Promise((resolve) => {
    child.on("error", ({ message }) => resolve(`npm does not start: ${message}`));
    child.on("close", (code) => {
      const why = /npm (?:error|ERR!) (?:code )?(\S.*)/.exec(said)?.[1] ?? `exit code ${code}`;
      resolve(code === 0 ? undefined : `npm cannot fetch it: ${why}`);
    });
  });
}

/** Moves packages, each in one step; where another process was first, that one's stay. */
function moveInto(from: string, to: string): void {
  const packages = readdirSync(from).filter((name) => !name.startsWith(".")).flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(from, name)).map((inner) => join(name, inner)) : [name]
  );
  for (const name of packages) {
    mkdirSync(dirname(join(to, name)), { recursive: true });
    // What stands there is another version, or was never whole.
    const old = join(from, `.old-${packages.indexOf(name)}`);
    try {
      if (existsSync(join(to, name))) renameSync(join(to, name), old);
      renameSync(join(from, name), join(to, name));
    } catch (error) {
      if (!existsSync(join(to, name))) throw error;
    }
  }
}

/** Removes what an interrupted fetch of a process that is gone has left. */
function removeLeft(name: RuntimeName): void {
  for (const left of readdirSync(`${ROOT}node_modules`)) {
    const pid = new RegExp(`^\\.fetch-${name}-(\\d+)-`).exec(left)?.[1];
    if (pid === undefined) continue;
    try {
      process.kill(Number(pid), 0);
    } catch {
      rmSync(`${ROOT}node_modules/${left}`, { recursive: true, force: true });
    }
  }
}

function megabytesIn(folder: string): number {
  let sum = 0;
  try {
    for (const { parentPath, name } of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const { size, isFile } = sizeOf(join(parentPath, name));
      if (isFile) sum += size;
    }
  } catch {
    // It changes while it is read, or has just been moved.
  }
  return Math.round(sum / 1e6);
}

function sizeOf(path: string): { size: number; isFile: boolean } {
  const stat = statSync(path, { throwIfNoEntry: false });
  return { size: stat?.size ?? 0, isFile: stat?.isFile() ?? false };
}

function stop(child: ChildProcess): void {
  try {
    if (process.platform === "win32") child.kill();
    else process.kill(-child.pid!, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
