/** The example that cuts its own cable, as a user starts it on this runtime. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Program } from "./examples_support.ts";

const CUTS = 6;

describe("examples/cut_cable", () => {
  it(`loses nothing over ${CUTS} cuts`, async () => {
    await using program = new Program("cut_cable/main.ts");
    const code = await program.end();
    const { text } = program;
    const lines = text.trim().split("\n");
    const count = (begin: string): number => lines.filter((line) => line.trim().startsWith(begin)).length;
    assertEquals(
      [code, count("suspended: "), count("resumed after "), count("0 lost, 0 twice")],
      [0, CUTS, CUTS, 1],
      text,
    );
    const [here, there] = lines.slice(-2).map((line) => line.split(" ").at(-1)!);
    assertEquals([here.length, there], [64, here], text);
  });
});
