/**
 * A program that a test starts, types into, and reads.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** How long a program may take, in milliseconds. */
const LIMIT = 50_000;

/** A program that was started. Disposing of it kills it, if it still runs. */
export class Child implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #text = "";
  #seen = 0;
  #over = false;
  #look = (): void => {};

  /**
   * Starts a program.
   *
   * @param command Its path.
   * @param args Its arguments.
   * @param cwd The folder where it runs.
   */
  constructor(command: string, args: readonly string[], cwd: string) {
    this.#child = spawn(command, args, {
      cwd,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: LIMIT,
      killSignal: "SIGKILL",
    });
    this.#child.stdin!.on("error", () => {}); // A program that has ended shows by what it printed.
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding("utf8").on("data", (part: string) => {
        this.#text += part.replaceAll("\r\n", "\n");
        this.#look();
      });
    }
    this.#ended = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code) => {
        this.#over = true;
        this.#look();
        resolve(code);
      });
    });
  }

  /** What it has printed, errors included. */
  get text(): string {
    return this.#text;
  }

  /** Resolves with the next text that matches, after those that were found before. */
  async find(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#text.slice(this.#seen));
      if (found !== null) {
        this.#seen += found.index + found[0].length;
        return found;
      }
      if (this.#over) throw new Error(`The program ended without ${pattern}; it printed:\n${this.#text}`);
      await new Promise<void>((resolve) => this.#look = resolve);
    }
  }

  /** Types a line. */
  type(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** Ends its input. */
  endInput(): void {
    this.#child.stdin!.end();
  }

  /** Does what Ctrl+C does. */
  interrupt(): void {
    this.#child.kill("SIGINT");
  }

  /** Resolves with its exit code, once it has ended. Deno reports none of a child that it has sent a signal. */
  end(): Promise<number | null> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
