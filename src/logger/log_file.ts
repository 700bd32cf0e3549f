/**
 * A file that lines are appended to, rotated by its size. LogTape's sink for rotating files does the writing, on all three
 * runtimes; here it is told when, and a failure stays here.
 *
 * LogTape offers two ways, and neither alone is enough. The sink that doesn't block can hide what fails and, in a busy
 * moment, writes past the size limit. The one that blocks reports both faithfully, but waits at every write until the disk
 * has it (`fsync`: milliseconds): so lines that come close together are given to it as one record.
 *
 * @module
 */

import { getRotatingFileSink } from "@logtape/file";
import type { Sink } from "@logtape/logtape";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** Where and how much. */
export interface LogFileOptions {
  readonly path: string;
  /** In bytes; a line larger than this gets a file of its own. */
  readonly maxSize: number;
  readonly backups: number;
  /** Told about the first failure, and the first one after the file could be written again. */
  readonly failed: (error: unknown) => void;
}

/** Characters that are written together. */
const BATCH = 65_536;
/** After a write that took one millisecond the next waits for so many, so that the disk never takes more than a tenth. */
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

  /** Opens the file, so that it is known early whether that is possible. */
  open(): void {
    try {
      this.#open();
    } catch (error) {
      this.#report(error);
    }
  }

  /** Takes the text of an entry: it is written now, or together with others within moments. */
  write(text: string): void {
    this.#waiting.push(text);
    const now = performance.now();
    if (now >= this.#notBefore) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#notBefore - now);
  }

  /** Writes what waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#waiting;
    if (lines.length === 0) return;
    this.#waiting = [];
    const start = performance.now();
    // Batches far smaller than the file, so that it is nearly full when it is rotated.
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

  /** Writes what waits and closes the file. Nothing may follow. */
  close(): void {
    this.flush();
    (globalThis as { process?: ExitEvents }).process?.off?.("exit", this.#atExit);
    this.#discard();
  }

  /** Writes a text. When that fails, perhaps because someone moved the file away, it is tried once more from the start. */
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
      // What waits is a matter of milliseconds: only a program that ends meanwhile would lose it.
      (globalThis as { process?: ExitEvents }).process?.once?.("exit", this.#atExit);
      this.#listening = true;
    }
    return this.#sink ??= this.#make();
  }

  /** Opens the file, and makes its folder only if that is missing: who may write a file may not touch the folder on Deno. */
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

  /** Closes the sink after an error, unless that tells that it has closed its file already. */
  #discard(error?: unknown): void {
    const sink = this.#sink;
    this.#sink = undefined;
    // A rotation closes the file first. On Bun and Node the number it had may by now be that of another file or socket.
    const { syscall } = (error ?? {}) as { syscall?: unknown };
    if (syscall === "rename" || syscall === "open") return;
    try {
      sink?.[Symbol.dispose]();
    } catch {
      // It was of no use anyway.
    }
  }

  #report(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#options.failed(error);
  }
}
