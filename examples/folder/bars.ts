/**
 * Progress bars: one line for each file. Without a terminal, a line appears only when something happened to its file.
 *
 * @module
 */

import { formatBytes } from "@veltix/core";
import process from "node:process";
import type { FileEntry } from "./files.ts";

const WIDTH = 24;
/** Bars are drawn at most so often, in milliseconds. */
const INTERVAL = 100;

/** The bars of some files. */
export class Bars {
  readonly #rows: Map<string, { readonly size: number; from: number; at: number; note: string }>;
  readonly #indent: number;
  #drawn = 0;
  #drawnAt = -Infinity;

  constructor(entries: readonly FileEntry[]) {
    this.#rows = new Map(entries.map(({ path, size }) => [path, { size, from: 0, at: 0, note: "" }]));
    this.#indent = Math.max(...entries.map(({ path }) => path.length));
  }

  /** Moves the bar of a file. What was there before this attempt, its first `from` bytes, looks different. */
  set({ path }: FileEntry, from: number, at: number): void {
    Object.assign(this.#rows.get(path)!, { from, at });
    if (process.stdout.isTTY && performance.now() - this.#drawnAt > INTERVAL) this.#draw();
  }

  /** Puts a note behind the bar of a file. */
  note({ path }: FileEntry, note: string): void {
    this.#rows.get(path)!.note = note;
    if (process.stdout.isTTY) this.#draw();
    else console.log(this.#line(path));
  }

  /** Prints a line between the bars. */
  say(line: string): void {
    this.#goBack();
    console.log(line);
    if (process.stdout.isTTY) this.#draw();
  }

  /** Removes the bars that are drawn. */
  #goBack(): void {
    if (this.#drawn > 0) process.stdout.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    this.#goBack();
    for (const path of this.#rows.keys()) console.log(this.#line(path));
    this.#drawn = this.#rows.size;
    this.#drawnAt = performance.now();
  }

  #line(path: string): string {
    const { at, from, note, size } = this.#rows.get(path)!;
    const cells = (bytes: number): number => size === 0 ? WIDTH : Math.floor(bytes / size * WIDTH);
    const bar = "=".repeat(cells(from)).padEnd(cells(at), "#").padEnd(WIDTH, ".");
    const percent = size === 0 ? 100 : Math.floor(at / size * 100);
    return `${path.padEnd(this.#indent)} [${bar}] ${`${percent}`.padStart(3)} %  ${formatBytes(size)}  ${note}`
      .trimEnd();
  }
}
