/**
 * Figures as text, and text in columns.
 *
 * @module
 */

/** How a figure is written; "" is a plain number. */
export type Unit = "ns" | "µs" | "ms" | "/s" | "B" | "B/s" | "B/min" | "%" | "×" | "";

/** A figure with its unit. */
export function amount(value: number, unit: Unit): string {
  switch (unit) {
    case "/s":
      return scaled(value);
    case "B/s":
      return `${scaled(value)}B`;
    case "B":
      return bytes(value);
    case "B/min":
      return `${bytes(value)}/min`;
    case "%":
      return `${value.toFixed(0)} %`;
    case "ns":
      return `${value.toFixed(1)} ns`;
    case "µs":
      return `${value.toFixed(0)} µs`;
    case "ms":
      return `${value.toFixed(2)} ms`;
    case "×":
      return value.toFixed(2);
    case "":
      return value.toLocaleString("en");
  }
}

/** Whether less of it is better. */
export function lessIsBetter(unit: Unit): boolean {
  return unit !== "/s" && unit !== "B/s";
}

function bytes(value: number): string {
  if (Math.abs(value) >= 10 * 2 ** 20) return `${(value / 2 ** 20).toFixed(1)} MB`;
  return `${(value / 1024).toFixed(1)} KB`;
}

function scaled(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)}G`;
  if (value >= 999_500) return `${(value / 1e6).toPrecision(3)}M`;
  if (value >= 1000) return `${Number((value / 1000).toPrecision(3))}k`;
  return value.toFixed(0);
}

/** Rows of cells as lines with columns; the first row is the head. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)).join("  "));
  return lines.join("\n");
}
