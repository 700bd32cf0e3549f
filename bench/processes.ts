/**
 * The orchestrator's side of the child processes: starting them, reading what they tell, and ending every one of them.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import type { ChildLine } from "./channel.ts";

/** A command and its arguments. */
export type CommandLine = readonly [command: string, ...args: string[]];

/** Raises the limit of open files as far as the system lets a program, then becomes the program. */
const RAISE = 'ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$@"';

/** How much of what a process writes to standard error is kept. */
const NOISE = 4000;

const running = new Set<{ killNow(): void }>();

/** One child process that speaks in JSON lines. */
export class Child {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #noise = "";

  /** Starts it with as many open files as it may have; `env` is added to the environment. */
  constructor(command: CommandLine, env: Readonly<Record<string, string>> = {}) {
    const [program, ...args] = process.platform === "win32" ? command : ["sh", "-c", RAISE, "sh", ...command];
    this.#process = spawn(program, args, { env: { ...process.env, ...env } });
    running.add(this);
    this.#ended = new Promise((resolve) => {
      this.#process.on("close", () => resolve());
      this.#process.on("error", (error) => {
        this.#noise += error.message;
        resolve();
      });
    });
    this.#process.stdin.on("error", () => {});
    this.#process.stderr.on("data", (chunk) => this.#noise = (this.#noise + chunk).slice(-NOISE));
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /**
   * The next value that it tells as its result; `asked` answers what it asks in between, `said` gets what it says for people.
   * Rejects when it fails or ends; the `cause` is its stack, or what it wrote to standard error.
   */
  async result(asked?: (value: unknown) => Promise<unknown>, said?: (text: string) => void): Promise<unknown> {
    while (true) {
      const { done, value } = await this.#lines.next();
      if (done === true) {
        await this.#ended;
        throw new Error("The process ended", { cause: this.#noise.trim() || "It said nothing" });
      }
      const line: ChildLine = JSON.parse(value);
      if (line.type === "failed") throw new Error(line.message, { cause: line.stack });
      if (line.type === "result") return line.value;
      if (line.type === "say") said?.(line.text);
      else if (asked === undefined) throw new Error("The process asked, and nobody answers");
      else this.send(await asked(line.value));
    }
  }

  /** Sends it a value. */
  send(value: unknown): void {
    this.#process.stdin.write(`${JSON.stringify(value)}\n`);
  }

  /** Kills it and waits until it is gone. */
  async kill(): Promise<void> {
    if (!running.delete(this)) return;
    this.killNow();
    await this.#ended;
  }

  /** Kills it without waiting. */
  killNow(): void {
    this.#process.kill("SIGKILL");
  }
}

/**
 * Runs a program to its end. Rejects when it fails or takes more than so many milliseconds; the `cause` is what it wrote to
 * standard error.
 */
export async function runToEnd(
  [program, ...args]: CommandLine,
  env: Readonly<Record<string, string>>,
  limit: number,
): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
  const entry = { killNow: () => void child.kill("SIGKILL") };
  running.add(entry);
  let noise = "";
  child.stderr.on("data", (chunk) => noise = (noise + chunk).slice(-NOISE));
  const timer = setTimeout(entry.killNow, limit);
  try {
    const [code, signal] = await once(child, "close");
    if (code !== 0) {
      throw new Error(`The program ended with ${signal ?? code}`, { cause: noise.trim() || "It said nothing" });
    }
  } finally {
    clearTimeout(timer);
    running.delete(entry);
  }
}

/** Kills every child at once: for the end of the orchestrator itself. */
export function killAll(): void {
  for (const child of running) child.killNow();
}

/** How many files a child may have open. */
export function openFileLimit(): number {
  if (process.platform === "win32") return Infinity;
  const limit = Number(spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).stdout);
  return Number.isNaN(limit) ? Infinity : limit;
}
