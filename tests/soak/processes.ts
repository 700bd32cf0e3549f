/**
 * The processes of a scenario, seen from the one that runs it: each is called by name, and ended; none outlives the run.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { RuntimeName } from "../../scripts/runtimes.ts";
import type { Answer } from "./role.ts";

/** A runtime that is there. */
export interface Program {
  readonly name: RuntimeName;
  readonly path: string;
}

/** How long a process may take to end by itself once it has closed everything, in milliseconds. */
const END_LIMIT = 1_000;
/** How long it may take to be ready, in milliseconds. */
const START_LIMIT = 30_000;

const running = new Set<Child>();

/** One role of a scenario, as a process. */
export class Child {
  /** What its role told when it was ready. */
  ready: unknown;
  readonly #role: string;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #over: Promise<unknown>;
  #calls = 0;
  #noise = "";
  #stopped = false;

  private constructor(program: Program, file: string, role: string, config: unknown) {
    const [command, ...args] = commandLine(program, file);
    args.push(role, JSON.stringify(config ?? {}));
    const env = { NO_COLOR: "1" };
    this.#role = role;
    this.#process = new Deno.Command(command, { args, env, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
    this.#input = this.#process.stdin.getWriter();
    running.add(this);
    this.#over = Promise.all([this.#read(), this.#listen()]).then(() => this.#lost());
  }

  /** Starts one and waits until it is ready. */
  static async start(program: Program, file: string, role: string, config: unknown): Promise<Child> {
    const child = new Child(program, file, role, config);
    child.ready = await limited(`Cannot start "${role}"`, START_LIMIT, child.#answer(0));
    return child;
  }

  /** Calls one of its role's commands. Rejects when that throws, or when the process ends. */
  async call<Value = void>(command: string, argument?: unknown): Promise<Value> {
    const id = ++this.#calls;
    const answer = this.#answer(id);
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify({ id, command, argument })}\n`));
    return await answer as Value;
  }

  /** Freezes it: SIGSTOP. */
  stop(): void {
    this.#process.kill("SIGSTOP");
  }

  /** Calls `close`, and waits until the process has ended by itself; returns how long that took, in milliseconds. */
  async end(): Promise<number> {
    await this.call("close");
    const start = performance.now();
    this.#stopped = true;
    await this.#input.close();
    const what = `"${this.#role}" has closed everything and does not end`;
    const { success, code } = await limited(what, END_LIMIT, this.#process.status);
    const took = performance.now() - start;
    await this.#over;
    running.delete(this);
    if (!success) throw new Error(`"${this.#role}" ended with ${code}: ${this.#noise.trim()}`);
    if (this.#noise !== "") throw new Error(`"${this.#role}" wrote: ${this.#noise.trim()}`);
    return took;
  }

  /** Kills it and waits until it is gone. */
  async kill(): Promise<void> {
    if (!running.delete(this)) return;
    this.killNow();
    await this.#process.status;
    await this.#input.abort().catch(() => {});
    await this.#over;
  }

  /** Kills it without waiting. */
  killNow(): void {
    this.#stopped = true;
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  #answer(id: number): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    return answer.promise;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(line);
    }
  }

  #take(line: string): void {
    if (!line.startsWith("{")) {
      this.#noise += `${line}\n`;
      return;
    }
    const { id, value, error }: Answer = JSON.parse(line);
    const answer = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(new Error(`"${this.#role}": ${error}`));
  }

  /** Keeps the end of what it writes to standard error. */
  async #listen(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#noise = (this.#noise + text).slice(-4000);
    }
  }

  #lost(): void {
    for (const { promise, reject } of this.#waiting.values()) {
      if (this.#stopped) promise.catch(() => {});
      reject(new Error(`"${this.#role}" is gone: ${this.#noise.trim() || "it said nothing"}`));
    }
    this.#waiting.clear();
  }
}

/** Kills all that are left and waits until they are gone. */
export async function killAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.kill()));
}

/** The same without waiting: for the end of this process itself. */
export function killAllNow(): void {
  for (const child of running) child.killNow();
}

/** What a promise brings, if it does so within `limit` milliseconds. */
export async function limited<Value>(what: string, limit: number, promise: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function commandLine({ name, path }: Program, file: string): [command: string, ...args: string[]] {
  const script = fileURLToPath(file);
  switch (name) {
    case "deno": // `deno task ok` checks the types.
      return [path, "run", "-A", "--no-check", "--quiet", "--v8-flags=--expose-gc", script];
    case "bun":
      return [path, script];
    case "node":
      return [path, "--expose-gc", script];
  }
}
