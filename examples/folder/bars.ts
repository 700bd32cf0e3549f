/**
 * Progress bars: one for each file that is under way, and one for all of them. A file that is done becomes a line above the
 * bars. Without a terminal there are only these lines.
 *
 * @module
 */

import { formatBytes } from "@veltix/core";
import process from "node:process";
import type { FileEntry } from "./files.ts";

const WIDTH = 24;
/** What a line has beside the path, at most. */
const REST = WIDTH + 42;
/** Bars are drawn at most so often, in milliseconds. */
const INTERVAL = 100;

interface Row {
  readonly path: string;
  readonly size: number;
  /** What was there before this attempt. */
  from: number;
  at: number;
}

/** The bars of some files. */
export class Bars {
  readonly #rows: ReadonlyMap<string, Row>;
  readonly #underWay = new Set<Row>();
  readonly #indent: number;
  readonly #began = performance.now();
  #drawn = 0;
  #drawnAt = -Infinity;

  constructor(entries: readonly FileEntry[]) {
    this.#rows = new Map(entries.map(({ path, size }) => [path, { path, size, from: 0, at: 0 }]));
    const longest = Math.max(process.stdout.isTTY ? "all files".length : 0, ...entries.map(({ path }) => path.length));
    this.#indent = Math.min(longest, Math.max(12, (process.stdout.columns ?? Infinity) - REST));
  }

  /** Moves the bar of a file. What was there before this attempt, its first `from` bytes, looks different. */
  set({ path }: FileEntry, from: number, at: number): void {
    const row = this.#rows.get(path)!;
    Object.assign(row, { from, at });
    this.#underWay.add(row);
    if (process.stdout.isTTY && performance.now() - this.#drawnAt > INTERVAL) this.#draw();
  }

  /** Ends the bar of a file, and prints its line with a note. */
  done({ path }: FileEntry, note: string): void {
    const row = this.#rows.get(path)!;
    if (row.at < row.size) row.from = row.at = row.size; // All of it was there before.
    this.#underWay.delete(row);
    this.say(`${this.#line(row)}  ${note}`);
  }

  /** Prints a line above the bars. */
  say(line: string): void {
    this.#goBack();
    console.log(line);
    if (process.stdout.isTTY) this.#draw();
  }

  /** Removes the bars. */
  close(): void {
    this.#goBack();
  }

  /** Removes the bars that are drawn. */
  #goBack(): void {
    if (this.#drawn > 0) process.stdout.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    this.#goBack();
    const rows = [...this.#rows.values()];
    const sum = (value: (row: Row) => number): number => rows.reduce((all, row) => all + value(row), 0);
    const all = {
      path: "all files",
      size: sum(({ size }) => size),
      from: sum(({ from }) => from),
      at: sum((row) => row.at),
    };
    const rate = (all.at - all.from) / (performance.now() - this.#began) * 1_000;
    const lines = [
      ...[...this.#underWay].map((row) => this.#line(row)),
      `${this.#line(all)}  ${formatBytes(Math.round(rate))}/s`,
    ];
    for (const line of lines) console.log(line);
    this.#drawn = lines.length;
    this.#drawnAt = performance.now();
  }

  #line({ path, size, from, at }: Row): string {
    const cells = (bytes: number): number => size === 0 ? WIDTH : Math.floor(bytes / size * WIDTH);
    const bar = "=".repeat(cells(from)).padEnd(cells(at), "#").padEnd(WIDTH, ".");
    const percent = size === 0 ? 100 : Math.floor(at / size * 100);
    // The end of a long path tells more than its beginning.
    const name = path.length > this.#indent ? `…${path.slice(1 - this.#indent)}` : path.padEnd(this.#indent);
    return `${name} [${bar}] ${`${percent}`.padStart(3)} %  ${formatBytes(size)}`;
  }
}
