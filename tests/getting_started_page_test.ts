/**
 * `docs/getting-started.md`, as a reader follows it on this runtime.
 *
 * @module
 */

import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { findBrowsers } from "./browser/find.ts";
import { needsBrowser, play, sectionsOf } from "./page_story.ts";

const SECTIONS = sectionsOf("getting-started.md");
const [chromium] = findBrowsers(["chromium"]);
const RUNTIME = "Deno" in globalThis ? "Deno" : "Bun" in globalThis ? "Bun" : "Node";
const ON_BUN = "A page on Bun";
const MINE = SECTIONS.filter(({ title, steps }) =>
  title === RUNTIME || needsBrowser(steps) && (title !== ON_BUN || RUNTIME === "Bun")
);

describe("docs/getting-started.md", () => {
  for (const { title, steps } of MINE) {
    const name = `${title}: the programs run as they stand there, and print what the page shows`;
    const problem = needsBrowser(steps) ? chromium.problem : undefined;
    if (problem !== undefined) {
      it.skip(`${name}: ${problem}`, () => {});
      continue;
    }
    it(name, async () => {
      const before = SECTIONS.slice(0, SECTIONS.findIndex((section) => section.title === title));
      await play(before.flatMap(({ steps }) => steps), steps, chromium);
    });
  }

  it("has a section for this runtime, and one for browsers, or two on Bun", () => {
    assert(MINE.length === (RUNTIME === "Bun" ? 3 : 2) && MINE.every(({ steps }) => steps.length > 0));
  });
});
