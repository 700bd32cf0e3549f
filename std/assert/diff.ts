/**
 * The text of a failed comparison: both values, one property a line, with the lines that differ marked.
 *
 * @module
 */

const MAX_LINES = 200;
const MAX_TABLE = 1_000_000;

type Inspect = (value: unknown, options: Record<string, unknown>) => string;

/**
 * A value as text, one property a line.
 *
 * @param value Any value.
 * @returns The text.
 */
export function format(value: unknown): string {
  const host = globalThis as { Deno?: { inspect: Inspect } };
  if (host.Deno) {
    return host.Deno.inspect(value, {
      depth: Infinity,
      sorted: true,
      trailingComma: true,
      compact: false,
      iterableLimit: Infinity,
      strAbbreviateSize: 10_000,
    });
  }
  const { inspect } = process.getBuiltinModule("node:util") as unknown as { inspect: Inspect };
  return inspect(value, { depth: Infinity, sorted: true, compact: false, maxArrayLength: null, maxStringLength: null });
}

/**
 * What differs between two values: lines of the first marked `-`, lines of the second `+`.
 *
 * @param actual The value there is.
 * @param expected The value there should be.
 * @returns The text, at most 200 lines.
 */
export function diff(actual: unknown, expected: unknown): string {
  const a = (typeof actual === "string" && typeof expected === "string" ? actual : format(actual)).split("\n");
  const b = (typeof actual === "string" && typeof expected === "string" ? expected : format(expected)).split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const lines = [
    ...a.slice(Math.max(0, start - 3), start).map((line) => `    ${line}`),
    ...changes(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end, a.length - end + 3).map((line) => `    ${line}`),
  ];
  const rest = lines.length - MAX_LINES;
  return (rest > 0 ? [...lines.slice(0, MAX_LINES), `    … ${rest} more lines`] : lines).join("\n");
}

/** The longest common subsequence where the table stays small, else all of one and all of the other. */
function changes(a: string[], b: string[]): string[] {
  const removed = (line: string): string => `-   ${line}`;
  const added = (line: string): string => `+   ${line}`;
  if (a.length * b.length > MAX_TABLE) {
    const half = MAX_LINES / 2;
    return [...a.slice(0, half).map(removed), ...b.slice(0, half).map(added)];
  }
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push(`    ${a[i++]}`);
      j++;
    } else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) lines.push(removed(a[i++]));
    else lines.push(added(b[j++]));
  }
  return [...lines, ...a.slice(i).map(removed), ...b.slice(j).map(added)];
}
