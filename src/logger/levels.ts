/**
 * The levels of a log, those of Python's `veltix`, and how a line shows them.
 *
 * @module
 */

import type { LogLevel as LogTapeLevel } from "@logtape/logtape";

/**
 * The name of a level:
 *
 * - `trace`: what the program does, step by step;
 * - `debug`: what helps to find a defect;
 * - `info`: what happens in the normal course;
 * - `success`: something that was to be done is done;
 * - `warning`: something may be wrong, and was handled;
 * - `error`: something failed;
 * - `critical`: the program, or an essential part of it, cannot go on.
 *
 * @category Logging
 */
export type LogLevel = "trace" | "debug" | "info" | "success" | "warning" | "error" | "critical";

/**
 * The severity of each level: a logger lets through what is at least as severe as its own level.
 *
 * @category Logging
 */
export const LOG_LEVELS: Readonly<Record<LogLevel, number>> = Object.freeze({
  trace: 5,
  debug: 10,
  info: 20,
  success: 25,
  warning: 30,
  error: 40,
  critical: 50,
});

/** The names of the levels, from the least severe. */
export const LEVEL_NAMES: readonly LogLevel[] = Object.keys(LOG_LEVELS) as LogLevel[];

/** How a level is shown in a line, five characters wide, and the SGR sequence of its color. */
export const LEVEL_STYLES: Readonly<Record<LogLevel, { readonly label: string; readonly color: string }>> = {
  trace: { label: "TRACE", color: "\x1b[90m" },
  debug: { label: "DEBUG", color: "\x1b[37m" },
  info: { label: "INFO ", color: "\x1b[36m" },
  success: { label: "OK   ", color: "\x1b[32m" },
  warning: { label: "WARN ", color: "\x1b[33m" },
  error: { label: "ERROR", color: "\x1b[31m" },
  critical: { label: "CRIT ", color: "\x1b[41m" },
};

/**
 * The LogTape level for each level. LogTape has six, and its console sink chooses the method of the console by them.
 */
export const LOGTAPE_LEVELS: Readonly<Record<LogLevel, LogTapeLevel>> = {
  trace: "trace",
  debug: "debug",
  info: "info",
  success: "info",
  warning: "warning",
  error: "error",
  critical: "fatal",
};
