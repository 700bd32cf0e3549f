/**
 * Installs Python releases of `veltix`, each into a folder of its own, once.
 *
 * @module
 */

import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { ROOT } from "../../scripts/runtimes.ts";

/** Where they are kept from run to run. */
const FOLDER = `${ROOT}.tmp/python`;
/** How long one installation may take, in milliseconds. */
const LIMIT = 120_000;

/** The Python to run them with. */
export const PYTHON = "python3";

/**
 * Sees to it that a release is installed.
 *
 * @param release Such as `"1.6.3"`.
 * @returns The folder to put on Python's path.
 * @throws {Error} There is no Python, or the release is not to be had.
 */
export async function install(release: string): Promise<string> {
  const folder = `${FOLDER}/${release}`;
  if (existsSync(folder)) return folder;
  mkdirSync(FOLDER, { recursive: true });
  // Others may be doing the same: what is half there must not be taken for whole.
  const made = mkdtempSync(`${FOLDER}/.new-`);
  const options = ["--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check", "--no-input"];
  try {
    await promisify(execFile)(
      PYTHON,
      ["-m", "pip", "install", ...options, "--target", made, `veltix==${release}`],
      { timeout: LIMIT },
    );
    renameSync(made, folder);
  } catch (error) {
    if (!existsSync(folder)) throw new Error(`Cannot install veltix ${release}: ${lastLine(error)}`);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return folder;
}

/**
 * Installs releases where they are missing.
 *
 * @returns Why they are not to be had, or `undefined`.
 * @throws {Error} They are not to be had, and the environment variable `VELTIX_REQUIRE_ALL` is `1`.
 */
export async function problemOf(releases: readonly string[]): Promise<string | undefined> {
  try {
    await Promise.all(releases.map(install));
    pythonVersion();
    return undefined;
  } catch (error) {
    if (process.env.VELTIX_REQUIRE_ALL === "1") throw error;
    return (error as Error).message;
  }
}

/** The version of Python, such as `"3.11.7"`; throws where there is none. */
export function pythonVersion(): string {
  const { stdout, error } = spawnSync(PYTHON, ["--version"], { encoding: "utf8" });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0];
  if (version === undefined) throw new Error(`Cannot find Python: ${error?.message ?? `it says "${stdout}"`}`);
  return version;
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr?.trim() || message).split("\n").at(-1)!;
}
