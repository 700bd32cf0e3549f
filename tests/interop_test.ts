/**
 * The short form of `deno task interop`: real Python programs of some releases, in both roles, on the runtime of the test; and
 * that the page shows what came of the last whole run. `VELTIX_SEED` repeats the moments of the kills.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { problemOf } from "./interop/install.ts";
import { killAtRandom } from "./interop/kills.ts";
import { announced, releaseNamed, RELEASES } from "./interop/releases.ts";
import { fileOf, pageWith, RESULTS, type Results } from "./interop/results.ts";
import { type Outcome, type Role, runChecks } from "./interop/run.ts";
import { RUNTIME_INDEX } from "./wire_support.ts";

/**
 * One with HELLO frames, the first with JSON for all, and the newest: another on each runtime. Where everything is required,
 * the newest on each. `deno task interop` has all releases.
 */
const SHARE = ["1.6.10", "2.0.0", "3.3.0"][RUNTIME_INDEX];
const REQUIRED = process.env.VELTIX_REQUIRE_ALL !== undefined;
const CHOSEN = [...new Set(REQUIRED ? [SHARE, "3.3.0"] : [SHARE])].map(
  releaseNamed,
);
const ROLES: readonly Role[] = ["server", "client"];
const MESSAGES = 500;

const problem = await problemOf(CHOSEN.map(({ name }) => name));
if (problem !== undefined) console.warn(`SKIPPED: ${problem}`);

describe("real Python programs", { ignore: problem !== undefined }, () => {
  for (const release of CHOSEN) {
    for (const role of ROLES) {
      it(`get along with us: ${announced(release)} as ${role}`, async () => {
        const outcomes: Outcome[] = [];
        await runChecks(release, role, MESSAGES, (outcome) => outcomes.push(outcome));
        const failed = outcomes.filter(({ state }) => state === "failed").map(({ check, note }) => `${check}: ${note}`);
        assertEquals(failed, []);
      });
    }
  }

  it("are missed at once when they are killed, in the midst of traffic, and nothing is left of them", async () => {
    // One as server and one as client, and twice as many where everything is required.
    await killAtRandom(CHOSEN, REQUIRED ? 4 : 2, Number(process.env.VELTIX_SEED ?? Date.now()));
  });
});

describe("docs/interop.md", () => {
  const page = readFileSync(`${ROOT}docs/interop.md`, "utf8");

  it("shows the last whole run", () => {
    assertEquals(existsSync(RESULTS), true);
    const file = readFileSync(RESULTS, "utf8");
    const results = JSON.parse(file) as Results;
    assertEquals(file, fileOf(results));
    assertEquals(page === pageWith(page, results), true, "run `deno task interop --write`");
    const shown = new Set(results.rows.map(({ release }) => release));
    assertEquals([...shown], RELEASES.map(({ name }) => name));
    assertEquals(results.rows.flatMap(({ failed }) => failed), []);
    assertEquals(new Set(results.rows.map(({ role, runtime }) => `${role} ${runtime}`)).size, 6);
  });
});
