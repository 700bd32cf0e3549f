/**
 * Pages in a real browser, against this runtime: what takes a moment only. Each runtime has one of the browsers and a part
 * of the scenarios, and all of them where nothing may be left out. `deno task browser` tries the rest, too.
 *
 * @module
 */

import process from "node:process";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { SCENARIOS } from "./browser/all.ts";
import { BROWSER_NAMES, findBrowsers } from "./browser/find.ts";
import { Stage } from "./browser/stage.ts";
import { isMine, RUNTIME_INDEX } from "./wire_support.ts";

const all = process.env.VELTIX_REQUIRE_ALL === "1";
const mine = BROWSER_NAMES.filter((_, i) => all || i === RUNTIME_INDEX % 2);
/** The first is that everything works, so every runtime has it. */
const scenarios = SCENARIOS.filter((_, i) => i === 0 || isMine(i));

for (const found of findBrowsers(mine)) {
  if (found.problem !== undefined) {
    describe(found.name, () => it.skip(found.problem, () => {}));
    continue;
  }
  describe(found.name, () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await Stage.set(found);
    });
    afterAll(() => stage[Symbol.asyncDispose]());
    for (const scenario of scenarios) {
      for (const way of scenario.quick ?? []) it(`${scenario.name}: ${way}`, () => scenario.run(stage, way));
    }
  });
}
