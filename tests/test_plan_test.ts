import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { globSync, readFileSync } from "node:fs";
import { ROOT } from "../scripts/runtimes.ts";
import { planOf, REAL_TIME, runPlan, strangersAmong } from "../scripts/test_plan.ts";
import { turn } from "./session_support.ts";

const FILES = globSync("tests/*_test.ts", { cwd: ROOT }).map((file) => file.replaceAll("\\", "/")).sort();
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

  it("says of each file that looks at real time why a busy machine does not upset it", () => {
    const clocks =
      /(?<![.\w])(setTimeout|setInterval|Date\.now|performance\.now|process\.cpuUsage)\(|\bAbortSignal\.timeout\(/;
    const programs = /^tests\/((fuzz|soak|interop)\/|test_plan)/;
    const looking = globSync("tests/**/*.ts", { cwd: ROOT }).map((file) => file.replaceAll("\\", "/"))
      .filter((file) => !programs.test(file) && clocks.test(readFileSync(ROOT + file, "utf8")))
      .map((file) => file.slice("tests/".length));
    assert(looking.length > 10);
    assertEquals(looking.sort(), Object.keys(REAL_TIME).sort());
  });

  it("counts no file among those without sockets that asks session_support.ts for real ones", () => {
    const asking = saying(/\b(WORLDS|realWorld|realTransport)\b/);
    assert(asking.length > 0);
    assertEquals(asking.filter((file) => PLAN.inside.includes(file)), []);
  });

  it("is kept by a run: each file once, at most three at a time, beside those that it may", async () => {
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
    assertEquals(Math.max(...together.map((files) => files.length)), 3);
    for (const files of together.filter((files) => files.length > 1)) {
      const among = (row: readonly string[]): number => files.filter((file) => row.includes(file)).length;
      assert(among([...PLAN.ports, ...PLAN.chosen]) <= 1, `${files}`);
      if (among(PLAN.ports) > 0) assertEquals(among(PLAN.sockets), 0, `${files}`);
    }
  });
});
