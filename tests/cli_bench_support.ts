/**
 * `veltix bench` in a test: a terminal that keeps what is written, and a process of this runtime.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { run } from "../src/cli/mod.ts";
import { ROOT } from "../scripts/runtimes.ts";

/** What a command did. */
export interface Done {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Where it runs. */
export interface Place {
  readonly signal?: AbortSignal;
  /** Called with what is written to the standard error output. */
  readonly onError?: (text: string) => void;
  /** True for a terminal, false for pipes. @default false */
  readonly isTerminal?: boolean;
}

/** Runs `veltix bench` with so many arguments in this process. */
export async function bench(args: readonly string[], place: Place = {}): Promise<Done> {
  const { isTerminal = false, onError, signal = new AbortController().signal } = place;
  let out = "";
  let err = "";
  const code = await run(["bench", ...args], {
    out: (text) => void (out += typeof text === "string" ? text : new TextDecoder().decode(text)),
    err(text): void {
      err += text;
      onError?.(text);
    },
    async *input(): AsyncGenerator<Uint8Array> {},
    isTerminal: { input: isTerminal, output: isTerminal, error: isTerminal },
    columns: 80,
    env: {},
    signal,
  });
  return { code, out, err };
}

/** Starts `veltix` in a process of its own. */
export function startVeltix(...args: readonly string[]): ChildProcess {
  const deno = process.versions.deno === undefined ? [] : ["run", "-A", "--no-check", "--quiet"];
  return spawn(process.execPath, [...deno, `${ROOT}src/cli/mod.ts`, ...args], { stdio: ["ignore", "pipe", "pipe"] });
}
