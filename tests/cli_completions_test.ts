/** `veltix completions`: the scripts for shells, run by the shells that are there. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { makeContext } from "../src/cli/command.ts";
import { commandTree } from "../src/cli/completions/tree.ts";
import { makeProgram } from "../src/cli/program.ts";
import { cli, FakeTerminal } from "./cli_support.ts";

const TREE = commandTree(makeProgram(makeContext(new FakeTerminal())));

function has(shell: string): boolean {
  return process.platform !== "win32" && spawnSync(shell, ["-c", "exit 0"]).status === 0;
}

const bash = has("bash");

/** Asks bash what may come next in some command lines. */
async function completed(...lines: readonly (readonly string[])[]): Promise<string[][]> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-cli-"));
  try {
    writeFileSync(join(folder, "script"), (await cli(["completions", "bash"])).out);
    writeFileSync(join(folder, "a file.ts"), "");
    const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
    const asking = lines.map((words) =>
      `COMP_WORDS=(${words.map(quoted).join(" ")}); COMP_CWORD=${words.length - 1}; _veltix; ` +
      `printf '%s\\n' "\${COMPREPLY[@]}"; echo ==`
    );
    const { stdout, stderr, status } = spawnSync("bash", ["--norc", "-c", `. ./script; ${asking.join("; ")}`], {
      cwd: folder,
      encoding: "utf8",
    });
    assertEquals([status, stderr], [0, ""]);
    return stdout.split("==\n").slice(0, -1).map((part) => part.split("\n").filter((word) => word !== ""));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("veltix completions", () => {
  (bash ? it : it.skip)("completes commands, options, choices and files in bash", async () => {
    const [commands, shells, options, choices, files, number, after, argument] = await completed(
      ["veltix", "se"],
      ["veltix", "completions", ""],
      ["veltix", "request", "8080", "200", "--js"],
      ["veltix", "request", "--as", ""],
      ["veltix", "ping", "8080", "--ca", "a"],
      ["veltix", "ping", "--count", ""],
      ["veltix", "--json", "request", "--timeout", "5", "8080", "--met"],
      ["veltix", "serve", "--port", "80", "a"],
    );
    assertEquals(commands, ["serve", "send"]);
    assertEquals(shells, ["bash", "zsh", "fish"]);
    assertEquals(options, ["--json-payload", "--json"]);
    assertEquals(choices, ["auto", "text", "json", "hex", "raw"]);
    assertEquals([files, argument], [["a file.ts"], ["a file.ts"]]);
    assertEquals([number, after], [[], ["--meta"]]);
  });

  (bash ? it : it.skip)("knows in bash each option of each command", async () => {
    const entries = TREE.filter(({ path }) => path.length > 0);
    const answers = await completed(...entries.map(({ path }) => ["veltix", ...path, "-"]));
    entries.forEach(({ options, path }, i) => {
      const flags = options.flatMap(({ flags }) => flags);
      assertEquals(answers[i].toSorted(), flags.toSorted(), path.join(" "));
    });
  });

  for (const shell of ["zsh", "fish"] as const) {
    it(`has for ${shell} each command and each option`, async () => {
      const { code, out } = await cli(["completions", shell]);
      assertEquals(code, 0);
      for (const { options, path } of TREE) {
        for (const name of path) assertStringIncludes(out, name);
        for (const { flags } of options) {
          for (const flag of flags) {
            const form = shell === "zsh"
              ? `'${flag}:`
              : flag.startsWith("--")
              ? `-l ${flag.slice(2)}`
              : `-s ${flag[1]}`;
            assertStringIncludes(out, form);
          }
        }
      }
    });

    (has(shell) ? it : it.skip)(`is read by ${shell} without a complaint`, async () => {
      const { out } = await cli(["completions", shell]);
      const { status, stderr } = spawnSync(shell, ["-n"], { input: out, encoding: "utf8" });
      assertEquals([status, stderr], [0, ""]);
    });
  }

  it("refuses a shell that it does not know, and names those that it knows", async () => {
    const { code, err } = await cli(["completions", "tcsh"]);
    assertEquals(code, 2);
    assertStringIncludes(err, "bash, zsh, fish");
    assert((await cli(["completions", "fish", "--json"])).json.length === 1);
  });
});
