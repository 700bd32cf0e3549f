/**
 * The chat of two Python programs and a native client, as a user starts it: one command, to its end.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Program } from "./examples_support.ts";
import { problemOf } from "./interop/install.ts";
import { RELEASES } from "./interop/releases.ts";

const NEW = RELEASES.at(-1)!.name;
const problem = await problemOf(["1.6.3", NEW]);

describe("examples/python_bridge", () => {
  const test = problem === undefined ? it : it.skip;

  test(`brings every line to everybody${problem === undefined ? "" : `: ${problem}`}`, async () => {
    await using program = new Program("python_bridge/main.ts");
    const code = await program.end();
    const lines = program.text.replaceAll(/port \d+/g, "port N").split("\n").filter((line) => line !== "");
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
