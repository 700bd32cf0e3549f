/**
 * Where in the program a method was called.
 *
 * @module
 */

import type { SourceLocation } from "@logtape/logtape";

/** What the engines of all three runtimes add to `Error`; it isn't in TypeScript's `lib`. */
interface StackTracer {
  stackTraceLimit?: number;
  captureStackTrace?(target: object, above: (...args: never[]) => unknown): void;
}

/** `at run (file:///app/server.ts:45:7)`, `at /app/server.ts:45:7`; the folder may have parentheses and spaces. */
const LOCATION = /^\s*at (?:.*? \()?(.+):(\d+):(\d+)\)?$/;

/**
 * Where `method`, one of those that are running, was called; undefined when the stack trace doesn't say. LogTape can tell
 * this only to loggers of its own configuration.
 *
 * Bun leaves out functions that end with the call (`() => logger.info("…")`): it then is where such a function was called.
 */
export function callerOf(method: (...args: never[]) => unknown): SourceLocation | undefined {
  // Each line costs microseconds, and the first nearly always is the one.
  return firstLocation(stackAbove(method, 1)) ?? firstLocation(stackAbove(method, 10));
}

/** Where a Server and a Client pass their lines on: the caller of interest called these. */
const PASSED_ON = ["../app/log.", "../app/fault_log."].map((file) => new URL(file, import.meta.url).pathname);

/** What the runtime itself calls is in no file: `Array.forEach (<anonymous>)`, `forEach (native:1:11)`. */
function firstLocation(lines: readonly string[]): SourceLocation | undefined {
  for (const line of lines) {
    const [, file, row, column] = LOCATION.exec(line) ?? [];
    if (
      file !== undefined && file !== "native" && !file.includes("<anonymous>") &&
      !PASSED_ON.some((part) => file.includes(part))
    ) {
      return { file, line: Number(row), column: Number(column) };
    }
  }
  return undefined;
}

/** Up to `limit` lines of the stack trace, beginning with the caller of `method`. */
function stackAbove(method: (...args: never[]) => unknown, limit: number): string[] {
  const tracer = Error as StackTracer;
  const before = tracer.stackTraceLimit;
  const trace: { stack?: unknown } = {};
  try {
    tracer.stackTraceLimit = limit;
    tracer.captureStackTrace?.(trace, method);
    return String(trace.stack ?? "").split("\n").slice(1);
  } catch {
    // The application can freeze `Error`, or replace the function that writes stack traces.
    return [];
  } finally {
    restoreLimit(tracer, before);
  }
}

function restoreLimit(tracer: StackTracer, before: number | undefined): void {
  try {
    tracer.stackTraceLimit = before;
  } catch {
    // Then it could not be changed before either.
  }
}

/** The last part of a path or URL, without its query. */
export function baseName(file: string): string {
  return file.replace(/\?.*$/, "").split(/[\\/]/).at(-1) ?? "";
}
