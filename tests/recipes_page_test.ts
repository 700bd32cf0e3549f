/**
 * The recipes of `docs/recipes.md`: each one is run as it stands, and prints what it should.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { Folder, printedBy } from "./page_story.ts";

const page = readFileSync(`${ROOT}docs/recipes.md`, "utf8");

/** What each recipe prints, by its heading. Lines are joined by line breaks. */
const PRINTS: Readonly<Record<string, RegExp>> = {
  "Broadcast to all but the sender": /^sent to 1, skipped 0\nBob reads: hello$/,
  "Chat rooms": /^in the room: \[ ?1, 2 ?\]\ncats: meow$/,
  "Presence and last seen": /^Ada is online\n(Bob is online\n)?Bob is offline$/,
  "Request with retry and timeout": /^\{ ?receipt: 1,? ?\} after [2-4] calls$/,
  "Cancel a request": /^canceled: the user typed something else\nthe handler has stopped$/,
  "Typed errors": /^left: 300\nThere are only 300 cents$/,
  "Progress of a long task": /^0 %\n25 %\n50 %\n75 %\n100 %\ndone: website\.zip$/,
  "Upload a file with progress": /^(\d+ % are on their way\n)+the server has 3000000 bytes$/,
  "Live query (feed)": /^\{ ?Ada: 1,? ?\}\n\{ ?Ada: 2,? ?\}$/,
  "Rate limit one message type": /^posted: number 1\n.*posted: number 5\ntoo-fast One post in ten seconds, please$/s,
  "Tokens that expire": /^closed because: token-expired\nconnected again with a new token$/,
  "Log in from a page": /^logged in: Ada\nreloaded: Ada\nlogged out: unauthorized$/,
  "Graceful shutdown on SIGTERM": /^NOT LOST\nclosed, and nothing was cut off$/,
  "Health check endpoint": /^ready: 200\nclosed: 503$/,
  "Heavy work in a worker thread": /^meanwhile a ping takes [\d.]+ ms\nprimes: 17984$/,
  "Two services over a unix socket": /^tea: 12$/,
  "Test an app in memory": /^Hello, Ada!\nthe timeout works$/,
};

interface Recipe {
  readonly title: string;
  /** Its blocks of TypeScript. The last one is the program, and others begin with a comment that names their file. */
  readonly blocks: readonly string[];
}

const recipes: readonly Recipe[] = page.split(/^## /m).slice(1).map((section) => ({
  title: section.split("\n", 1)[0],
  blocks: [...section.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code),
}));

/** One text for what `console.log` was given. */
function line(values: readonly unknown[]): string {
  const shown = (value: unknown): string => {
    if (typeof value !== "object") return String(value);
    return JSON.stringify(value).replaceAll('"', "").replaceAll(":", ": ").replaceAll(",", ", ");
  };
  return values.map(shown).join(" ");
}

describe("docs/recipes.md", () => {
  let folder: Folder;
  beforeAll(() => void (folder = new Folder()));
  afterAll(() => folder[Symbol.dispose]());

  it("has the recipes that are run here, and a link to each at the top", () => {
    assertEquals(recipes.map(({ title }) => title), Object.keys(PRINTS));
    const links = [...page.split("\n## ")[0].matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor);
    const anchors = recipes.map(({ title }) => title.toLowerCase().replaceAll(/[()]/g, "").replaceAll(" ", "-"));
    assertEquals(links.toSorted(), anchors.toSorted());
  });

  recipes.forEach(({ title, blocks }, i) => {
    const unix = title.includes("unix socket");
    it(`runs: ${title}`, { ignore: unix && process.platform === "win32" }, async () => {
      const files = blocks.map((text, part) => {
        const name = /^\/\/ (\w+\.ts)\n/.exec(text)?.[1] ?? `recipe_${i}_${part}.ts`;
        return { kind: "file", name, text } as const;
      });
      assert(files.length > 0);
      folder.write(files);
      try {
        const printed = await printedBy(folder, files.at(-1)!.name);
        assertMatch(printed.map(line).join("\n"), PRINTS[title]);
      } finally {
        process.removeAllListeners("SIGTERM");
      }
    });
  });
});
