/**
 * The terminal that a command runs in. Tests give it one of their own.
 *
 * @module
 */

import process from "node:process";

/** Where a command reads and writes. */
export interface Terminal {
  /** Writes to the standard output, as it is. */
  out(text: string | Uint8Array): void;
  /** Writes to the standard error output, as it is. */
  err(text: string): void;
  /** The chunks of the standard input. */
  input(): AsyncIterable<Uint8Array>;
  /** True if the standard input, output or error output is a terminal, and not a pipe or a file. */
  readonly isTerminal: { readonly input: boolean; readonly output: boolean; readonly error: boolean };
  /** The width of the terminal, in columns. */
  readonly columns: number;
  /** The environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the user interrupts the command by Ctrl+C, or when it is asked to end. */
  readonly signal: AbortSignal;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Returns the terminal of this process. It listens to signals until it is disposed of. */
export function processTerminal(): Terminal & Disposable {
  const controller = new AbortController();
  const abort = (why: string): void => controller.abort(new DOMException(why, "AbortError"));
  const ended = (): void => abort("Interrupted");
  // A reader such as `head` closes the pipe early. That is no fault of the command.
  const closed = (): void => abort("Nobody reads the output");
  const { stdin, stdout, stderr } = process;
  for (const name of SIGNALS) process.on(name, ended);
  stdout.on("error", closed);
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    input: () => stdin as AsyncIterable<Uint8Array>,
    isTerminal: { input: stdin.isTTY === true, output: stdout.isTTY === true, error: stderr.isTTY === true },
    get columns() {
      return stdout.columns ?? 80;
    },
    env: process.env,
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, ended);
      stdout.off("error", closed);
    },
  };
}
