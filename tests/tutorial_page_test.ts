/**
 * The tutorial, as a reader follows it on this runtime: page after page, with the files and the commands that stand there.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { findBrowsers } from "./browser/find.ts";
import { Folder, needsBrowser, play, sectionsOf, type Step } from "./page_story.ts";

const PAGES = globSync("[0-9]*.md", { cwd: `${ROOT}docs/tutorial` }).sort();
const [chromium] = findBrowsers(["chromium"]);

/** What has the types of Bun, which Deno does not know. */
const ON_BUN = /Bun\/server\.ts$/;

/** The steps of a page. */
function stepsOf(page: string): Step[] {
  return sectionsOf(`tutorial/${page}`).flatMap(({ steps }) => steps);
}

/** The files of the pages before one: a reader has them. */
function before(page: string): Step[] {
  return PAGES.slice(0, PAGES.indexOf(page)).flatMap(stepsOf).filter(({ kind }) => kind === "file");
}

describe("the tutorial", () => {
  it("has its pages in a row: each leads to the next", () => {
    const index = readFileSync(`${ROOT}docs/tutorial/index.md`, "utf8");
    assertEquals([...index.matchAll(/\]\((\d[\w-]*\.md)\)/g)].map(([, page]) => page), PAGES);
    for (const [i, page] of PAGES.slice(1).entries()) {
      const text = readFileSync(`${ROOT}docs/tutorial/${PAGES[i]}`, "utf8");
      assert(text.trimEnd().endsWith(`](${page})`), `${PAGES[i]} does not end with a link to ${page}`);
    }
  });

  for (const page of PAGES) {
    const steps = stepsOf(page);
    const problem = needsBrowser(steps) ? chromium.problem : undefined;
    const name = `${page} runs as it stands there, and prints what it shows`;
    if (problem === undefined) it(name, () => play(before(page), steps, chromium));
    else it.skip(`${name}: ${problem}`, () => {});
  }
});

describe("the files of the tutorial and of getting-started.md", () => {
  // Only Deno checks types.
  const check = "Deno" in globalThis ? it : it.skip;

  check("have types that fit", () => {
    using folder = new Folder();
    for (const page of PAGES) folder.write([...before(page), ...stepsOf(page)], page);
    const started: Step[] = [];
    for (const { title, steps } of sectionsOf("getting-started.md")) {
      folder.write([...started, ...steps], title);
      if (title !== "A page on Bun") started.push(...steps); // The sections after it build on those before it.
    }
    const files = globSync("**/*.ts", { cwd: folder.path }).map((file) => `./${file.replaceAll("\\", "/")}`)
      .filter((file) => !ON_BUN.test(file));
    assert(files.length > 30);
    // The types of browsers and those of Deno exclude each other.
    const isPage = (file: string): boolean => file.endsWith("/page.ts");
    // `deno check` leaves this folder out, as `deno.json` says. Types that are imported run nothing.
    const imports = (files: readonly string[]): string =>
      files.map((file) => `import type {} from ${JSON.stringify(file)};\n`).join("");
    folder.write([
      { kind: "file", name: "programs.ts", text: imports(files.filter((file) => !isPage(file))) },
      { kind: "file", name: "pages.ts", text: `/// <reference lib="dom" />\n${imports(files.filter(isPage))}` },
    ]);
    for (const name of ["programs.ts", "pages.ts"]) {
      const { status, stderr } = spawnSync(process.execPath, ["run", "--check", `${folder.path}/${name}`], {
        cwd: ROOT,
        encoding: "utf8",
        env: { ...process.env, NO_COLOR: "1" },
        timeout: 50_000,
      });
      assertEquals(status, 0, stderr);
    }
  });
});
