import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { countGroup, partsOf } from "../scripts/junit.ts";

const A = "tests/a_test.ts";
const B = "tests/b_test.ts";
const FAILURE = '<failure message="no">no</failure>';

const DENO = `<?xml version="1.0"?>
<testsuites name="deno test" tests="4"><testsuite name="./std/testing/hosts.ts">
<testcase name="${A}: one" classname="x"></testcase>
<testcase name="${A}: group" classname="x"></testcase>
<testcase name="${A}: group &gt; step" classname="x"></testcase>
<testcase name="${B}: two" classname="x"><skipped/></testcase>
</testsuite></testsuites>`;

/** As Bun and Node have it: groups within each other, whose tests do not tell the file. */
function nested(first: string, second: string): string {
  return `<testsuites><testsuite name="${A}: group" time="1"><testcase name="one" time="0"/>` +
    `<testsuite name="inner"><testcase name="two">${first}</testcase></testsuite></testsuite>` +
    `<testcase name="${B}: alone" time="0">${second}</testcase></testsuites>`;
}

describe("countGroup()", () => {
  it("counts by file what the runtimes report, and that all is there", () => {
    const deno = countGroup(DENO, [A, B]);
    assertEquals(deno.sum, { passed: 2, failed: 0, skipped: 1 });
    assertEquals(deno.byFile.get(A), { passed: 2, failed: 0, skipped: 0 });
    assertEquals(deno.byFile.get(B), { passed: 0, failed: 0, skipped: 1 });
    assertEquals(deno.complete, true);
    const other = countGroup(nested("", ""), [A, B]);
    assertEquals(other.byFile.get(A), { passed: 2, failed: 0, skipped: 0 });
    assertEquals(other.byFile.get(B), { passed: 1, failed: 0, skipped: 0 });
    assertEquals(other.complete, true);
  });

  it("is not complete when a test failed, and tells the file", () => {
    const { byFile, complete } = countGroup(nested("", FAILURE), [A, B]);
    assertEquals(complete, false);
    assertEquals(byFile.get(A)?.failed, 0);
    assertEquals(byFile.get(B)?.failed, 1);
  });

  it("is not complete without a report, without a file, or with a test that has none", () => {
    assertEquals(countGroup("", [A, B]).complete, false);
    assertEquals(countGroup(nested("", ""), [A, B, "tests/c_test.ts"]).complete, false);
    assertEquals(countGroup(nested("", ""), [A]).complete, false);
    const stray = nested("", "").replace(`<testsuite name="${A}`, `<testcase name="import"/><testsuite name="${A}`);
    assertEquals(countGroup(stray, [A, B]).complete, false);
  });
});

describe("partsOf()", () => {
  it("finds no part in a report that tells no file", () => {
    assertEquals(partsOf('<testsuites><testcase name="one"/></testsuites>').size, 0);
  });
});
