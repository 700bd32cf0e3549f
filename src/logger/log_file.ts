/**
 * Appends lines to a file that is rotated by its size. LogTape's sink for rotating files does the writing, on all three
 * runtimes. This module decides when, and keeps failures to itself.
 *
 * LogTape offers two ways, and neither alone is enough. The sink that does not block can hide failures and, in a busy
 * moment, writes past the size limit. The sink that blocks reports both faithfully, but waits at every write until the
 * disk has the data (`fsync`: milliseconds). Lines that come close together are therefore given to it as one record.
 *
 * @module
 */

import { getRotatingFileSink } from "@logtape/file";
import type { Sink } from "@logtape/logtape";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** The path of the file, and how much of it is kept. */
export interface LogFileOptions {
  readonly path: string;
  /** The largest size of the file, in bytes. A line larger than this gets a file of its own. */
  readonly maxSize: number;
  readonly backups: number;
  /** Called with the first failure, and with the first one after the file could be written again. */
  readonly failed: (error: unknown) => void;
}

/** The most characters that are written together. */
const BATCH = 65_536;
/**
 * After a write, the next one waits this many times as long, but no longer than `LONGEST_PAUSE`, in milliseconds.
 * Writing takes a tenth of the time, unless that limit is reached.
 */
const PAUSE_FACTOR = 9;
const LONGEST_PAUSE = 1_000;

interface ExitEvents {
  once?(event: "exit", listener: () => void): unknown;
  off?(event: "exit", listener: () => void): unknown;
}

/** See the module. No method throws. */
export class LogFile {
  readonly #options: LogFileOptions;
  #sink: (Sink & Disposable) | undefined;
  #waiting: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #notBefore = 0;
  #failing = false;
  #listening = false;
  readonly #atExit = () => this.flush();

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Opens the file, so that a failure to do so is known early. */
  open(): void {
    try {
      this.#open();
    } catch (error) {
      this.#report(error);
    }
  }

  /** Takes the text of an entry. It is written now, or together with others within moments. */
  write(text: string): void {
    this.#waiting.push(text);
    const now = performance.now();
    if (now >= this.#notBefore) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#notBefore - now);
  }

  /** Writes the texts that wait. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#waiting;
    if (lines.length === 0) return;
    this.#waiting = [];
    const start = performance.now();
    // Batches are far smaller than the file, so that it is nearly full when it is rotated.
    const size = Math.min(BATCH, this.#options.maxSize / 64);
    let batch = "";
    for (const line of lines) {
      if (batch !== "" && batch.length + line.length > size) {
        this.#append(batch);
        batch = "";
      }
      batch += line;
    }
    this.#append(batch);
    const end = performance.now();
    this.#notBefore = end + Math.min((end - start) * PAUSE_FACTOR, LONGEST_PAUSE);
  }

  /** Writes the texts that wait and closes the file. Nothing may be written after that. */
  close(): void {
    this.flush();
    (globalThis as { process?: ExitEvents }).process?.off?.("exit", this.#atExit);
    this.#discard();
  }

  /**
   * Writes a text. If that fails, perhaps because someone moved the file away, it is tried once more from the start.
   */
  #append(text: string): void {
    try {
      this.#put(text);
    } catch (error) {
      this.#discard(error);
      try {
        this.#put(text);
      } catch (error) {
        this.#discard(error);
        this.#report(error);
        return;
      }
    }
    this.#failing = false;
  }

  #put(text: string): void {
    this.#open()({
      category: ["veltix"],
      level: "info",
      message: [text],
      rawMessage: text,
      timestamp: 0,
      properties: {},
    });
  }

  #open(): Sink {
    if (!this.#listening) {
      // A text waits for a second at most, so only a program that ends meanwhile would lose it.
      (globalThis as { process?: ExitEvents }).process?.once?.("exit", this.#atExit);
      this.#listening = true;
    }
    return this.#sink ??= this.#make();
  }

  /**
   * Opens the file, and creates its folder only if it is missing. On Deno, a program that may write the file may not be
   * allowed to touch the folder.
   */
  #make(): Sink & Disposable {
    const { path, maxSize, backups: maxFiles } = this.#options;
    const open = (): Sink & Disposable =>
      getRotatingFileSink(path, { maxSize, maxFiles, bufferSize: 0, formatter: ({ message }) => String(message[0]) });
    try {
      return open();
    } catch (error) {
      if ((error as { code?: unknown } | undefined)?.code !== "ENOENT") throw error;
      mkdirSync(dirname(path), { recursive: true });
      return open();
    }
  }

  /** Closes the sink after an error, unless the error shows that the sink has closed its file already. */
  #discard(error?: unknown): void {
    const sink = this.#sink;
    this.#sink = undefined;
    // A rotation closes the file first. On Bun and Node, the number of its descriptor may by now belong to another file
    // or socket.
    const { syscall } = (error ?? {}) as { syscall?: unknown };
    if (syscall === "rename" || syscall === "open") return;
    try {
      sink?.[Symbol.dispose]();
    } catch {
      // The sink is not used any more in either case.
    }
  }

  #report(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#options.failed(error);
  }
}
