/**
 * How many files and sockets this process may have open at once, where the system tells without asking anybody.
 *
 * @module
 */

import { readFile } from "node:fs/promises";

/** Where Linux tells. */
const LIMITS = "/proc/self/limits";

/** What is needed of Deno. */
interface DenoPermissions {
  readonly permissions: {
    query(what: { name: "read"; path: string }): Promise<{ readonly state: string }>;
  };
}

/** The limit in force; `undefined` where it can't be known. It never rejects, and no user is asked for permission. */
export async function descriptorLimit(): Promise<number | undefined> {
  try {
    // Deno asks at the terminal when a file is read without permission, also by `node:fs`.
    const { Deno: deno } = globalThis as { Deno?: DenoPermissions };
    if (deno !== undefined && (await deno.permissions.query({ name: "read", path: LIMITS })).state !== "granted") {
      return undefined;
    }
    return softLimit(await readFile(LIMITS, "utf8"));
  } catch {
    return undefined;
  }
}

/** The limit in force by the text of `/proc/self/limits`. */
export function softLimit(text: string): number | undefined {
  const limit = /^Max open files\s+(\d+)\s/m.exec(text)?.[1];
  return limit === undefined ? undefined : Number(limit);
}
