/**
 * Passes a logger's entries to where they go: the console or a stream, and a file.
 *
 * LogTape's formatter and sinks are called directly. Its `configure` is for the whole process. It throws if the
 * application has already called it, it takes the application's place if not, and a second logger would have to undo
 * the first. It is left to the application, and nothing here depends on it.
 *
 * @module
 */

import { getConsoleSink, type Sink } from "@logtape/logtape";
import { lineFormatter, type LogEntry } from "./format.ts";
import { LogFile } from "./log_file.ts";
import type { CompleteConfig, LogStream } from "./logger_config.ts";

/** See the module. No method throws. */
export class LogOutput {
  readonly #console: Sink | undefined;
  #file: LogFile | undefined;
  readonly #fileLine: (entry: LogEntry) => string;
  #streamFailed = false;

  constructor(config: CompleteConfig) {
    const { stream, useColors: colors, showTimestamp: timestamp, showLevel: level, showCaller: caller } = config;
    const formatter = lineFormatter({ colors, timestamp, level, caller });
    if (stream === undefined) this.#console = getConsoleSink({ formatter });
    else if (stream !== null) this.#console = (record) => this.#send(stream, formatter(record));

    this.#fileLine = lineFormatter({ colors: false, timestamp: true, level: true, caller });
    const { filePath: path, fileRotationSize: maxSize, fileBackupCount: backups } = config;
    if (path === undefined) return;
    const failed = (error: unknown) => complain(`Cannot write the log file ${JSON.stringify(path)}`, error);
    this.#file = new LogFile({ path, maxSize, backups, failed });
    if (config.enabled) this.#file.open();
  }

  /** Passes an entry to all destinations. */
  write(entry: LogEntry): void {
    try {
      this.#console?.(entry);
    } catch (error) {
      this.#failed(error);
    }
    this.#file?.write(this.#fileLine(entry));
  }

  /** Writes to the file the entries that wait for it. */
  flush(): void {
    this.#file?.flush();
  }

  /** Writes the entries that wait, and closes the file for good. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #send(stream: LogStream, text: string): void {
    const result = stream.write(text) as PromiseLike<unknown> | undefined;
    if (typeof result?.then === "function") Promise.resolve(result).catch((error) => this.#failed(error));
  }

  #failed(error: unknown): void {
    if (!this.#streamFailed) complain("Cannot write to the stream of the log", error);
    this.#streamFailed = true;
  }
}

/** Reports a failure on the console, which is the last resort. If the console fails too, nobody can be informed. */
function complain(what: string, error: unknown): void {
  try {
    console.error(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  } catch {
    // See above.
  }
}
