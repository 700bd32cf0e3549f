#!/usr/bin/env node
/**
 * The command line of Veltix. `deno run -A jsr:@veltix/core/cli --help` lists its commands.
 *
 * @example Running a command from a program
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { run } from "@veltix/core/cli";
 *
 * assertEquals(await run(["keygen", "--help"]), 0);
 * ```
 *
 * @module
 */

import "../adapters/runtime_check.ts";
import process from "node:process";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "./program.ts";

export { run } from "./program.ts";
export type { Terminal } from "./terminal.ts";

/** Returns whether this module is the program that was started. Node 22 has no `import.meta.main`. */
function started(): boolean {
  const { main, url } = import.meta as { readonly main?: boolean; readonly url: string };
  if (main !== undefined) return main;
  const [, file] = process.argv;
  if (file === undefined || !url.startsWith("file:")) return false;
  try {
    return realpathSync(file) === realpathSync(fileURLToPath(url));
  } catch {
    return false;
  }
}

if (started()) process.exitCode = await run(process.argv.slice(2));
