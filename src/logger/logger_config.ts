/**
 * The configuration of a logger, with every default in one place.
 *
 * @module
 */

import { LOG_LEVELS, type LogLevel } from "./levels.ts";

/**
 * Something that takes text, such as `process.stderr` of `node:process`, which all three runtimes have.
 *
 * @category Logging
 */
export interface LogStream {
  /** Takes one or more whole lines, the last line break included. What it returns is only checked for failures. */
  write(text: string): unknown;
  /** True if this is a terminal, which gets colors. */
  readonly isTTY?: boolean;
}

/**
 * The configuration of a `Logger`. The names are those of Python's `LoggerConfig`.
 *
 * @category Logging
 */
export interface LoggerConfig {
  /** The least severe level that is logged. @default "info" */
  readonly level?: LogLevel;
  /** True if anything is logged at all. @default true */
  readonly enabled?: boolean;
  /**
   * True if lines have the color of their level. The file never has colors.
   * @default true when the lines go to a terminal and the environment has no `NO_COLOR`
   */
  readonly useColors?: boolean;
  /** True if lines begin with the local time. The file always has it. @default true */
  readonly showTimestamp?: boolean;
  /** True if lines name their level. The file always does. @default true */
  readonly showLevel?: boolean;
  /** True if lines name the file and line they were logged from. That costs a stack trace each. @default true */
  readonly showCaller?: boolean;
  /** A file that gets every line, too. Its folder is created if it is missing. @default no file */
  readonly filePath?: string;
  /** The size that the file does not exceed, in bytes. Before it would, it becomes `<filePath>.1`. @default 10485760 */
  readonly fileRotationSize?: number;
  /** How many former files are kept: `<filePath>.1`, the newest, to `<filePath>.<fileBackupCount>`. @default 5 */
  readonly fileBackupCount?: number;
  /**
   * Where lines go. `null` means nowhere, for a logger that only has a file.
   * @default the console: from WARNING on its standard error, below its standard output
   */
  readonly stream?: LogStream | null;
}

/** A configuration with its defaults. Without a `stream`, lines go to the console. */
export type CompleteConfig =
  & Required<Omit<LoggerConfig, "filePath" | "stream">>
  & Pick<LoggerConfig, "filePath" | "stream">;

/** What an option must be. */
type Kind = "boolean" | "level" | "path" | "count" | "stream";

const KINDS: Readonly<Record<keyof LoggerConfig, Kind>> = {
  level: "level",
  enabled: "boolean",
  useColors: "boolean",
  showTimestamp: "boolean",
  showLevel: "boolean",
  showCaller: "boolean",
  filePath: "path",
  fileRotationSize: "count",
  fileBackupCount: "count",
  stream: "stream",
};

/**
 * Checks a configuration and adds the defaults.
 *
 * @throws {TypeError} It is not an object, or it has an unknown option or one of the wrong type.
 * @throws {RangeError} A level is unknown, or a number is not a whole number of at least 1.
 */
export function completeConfig(config: LoggerConfig): CompleteConfig {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new TypeError(`The configuration of a Logger must be an object, not ${show(config)}`);
  }
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) checkOption(name, value);
  const options: LoggerConfig = Object.fromEntries(given);
  return {
    level: "info",
    enabled: true,
    useColors: options.stream === undefined ? consoleIsTerminal() : wantsColors(options.stream),
    showTimestamp: true,
    showLevel: true,
    showCaller: true,
    fileRotationSize: 10 * 1024 * 1024,
    fileBackupCount: 5,
    ...options,
  };
}

/** Checks the name of a level and returns it. */
export function checkLevel(level: LogLevel): LogLevel {
  if (typeof level === "string" && Object.hasOwn(LOG_LEVELS, level)) return level;
  const right = `level must be one of ${Object.keys(LOG_LEVELS).join(", ")}, not ${show(level)}`;
  throw typeof level === "string" ? new RangeError(right) : new TypeError(right);
}

function checkOption(name: string, value: unknown): void {
  if (!Object.hasOwn(KINDS, name)) {
    const names = Object.keys(KINDS).sort().join(", ");
    throw new TypeError(`Unknown option "${name}": the configuration of a Logger has ${names}`);
  }
  switch (KINDS[name as keyof LoggerConfig]) {
    case "boolean":
      if (typeof value !== "boolean") throw new TypeError(`${name} must be true or false, not ${show(value)}`);
      return;
    case "level":
      checkLevel(value as LogLevel);
      return;
    case "path":
      if (typeof value === "string" && value !== "") return;
      throw new TypeError(`${name} must be a non-empty string, not ${show(value)}`);
    case "count":
      if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
      if (Number.isSafeInteger(value) && value >= 1) return;
      throw new RangeError(`${name} must be a whole number of at least 1, not ${value}`);
    case "stream":
      if (value === null || typeof (value as LogStream).write === "function") return;
      throw new TypeError(`${name} must have the method write, or be null`);
  }
}

/** The part of `node:process` that is used. Every runtime has it as a global. */
interface Process {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdout?: LogStream;
  readonly stderr?: LogStream;
}

/**
 * Returns whether the console is a terminal that wants colors. It writes to both streams, so both must be terminals.
 */
function consoleIsTerminal(): boolean {
  const { stdout, stderr } = (globalThis as { process?: Process }).process ?? {};
  return wantsColors(stdout) && wantsColors(stderr);
}

function wantsColors(stream: LogStream | null | undefined): boolean {
  return stream?.isTTY === true && !(globalThis as { process?: Process }).process?.env?.NO_COLOR;
}

/** Returns a short text for a wrong value in a message. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 100));
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value === null ? "null" : Array.isArray(value) ? "an array" : `of type ${typeof value}`;
}
