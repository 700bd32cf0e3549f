/**
 * The commands and options of the program as data, from which the scripts for shells are made.
 *
 * @module
 */

import type { Argument, Command, Option } from "commander";

/** What an option or an argument takes. */
export interface Takes {
  /** `file`: a path. `choices`: one of a few words. `value`: anything else. */
  readonly kind: "choices" | "file" | "none" | "value";
  /** The words. */
  readonly choices: readonly string[];
}

/** An option. */
export interface OptionEntry {
  /** Its forms, such as `-p` and `--port`. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly takes: Takes;
}

/** A command. */
export interface CommandEntry {
  /** The names that lead to it, without that of the program; empty for the program itself. */
  readonly path: readonly string[];
  readonly summary: string;
  /** Its options, with those of the program. */
  readonly options: readonly OptionEntry[];
  /** What its arguments take, in their order. */
  readonly takes: readonly Takes[];
  /** The names and summaries of its commands. */
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
}

/** The names of values that are paths. */
const PATHS = /^(?:dir|file|folder|module|path)$/i;

/** Returns the program and all its commands, the program first. */
export function commandTree(program: Command): CommandEntry[] {
  const entries: CommandEntry[] = [];
  const visit = (command: Command, path: readonly string[], above: readonly OptionEntry[]): void => {
    const help = command.createHelp();
    const options = [...help.visibleOptions(command).map(optionEntry), ...above];
    const commands = help.visibleCommands(command);
    entries.push({
      path,
      summary: command.summary() || command.description(),
      options: options.filter(({ flags }, i) => options.findIndex((other) => other.flags[0] === flags[0]) === i),
      takes: command.registeredArguments.map(takesOf),
      commands: commands.map((one) => ({ name: one.name(), summary: one.summary() || one.description() })),
    });
    // The command `help` takes the names of the others.
    for (const one of commands) if (one.name() !== "help") visit(one, [...path, one.name()], ofAll(command, above));
  };
  visit(program, [], []);
  return entries;
}

/** Returns the options of a command that its commands have, too. */
function ofAll(command: Command, above: readonly OptionEntry[]): OptionEntry[] {
  return [...command.options.filter(({ long }) => long !== "--version").map(optionEntry), ...above];
}

function optionEntry(option: Option): OptionEntry {
  const { argChoices, description, flags, long, optional, required, short } = option;
  const name = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? "";
  const takes: Takes = argChoices !== undefined && argChoices.length > 0
    ? { kind: "choices", choices: argChoices }
    : { kind: !required && !optional ? "none" : PATHS.test(name) ? "file" : "value", choices: [] };
  return { flags: [short, long].filter((flag) => flag !== undefined && flag !== null), description, takes };
}

function takesOf(argument: Argument): Takes {
  const { argChoices } = argument;
  if (argChoices !== undefined && argChoices.length > 0) return { kind: "choices", choices: argChoices };
  return { kind: PATHS.test(argument.name().replace(/\.+$/, "")) ? "file" : "value", choices: [] };
}
