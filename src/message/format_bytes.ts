/**
 * Formats sizes for people.
 *
 * @module
 */

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/**
 * Formats a size for people: at most four digits, in units of 1,024, as Python's `format_bytes` does.
 *
 * @param size The size in bytes; negative for a loss.
 * @returns A text such as `"144.5 KB"`.
 * @throws {TypeError} `size` is not a number.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { formatBytes } from "@veltix/core";
 *
 * assertEquals([148, 148_000, 3_000_000].map(formatBytes), ["148 B", "144.5 KB", "2.861 MB"]);
 * ```
 *
 * @category Utilities
 */
export function formatBytes(size: number): string {
  if (typeof size !== "number") throw new TypeError(`Cannot format the size: it must be a number, not ${typeof size}`);
  let value = size;
  let unit = 0;
  // What would be rounded up to 1024 is 1 of the next unit.
  while (Math.abs(rounded(value)) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${rounded(value)} ${UNITS[unit]}`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
