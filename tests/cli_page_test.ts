/** The page about the command line names all that there is, as the program says it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Command } from "commander";
import { readFileSync } from "node:fs";
import { connectionHelp, helpOf } from "../scripts/cli_help.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { makeContext } from "../src/cli/command.ts";
import { commandTree } from "../src/cli/completions/tree.ts";
import { ExitCode } from "../src/cli/exit_codes.ts";
import { makeProgram } from "../src/cli/program.ts";
import { FakeTerminal } from "./cli_support.ts";

const page = readFileSync(`${ROOT}docs/cli.md`, "utf8");
const program = makeProgram(makeContext(new FakeTerminal({ columns: 80 })));
const commands = program.commands.filter((command) => command.name() !== "help");

/** Returns the part of the page about a command. */
function sectionOf(title: string): string {
  const [, rest] = page.split(`\n### ${title}\n`);
  assert(rest !== undefined, `docs/cli.md has no section "${title}": run deno task cli-page`);
  return rest.split("\n### ")[0];
}

describe("docs/cli.md", () => {
  it("has a section for each command, with its help as it is now: run deno task cli-page", () => {
    assertStringIncludes(sectionOf("`veltix`"), helpOf(program));
    for (const command of commands) assertStringIncludes(sectionOf(`\`veltix ${command.name()}\``), helpOf(command));
    assertEquals(page.match(/^### `veltix \w+`$/gm)?.length, commands.length);
  });

  it("has the options of a connection once, which are the same for all that connect", () => {
    const forms = commands.map(connectionHelp).filter((help) => help !== undefined).map(withoutWidth);
    assert(forms.length > 3);
    assertEquals(new Set(forms).size, 1);
    assertEquals(withoutWidth(sectionOf("Options of a connection").split("```")[1].replace(/^text\n/, "")), forms[0]);
  });

  it("names each option of each command", () => {
    for (const { options, path } of commandTree(program)) {
      for (const { flags } of options) {
        for (const flag of flags) assertStringIncludes(page, flag, `veltix ${path.join(" ")} ${flag}`);
      }
    }
  });

  it("has each exit code in its table, and no other", () => {
    const table = page.split("## Exit codes")[1].split("\n## ")[0];
    assertEquals([...table.matchAll(/^\| (\d+) /gm)].map(([, code]) => Number(code)), Object.values(ExitCode));
  });

  it("says of each command what it prints as JSON", () => {
    const table = page.split("## JSON")[1].split("\n## ")[0];
    const missing = commands.map((command: Command) => command.name()).filter((name) =>
      !table.includes(`| \`${name}\``)
    );
    assertEquals(missing, []);
  });
});

/** Texts are wrapped at other places where the names beside them are longer. */
function withoutWidth(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
