/** The example that cuts its own cable, as a user starts it. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import { describeProblem, findRuntimes, ROOT } from "../scripts/runtimes.ts";
import { outputOf } from "./processes/output.ts";

const CUTS = 6;
const [deno] = findRuntimes(["deno"]);

describe("examples/cut_cable", () => {
  const test = deno.path === undefined ? it.skip : it;

  test(`loses nothing over ${CUTS} cuts${deno.path === undefined ? `: ${describeProblem(deno)}` : ""}`, async () => {
    const child = spawn(deno.path!, ["run", "-A", "examples/cut_cable.ts"], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { code, text } = await outputOf(child);
    const lines = text.trim().split(/\r?\n/);
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
