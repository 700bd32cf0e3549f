/**
 * Finds where in the program a method was called.
 *
 * @module
 */

import type { SourceLocation } from "@logtape/logtape";

/** What the engines of all three runtimes add to `Error`. TypeScript's `lib` does not have it. */
interface StackTracer {
  stackTraceLimit?: number;
  captureStackTrace?(target: object, above: (...args: never[]) => unknown): void;
}

/**
 * Matches `at run (file:///app/server.ts:45:7)` and `at /app/server.ts:45:7`. The folder may have parentheses and
 * spaces.
 */
const LOCATION = /^\s*at (?:.*? \()?(.+):(\d+):(\d+)\)?$/;

/**
 * Returns where `method`, which is running, was called; `undefined` if the stack trace does not say. LogTape can find
 * this only for loggers of its own configuration.
 *
 * On Bun, a function that ends with the call (`() => logger.info("…")`) is missing from the stack trace. The result is
 * then where that function was called.
 */
export function callerOf(method: (...args: never[]) => unknown): SourceLocation | undefined {
  // Each line costs microseconds, and the first one is nearly always the right one.
  return firstLocation(stackAbove(method, 1)) ?? firstLocation(stackAbove(method, 10));
}

/** The files in which a Server and a Client pass their lines on. The caller of interest called these. */
const PASSED_ON = ["../app/log.", "../app/fault_log."].map((file) =>
  plainPath(new URL(file, import.meta.url).pathname)
);

/**
 * Returns a path or a URL in one form. Some runtimes write URLs into stack traces, in which a space is `%20`; others
 * write paths, which on Windows have backslashes and begin with the letter of a drive.
 */
export function plainPath(file: string): string {
  const path = file.replaceAll("\\", "/").replace(/^\/(?=[A-Za-z]:\/)/, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // A path may have a percent sign of its own.
  }
}

/**
 * Returns the first location in a file. Calls by the runtime itself have none: `Array.forEach (<anonymous>)`,
 * `forEach (native:1:11)`.
 */
function firstLocation(lines: readonly string[]): SourceLocation | undefined {
  for (const line of lines) {
    const [, file, row, column] = LOCATION.exec(line) ?? [];
    if (
      file !== undefined && file !== "native" && !file.includes("<anonymous>") &&
      !PASSED_ON.some((part) => plainPath(file).includes(part))
    ) {
      return { file, line: Number(row), column: Number(column) };
    }
  }
  return undefined;
}

/** Returns up to `limit` lines of the stack trace, beginning with the caller of `method`. */
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
    // In that case the limit could not be changed before either.
  }
}

/** Returns the last part of a path or URL, without its query. */
export function baseName(file: string): string {
  return file.replace(/\?.*$/, "").split(/[\\/]/).at(-1) ?? "";
}
