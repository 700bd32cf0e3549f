/**
 * The script that completes command lines in fish.
 *
 * @module
 */

import type { CommandEntry, OptionEntry, Takes } from "./tree.ts";

/** Returns the script. */
export function fishScript(entries: readonly CommandEntry[]): string {
  const names = entries[0].commands.map(({ name }) => name).join(" ");
  const lines = [
    "# Completions of veltix for fish. Run once: veltix completions fish > ~/.config/fish/completions/veltix.fish",
    "complete -c veltix -f",
  ];
  for (const { commands, options, path, takes } of entries) {
    const deeper = commands.map(({ name }) => name).join(" ");
    const here = path.length === 0
      ? `not __fish_seen_subcommand_from ${names}`
      : path.map((name) => `__fish_seen_subcommand_from ${name}`).join("; and ");
    const first = path.length === 0 || deeper === "" ? here : `${here}; and not __fish_seen_subcommand_from ${deeper}`;
    for (const { name, summary } of commands) {
      lines.push(`complete -c veltix -n ${quoted(first)} -a ${name} -d ${quoted(summary)}`);
    }
    for (const option of options) lines.push(`complete -c veltix -n ${quoted(here)} ${optionWords(option)}`);
    for (const one of takes) {
      const offered = offering(one);
      if (offered !== "") lines.push(`complete -c veltix -n ${quoted(here)} ${offered}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function optionWords({ description, flags, takes }: OptionEntry): string {
  const words = flags.map((flag) => flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`);
  if (takes.kind !== "none") words.push("-r");
  const offered = offering(takes);
  if (offered !== "") words.push(offered);
  return `${words.join(" ")} -d ${quoted(description)}`;
}

function offering({ choices, kind }: Takes): string {
  return kind === "file" ? "-F" : kind === "choices" ? `-a ${quoted(choices.join(" "))}` : "";
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
