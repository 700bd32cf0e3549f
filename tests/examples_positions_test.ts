/** The example of a game with one slow client, as a user starts it. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import { describeProblem, findRuntimes, ROOT } from "../scripts/runtimes.ts";
import { outputOf } from "./processes/output.ts";

const POSITIONS = 6_400;
/** Of one position of each player: 50 frames of 16 bytes and at most 46 of JSON. */
const UPDATE = 50 * (16 + 46);
const [deno] = findRuntimes(["deno"]);

/** Runs the example and returns the numbers of its lines. */
async function play(): Promise<{ code: number | null; numbers: number[][]; output: string }> {
  const child = spawn(deno.path!, ["run", "-A", "examples/positions.ts"], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { code, text } = await outputOf(child);
  const lines = text.trim().split(/\r?\n/);
  return { code, output: text, numbers: lines.map((line) => [...line.matchAll(/\d+/g)].map(Number)) };
}

describe("examples/positions", () => {
  const test = deno.path === undefined ? it.skip : it;

  test(`gives a slow client the newest${deno.path === undefined ? `: ${describeProblem(deno)}` : ""}`, async () => {
    const { code, numbers, output } = await play();
    assertEquals([code, numbers.length], [0, 5], output);
    const [[positions], , [seen, replaced], , [waited]] = numbers;
    assertEquals([positions, seen + replaced], [POSITIONS, POSITIONS], output);
    // One more may be with the socket.
    assert(replaced > 0 && waited <= 2 * UPDATE, output);
  });
});
