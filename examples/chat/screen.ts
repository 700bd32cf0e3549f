/**
 * A terminal with a line that is being typed: what others say appears above it.
 *
 * @module
 */

import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { styleText } from "node:util";

const COLORS = ["cyan", "yellow", "magenta", "green", "blue", "red"] as const;

/** A name in the color that it always has. Without a terminal, and with `NO_COLOR`, nothing has a color. */
export function colored(name: string): string {
  const sum = [...name].reduce((sum, letter) => sum + letter.codePointAt(0)!, 0);
  return styleText(["bold", COLORS[sum % COLORS.length]], name, { stream: process.stdout });
}

/** The terminal of one person. */
export class Screen {
  /** The lines that are typed. It is over after Ctrl+C, Ctrl+D, or `close()`. */
  readonly lines: Interface = createInterface({ input: process.stdin, output: process.stdout });

  constructor() {
    this.lines.setPrompt("");
  }

  /** What stands before the line that is being typed. */
  prompt(text: string): void {
    if (!process.stdout.isTTY) return;
    this.lines.setPrompt(text);
    this.lines.prompt(true);
  }

  /** Prints a line. What has been typed so far stays below it. */
  print(line: string): void {
    if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
    console.log(printable(line));
    if (process.stdout.isTTY) this.lines.prompt(true);
  }

  /** Prints a line of the program itself. */
  note(line: string): void {
    this.print(styleText("dim", line, { stream: process.stdout }));
  }
}

/** Takes out what would move the cursor or change the terminal: others wrote the line. Colors stay. */
function printable(line: string): string {
  // deno-lint-ignore no-control-regex
  return line.replaceAll(/\x1b(?!\[\d+m)|[\x00-\x1a\x1c-\x1f\x7f-\x9f]/g, "�");
}
