import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { globSync, readFileSync } from "node:fs";
import { ROOT } from "../scripts/runtimes.ts";
import { planOf, runPlan, strangersAmong } from "../scripts/test_plan.ts";
import { turn } from "./session_support.ts";

const FILES = globSync("tests/**/*_test.ts", { cwd: ROOT }).map((file) => file.replaceAll("\\", "/")).sort();
const PLAN = planOf(FILES);

/** The files whose text matches, without this one. */
function saying(text: RegExp): string[] {
  const others = FILES.filter((file) => file !== "tests/test_plan_test.ts");
  return others.filter((file) => text.test(readFileSync(ROOT + file, "utf8")));
}

describe("the plan of the test files", () => {
  it("names only files that exist, and has each file once", () => {
    assertEquals(strangersAmong(FILES), []);
    assertEquals(Object.values(PLAN).flat().sort(), FILES);
    assertEquals(strangersAmong(FILES.filter((file) => file !== "tests/pairs_test.ts")), ["pairs"]);
  });

  it("lets a file that measures time run alone", () => {
    const measuring = saying(/\bperformance\.now\(/);
    assert(measuring.length > 0);
    assertEquals(measuring.filter((file) => !PLAN.alone.includes(file)), []);
  });

  it("counts no file among those without sockets that asks session_support.ts for real ones", () => {
    const asking = saying(/\b(WORLDS|realWorld|realTransport)\b/);
    assert(asking.length > 0);
    assertEquals(asking.filter((file) => PLAN.inside.includes(file)), []);
  });

  it("is kept by a run: each file once, at most two at a time, alone or with others as they may", async () => {
    const running = new Set<string>();
    const together: string[][] = [];
    await runPlan(FILES, async (file) => {
      running.add(file);
      together.push([...running]);
      // Each for another time, so that the lanes shift.
      for (let i = file.length % 4; i >= 0; i--) await turn();
      running.delete(file);
    });
    assertEquals(together.map((files) => files.at(-1)!).sort(), FILES);
    assertEquals(Math.max(...together.map((files) => files.length)), 2);
    for (const files of together.filter((files) => files.length > 1)) {
      const among = (row: readonly string[]): number => files.filter((file) => row.includes(file)).length;
      assertEquals(among(PLAN.alone), 0, `${files}`);
      if (among(PLAN.ports) > 0) assertEquals([among(PLAN.ports), among(PLAN.inside)], [1, 1], `${files}`);
    }
  });
});
