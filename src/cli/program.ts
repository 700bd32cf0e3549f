/**
 * The program `veltix` with its commands.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { ConfigError, ConnectionError, HandshakeError, ProtocolError, RemoteError, TimeoutError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { benchCommand } from "./bench/command.ts";
import { type CommandContext, type CommandModule, makeContext } from "./command.ts";
import { fingerprintCommand } from "./commands/fingerprint.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** The commands, in the order in which `--help` lists them. */
const COMMANDS: readonly CommandModule[] = [benchCommand, keygenCommand, fingerprintCommand];

/** Returns the program. */
export function makeProgram(context: CommandContext): Command {
  const { terminal } = context;
  const program = new Command("veltix")
    .description("Talks to Veltix servers, measures them, and shows what is on the wire.")
    .version(VERSION)
    .option("--json", "print JSON, one value a line")
    .option("-q, --quiet", "print results only")
    .option("--no-color", "print without colours")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  for (const add of COMMANDS) add(program, context);
  return program;
}

/**
 * Runs a command line.
 *
 * @param args The arguments, without the runtime and the file.
 * @param terminal Where it reads and writes. Default: the terminal of this process.
 * @returns The exit code.
 *
 * @example The version
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { run } from "@veltix/core/cli";
 *
 * assertEquals(await run(["--version"]), 0);
 * ```
 */
export async function run(args: readonly string[], terminal?: Terminal): Promise<number> {
  if (terminal !== undefined) return await runIn(terminal, args);
  using own = processTerminal();
  return await runIn(own, args);
}

async function runIn(terminal: Terminal, args: readonly string[]): Promise<number> {
  const context = makeContext(terminal);
  try {
    await makeProgram(context).parseAsync([...args], { from: "user" });
    return ExitCode.OK;
  } catch (error) {
    // It has printed what is wrong.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE;
    if (terminal.signal.aborted) return ExitCode.INTERRUPTED;
    const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
    const text = typeof message === "string" ? message : String(error);
    const json = args.includes("--json");
    terminal.err(json ? `${JSON.stringify({ error: code ?? "failed", message: text })}\n` : `veltix: ${text}\n`);
    return exitCodeOf(error);
  }
}

/** Returns the exit code for an error. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof TimeoutError) return ExitCode.TIMEOUT;
  if (error instanceof RemoteError) return ExitCode.REMOTE;
  if (error instanceof ConnectionError || error instanceof HandshakeError || error instanceof ProtocolError) {
    return ExitCode.NO_CONNECTION;
  }
  if (error instanceof ConfigError || error instanceof RangeError) return ExitCode.USAGE;
  return ExitCode.FAILED;
}
