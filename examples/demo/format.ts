/**
 * Figures and tables as text.
 *
 * @module
 */

import { stripAnsiCode } from "@std/fmt/colors";

const MARGIN = "  ";

/** A whole number with its thousands apart. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A time in microseconds below one millisecond. */
export function duration(milliseconds: number): string {
  return milliseconds < 0.9995 ? `${(milliseconds * 1_000).toFixed(0)} µs` : `${milliseconds.toPrecision(3)} ms`;
}

/** A figure with three digits: 84.3k. */
export function scaled(value: number): string {
  if (value >= 999_500) return `${(value / 1e6).toPrecision(3)}M`;
  return value >= 1_000 ? `${Number((value / 1_000).toPrecision(3))}k` : value.toFixed(0);
}

/** A size: 4.8 KB. */
export function bytes(size: number): string {
  const unit = Math.min(3, Math.max(0, Math.floor(Math.log2(size) / 10)));
  return unit > 0 ? `${(size / 1024 ** unit).toFixed(1)} ${["KB", "MB", "GB"][unit - 1]}` : `${size} bytes`;
}

/** A line with the margin. */
export function indented(line: string): string {
  return line === "" ? "" : MARGIN + line;
}

/** How many columns a text takes. */
export function width(text: string): number {
  return stripAnsiCode(text).length;
}

/** Rows with their columns one below the other. The last cell of a short row may go on over the others. */
export function aligned(rows: readonly (readonly string[])[], { right = [] as number[] } = {}): string[] {
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.filter((row) => row.length === rows[0].length).map((row) => width(row[column])))
  );
  return rows.map((row) =>
    row.map((cell, column) => {
      const space = " ".repeat(Math.max(0, widths[column] - width(cell)));
      return right.includes(column) && row.length === rows[0].length ? space + cell : cell + space;
    }).join("  ").trimEnd()
  );
}
