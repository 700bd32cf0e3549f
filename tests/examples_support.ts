/**
 * Starts the programs of the examples, as a user does on this runtime.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";

/** How long a program may take, in milliseconds. */
const LIMIT = 50_000;

/** A program that was started. Disposing of it kills it, if it still runs. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #text = "";
  #seen = 0;
  #over = false;
  #look = (): void => {};

  /**
   * Starts a program on this runtime.
   *
   * @param script Its path below `examples`.
   * @param args Its arguments.
   */
  constructor(script: string, ...args: string[]) {
    const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
    this.#child = spawn(process.execPath, [...flags, `examples/${script}`, ...args], {
      cwd: ROOT,
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

/** The exit code of a program that {@linkcode Program.interrupt} has ended gently. */
export const INTERRUPTED: number | null = "Deno" in globalThis ? null : 0;
