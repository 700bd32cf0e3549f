/**
 * Where the demonstration is shown: a terminal, redrawn in place, or a pipe or file, which gets one line a step.
 *
 * @module
 */

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
/** Long lines are cut at the edge: a line that wraps would be counted wrong. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** Shows text on standard output. */
export class Screen {
  readonly #terminal = Deno.stdout.isTerminal();
  #drawn = 0;

  /** Adds lines that stay. */
  print(lines: readonly string[]): void {
    this.#clear();
    write(lines.map((line) => `${line}\n`).join(""));
  }

  /** Adds a line that stays, where there is no terminal to draw on. */
  note(line: string): void {
    if (!this.#terminal) write(`${line}\n`);
  }

  /** Shows lines in place of those drawn before; only a terminal can. */
  draw(lines: readonly string[]): void {
    if (!this.#terminal) return;
    const text = lines.map((line) => `${line}${CLEAR_LINE}\n`).join("");
    write(`${HIDE_CURSOR}${NO_WRAP}${this.#up()}${text}${WRAP}`);
    this.#drawn = lines.length;
  }

  /** Leaves the terminal as it was; what is drawn stays. */
  restore(): void {
    if (this.#terminal) write(`${WRAP}${SHOW_CURSOR}`);
    this.#drawn = 0;
  }

  #clear(): void {
    if (this.#drawn > 0) write(`${this.#up()}${CLEAR_BELOW}${SHOW_CURSOR}`);
    this.#drawn = 0;
  }

  #up(): string {
    return this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : "";
  }
}

/** Writes all of it before it returns. */
function write(text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
