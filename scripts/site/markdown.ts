/**
 * What the site and the tests need to know of a Markdown file: its headings, its links and its blocks of code.
 *
 * Runs on Deno, Bun and Node.
 *
 * @module
 */
import { posix } from "node:path";

/** A heading. */
export interface Heading {
  readonly level: number;
  readonly text: string;
  /** Its anchor, as GitHub makes it. */
  readonly anchor: string;
}

/** A link, or an image. */
export interface Link {
  readonly href: string;
  /** Where `href` begins in the text. */
  readonly at: number;
  readonly line: number;
}

/** A fenced block of code. */
export interface Block {
  /** The first word after the fence; empty where there is none. */
  readonly language: string;
  /** The words after it. */
  readonly words: readonly string[];
  readonly code: string;
  readonly line: number;
  /** The paragraph before it, and the one after. */
  readonly around: string;
}

/** The anchor of a heading with this text, as GitHub makes it. */
export function anchorOf(text: string): string {
  return text.trim().toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "").replaceAll(" ", "-");
}

/** The headings of a file. */
export function headingsOf(text: string): Heading[] {
  const used = new Map<string, number>();
  return [...withoutBlocks(text).matchAll(/^(#{1,6}) +(.*?)(?: +#+)? *$/gm)].map(([, marks, raw]) => {
    const plain = raw.replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/`|\*\*/g, "");
    const anchor = anchorOf(plain);
    const count = used.get(anchor) ?? 0;
    used.set(anchor, count + 1);
    return { level: marks.length, text: plain, anchor: count === 0 ? anchor : `${anchor}-${count}` };
  });
}

/** The title of a file: its first heading. */
export function titleOf(text: string): string | undefined {
  return headingsOf(text)[0]?.text;
}

/** The links and images of a file, those of HTML among them. */
export function linksOf(text: string): Link[] {
  const prose = withoutCode(text);
  const forms = [
    /\]\( *<?([^\s()<>]+(?:\([^\s()]*\)[^\s()<>]*)?)>?(?: +"[^"]*")? *\)/dg,
    /^ *\[[^\]]+\]: +<?([^\s<>]+)/dgm,
    /\b(?:href|src|srcset)="([^"\s]+)"/dg,
  ];
  return forms.flatMap((form) => [...prose.matchAll(form)]).map(({ 1: href, indices }) => {
    const [at] = indices![1]!;
    return { href, at, line: lineOf(text, at) };
  }).sort((a, b) => a.at - b.at);
}

/**
 * Where a link leads to in the repository.
 *
 * @param file The file with the link.
 * @returns The path of the file, and the anchor in it; nothing if the link leads elsewhere.
 */
export function targetOf(file: string, href: string): { readonly path: string; readonly anchor: string } | undefined {
  if (/^([a-z][a-z+.-]*:|\/)/i.test(href)) return undefined;
  const [path, anchor = ""] = href.split("#");
  const target = path === "" ? file : posix.join(posix.dirname(file), decodeURI(path));
  return { path: target.replace(/\/$/, ""), anchor: decodeURI(anchor) };
}

/** The fenced blocks of a file. */
export function blocksOf(text: string): Block[] {
  const lines = text.split("\n");
  return fencesOf(lines).map(({ from, to, indent, info }) => {
    const [language = "", ...words] = info.split(/\s+/).filter((word) => word !== "");
    const code = lines.slice(from + 1, to).map((line) => line.slice(Math.min(indent, line.search(/\S|$/)))).join("\n");
    const before = lines.slice(0, from).join("\n").trimEnd().split(/\n\s*\n/).at(-1) ?? "";
    const after = lines.slice(to + 1).join("\n").trimStart().split(/\n\s*\n/)[0];
    return { language, words, code, line: from + 1, around: `${before}\n${after}` };
  });
}

interface Fence {
  /** The lines of the fences. */
  readonly from: number;
  readonly to: number;
  readonly indent: number;
  readonly info: string;
}

function fencesOf(lines: readonly string[]): Fence[] {
  const found: Fence[] = [];
  for (let from = 0; from < lines.length; from++) {
    const opening = /^( *)(`{3,}|~{3,})([^`]*)$/.exec(lines[from]);
    if (opening === null) continue;
    const [, { length: indent }, marks, info] = opening;
    const closing = new RegExp(`^ *${marks[0]}{${marks.length},} *$`);
    let to = from + 1;
    while (to < lines.length && !closing.test(lines[to])) to++;
    found.push({ from, to, indent, info: info.trim() });
    from = to;
  }
  return found;
}

/** The text with spaces in place of the blocks: all that is left stays where it was. */
function withoutBlocks(text: string): string {
  const lines = text.split("\n");
  for (const { from, to } of fencesOf(lines)) {
    for (let at = from; at <= to && at < lines.length; at++) lines[at] = " ".repeat(lines[at].length);
  }
  return lines.join("\n").replaceAll(/<!--[^]*?-->/g, blank);
}

/** The same, without what is code inside of a line. */
function withoutCode(text: string): string {
  return withoutBlocks(text).replaceAll(/(?<!`)(`+)(?!`)(?:(?!\n *\n)[^])*?(?<!`)\1(?!`)/g, blank);
}

function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, " ");
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}
