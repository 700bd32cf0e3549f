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

/**
 * The number of logged entries of each level.
 *
 * @category Logging
 */
export type LogStats = Record<LogLevel, number>;

type LogMethod = (message: string, ...data: unknown[]) => void;

/**
 * Logs to the console and to a file. It can be given as `logger` to a `Server` and a `Client`, which take anything with
 * the methods of a level.
 *
 * No method that logs throws. What cannot be shown or written is left out, and a file or stream that fails is reported
 * on `console.error`, but not for each entry. Data after the message is shown as the runtime's console shows it, errors
 * with their stack and causes.
 *
 * @example Only what matters, without colors
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
 *
 * @category Logging
 */
export class Logger implements Disposable {
  static #instance: Logger | undefined;

  #output: LogOutput;
  #level: LogLevel;
  #enabled: boolean;
  #showCaller: boolean;
  #stats: LogStats = noStats();
  /** The least severity that is logged; `Infinity` while nothing is. A call that logs nothing looks at nothing else. */
  #least = 0;
  #writing = false;

  /**
   * Creates a logger that is independent of all others and of the application's configuration of LogTape.
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
   * Returns the logger that the parts of a program share, as in Python. The first call creates it, and a call with a
   * configuration gives it that one. After {@linkcode Logger.close}, the next call creates a new one.
   *
   * It is for applications, not for libraries: whoever shares a logger shares its configuration.
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

  /** True while logging is enabled. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /**
   * Sets the least severe level that is logged.
   *
   * @throws {TypeError | RangeError} There is no such level.
   */
  setLevel(level: LogLevel): void {
    this.#level = checkLevel(level);
    this.#update();
  }

  /** Enables logging. */
  enable(): void {
    this.#enabled = true;
    this.#update();
  }

  /** Disables logging until {@linkcode Logger.enable} or {@linkcode Logger.configure} enables it. */
  disable(): void {
    this.#enabled = false;
    this.#update();
  }

  /**
   * Returns the number of entries of each level that were logged since the start or the last
   * {@linkcode Logger.configure}.
   */
  stats(): LogStats {
    return { ...this.#stats };
  }

  /**
   * Replaces the whole configuration. What `config` leaves out has its default again. The counts begin anew, and the
   * file of the old configuration is closed.
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

  /** Writes entries to the file at once that would otherwise be written within moments. */
  flush(): void {
    this.#output.flush();
  }

  /**
   * Writes the entries that wait and closes the file. Later entries go only to the console or stream, until the next
   * {@linkcode Logger.configure}.
   */
  close(): void {
    if (Logger.#instance === this) Logger.#instance = undefined;
    this.#output.close();
  }

  /** Does the same as {@linkcode Logger.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #update(): void {
    this.#least = this.#enabled ? LOG_LEVELS[this.#level] : Infinity;
  }

  #log(level: LogLevel, method: LogMethod, message: string, data: unknown[]): void {
    // A stream that logs here, or a console that was changed to do so, would call itself without end.
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
  // As in LogTape, texts and values alternate. The texts between the values are empty.
  const message: unknown[] = typeof text === "string" ? [text] : ["", text, ""];
  // Errors take lines of their own, so they come last.
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
