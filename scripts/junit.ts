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

/**
 * Divides the report of a process that ran several files. `std/testing` puts the path of the file before the name of
 * each of its outermost groups and tests; what follows belongs to the same file.
 *
 * @param xml The report.
 * @returns The part of each file, as a report of its own. What belongs to no file is left out.
 */
export function partsOf(xml: string): Map<string, string> {
  const parts = new Map<string, string>();
  const head = xml.match(/<testsuites\b[^>]*>/)?.[0] ?? "";
  const starts = [...xml.matchAll(/<test(?:suite|case)\s[^>]*?\bname="(tests\/[\w./-]+_test\.ts): /g)];
  starts.forEach(({ 1: file, index }, at) => {
    parts.set(file, (parts.get(file) ?? head) + xml.slice(index, starts[at + 1]?.index));
  });
  return parts;
}

/**
 * Counts the tests of a process that ran several files.
 *
 * @param xml The report.
 * @param files The files.
 * @returns The sum, that of each file, and whether nothing failed, every file has a test, and every test has a file.
 */
export function countGroup(
  xml: string,
  files: readonly string[],
): { sum: Counts; byFile: Map<string, Counts>; complete: boolean } {
  const byFile = new Map([...partsOf(xml)].map(([file, part]) => [file, countTests(part)]));
  const sum = countTests(xml);
  const all = ({ passed, failed, skipped }: Counts): number => passed + failed + skipped;
  const counted = files.map((file) => byFile.get(file)).reduce(
    (tests, counts) => tests + (counts ? all(counts) : 0),
    0,
  );
  const complete = sum.failed === 0 && counted === all(sum) && files.every((file) => byFile.has(file));
  return { sum, byFile, complete };
}
