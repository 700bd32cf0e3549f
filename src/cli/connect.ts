/**
 * The connection of a command: made, used, and closed whatever happens.
 *
 * @module
 */

import type { Command } from "commander";
import { Client } from "../auto/client.ts";
import type { Log } from "../app/log.ts";
import type { CommandContext } from "./command.ts";
import { made } from "./exit_codes.ts";
import type { Output } from "./output.ts";
import { clientConfig, type TargetOptions } from "./target.ts";

/** How long closing a connection may take once its command is done, in milliseconds. */
const DRAIN = 2_000;

/** What a command works with. */
export interface Connected {
  readonly client: Client;
  readonly output: Output;
}

/**
 * Connects to a server, and calls `work` with the client.
 *
 * @param context The context of the command.
 * @param command The command.
 * @param address The address, as it is typed.
 * @param options The options of the connection.
 * @param work What to do. The client is closed when it settles.
 * @param prepare Called before connecting, so that no message is missed.
 */
export async function withClient<Result>(
  context: CommandContext,
  command: Command,
  address: string,
  options: TargetOptions,
  work: (connected: Connected) => Promise<Result>,
  prepare?: (connected: Connected) => void,
): Promise<Result> {
  const { terminal } = context;
  const output = context.output(command);
  const config = await clientConfig(address, options);
  const client = made(() => new Client({ ...config, logger: logTo(output) }));
  const connected = { client, output };
  try {
    prepare?.(connected);
    output.progress(`Connecting to ${address} …`);
    await client.connect({ signal: terminal.signal });
    output.clear();
    return await work(connected);
  } finally {
    output.clear();
    await client.close({ drain: terminal.signal.aborted ? 0 : DRAIN });
  }
}

/** Returns a logger whose lines are notes. */
export function logTo(output: Output): Log {
  return {
    warn: (message) => output.note(`warning: ${message}`),
    error: (message) => output.note(`error: ${message}`),
  };
}

/** Waits until the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Waits for a number of milliseconds, or until the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal.addEventListener("abort", done, { once: true });
  });
}
