/**
 * The terminal that a command runs in. Tests give a command a terminal of their own.
 *
 * @module
 */

import process from "node:process";

/**
 * Where a command reads and writes.
 *
 * @category Command line
 */
export interface Terminal {
  /** Writes to the standard output, as it is. */
  out(text: string | Uint8Array): void;
  /** Writes to the standard error output, as it is. */
  err(text: string): void;
  /** Resolves when the reader of the standard output has caught up. Without this method, it always has. */
  drained?(): Promise<void>;
  /** The chunks of the standard input. They end when {@linkcode signal} is aborted. */
  input(): AsyncIterable<Uint8Array>;
  /** True if the standard input, output or error output is a terminal, and not a pipe or a file. */
  readonly isTerminal: { readonly input: boolean; readonly output: boolean; readonly error: boolean };
  /** The width of the terminal, in columns. */
  readonly columns: number;
  /** The environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Aborted when the user interrupts the command by Ctrl+C, when it is asked to end, or when nobody reads its output any
   * more. The reason is an {@linkcode Interruption}.
   */
  readonly signal: AbortSignal;
}

/** Why a command is to end early. */
export class Interruption extends Error {
  override readonly name = "AbortError";
  /** `"SIGINT"` for Ctrl+C, `"SIGTERM"`, or `"SIGPIPE"` if the reader of the output has left, as `head` does. */
  readonly by: "SIGINT" | "SIGPIPE" | "SIGTERM";

  constructor(by: Interruption["by"]) {
    super(by === "SIGPIPE" ? "Nobody reads the output" : `Interrupted by ${by}`);
    this.by = by;
  }
}

/** What a second signal does, while a command still closes what it has opened. */
const EXIT_AT_ONCE = { SIGINT: 130, SIGTERM: 143 } as const;

/** What becomes of errors of the outputs that nobody else hears of: what cannot be told cannot be told. */
function ignored(): void {}

/** Returns the terminal of this process. It listens to signals until it is disposed of. */
export function processTerminal(): Terminal & Disposable {
  const controller = new AbortController();
  const { signal } = controller;
  const { stdin, stdout, stderr } = process;
  const ended = (by: "SIGINT" | "SIGTERM") => (): void => {
    if (signal.aborted) process.exit(EXIT_AT_ONCE[by]);
    controller.abort(new Interruption(by));
  };
  const listeners = { SIGINT: ended("SIGINT"), SIGTERM: ended("SIGTERM") };
  // A reader such as `head` closes the pipe early. That is no fault of the command.
  const left = (): void => controller.abort(new Interruption("SIGPIPE"));
  /** All who wait for the reader of the output wait for the same. */
  let draining: Promise<void> | undefined;
  for (const [name, listener] of Object.entries(listeners)) process.on(name, listener);
  stdout.on("error", left);
  // These stay: the last lines may still be on their way when the command has ended.
  for (const stream of [stdout, stderr]) {
    if (!stream.listeners("error").includes(ignored)) stream.on("error", ignored);
  }
  return {
    out: (text) => {
      const nobody = signal.reason instanceof Interruption && signal.reason.by === "SIGPIPE";
      if (!nobody && !stdout.destroyed) stdout.write(text);
    },
    err: (text) => {
      if (!stderr.destroyed) stderr.write(text);
    },
    drained: () => {
      if (!stdout.writableNeedDrain || stdout.destroyed || signal.aborted) return Promise.resolve();
      return draining ??= new Promise<void>((resolve) => {
        const done = (): void => {
          draining = undefined;
          stdout.off("drain", done).off("close", done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        stdout.on("drain", done).on("close", done);
        signal.addEventListener("abort", done);
      });
    },
    input: async function* (): AsyncGenerator<Uint8Array> {
      const stop = (): void => void stdin.destroy();
      if (signal.aborted) return;
      signal.addEventListener("abort", stop, { once: true });
      try {
        for await (const chunk of stdin) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
    isTerminal: { input: stdin.isTTY === true, output: stdout.isTTY === true, error: stderr.isTTY === true },
    get columns() {
      return stdout.columns ?? stderr.columns ?? 80;
    },
    env: readable(process.env),
    signal,
    [Symbol.dispose]: () => {
      for (const [name, listener] of Object.entries(listeners)) process.off(name, listener);
      stdout.off("error", left);
    },
  };
}

/** Returns the environment, in which a variable that may not be read is one that is not set, as on Deno. */
function readable(env: Readonly<Record<string, string | undefined>>): Terminal["env"] {
  // The target is empty: that of a proxy is asked, too, and would throw.
  return new Proxy({}, {
    get(_target, name): string | undefined {
      try {
        return typeof name === "string" ? env[name] : undefined;
      } catch {
        return undefined;
      }
    },
  });
}
