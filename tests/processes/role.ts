/**
 * A process of a scenario, seen from inside: it obeys commands, one JSON value a line, and must end by itself when `close`
 * has been done. When whoever started it is gone, it ends at once.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";

/** What a process can be told to do. */
export interface Commands {
  /** Told to whoever started it. */
  readonly ready?: unknown;
  /** Closes everything. */
  close(): unknown;
  // deno-lint-ignore no-explicit-any
  readonly [command: string]: ((argument: any) => unknown) | unknown;
}

/** What it answers to a command; the first is that it is ready, with the number 0. */
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Makes the commands of a role out of its configuration. */
// deno-lint-ignore no-explicit-any
export type Role = (config: any) => Commands | Promise<Commands>;

/** Plays the role that the command line names. */
export async function play(roles: Readonly<Record<string, Role>>): Promise<void> {
  const [, , role, config] = process.argv;
  let ending = false;
  const tell = (answer: Answer): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);
  const run = async (id: number, work: () => unknown): Promise<void> => {
    try {
      tell({ id, value: await work() });
    } catch (error) {
      tell({ id, error: (error as Error)?.stack ?? String(error) });
    }
  };
  let commands: Commands;
  try {
    commands = await roles[role](JSON.parse(config));
  } catch (error) {
    tell({ id: 0, error: (error as Error)?.stack ?? String(error) });
    process.exit(1);
  }
  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => {
    const { id, command, argument } = JSON.parse(line);
    void run(id, () => {
      if (command === "close") ending = true;
      return (commands[command] as (argument: unknown) => unknown)(argument);
    });
  });
  input.on("close", () => {
    // From here on the process has to end by itself.
    if (!ending) process.exit(1);
  });
  tell({ id: 0, value: commands.ready });
}
