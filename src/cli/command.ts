/**
 * What a command of the command line is made of.
 *
 * @module
 */

import type { Command } from "commander";
import { Output, type OutputOptions } from "./output.ts";
import type { Terminal } from "./terminal.ts";

/** What adds one command to the program. */
export type CommandModule = (program: Command, context: CommandContext) => void;

/** What all commands of one run share. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Returns the output of a command, by the options of the program. */
  output(command: Command): Output;
}

/** Makes the context of one run. */
export function makeContext(terminal: Terminal): CommandContext {
  return { terminal, output: (command) => new Output(terminal, command.optsWithGlobals<OutputOptions>()) };
}
