/**
 * A Python program of some release, run as a process and told what to do.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { install, PYTHON } from "./install.ts";
import type { Release } from "./releases.ts";

const SCRIPT = fileURLToPath(new URL("./peer.py", import.meta.url));
/** How long it may take for a start or for an answer, in milliseconds. */
const LIMIT = 40_000;
/** How much of what it prints is kept for error messages. */
const NOISE = 4_000;

/** What a Python program has got and seen. */
export interface Told {
  /** Texts, in the order in which they came. */
  readonly texts: readonly string[];
  /** How many numbered messages came, and how many of them out of turn or damaged. */
  readonly serials: number;
  readonly disordered: number;
  readonly damaged: number;
  /** A server's clients, and how often one came and went. */
  readonly clients: number;
  readonly joined: number;
  readonly left: number;
  /** Whether a client is connected. */
  readonly connected: boolean;
}

/** A Python program. */
export class PythonPeer {
  /** What it told when it was ready: a server's port. */
  ready: { readonly port: number } = { port: 0 };
  readonly #name: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<unknown>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;
  #noise = "";

  private constructor(name: string, command: readonly string[], env: Record<string, string>) {
    this.#name = name;
    this.#process = spawn(command[0], command.slice(1), { env: { ...process.env, ...env } });
    this.#process.on("error", (error) => this.#noise += error.message);
    this.#process.stdin.on("error", () => {});
    this.#process.stderr.on("data", (chunk) => this.#noise = (this.#noise + chunk).slice(-NOISE));
    const lines = createInterface({ input: this.#process.stdout });
    lines.on("line", (line) => this.#take(line));
    this.#exit = once(this.#process, "close").then(() => this.#lost(), () => this.#lost());
  }

  /**
   * Starts one and waits until it is ready.
   *
   * @param release Which Python release.
   * @param role A server, or some clients.
   * @param config What the role wants to know; see `peer.py`.
   */
  static async start(release: Release, role: "server" | "clients", config: unknown): Promise<PythonPeer> {
    const env = { PYTHONPATH: await install(release.name), PYTHONDONTWRITEBYTECODE: "1" };
    return PythonPeer.spawn(`${release.name} ${role}`, [PYTHON, SCRIPT, role, JSON.stringify(config)], env);
  }

  /** Starts any program that answers as `peer.py` does, and waits until it is ready. */
  static async spawn(name: string, command: readonly string[], env: Record<string, string>): Promise<PythonPeer> {
    const peer = new PythonPeer(name, command, env);
    try {
      peer.ready = await peer.#answer(0, "start") as { port: number };
    } catch (error) {
      await peer.kill();
      throw error;
    }
    return peer;
  }

  /** Tells it to do something; rejects when that fails, or when the process ends. */
  async call<Value = unknown>(command: string, argument?: unknown): Promise<Value> {
    const id = ++this.#calls;
    const answer = this.#answer(id, command);
    this.#process.stdin.write(`${JSON.stringify({ id, command, argument })}\n`);
    return await answer as Value;
  }

  /** What it has got and seen. */
  told(which = 0): Promise<Told> {
    return this.call("told", { which });
  }

  /** Asks until what it has got and seen is as wanted; throws when that takes too long. */
  async until(what: string, holds: (told: Told) => boolean, which = 0, limit = 15_000): Promise<Told> {
    const end = performance.now() + limit;
    for (;;) {
      const told = await this.told(which);
      if (holds(told)) return told;
      if (performance.now() > end) throw new Error(`${this.#name}: not ${what}: ${JSON.stringify(told).slice(0, 300)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
  }

  /** The same, when whoever uses it is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #answer(id: number, command: string): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    const late = setTimeout(() => answer.reject(new Error(`${this.#name}: no answer to "${command}"`)), LIMIT);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(late);
      this.#waiting.delete(id);
    }
  }

  #take(line: string): void {
    const { id, value, error } = JSON.parse(line) as { id: number; value?: unknown; error?: string };
    const answer = this.#waiting.get(id);
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(new Error(`${this.#name}: ${error}`));
  }

  #lost(): void {
    const error = new Error(`${this.#name} is gone: ${this.#noise.trim() || "it said nothing"}`);
    for (const { reject } of this.#waiting.values()) reject(error);
  }
}
