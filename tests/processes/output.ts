/**
 * What a program prints.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";

/** Resolves with what a program has printed, errors included, and its exit code, once it has ended. */
export function outputOf(child: ChildProcess): Promise<{ readonly code: number | null; readonly text: string }> {
  let text = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", (part) => text += part);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, text }));
  });
}
