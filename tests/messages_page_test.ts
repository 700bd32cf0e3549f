/**
 * The section about schemas in `docs/guide/messages.md`: its program prints what the text says.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { ROOT } from "../scripts/runtimes.ts";
import { Folder, printedBy } from "./page_story.ts";

describe("docs/guide/messages.md", () => {
  it("has a program with Zod that prints what the page says", async () => {
    const page = readFileSync(`${ROOT}docs/guide/messages.md`, "utf8");
    const code = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code).find((code) =>
      code.includes('"zod"')
    );
    assert(code !== undefined);
    using folder = new Folder();
    folder.write([{ kind: "file", name: "zod.ts", text: code }]);
    const printed = await printedBy(folder, "zod.ts");
    const [booked, [refused, text]] = printed;
    assertEquals([printed.length, booked, refused], [2, [{ id: 2027 }], "invalid-payload"]);
    assertMatch(String(text), /^The payload is invalid: name: Too small: /);
    assert(page.includes("`The payload is invalid: name: Too small: …`"));
  });
});
