/**
 * How the two programs of a pair run.
 *
 * @module
 */

import process from "node:process";
import { Checks, type Report } from "./contract.ts";

/** How long a program of a pair may take, in milliseconds. */
const TIME_LIMIT = 50_000;

/** Runs one of the two as a program: results go to standard output, and the exit code tells whether all were good. */
export async function main(program: (checks: Checks) => Promise<void>): Promise<void> {
  const report: Report = (result) => process.stdout.write(`${JSON.stringify(result)}\n`);
  const checks = new Checks(report);
  const timer = setTimeout(() => {
    report({ check: checks.current, ok: false, error: `not done after ${TIME_LIMIT} ms` });
    process.exit(1);
  }, TIME_LIMIT);
  try {
    await program(checks);
  } catch {
    process.exit(1); // It is reported; what is still open must not hold the program.
  }
  // From here the program has to end by itself: the timer sees to what it left open.
  checks.current = "end of the program";
  (timer as unknown as { unref?(): void }).unref?.();
  const { Deno } = globalThis as { Deno?: { unrefTimer(id: number): void } };
  if (typeof timer === "number") Deno?.unrefTimer(timer);
}
