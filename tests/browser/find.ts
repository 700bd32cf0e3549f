/**
 * Finds the browsers that are installed. Installs nothing.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

/** The names of the browsers. */
export const BROWSER_NAMES = ["chromium", "firefox"] as const;

/** The name of a browser. */
export type BrowserName = typeof BROWSER_NAMES[number];

/** A browser, or the reason why it cannot be had. */
export type FoundBrowser =
  & { readonly name: BrowserName }
  & ({ readonly path: string; readonly problem?: undefined } | { readonly path?: undefined; readonly problem: string });

/** The names of their programs, and the variable that names another one. */
const PROGRAMS: Readonly<Record<BrowserName, { readonly names: readonly string[]; readonly variable: string }>> = {
  chromium: { names: ["chromium", "chromium-browser", "google-chrome"], variable: "VELTIX_CHROMIUM" },
  firefox: { names: ["firefox-esr", "firefox"], variable: "VELTIX_FIREFOX" },
};

/** The packages of Debian that have them. */
export const DEBIAN_PACKAGES: Readonly<Record<BrowserName, string>> = {
  chromium: "chromium",
  firefox: "firefox-esr",
};

/**
 * Finds browsers.
 *
 * @param names The browsers asked for.
 * @returns One entry for each, in the same order.
 * @throws {Error} When one is missing and the environment variable `VELTIX_REQUIRE_ALL` is `1`.
 */
export function findBrowsers(names: readonly BrowserName[] = BROWSER_NAMES): FoundBrowser[] {
  const found = names.map(find);
  const missing = found.filter(({ problem }) => problem !== undefined);
  if (missing.length > 0 && process.env.VELTIX_REQUIRE_ALL === "1") {
    throw new Error(`Cannot run in every browser: ${missing.map(({ problem }) => problem).join("; ")}`);
  }
  return found;
}

/** Returns whether a browser is there. */
export function isInstalled(name: BrowserName): boolean {
  return find(name).problem === undefined;
}

function find(name: BrowserName): FoundBrowser {
  const { names, variable } = PROGRAMS[name];
  const given = process.env[variable];
  if (given !== undefined && given !== "") {
    return existsSync(given) ? { name, path: given } : { name, problem: `${name} is not at ${variable}=${given}` };
  }
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const path = names.flatMap((program) => folders.map((folder) => join(folder, program))).find(existsSync);
  if (path !== undefined) return { name, path };
  return { name, problem: `${name} is not installed: run "deno task browser --install", or set ${variable}` };
}
