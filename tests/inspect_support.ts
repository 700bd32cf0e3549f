/**
 * What the tests of `veltix inspect` and `veltix decode` share: a terminal that keeps what is printed, a proxy that runs, and
 * raw connections.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, type Terminal } from "../src/cli/mod.ts";
import { Conversation } from "../src/cli/inspect/conversation.ts";
import { loadKnowledge } from "../src/cli/inspect/knowledge.ts";
import type { Seen, SeenFrame, Sender } from "../src/cli/inspect/seen.ts";
import type { Protocol } from "../src/wire/protocols.ts";

/** A terminal that keeps what is printed, line by line. */
export class KeptTerminal implements Terminal {
  readonly isTerminal = { input: false, output: false, error: false };
  readonly columns = 200;
  readonly env: Record<string, string | undefined>;
  readonly controller = new AbortController();
  readonly signal: AbortSignal = this.controller.signal;
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly #input: Uint8Array;
  #wake: (() => void)[] = [];

  constructor(input: Uint8Array = new Uint8Array(0), env: Record<string, string | undefined> = {}) {
    this.#input = input;
    this.env = env;
  }

  out(text: string | Uint8Array): void {
    this.lines.push(...String(text).replace(/\n$/, "").split("\n"));
    for (const wake of this.#wake.splice(0)) wake();
  }

  err(text: string): void {
    this.errors.push(text);
  }

  async *input(): AsyncIterable<Uint8Array> {
    // In pieces, as a pipe may bring it.
    for (let at = 0; at < this.#input.length; at += 1000) yield await this.#input.subarray(at, at + 1000);
  }

  /** The printed JSON values. */
  get values(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line));
  }

  /** Resolves when something that was printed fulfils a condition. */
  async until(done: (lines: readonly string[]) => boolean): Promise<void> {
    while (!done(this.lines)) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }
}

/** Runs a command to its end. */
export async function runKept(
  args: readonly string[],
  input?: Uint8Array,
): Promise<{ code: number; terminal: KeptTerminal }> {
  const terminal = new KeptTerminal(input);
  return { code: await run(args, terminal), terminal };
}

/** A command that runs until it is stopped, with `--json`. */
export interface Running {
  readonly terminal: KeptTerminal;
  /** Where it listens: its port, or 0 for a unix socket. */
  readonly port: number;
  /** Ends it, and resolves with its exit code. */
  stop(): Promise<number>;
  readonly code: Promise<number>;
}

/** Starts `veltix inspect --json` with these arguments. */
export async function startInspect(...args: string[]): Promise<Running> {
  const terminal = new KeptTerminal();
  const code = run(["--json", "inspect", ...args], terminal);
  await Promise.race([
    terminal.until((lines) => lines.some((line) => line.includes('"listening"'))),
    code.then(() => Promise.reject(new Error(`It does not listen: ${terminal.errors.join("")}`))),
  ]);
  const { address } = terminal.values[0] as { address: string };
  return {
    terminal,
    port: Number(address.split(":").at(-1)) || 0,
    code,
    stop: () => {
      terminal.controller.abort();
      return code;
    },
  };
}

/** A folder that is removed when it is disposed of. */
export function folder(): { file(name: string): string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "veltix-"));
  return {
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Reads chunks of both ends, and returns what was seen. */
export async function readAll(
  chunks: Iterable<readonly [from: Sender, bytes: Uint8Array]>,
  protocol?: Protocol,
): Promise<Seen[]> {
  const seen: Seen[] = [];
  const conversation = new Conversation(await loadKnowledge({ protocol }), (one) => seen.push(one));
  for (const [from, bytes] of chunks) conversation.push(from, bytes);
  for (const from of ["server", "client"] as const) conversation.end(from);
  return seen;
}

/** The frames among what was seen. */
export function framesOf(seen: readonly Seen[]): SeenFrame[] {
  return seen.filter((one): one is SeenFrame => one.type === "frame");
}

/** Cuts bytes into pieces of a size. */
export function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
