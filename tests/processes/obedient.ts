/**
 * A process that obeys commands, one JSON value a line, seen from the one that started it: what `role.ts` is seen from inside,
 * and `peer.py`.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Answer } from "./role.ts";
import { limited } from "./waiting.ts";

/** How much of what it prints besides answers is kept for error messages. */
const NOISE = 4_000;

/** What to start, and how to speak of it. */
export interface ObedientConfig {
  /** What it is called in messages. */
  readonly name: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** What is added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long an answer may take, in milliseconds. @default as long as the process lives */
  readonly answerLimit?: number;
}

/** A process that runs. */
export class Obedient {
  /** What it is called in messages. */
  readonly name: string;
  /** Settles, never rejects, when it is gone. */
  readonly over: Promise<void>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answerLimit: number | undefined;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;
  #noise = "";
  #heard = 0;

  /** Starts it; await {@linkcode ready} before anything else. */
  constructor({ name, command: [program, ...args], env, answerLimit }: ObedientConfig) {
    this.name = name;
    this.#answerLimit = answerLimit;
    this.#process = spawn(program, args, { env: { ...process.env, ...env } });
    this.#process.on("error", (error) => this.#hear(error.message));
    this.#process.stdin.on("error", () => {});
    this.#process.stderr.on("data", (chunk) => this.#hear(String(chunk)));
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#take(line));
    this.over = once(this.#process, "close").catch(() => {}).then(() => this.#lost());
  }

  /** What it has printed besides answers: the end of it. */
  get noise(): string {
    return this.#noise.trim();
  }

  /** How much it has printed besides answers, in characters. */
  get heard(): number {
    return this.#heard;
  }

  /** How it ended; `null` while it runs, or where a signal ended it. */
  get exitCode(): number | null {
    return this.#process.exitCode;
  }

  /** What it tells when it is ready. Kills it when it is not within `limit` milliseconds. */
  async ready(limit: number): Promise<unknown> {
    try {
      return await limited(`Cannot start "${this.name}"`, limit, this.#answer(0));
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Tells it to do something. Rejects when that fails, or when the process ends. */
  async call<Value = unknown>(command: string, argument?: unknown): Promise<Value> {
    const id = ++this.#calls;
    const answer = this.#answer(id);
    this.#process.stdin.write(`${JSON.stringify({ id, command, argument })}\n`);
    const limit = this.#answerLimit;
    return await (limit === undefined
      ? answer
      : limited(`"${this.name}" answers "${command}"`, limit, answer)) as Value;
  }

  /** Has no more to tell: a process that is done ends by itself. */
  dismiss(): void {
    this.#process.stdin.end();
  }

  /** Sends a signal, unless it is gone. */
  signal(signal: NodeJS.Signals): void {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      // Not `ChildProcess.kill()`: on Deno that sends the first signal only, and one that is frozen could not be killed.
      process.kill(pid, signal);
    } catch {
      // It has just ended by itself.
    }
  }

  /** Ends it at once, as a crash would, and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.over;
  }

  /** The same, when whoever uses it is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #answer(id: number): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    // One that nobody waits for any more may fail.
    answer.promise.catch(() => {});
    this.#waiting.set(id, answer);
    return answer.promise;
  }

  #take(line: string): void {
    if (!line.startsWith("{")) {
      this.#hear(`${line}\n`);
      return;
    }
    const { id, value, error }: Answer = JSON.parse(line);
    const answer = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(new Error(`"${this.name}": ${error}`));
  }

  #hear(text: string): void {
    this.#heard += text.length;
    this.#noise = (this.#noise + text).slice(-NOISE);
  }

  #lost(): void {
    const error = new Error(`"${this.name}" is gone: ${this.noise || "it said nothing"}`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
