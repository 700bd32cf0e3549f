/**
 * A child process's line to the orchestrator: one JSON value a line, answers on standard input and questions on standard
 * output. When standard input ends, the orchestrator is gone and the child ends too.
 *
 * @module
 */

import * as modules from "node:module";
import process from "node:process";
import { createInterface } from "node:readline";

/** What a child writes. */
export type ChildLine =
  | { readonly type: "ask"; readonly value: unknown }
  | { readonly type: "say"; readonly text: string }
  | { readonly type: "result"; readonly value: unknown }
  | { readonly type: "failed"; readonly message: string; readonly stack?: string };

/** Writes one line to the orchestrator. */
export function tell(line: ChildLine): void {
  // The orchestrator kills a child after its result, so Node is to write its compile cache now, where it has one.
  if (line.type === "result" && "flushCompileCache" in modules) (modules.flushCompileCache as () => void)();
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Reports an error as the end of this run. */
export function fail(error: unknown): void {
  if (error instanceof Error) tell({ type: "failed", message: error.message, stack: error.stack });
  else tell({ type: "failed", message: String(error) });
}

/** Calls `line` with each value from the orchestrator, and makes every error of this process end the run. */
export function listen(line: (value: unknown) => void): void {
  const input = createInterface({ input: process.stdin });
  input.on("line", (text) => line(JSON.parse(text)));
  input.on("close", () => process.exit(0));
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
}
