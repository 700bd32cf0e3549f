/**
 * The help of commands as the page about the command line has it: what is the same for many commands only once.
 *
 * @module
 */

import type { Command } from "commander";

/** Returns the help of a command, without the options that others have, too. */
export function helpOf(command: Command): string {
  return partsOf(command).filter((part) => !/^(?:Connection|Global Options):/.test(part)).join("\n\n");
}

/** Returns the part of the help with the options of a connection; `undefined` if the command makes none. */
export function connectionHelp(command: Command): string | undefined {
  return partsOf(command).find((part) => part.startsWith("Connection:"));
}

function partsOf(command: Command): string[] {
  return command.helpInformation().trimEnd().split("\n\n");
}
