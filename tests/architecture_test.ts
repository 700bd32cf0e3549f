/** The page about the architecture says what the tree and the rules say. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { MAY_IMPORT } from "./import_rules.ts";
import { ROOT } from "../scripts/runtimes.ts";

const page = readFileSync(`${ROOT}docs/architecture.md`, "utf8");

/** The table of rooms: what each may import; `undefined` for anything. */
const rooms = new Map(
  page.split("\n").filter((line) => /^\| `/.test(line)).map((line) => {
    const [, room, , imports] = line.split("|").map((cell) => cell.trim());
    const names = [...imports.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort();
    return [room.replaceAll("`", ""), imports === "anything" ? undefined : names] as const;
  }),
);

describe("docs/architecture.md", () => {
  it("has each room of the tree, and no other", () => {
    const tree = readdirSync(`${ROOT}src`).map((name) => name.replace(/\.ts$/, "")).sort();
    assert(tree.length > 10);
    assertEquals([...rooms.keys()].sort(), tree);
  });

  it("says of each what the rules let it import", () => {
    for (const [room, imports] of rooms) {
      const rule = MAY_IMPORT[room];
      if (imports === undefined) assertEquals(rule, undefined, room);
      else assertEquals(imports, [...rule ?? []].sort(), room);
    }
  });

  it("names only files and classes that exist", () => {
    const files = [...page.matchAll(/`([\w/]+\/[\w/]*\.ts)`/g)].map(([, path]) => path);
    assert(files.length > 8);
    const missing = files.filter((path) => !existsSync(`${ROOT}src/${path}`) && !existsSync(ROOT + path));
    assertEquals(missing, []);
    const steps = [...page.matchAll(/`((?:app|link|session|client)\/\w+\.ts)`: `(\w+)`/g)];
    assert(steps.length > 4);
    for (const [, path, name] of steps) {
      assert(readFileSync(`${ROOT}src/${path}`, "utf8").includes(`class ${name} `), `${path} has no class ${name}`);
    }
  });

  it("is linked from the README and from CONTRIBUTING.md", () => {
    for (const name of ["README.md", "CONTRIBUTING.md"]) {
      assert(readFileSync(ROOT + name, "utf8").includes("docs/architecture.md"), name);
    }
  });
});
