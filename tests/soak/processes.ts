/**
 * The processes of a scenario, seen from the one that runs it: each is called by name, and ended; none outlives the run.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { RuntimeName } from "../../scripts/runtimes.ts";
import { Obedient } from "../processes/obedient.ts";
import { limited } from "../processes/waiting.ts";

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
export class Child extends Obedient {
  /** What its role told when it was ready. */
  told: unknown;

  /** Starts one and waits until it is ready. */
  static async start(program: Program, file: string, role: string, config: unknown): Promise<Child> {
    const command = [...commandLine(program, file), role, JSON.stringify(config ?? {})];
    const child = new Child({ name: role, command, env: { NO_COLOR: "1" } });
    running.add(child);
    child.told = await child.ready(START_LIMIT);
    return child;
  }

  /** Freezes it. */
  stop(): void {
    this.signal("SIGSTOP");
  }

  /** Lets it go on. */
  go(): void {
    this.signal("SIGCONT");
  }

  /** Calls `close`, and waits until the process has ended by itself; returns how long that took, in milliseconds. */
  async end(): Promise<number> {
    await this.call("close");
    const start = performance.now();
    this.dismiss();
    await limited(`"${this.name}" has closed everything and does not end`, END_LIMIT, this.over);
    const took = performance.now() - start;
    running.delete(this);
    if (this.exitCode !== 0) throw new Error(`"${this.name}" ended with ${this.exitCode}: ${this.noise}`);
    if (this.noise !== "") throw new Error(`"${this.name}" wrote: ${this.noise}`);
    return took;
  }

  /** Kills it and waits until it is gone. */
  override async kill(): Promise<void> {
    if (running.delete(this)) await super.kill();
  }
}

/** Kills all that are left and waits until they are gone. */
export async function killAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.kill()));
}

/** The same without waiting: for the end of this process itself. */
export function killAllNow(): void {
  for (const child of running) child.signal("SIGKILL");
}

function commandLine({ name, path }: Program, file: string): string[] {
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
