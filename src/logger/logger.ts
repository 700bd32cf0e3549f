/**
 * The logger.
 *
 * @module
 */

import { callerOf } from "./caller.ts";
import { isError, type LogEntry } from "./format.ts";
import { LEVEL_NAMES, LOG_LEVELS, type LogLevel, LOGTAPE_LEVELS } from "./levels.ts";
import { LogOutput } from "./log_output.ts";
import { checkLevel, completeConfig, type LoggerConfig } from "./logger_config.ts";

/** How many entries of each level were logged. */
export type LogStats = Record<LogLevel, number>;

type LogMethod = (message: string, ...data: unknown[]) => void;

/**
 * Logs to the console and to a file. It can be given as `logger` to a `Server` and a `Client`, which take anything with the
 * methods of a level.
 *
 * No method that logs throws: what cannot be shown or written is left out, and a file or stream that fails is named once on
 * `console.error`. Data after the message is shown as the runtime's console shows it, errors with their stack and causes.
 *
 * @example Only what matters, without colours
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Logger } from "@veltix/core/logger";
 *
 * const lines: string[] = [];
 * const logger = new Logger({
 *   level: "success",
 *   showTimestamp: false,
 *   showCaller: false,
 *   stream: { write: (line) => lines.push(line) },
 * });
 * logger.info("not shown");
 * logger.success("Listening on", { port: 8080 });
 * assertEquals(lines, ["OK    Listening on { port: 8080 }\n"]);
 * assertEquals(logger.stats().success, 1);
 * ```
 */
export class Logger implements Disposable {
  static #instance: Logger | undefined;

  #output: LogOutput;
  #level: LogLevel;
  #enabled: boolean;
  #showCaller: boolean;
  #stats: LogStats = noStats();
  /** The least severity that is logged: the one thing that a call looks at that isn't. */
  #least = 0;
  #writing = false;

  /**
   * Makes a logger of its own, independent of all others and of the application's configuration of LogTape.
   *
   * @param config See {@linkcode LoggerConfig}.
   * @throws {TypeError | RangeError} An option is unknown or wrong. A file that cannot be written is no reason.
   */
  constructor(config: LoggerConfig = {}) {
    const complete = completeConfig(config);
    this.#output = new LogOutput(complete);
    ({ level: this.#level, enabled: this.#enabled, showCaller: this.#showCaller } = complete);
    this.#update();
  }

  /**
   * The logger that the parts of a program share, as in Python: the first call makes it, and a call with a configuration
   * gives it that one. After {@linkcode Logger.close} the next call makes a new one.
   *
   * Of an application, not of a library: who shares a logger shares its configuration.
   *
   * @param config As for {@linkcode Logger.configure}; without one the logger stays as it is.
   * @throws {TypeError | RangeError} An option is unknown or wrong.
   *
   * @example
   * ```ts
   * import { assertStrictEquals } from "@std/assert";
   * import { Logger } from "@veltix/core/logger";
   *
   * const logger = Logger.getInstance({ level: "debug" });
   * assertStrictEquals(Logger.getInstance(), logger);
   * logger.close();
   * ```
   */
  static getInstance(config?: LoggerConfig): Logger {
    if (Logger.#instance === undefined) Logger.#instance = new Logger(config);
    else if (config !== undefined) Logger.#instance.configure(config);
    return Logger.#instance;
  }

  /** The least severe level that is logged. */
  get level(): LogLevel {
    return this.#level;
  }

  /** Whether anything is logged. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /**
   * Logs from this level on.
   *
   * @throws {TypeError | RangeError} There is no such level.
   */
  setLevel(level: LogLevel): void {
    this.#level = checkLevel(level);
    this.#update();
  }

  /** Logs again. */
  enable(): void {
    this.#enabled = true;
    this.#update();
  }

  /** Logs nothing until {@linkcode Logger.enable}. */
  disable(): void {
    this.#enabled = false;
    this.#update();
  }

  /** How many entries of each level were logged since the start or the last {@linkcode Logger.configure}. */
  stats(): LogStats {
    return { ...this.#stats };
  }

  /**
   * Replaces the whole configuration: what `config` leaves out has its default again. The counts start anew, and the file of
   * the old configuration is closed.
   *
   * @throws {TypeError | RangeError} An option is unknown or wrong; everything then stays as it was.
   */
  configure(config: LoggerConfig): void {
    const complete = completeConfig(config);
    this.#output.close();
    this.#output = new LogOutput(complete);
    ({ level: this.#level, enabled: this.#enabled, showCaller: this.#showCaller } = complete);
    this.#stats = noStats();
    this.#update();
  }

  /** Logs what the program does, step by step: severity 5. */
  trace(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.trace) this.#log("trace", this.trace, message, data);
  }

  /** Logs what helps to find a defect: severity 10. */
  debug(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.debug) this.#log("debug", this.debug, message, data);
  }

  /** Logs what happens in the normal course: severity 20. */
  info(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.info) this.#log("info", this.info, message, data);
  }

  /** Logs that something that was to be done is done: severity 25. */
  success(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.success) this.#log("success", this.success, message, data);
  }

  /** Logs that something may be wrong: severity 30. */
  warn(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.warning) this.#log("warning", this.warn, message, data);
  }

  /** Logs a failure: severity 40. */
  error(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.error) this.#log("error", this.error, message, data);
  }

  /** Logs that the program, or an essential part of it, cannot go on: severity 50. */
  critical(message: string, ...data: unknown[]): void {
    if (this.#least <= LOG_LEVELS.critical) this.#log("critical", this.critical, message, data);
  }

  /** Writes to the file at once what otherwise would be there within moments. */
  flush(): void {
    this.#output.flush();
  }

  /**
   * Writes what waits and closes the file. Later entries only go to the console or stream, up to the next
   * {@linkcode Logger.configure}.
   */
  close(): void {
    if (Logger.#instance === this) Logger.#instance = undefined;
    this.#output.close();
  }

  /** The same as {@linkcode Logger.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #update(): void {
    this.#least = this.#enabled ? LOG_LEVELS[this.#level] : Infinity;
  }

  #log(level: LogLevel, method: LogMethod, message: string, data: unknown[]): void {
    // A stream, or a console that was changed to log here, would call itself without end.
    if (this.#writing) return;
    this.#writing = true;
    try {
      this.#stats[level]++;
      const sourceLocation = this.#showCaller ? callerOf(method) : undefined;
      this.#output.write(entryOf(level, message, data, sourceLocation));
    } finally {
      this.#writing = false;
    }
  }
}

function entryOf(level: LogLevel, text: string, data: unknown[], at: LogEntry["sourceLocation"]): LogEntry {
  // As in LogTape texts and values take turns; the texts between the values are empty.
  const message: unknown[] = typeof text === "string" ? [text] : ["", text, ""];
  // Errors take lines of their own: they come last.
  const values = data.some(isError) ? [...data.filter((value) => !isError(value)), ...data.filter(isError)] : data;
  for (const value of values) message.push(value, "");
  return {
    category: ["veltix"],
    level: LOGTAPE_LEVELS[level],
    message,
    rawMessage: String(message[0]),
    timestamp: Date.now(),
    properties: { level },
    ...(at && { sourceLocation: at }),
  };
}

function noStats(): LogStats {
  return Object.fromEntries(LEVEL_NAMES.map((level) => [level, 0])) as LogStats;
}
