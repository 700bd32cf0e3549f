/**
 * The program `veltix` with its commands.
 *
 * @module
 */

import { Command, CommanderError, Help, type Option } from "commander";
import { VERSION } from "../version.ts";
import { benchCommand } from "./bench/command.ts";
import { type CommandContext, type CommandModule, makeContext } from "./command.ts";
import { completionsCommand } from "./commands/completions.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { fingerprintCommand } from "./commands/fingerprint.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { listenCommand } from "./commands/listen.ts";
import { pingCommand } from "./commands/ping.ts";
import { requestCommand } from "./commands/request.ts";
import { sendCommand } from "./commands/send.ts";
import { serveCommand } from "./commands/serve.ts";
import { EXIT_CODE_MEANINGS, ExitCode } from "./exit_codes.ts";
import { exitCodeOf, exitCodeOfInterruption, failureOf } from "./failure.ts";
import { decodeCommand } from "./inspect/decode_command.ts";
import { inspectCommand } from "./inspect/inspect_command.ts";
import { jsonLine, type OutputOptions } from "./output.ts";
import { CONNECTION_GROUP } from "./target.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** The commands, in the order in which `--help` lists them. One line each. */
const COMMANDS: readonly CommandModule[] = [
  serveCommand,
  pingCommand,
  sendCommand,
  requestCommand,
  listenCommand,
  benchCommand,
  inspectCommand,
  decodeCommand,
  doctorCommand,
  keygenCommand,
  fingerprintCommand,
  completionsCommand,
];

/**
 * Returns the program.
 *
 * @param json True to print nothing about a wrong use: {@linkcode run} prints it as JSON.
 */
export function makeProgram(context: CommandContext, json = false): Command {
  const { terminal } = context;
  const program = new Command("veltix")
    .description("Talks to Veltix servers, measures them, and shows what is on the wire.")
    .version(VERSION)
    .option("--json", "print JSON, one value a line")
    .option("-q, --quiet", "print results only")
    .option("-v, --verbose", "print more, and the stack of an error")
    .option("--no-color", "print without colors")
    .addHelpText("after", () => `\nExit codes:\n${exitCodeLines()}`)
    .showHelpAfterError("(add --help for the options)")
    .exitOverride()
    .configureHelp({
      showGlobalOptions: true,
      minWidthToWrap: 10,
      subcommandTerm: (command) => command.name(),
      groupItems: connectionLast,
    })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => {
        if (!json) terminal.err(text);
      },
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(text.replace(/^error: /, "veltix: ")),
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
 *
 * @category Command line
 */
export async function run(args: readonly string[], terminal?: Terminal): Promise<number> {
  if (terminal !== undefined) return await runIn(terminal, args);
  const own = processTerminal();
  try {
    return await runIn(own, args);
  } finally {
    own[Symbol.dispose]();
  }
}

async function runIn(terminal: Terminal, args: readonly string[]): Promise<number> {
  const json = wantsJson(args);
  const program = makeProgram(makeContext(terminal), json);
  try {
    await program.parseAsync([...args], { from: "user" });
    return ExitCode.OK;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return ExitCode.OK;
      // Otherwise it has printed what is wrong.
      if (json) terminal.err(`${jsonLine({ error: "usage", message: usageText(error) })}\n`);
      return ExitCode.USAGE;
    }
    if (terminal.signal.aborted) return exitCodeOfInterruption(terminal.signal.reason);
    const { verbose } = program.opts<OutputOptions>();
    const { code, message, stack } = failureOf(error);
    const debug = verbose === true || terminal.env.VELTIX_DEBUG === "1";
    if (json) {
      terminal.err(`${jsonLine({ error: code, message, ...debug ? { stack } : {} })}\n`);
    } else terminal.err(`veltix: ${debug ? stack ?? message : message}\n`);
    return exitCodeOf(error);
  }
}

/** Returns whether JSON was asked for. The options may not have been read when something is wrong with them. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).includes("--json");
}

/** Returns what is wrong with the use of a command, on one line. */
function usageText(error: CommanderError): string {
  // Without a command, there is only the help.
  if (error.code === "commander.help") return "no command is given; --help lists them";
  return failureOf(error).message.replace(/^error: /, "");
}

/** Groups the options that `--help` shows. Those of the connection come after the command's own. */
function connectionLast<Item extends Command | Option>(
  this: Help,
  all: Item[],
  visible: Item[],
  groupOf: (item: Item) => string,
): Map<string, Item[]> {
  const groups = Help.prototype.groupItems.call(
    this,
    all,
    visible,
    groupOf as (item: Command | Option) => string,
  ) as Map<
    string,
    Item[]
  >;
  const connection = groups.get(CONNECTION_GROUP);
  groups.delete(CONNECTION_GROUP);
  return connection === undefined ? groups : groups.set(CONNECTION_GROUP, connection);
}

function exitCodeLines(): string {
  return EXIT_CODE_MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`).join("\n");
}
