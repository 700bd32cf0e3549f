/**
 * What a release changes, and when none can be made. Nothing here writes to the checkout.
 *
 * @module
 */

import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import {
  type Checkout,
  currentVersion,
  moveUnreleased,
  notesOf,
  planRelease,
  RELEASED_FILES,
  ReleaseError,
  tagOf,
  wrongVersion,
} from "../scripts/release_plan.ts";
import { ROOT } from "../scripts/runtimes.ts";

const CHANGELOG = `# Changelog

All notable changes.

## [Unreleased]

### Added

- Prices of $& and $1.

## [1.2.3] - 2026-01-02

### Fixed

- A hole.
`;

/** A checkout from which 1.2.4 can be released. */
function checkout(changed: Partial<Checkout> = {}, version = "1.2.3"): Checkout {
  return {
    branch: "main",
    changes: [],
    tags: ["v1.2.2", "v1.2.3"],
    files: {
      "jsr.json": `{\n  "name": "x",\n  "version": "${version}",\n  "license": "MIT"\n}\n`,
      "package.json": `{\n  "version": "${version}",\n  "dependencies": {\n    "version": "9.9.9"\n  }\n}\n`,
      "src/version.ts": `/** Such as \`"1.2.3"\`. */\nexport const VERSION = "${version}";\n`,
      "CHANGELOG.md": CHANGELOG,
    },
    ...changed,
  };
}

function refusal(state: Checkout, version = "1.2.4"): string {
  return assertThrows(() => planRelease(state, version, "2026-03-04"), ReleaseError).message;
}

describe("the version of a release", () => {
  it("is the next patch, minor or major one, or a pre-release of it", () => {
    for (const next of ["1.2.4", "1.3.0", "2.0.0", "1.2.4-rc.0", "1.3.0-alpha.1", "2.0.0-beta.12"]) {
      assertEquals(wrongVersion("1.2.3", next, true), undefined, next);
    }
  });

  it("leaves nothing out", () => {
    for (const next of ["1.2.5", "1.3.1", "1.4.0", "2.0.1", "2.1.0", "3.0.0", "1.2.5-rc.1"]) {
      assertMatch(
        wrongVersion("1.2.3", next, true)!,
        /leaves versions out: after 1\.2\.3 comes 1\.2\.4, 1\.3\.0, 2\.0\.0/,
      );
    }
  });

  it("comes after the current one", () => {
    for (const next of ["1.2.2", "0.9.0", "1.2.3-rc.1"]) {
      assertMatch(wrongVersion("1.2.3", next, true)!, /does not come after 1\.2\.3/);
    }
    const order = ["2.0.0-alpha.9", "2.0.0-alpha.10", "2.0.0-beta.1", "2.0.0-rc.1", "2.0.0"];
    for (let i = 1; i < order.length; i++) {
      assertEquals(wrongVersion(order[i - 1], order[i], true), undefined, order[i]);
      assertMatch(wrongVersion(order[i], order[i - 1], true)!, /does not come after/);
    }
  });

  it("may be the current one as long as that is not released", () => {
    assertEquals(wrongVersion("0.1.0", "0.1.0", false), undefined);
    assertMatch(wrongVersion("0.1.0", "0.1.0", true)!, /is released already/);
    assertEquals(wrongVersion("0.1.0", "0.2.0", false), undefined);
  });

  it("is written like one", () => {
    for (const next of ["", "1", "1.2", "v1.2.4", "1.2.04", "1.2.4-rc", "1.2.4-preview.1", "1.2.4+build", " 1.2.4"]) {
      assertMatch(wrongVersion("1.2.3", next, true)!, /is no version: write MAJOR\.MINOR\.PATCH/, next);
    }
  });
});

