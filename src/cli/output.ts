/**
 * What commands print: text for people, or one JSON value a line with `--json`.
 *
 * @module
 */

import { styleText } from "node:util";
import type { Terminal } from "./terminal.ts";

/** The options of all commands. */
export interface OutputOptions {
  /** Prints JSON, one value a line, in place of text. */
  readonly json?: boolean | undefined;
  /** Prints results only: no progress and no hints. */
  readonly quiet?: boolean | undefined;
  /** Prints more, and the stack of an error. */
  readonly verbose?: boolean | undefined;
  /** False for no colors. Default: colors where a terminal shows them and `NO_COLOR` is not set. */
  readonly color?: boolean | undefined;
}

/** What a terminal may obey, or what may change how the text around it looks. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Returns a value as JSON on one line. What a terminal may obey is escaped, which readers of JSON undo. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, escaped);
}

function escaped(character: string): string {
  let text = "";
  // A character above U+FFFF has two units, and two escapes.
  for (let i = 0; i < character.length; i++) text += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  return text;
}

/** A style of `styleText`. */
export type Style = Parameters<typeof styleText>[0];

/** The output of one command. */
export class Output {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
  /** True while the last line is progress that the next output replaces. */
  #progress = false;

  constructor(terminal: Terminal, { color, json, quiet, verbose }: OutputOptions = {}) {
    this.terminal = terminal;
    this.json = json === true;
    this.quiet = quiet === true;
    this.verbose = verbose === true;
    const { FORCE_COLOR, NO_COLOR } = terminal.env;
    const wanted = FORCE_COLOR !== undefined && FORCE_COLOR !== "" || terminal.isTerminal.output && !NO_COLOR;
    this.color = color !== false && !this.json && wanted;
  }

  /** Prints a result: `value` as JSON with `--json`, otherwise the text that `text` returns. */
  result(value: unknown, text: () => string): void {
    this.clear();
    this.terminal.out(`${this.json ? jsonLine(value) : text()}\n`);
  }

  /** Tells people something that is no result, on the standard error output. Nothing with `--quiet` or `--json`. */
  note(text: string): void {
    if (this.quiet || this.json) return;
    this.clear();
    this.terminal.err(`${text}\n`);
  }

  /** Gives people a hint about what to do next, on the standard error output. Nothing if nobody looks at a terminal. */
  hint(text: string): void {
    if (this.terminal.isTerminal.error) this.note(text);
  }

  /** Shows how far something is, in place of what was shown before. Nothing if nobody looks at a terminal. */
  progress(text: string): void {
    if (this.quiet || this.json || !this.terminal.isTerminal.error) return;
    this.terminal.err(`\r\x1b[K${text.slice(0, this.terminal.columns - 1)}`);
    this.#progress = true;
  }

  /** Takes the progress away. */
  clear(): void {
    if (!this.#progress) return;
    this.#progress = false;
    this.terminal.err("\r\x1b[K");
  }

  /** Returns a text in a style, or as it is without colors. */
  style(style: Style, text: string): string {
    return this.color ? styleText(style, text, { validateStream: false }) : text;
  }
}
