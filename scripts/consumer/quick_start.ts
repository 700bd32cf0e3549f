/**
 * The quick start, as README.md has it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { ROOT } from "../runtimes.ts";

/** What the quick start prints, as its comments say. */
export const QUICK_START_PRINTS = ["1: hello", "3"];

/** The port of the quick start in README.md. */
const PORT = "8080";

/**
 * Returns the first code of README.md, with another port.
 *
 * @throws {Error} There is no such code, or it is not a server and a client at that port.
 */
export function quickStart(port: number): string {
  const [, code] = /^```ts\n(.*?)^```$/ms.exec(readFileSync(`${ROOT}README.md`, "utf8")) ?? [];
  if (code === undefined) throw new Error("README.md has no quick start: its first code must be TypeScript");
  const parts = code.split(`port: ${PORT}`);
  if (parts.length !== 3) throw new Error(`The quick start of README.md must have "port: ${PORT}" twice`);
  return parts.join(`port: ${port}`);
}