describe("the changelog of a release", () => {
  it("has the unreleased changes under the version, and an empty heading for the next ones", () => {
    const moved = moveUnreleased(CHANGELOG, "1.3.0", "2026-03-04");
    assertEquals(
      moved,
      CHANGELOG.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.3.0] - 2026-03-04\n"),
    );
    assertEquals(notesOf(moved, "1.3.0"), "### Added\n\n- Prices of $& and $1.");
    assertEquals(notesOf(moved, "Unreleased"), "");
    assertEquals(notesOf(moved, "1.2.3"), "### Fixed\n\n- A hole.");
    assertEquals(notesOf(moved, "1.2"), "");
  });

  it("is refused without a place for it, and if it has the version already", () => {
    const missing = CHANGELOG.replace("## [Unreleased]", "## Unreleased");
    assertThrows(() => moveUnreleased(missing, "1.3.0", "2026-03-04"), ReleaseError, "has no line");
    assertThrows(() => moveUnreleased(CHANGELOG, "1.2.3", "2026-03-04"), ReleaseError, "has 1.2.3 already");
  });
});

describe("a release", () => {
  it("changes the version in the three files that name it, and nothing else in them", () => {
    const before = checkout();
    const after = planRelease(before, "1.3.0", "2026-03-04");
    assertEquals(Object.keys(after).sort(), [...RELEASED_FILES].sort());
    assertEquals(currentVersion(after), "1.3.0");
    for (const path of ["jsr.json", "package.json"]) {
      assertEquals(after[path], before.files[path].replace('"version": "1.2.3"', '"version": "1.3.0"'));
    }
    assertEquals(after["src/version.ts"], '/** Such as `"1.2.3"`. */\nexport const VERSION = "1.3.0";\n');
    assertEquals(tagOf("1.3.0"), "v1.3.0");
  });

  it("can be made of the files of this repository", () => {
    const files = Object.fromEntries(RELEASED_FILES.map((path) => [path, readFileSync(ROOT + path, "utf8")]));
    const current = currentVersion(files);
    const [major, minor] = current.split(".").map(Number);
    const next = `${major}.${minor + 1}.0`;
    // A release that has just been made leaves nothing under "Unreleased".
    files["CHANGELOG.md"] = files["CHANGELOG.md"].replace("## [Unreleased]\n", "## [Unreleased]\n\n- A change.\n");
    assertEquals(currentVersion(planRelease(checkout({ files, tags: [tagOf(current)] }), next, "2026-03-04")), next);
  });

  it("is refused on another branch, and where none is checked out", () => {
    assertMatch(refusal(checkout({ branch: "fix" })), /made from the branch "main", and this is "fix"/);
  });

  it("is refused with changes that are not committed, which it names", () => {
    assertMatch(
      refusal(checkout({ changes: [" M mod.ts", "?? note.txt"] })),
      /has changes:.*\n {5}M mod\.ts\n {4}\?\? note/,
    );
  });

  it("is refused if its tag exists", () => {
    assertMatch(refusal(checkout({ tags: ["v1.2.3", "v1.2.4"] })), /The tag "v1\.2\.4" exists already/);
  });

  it("is refused if the changelog says nothing about it", () => {
    const files = { ...checkout().files, "CHANGELOG.md": CHANGELOG.replace(/### Added[\s\S]*?(?=## \[1)/, "") };
    assertMatch(refusal(checkout({ files })), /says nothing under "## \[Unreleased\]"/);
  });

  it("is refused if the files disagree, or name no version", () => {
    const { files } = checkout();
    const other = { ...files, "src/version.ts": 'export const VERSION = "1.2.2";\n' };
    assertMatch(
      refusal(checkout({ files: other })),
      /disagree: jsr\.json says 1\.2\.3, package\.json says 1\.2\.3, src\/version\.ts says 1\.2\.2/,
    );
    assertMatch(refusal(checkout({ files: { ...files, "jsr.json": "{}" } })), /jsr\.json names no version/);
  });

  it("is refused with all reasons at once", () => {
    const reasons = refusal(checkout({ branch: "fix", changes: ["?? x"], tags: ["v1.2.3"] }), "1.2.3").split("\n");
    assertEquals(reasons.length, 5);
  });
});
