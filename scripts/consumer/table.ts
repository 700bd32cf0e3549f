/**
 * The table that `deno task consumer` prints, a row at a time.
 *
 * @module
 */
import { bold, dim, green, red } from "@std/fmt/colors";

/** How many of the first, and of the last, lines of a problem are shown. */
const SHOWN = 12;

const WIDTHS = [10, 30, 32, 52];

/** Prints rows, and counts those that failed. */
export class Table {
  #failed = 0;
  #rows = 0;

  constructor() {
    console.log(bold(line("project", "what", "with", "permissions, sizes", "result")));
  }

  /** Runs something and prints its row, with the figures that it returns. What it throws is its problem. */
  async row(project: string, what: string, versions: string, work: () => Promise<string | void>): Promise<void> {
    await this.value(project, what, versions, async () => [undefined, await work() ?? ""]);
  }

  /** As {@linkcode row}, for something that also returns a value. Returns `undefined` if it failed. */
  async value<T>(
    project: string,
    what: string,
    versions: string,
    work: () => Promise<[value: T, figures: string]>,
  ): Promise<T | undefined> {
    const start = performance.now();
    let value: T | undefined;
    let figures = "";
    let problem: string | undefined;
    try {
      [value, figures] = await work();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    const seconds = dim(`${((performance.now() - start) / 1_000).toFixed(1)} s`);
    const result = problem === undefined ? green("ok") : red("FAILED");
    console.log(line(project, what, versions, figures, `${result} ${seconds}`));
    if (problem !== undefined) console.log(shorten(problem).replaceAll(/^/gm, "    "));
    this.#rows++;
    if (problem !== undefined) this.#failed++;
    return value;
  }

  /** Prints the last line. Returns whether all went well. */
  end(): boolean {
    const passed = this.#rows - this.#failed;
    console.log(bold(`${passed} passed, ${this.#failed} failed`));
    return this.#failed === 0;
  }
}

/** Returns the first and the last lines of a text, without those about downloads that went well. */
function shorten(text: string): string {
  const lines = text.split("\n").filter((line) => !/^(Download|Initialize) /.test(line));
  if (lines.length <= 2 * SHOWN) return lines.join("\n");
  return [...lines.slice(0, SHOWN), `… ${lines.length - 2 * SHOWN} lines more`, ...lines.slice(-SHOWN)].join("\n");
}

function line(...cells: string[]): string {
  return cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(" ");
}

/** Returns a size as people read it. */
export function size(bytes: number): string {
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(2)} MB`;
}
