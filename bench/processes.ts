/**
 * The orchestrator's side of the child processes: starting them, reading what they tell, and ending every one of them.
 *
 * @module
 */

import type { ChildLine } from "./channel.ts";

/** A command and its arguments. */
export type CommandLine = readonly [command: string, ...args: string[]];

const running = new Set<Child>();

/** One child process that speaks in JSON lines. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;
  readonly #errors: Promise<string>;

  /** Starts it. */
  constructor([command, ...args]: CommandLine) {
    this.#process = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
    running.add(this);
    this.#input = this.#process.stdin.getWriter();
    this.#lines = linesOf(this.#process.stdout);
    this.#errors = tailOf(this.#process.stderr);
  }

  /** The next value that it tells as its result; `asked` answers what it asks in between. Rejects when it fails or ends. */
  async result(asked?: (value: unknown) => Promise<unknown>): Promise<unknown> {
    while (true) {
      const { done, value } = await this.#lines.next();
      if (done === true) throw new Error(`The process ended: ${(await this.#errors).trim() || "it said nothing"}`);
      const line: ChildLine = JSON.parse(value);
      if (line.type === "failed") throw new Error(line.message);
      if (line.type === "result") return line.value;
      if (asked === undefined) throw new Error("The process asked, and nobody answers");
      await this.send(await asked(line.value));
    }
  }

  /** Sends it a value. */
  async send(value: unknown): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
  }

  /** Kills it and waits until it is gone. */
  async kill(): Promise<void> {
    if (!running.delete(this)) return;
    this.killNow();
    await this.#process.status;
    await this.#input.abort().catch(() => {});
  }

  /** Kills it without waiting. */
  killNow(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

/** Kills every child at once: for the end of the orchestrator itself. */
export function killAll(): void {
  for (const child of running) child.killNow();
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** The end of what it writes to standard error. */
async function tailOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let tail = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) tail = (tail + text).slice(-4000);
  return tail;
}
