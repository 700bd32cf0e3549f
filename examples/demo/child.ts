/**
 * The leader's side of a process: starting it, telling it what to do, hearing what it reports, and ending it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ROOT, type RuntimeName } from "../../scripts/runtimes.ts";
import type { Command, Report } from "./channel.ts";

const ARGUMENTS: Record<RuntimeName, readonly string[]> = {
  deno: ["run", "-A", "--no-check", "--quiet"],
  bun: [],
  node: ["--disable-warning=ExperimentalWarning"],
};

/** A process of the demonstration. */
export class Child {
  /** Settles, never rejects, with what ended it; `undefined` where it ended well. */
  readonly ended: Promise<string | undefined>;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  /**
   * Starts it.
   *
   * @param runtime Name and executable.
   * @param script A file beside this one.
   * @param setup What it gets as its argument.
   * @param hear Called with each report.
   */
  constructor(
    runtime: { readonly name: RuntimeName; readonly path: string },
    script: string,
    setup: unknown,
    hear: (report: Report) => void,
  ) {
    const file = fileURLToPath(new URL(script, import.meta.url));
    this.#process = new Deno.Command(runtime.path, {
      args: [...ARGUMENTS[runtime.name], file, JSON.stringify(setup)],
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.ended = this.#follow(hear);
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Tells it what to do. That it has ended meanwhile shows in {@linkcode ended}. */
  tell(command: Command): void {
    this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`)).catch(() => {});
  }

  /** Ends it at once. */
  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  async #follow(hear: (report: Report) => void): Promise<string | undefined> {
    let failure: string | undefined;
    const errors = tailOf(this.#process.stderr);
    for await (const text of linesOf(this.#process.stdout)) {
      const report = parsed(text);
      if (report.type === "failed") failure ??= report.message;
      else hear(report);
    }
    const { code, signal } = await this.#process.status;
    const lastWords = (await errors).trim();
    if (failure !== undefined) return failure;
    if (code === 0 && signal === null) return undefined;
    const how = signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`;
    return lastWords === "" ? how : `${how}: ${lastWords}`;
  }
}

function parsed(text: string): Report {
  try {
    return JSON.parse(text);
  } catch {
    return { type: "failed", message: `It wrote what is no report: ${text.slice(0, 200)}` };
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function tailOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let tail = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) tail = (tail + text).slice(-2_000);
  return tail;
}
