/**
 * Reads how many files and sockets this process may have open at once, where that needs no prompt for a permission.
 *
 * @module
 */

import type * as Files from "node:fs/promises";
import { builtinModule } from "../base/builtin_module.ts";

const FILES = builtinModule("node:fs/promises") as typeof Files;

/** The file in which Linux lists the limits of the process. */
const LIMITS = "/proc/self/limits";

/** The part of Deno's API that is used. */
interface DenoPermissions {
  readonly permissions: {
    query(what: { name: "read"; path: string }): Promise<{ readonly state: string }>;
  };
}

/** Returns the limit in force; `undefined` if it cannot be known. Never rejects, and never prompts for a permission. */
export async function descriptorLimit(): Promise<number | undefined> {
  try {
    // Deno prompts at the terminal when a file is read without permission, also through `node:fs`.
    const { Deno: deno } = globalThis as { Deno?: DenoPermissions };
    if (deno !== undefined && (await deno.permissions.query({ name: "read", path: LIMITS })).state !== "granted") {
      return undefined;
    }
    return softLimit(await FILES.readFile(LIMITS, "utf8"));
  } catch {
    return undefined;
  }
}

/** Returns the limit in force, from the text of `/proc/self/limits`. */
export function softLimit(text: string): number | undefined {
  const limit = /^Max open files\s+(\d+)\s/m.exec(text)?.[1];
  return limit === undefined ? undefined : Number(limit);
}
