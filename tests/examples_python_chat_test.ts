/**
 * The chat of two Python programs and a native client, as a user starts it: one command, to its end.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import { describeProblem, findRuntimes, ROOT } from "../scripts/runtimes.ts";
import { problemOf } from "./interop/install.ts";
import { RELEASES } from "./interop/releases.ts";
import { outputOf } from "./processes/output.ts";

const NEW = RELEASES.at(-1)!.name;
/** How long the whole may take, in milliseconds. */
const LIMIT = 50_000;
const [deno] = findRuntimes(["deno"]);
const problem = deno.path === undefined ? describeProblem(deno) : await problemOf(["1.6.3", NEW]);

/** Runs the command; ports are left out of what it prints. */
async function chat(): Promise<{ code: number | null; lines: string[] }> {
  const child = spawn(deno.path!, ["run", "-A", "examples/python_chat/main.ts"], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
  const { code, text } = await outputOf(child);
  return { code, lines: text.replaceAll(/port \d+/g, "port N").split(/\r?\n/).filter((line) => line !== "") };
}

describe("examples/python_chat", () => {
  const test = problem === undefined ? it : it.skip;

  test(`brings every line to everybody${problem === undefined ? "" : `: ${problem}`}`, async () => {
    const { code, lines } = await chat();
    assertEquals(lines, [
      "One server in TypeScript, 127.0.0.1",
      "  port N  for Python's veltix 1.6.3",
      `  port N  for Python's veltix ${NEW} and native clients`,
      '  Ann  is here: Python, veltix 1.6.3; on the wire "1.6.3"',
      `  Bob  is here: Python, veltix ${NEW}; on the wire "${NEW}"  Ann ✓`,
      '  Cid  is here: TypeScript, native client; on the wire "native"  Ann ✓ Bob ✓',
      "  Ann  Hello! I am an old program: Python, veltix 1.6.3.  Bob ✓ Cid ✓",
      `  Bob  Python, too, but ${NEW}. Our releases refuse each other. How come you understand me?  Ann ✓ Cid ✓`,
      "  Cid  The server speaks with each of you as you do, and native with me.  Ann ✓ Bob ✓",
      "  Ann  Żółw, 乌龟, 🐢: does every letter arrive?  Bob ✓ Cid ✓",
      "  Bob  Żółw, 乌龟, 🐢: it does.  Ann ✓ Cid ✓",
      "  Cid  Then I have nothing to add.  Ann ✓ Bob ✓",
      "  Ann  has left: goodbye  Bob ✓ Cid ✓",
      "  Bob  has left: goodbye  Cid ✓",
      "Everybody was told every line: 18 in all",
    ]);
    assertEquals(code, 0);
  });
});
