/**
 * Counts what a JUnit report tells. Deno, Bun and Node all write one.
 *
 * @module
 */

/** How many tests passed, failed and were skipped. */
export interface Counts {
  /** Tests that passed. */
  passed: number;
  /** Tests that failed. */
  failed: number;
  /** Tests that were not run. */
  skipped: number;
}

const TEST_CASE = /<testcase((?:\s+[\w:.-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const SEPARATOR = " &gt; ";

/**
 * Counts the test cases of a report. Deno reports a group with steps as a test case of its own: it counts only when it
 * failed by itself, as when its `afterAll` threw.
 *
 * @param xml The report.
 * @returns The counts.
 */
export function countTests(xml: string): Counts {
  const cases = [...xml.matchAll(TEST_CASE)].map(([, attributes, body = ""]) => ({
    name: attributes.match(/\sname="([^"]*)"/)?.[1] ?? "",
    state: /<(?:failure|error)\b/.test(body) ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed",
  } as const));
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const steps = xml.includes('<testsuites name="deno test"');
  for (const { name, state } of cases) {
    const inner = steps ? cases.filter((other) => other.name.startsWith(name + SEPARATOR)) : [];
    if (inner.length === 0) counts[state]++;
    else if (state === "failed" && !inner.some((other) => other.state === "failed")) counts.failed++;
  }
  return counts;
}

/** What Node says about a run outside of any test: it writes it as comments into the report. */
export function notesOf(xml: string): string[] {
  return [...xml.matchAll(/<!-- ((?:Error|Warning)[\s\S]*?) -->/g)].map(([, note]) => note);
}
