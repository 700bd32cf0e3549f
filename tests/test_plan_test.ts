import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { globSync, readFileSync } from "node:fs";
import { ROOT } from "../scripts/runtimes.ts";
import { ALONE, groupsOf, planOf, REAL_TIME, runPlan, strangersAmong } from "../scripts/test_plan.ts";
import { turn } from "./session_support.ts";

const FILES = globSync("tests/*_test.ts", { cwd: ROOT }).map((file) => file.replaceAll("\\", "/")).sort();
const PLAN = planOf(FILES);
const SHARED = [PLAN.inside, PLAN.sockets].flatMap(groupsOf).filter((group) => group.length > 1);

/** The files whose text matches, without this one. */
function saying(text: RegExp): string[] {
  const others = FILES.filter((file) => file !== "tests/test_plan_test.ts");
  return others.filter((file) => text.test(readFileSync(ROOT + file, "utf8")));
}

describe("the plan of the test files", () => {
  it("names only files that exist, and has each file once", () => {
    assertEquals(strangersAmong(FILES), []);
    assertEquals(Object.values(PLAN).flat().sort(), FILES);
    const without = (name: string): string[] => FILES.filter((file) => file !== `tests/${name}_test.ts`);
    assertEquals(strangersAmong(without("bench")), ["bench", "bench"]);
    assertEquals(strangersAmong(without("fake_timers")), ["fake_timers"]);
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

  it("lets no file share a process that starts programs or changes what the whole process has", () => {
    const disturbing = saying(
      new RegExp(
        [
          /child_process|\.\/processes\/|pairs\/program|worker_support|\bnew Worker\(|\bfindRuntimes\(/,
          /\bprocess\.(env|on|once|emit|exit|exitCode|chdir|memoryUsage|cpuUsage)\b|\bwatchingArrays\(/,
          /\bglobalThis\.\w+ = |\bdefineProperty\(globalThis|\bprototype\.\w+ = |\bconsole\.\w+ = |unhandledrejection/,
          /^(before|after)(Each|All)?\(/,
        ].map(({ source }) => source).join("|"),
        "m",
      ),
    );
    assert(disturbing.length > 30);
    const sharing = SHARED.flat();
    assertEquals(disturbing.filter((file) => sharing.includes(file)), []);
    assertEquals(Object.values(ALONE).flat().length, new Set(Object.values(ALONE).flat()).size);
  });

  it("divides the others into groups of at most ten, and few among three lanes", () => {
    assert(SHARED.length > 5);
    assert(SHARED.every((group) => group.length <= 10));
    for (const row of [PLAN.inside, PLAN.sockets]) assertEquals(groupsOf(row).flat().sort(), row.toSorted());
    assertEquals(groupsOf(["tests/b_test.ts", "tests/a_test.ts"]), [["tests/b_test.ts"], ["tests/a_test.ts"]]);
    assertEquals(groupsOf([]), []);
  });

  it("is kept by a run: each file once, at most three processes at a time, beside those that it may", async () => {
    const running = new Set<readonly string[]>();
    const together: (readonly string[])[][] = [];
    await runPlan(FILES, async (group) => {
      running.add(group);
      together.push([...running]);
      // Each for another time, so that the lanes shift.
      for (let i = group[0].length % 4; i >= 0; i--) await turn();
      running.delete(group);
    });
    assertEquals(together.flatMap((groups) => groups.at(-1)!).sort(), FILES);
    assertEquals(Math.max(...together.map((groups) => groups.length)), 3);
    for (const groups of together.filter((groups) => groups.length > 1)) {
      const among = (row: readonly string[]): number => groups.flat().filter((file) => row.includes(file)).length;
      assert(among([...PLAN.ports, ...PLAN.chosen]) <= 1, `${groups}`);
      if (among(PLAN.ports) > 0) assertEquals(among(PLAN.sockets), 0, `${groups}`);
    }
  });
});
