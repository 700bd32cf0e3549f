/** The example of a game with one slow client, as a user starts it on this runtime. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Program } from "./examples_support.ts";

const POSITIONS = 6_400;
/** Of one position of each player: 50 frames of 16 bytes and at most 46 of JSON. */
const UPDATE = 50 * (16 + 46);

/** Runs the example and returns the numbers of its lines. */
async function play(): Promise<{ code: number | null; numbers: number[][]; output: string }> {
  await using program = new Program("positions/main.ts");
  const code = await program.end();
  const lines = program.text.trim().split("\n");
  return { code, output: program.text, numbers: lines.map((line) => [...line.matchAll(/\d+/g)].map(Number)) };
}

describe("examples/positions", () => {
  it("gives a slow client the newest", async () => {
    const { code, numbers, output } = await play();
    assertEquals([code, numbers.length], [0, 5], output);
    const [[positions], , [seen, replaced], , [waited]] = numbers;
    assertEquals([positions, seen + replaced], [POSITIONS, POSITIONS], output);
    // One more may be with the socket.
    assert(replaced > 0 && waited <= 2 * UPDATE, output);
  });
});
