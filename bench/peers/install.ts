/**
 * The other libraries that npm brings: installed when a benchmark that needs them is started.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import process from "node:process";
import { isInstalled, npmInstall } from "../../scripts/npm.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/** Installs them unless they are there; why that failed, if it did. */
export function installPeers(): string | undefined {
  return npmInstall(FOLDER, "the libraries that are measured beside this one");
}

/**
 * Whether they are there.
 *
 * @throws {Error} They are not, and the environment variable `VELTIX_REQUIRE_ALL` is `1`.
 */
export function arePeersInstalled(): boolean {
  const there = isInstalled(FOLDER);
  if (!there && process.env.VELTIX_REQUIRE_ALL === "1") {
    throw new Error("Cannot test the benchmark beside other libraries: they are not installed");
  }
  return there;
}
