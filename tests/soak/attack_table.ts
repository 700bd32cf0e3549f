/**
 * What came of all attacks, as the Markdown table that `SECURITY.md` quotes.
 *
 * @module
 */

import type { Attacked } from "./scenario.ts";

/** An attack on one runtime. */
type Row = Attacked & { readonly runtime: string };

/** A row for each attack, the runtimes in the order in which they ran. */
export function attackTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.map(({ attack }) => attack))];
  const runtimes = [...new Set(rows.map(({ runtime }) => runtime))];
  const lines = names.map((name) => {
    const own = runtimes.map((runtime) => rows.find((row) => row.attack === name && row.runtime === runtime));
    const { does, formula } = own.find((row) => row !== undefined)!;
    const each = (figure: (row: Row) => number): string =>
      own.map((row) => row === undefined ? "–" : `${Math.max(0, Math.round(figure(row)))}${row.ok ? "" : " (!)"}`)
        .join(" / ");
    return [
      does,
      formula,
      `${each(({ p99 }) => p99)} ms, ${each(({ grown }) => grown / 2 ** 20)} MiB`,
      `\`--attack ${name}\``,
    ];
  });
  const head = ["attack", "at most, by formula", `p99, memory (${runtimes.join(" / ")})`, "measured by"];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
