/**
 * The entries of the package, and the page that leads to the API reference of each.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { ROOT } from "../runtimes.ts";

/** An entry of the package. */
export interface PackageEntry {
  /** What programs import. */
  readonly name: string;
  /** The path of its module in the repository. */
  readonly module: string;
}

/** The entries of the package. */
export function entries(): PackageEntry[] {
  const { name, exports } = JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8"));
  return Object.entries<string>(exports).map(([entry, module]) => ({
    name: name + entry.slice(1),
    module: module.replace("./", ""),
  }));
}

/** The page with all entries, in Markdown. */
export function referencePage(folder: string): string {
  const rows = entries().map(({ name, module }) =>
    `| <a href="${folder}${module}/index.html" target="_self"><code>${name}</code></a> | ${firstSentenceOf(module)} |`
  );
  return [
    "# API reference",
    "",
    "Every exported symbol of each entry, made from the docstrings of the sources. " +
    `<a href="${folder}all_symbols.html" target="_self">All symbols</a> are on one page, too.`,
    "",
    "| entry | what it is |",
    "| --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

/** The first sentence of the comment of a module. */
function firstSentenceOf(module: string): string {
  const [, comment] = /\/\*\*([^]*?)\*\//.exec(readFileSync(ROOT + module, "utf8"))!;
  const [paragraph] = comment.replaceAll(/^ *\* ?/gm, "").trim().split(/\n\s*\n|\n@/);
  return /^[^]*?\.(?=\s|$)/.exec(paragraph.replaceAll("\n", " "))?.[0] ?? paragraph.replaceAll("\n", " ");
}
