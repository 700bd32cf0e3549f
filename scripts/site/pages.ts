/**
 * The pages of the site: those of `docs/`, and beside them the examples, and what else the project says in Markdown. Where
 * a page links to a file that is none of them, such as a source, that file becomes a page, too: the site needs no other
 * host.
 *
 * Runs on Deno, Bun and Node.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import { ROOT } from "../runtimes.ts";
import { linksOf, targetOf, titleOf } from "./markdown.ts";

/** Folders that hold nothing of the project. */
const FOREIGN = new Set([".git", ".tmp", "node_modules", "site/pages", "site/dist"]);
/** What examples consist of. */
const SOURCES = /\.(ts|py|html|css)$/;
/** Pictures and the like are shown or loaded as they are. */
const PLAIN_FILE = /\.(svg|png|jpg|webp|gif)$/;

/** A page of the site. */
export interface Page {
  /** Where it comes from, in the repository. */
  readonly file: string;
  /** Where it is, in the site. */
  readonly path: string;
  readonly title: string;
}

/** All Markdown files of the repository, sorted. */
export function markdownFiles(): string[] {
  return filesIn("").filter((file) => file.endsWith(".md"));
}

/** The pages, in no order that matters. */
export function pages(): Page[] {
  return markdownFiles().flatMap((file) => {
    const path = pagePathOf(file);
    if (path === undefined) return [];
    return [{ file, path, title: titleOf(read(file)) ?? path }];
  });
}

/** Where a Markdown file is in the site; nothing for one that is not there. */
function pagePathOf(file: string): string | undefined {
  if (file.startsWith("docs/")) return file.slice("docs/".length);
  if (/^examples\/([^/]+\/)?README\.md$/.test(file)) return file.replace(/README\.md$/, "index.md");
  if (/^[A-Z_]+\.md$/.test(file) && file !== "README.md") {
    return `project/${file.toLowerCase().replaceAll("_", "-")}`;
  }
  return undefined;
}

/** A text, and the files that it needs beside it. */
export interface Staged {
  readonly text: string;
  /** Sources that it links to. */
  readonly sources: readonly string[];
  /** Files that it shows. */
  readonly files: readonly string[];
}

/** The text of a page for the site: its links lead to pages of the site. */
export function stagedPage({ file, path }: Page): Staged {
  const text = read(file);
  const own = sourcesOf(path, file);
  const sources = new Set(own);
  const files = new Set<string>();
  let staged = "";
  let end = 0;
  for (const { at, href } of linksOf(text)) {
    const target = targetOf(file, href);
    // Inside of docs/ links are what they are on the site.
    if (target === undefined || target.path === file || (inDocs(file) && inDocs(target.path))) continue;
    const link = siteLinkOf(target.path);
    if (link.kind === "source") sources.add(target.path);
    if (link.kind === "file") files.add(target.path);
    staged += `${text.slice(end, at)}${link.href}${target.anchor === "" ? "" : `#${target.anchor}`}`;
    end = at + href.length;
  }
  staged += text.slice(end);
  if (own.length > 0) {
    const list = own.map((source) => `- [\`${source}\`](${siteLinkOf(source).href})`);
    staged += `\n## The sources\n\n${list.join("\n")}\n`;
  }
  return { text: staged, sources: [...sources], files: [...files] };
}

/** A page that shows a source. */
export function sourcePage(source: string): { readonly path: string; readonly text: string } {
  const head = [
    "---",
    `title: ${JSON.stringify(source)}`,
    "search: false",
    "aside: false",
    "---",
    "",
    `# ${source}`,
    "",
  ];
  const path = sourcePathOf(source);
  if (statSync(ROOT + source).isDirectory()) {
    return { path, text: [...head, ...filesIn(source).map((file) => `- \`${file}\``), ""].join("\n") };
  }
  const language = /\.(\w+)$/.exec(source)?.[1] ?? "text";
  const fence = "`".repeat(8);
  return { path, text: [...head, `${fence}${language}`, read(source).trimEnd(), fence, ""].join("\n") };
}

interface SiteLink {
  readonly kind: "page" | "source" | "file";
  readonly href: string;
}

/** What leads to a file of the repository, in the site. */
function siteLinkOf(target: string): SiteLink {
  if (target === "README.md" || target === "" || target === ".") return { kind: "page", href: "/index.md" };
  if (PLAIN_FILE.test(target)) return { kind: "file", href: `/files/${target}` };
  const page = [target, `${target}/README.md`, `${target}/index.md`]
    .filter((file) => file.endsWith(".md") && existsSync(ROOT + file))
    .map(pagePathOf)
    .find((path) => path !== undefined);
  if (page !== undefined) return { kind: "page", href: `/${page}` };
  return { kind: "source", href: `/${sourcePathOf(target)}` };
}

/** Without an ending such as `.html`, which would be taken for that of a page. */
function sourcePathOf(source: string): string {
  return `source/${source.replace(/\.(?=\w+$)/, "-")}.md`;
}

/** The sources of an example. */
function sourcesOf(path: string, file: string): string[] {
  if (!/^examples\/[^/]+\/index\.md$/.test(path)) return [];
  return filesIn(posix.dirname(file)).filter((source) => SOURCES.test(source));
}

function inDocs(file: string): boolean {
  return file.startsWith("docs/");
}

function read(file: string): string {
  return readFileSync(ROOT + file, "utf8");
}

/** The files in a folder and in those below it, sorted. */
function filesIn(folder: string): string[] {
  return readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return FOREIGN.has(entry.name) || FOREIGN.has(path) ? [] : filesIn(path);
  }).sort();
}
