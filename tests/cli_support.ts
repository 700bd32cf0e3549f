/**
 * Command lines in a test: within this process, with a terminal that is none, or as a process of their own.
 *
 * @module
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "../src/cli/program.ts";
import { Interruption, type Terminal } from "../src/cli/terminal.ts";
import { Server, type ServerConfig } from "../mod.ts";
import { limited } from "./processes/waiting.ts";

/** How long a child may take, in milliseconds. */
const LIMIT = 50_000;
const CLI = fileURLToPath(new URL("../src/cli/mod.ts", import.meta.url));
const FLAGS = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];

/** Options of a {@linkcode FakeTerminal}. */
export interface FakeTerminalOptions {
  readonly input?: string | Uint8Array;
  /** True if people look at it. */
  readonly interactive?: boolean;
  readonly columns?: number;
  readonly env?: Terminal["env"];
}

/** A terminal that keeps what is written to it. */
export class FakeTerminal implements Terminal {
  output = "";
  errors = "";
  readonly isTerminal: Terminal["isTerminal"];
  readonly columns: number;
  readonly env: Terminal["env"];
  readonly #controller = new AbortController();
  readonly #input: Uint8Array;
  readonly #waiting = new Set<() => void>();

  constructor({ columns = 80, env = {}, input = "", interactive = false }: FakeTerminalOptions = {}) {
    this.columns = columns;
    this.env = env;
    this.isTerminal = { input: interactive, output: interactive, error: interactive };
    this.#input = typeof input === "string" ? new TextEncoder().encode(input) : input;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  out(text: string | Uint8Array): void {
    this.output += typeof text === "string" ? text : new TextDecoder().decode(text);
    for (const look of this.#waiting) look();
  }

  err(text: string): void {
    this.errors += text;
    for (const look of this.#waiting) look();
  }

  async *input(): AsyncGenerator<Uint8Array> {
    // In two pieces, as a pipe may bring it.
    const half = this.#input.length >> 1;
    yield this.#input.subarray(0, half);
    yield this.#input.subarray(half);
  }

  /** Presses Ctrl+C. */
  interrupt(): void {
    this.#controller.abort(new Interruption("SIGINT"));
  }

  /** Waits until the output, the errors included, matches. Returns the match. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    let look = (): void => {};
    try {
      return await limited(
        `${pattern} in the output`,
        LIMIT,
        new Promise((resolve) => {
          look = () => {
            const match = pattern.exec(this.output + this.errors);
            if (match !== null) resolve(match);
          };
          this.#waiting.add(look);
          look();
        }),
      );
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** The output, a JSON value a line. */
  get json(): unknown[] {
    return this.output.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }
}

/** A command that runs. */
export interface Running extends AsyncDisposable {
  readonly terminal: FakeTerminal;
  readonly code: Promise<number>;
}

/** Starts a command in this process. Disposing of it presses Ctrl+C. */
export function start(args: readonly string[], options: FakeTerminalOptions = {}): Running {
  const terminal = new FakeTerminal(options);
  const code = run(args, terminal);
  return {
    terminal,
    code,
    async [Symbol.asyncDispose](): Promise<void> {
      terminal.interrupt();
      await code;
    },
  };
}

/** What a command has printed, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly json: unknown[];
}

/** Runs a command in this process to its end. */
export async function cli(args: readonly string[], options: FakeTerminalOptions = {}): Promise<Outcome> {
  const terminal = new FakeTerminal(options);
  const code = await limited(`veltix ${args.join(" ")}`, LIMIT, run(args, terminal));
  const { errors, output } = terminal;
  return {
    code,
    out: output,
    err: errors,
    get json() {
      return terminal.json;
    },
  };
}

/** Starts a server at a free port, with what a test adds to it. Returns it and its address as it is typed. */
export async function serverFor(
  prepare: (server: Server) => void,
  config: ServerConfig = {},
): Promise<{ server: Server; at: string }> {
  const at = config.listen === undefined && config.path === undefined ? { hostname: "127.0.0.1", port: 0 } : {};
  const server = new Server({ ...at, quiet: true, logger: { warn: () => {}, error: () => {} }, ...config });
  prepare(server);
  await server.start();
  const [address] = server.addresses;
  return { server, at: "path" in address ? `unix:${address.path}` : `127.0.0.1:${address.port}` };
}

/** A process that runs a command. */
export interface CliProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves with the exit code, or the name of the signal that has ended it. */
  readonly exit: Promise<number | string | null>;
  readonly out: () => string;
  readonly err: () => string;
  /** Waits until the output matches. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  write(text: string): void;
  end(): void;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
  /** Closes the reading end of its output. */
  leave(): void;
}

/** Starts a command as a process of its own, on this runtime. */
export function spawnCli(args: readonly string[], env: Record<string, string> = {}): CliProcess {
  const child = spawn(process.execPath, [...FLAGS, CLI, ...args], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  const waiting = new Set<() => void>();
  const hear = (add: (text: string) => void) => (text: string): void => {
    add(text);
    for (const look of waiting) look();
  };
  child.stdout.setEncoding("utf8").on("data", hear((text) => out += text));
  child.stderr.setEncoding("utf8").on("data", hear((text) => err += text));
  child.stdin.on("error", () => {});
  const exit = new Promise<number | string | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  return {
    pid: child.pid!,
    exit: limited(`veltix ${args.join(" ")}`, LIMIT, exit),
    out: () => out,
    err: () => err,
    says: (pattern) =>
      limited(
        `${pattern} in the output`,
        LIMIT,
        new Promise<RegExpExecArray>((resolve) => {
          const look = (): void => {
            const match = pattern.exec(out + err);
            if (match === null) return;
            waiting.delete(look);
            resolve(match);
          };
          waiting.add(look);
          look();
        }),
      ),
    write: (text) => void child.stdin.write(text),
    end: () => void child.stdin.end(),
    // Deno says of a child that `child.kill` was called for that the signal has ended it, whatever it did.
    kill: (signal) => void process.kill(child.pid!, signal),
    leave: () => void child.stdout.destroy(),
    async [Symbol.asyncDispose](): Promise<void> {
      child.stdin.end();
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exit;
    },
  };
}
