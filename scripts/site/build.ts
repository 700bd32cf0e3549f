/**
 * Builds the site: VitePress makes the pages of `docs/` and the like, `deno doc` the API reference from the docstrings.
 *
 * VitePress works on copies in `site/pages`, whose links lead to pages of the site: `docs/` stays what GitHub shows.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { npmInstall } from "../npm.ts";
import { ROOT } from "../runtimes.ts";
import { entries, referencePage } from "./api.ts";
import { htmlFiles } from "./links.ts";
import { blocksOf } from "./markdown.ts";
import { type Page, pages, sourcePage, stagedPage } from "./pages.ts";

const SITE = `${ROOT}site/`;
/** What VitePress reads. */
const STAGE = `${SITE}pages/`;
/** The built site. */
export const DIST: string = `${SITE}dist/`;

/** The folder of the API reference in the site. */
export const API = "api/";

/** Builds the site into {@linkcode DIST}. Returns its pages. */
export function buildSite(): Page[] {
  const problem = npmInstall(SITE, "the generator of the site");
  if (problem !== undefined) throw new Error(`Cannot build the site: ${problem}`);
  const all = pages();
  stage(all);
  run("node", ["node_modules/vitepress/bin/vitepress.js", "build"], SITE);
  buildApi();
  return all;
}

/** Lets `deno doc` write the API reference, and gives it the icon and some style of the site. */
function buildApi(): void {
  const folder = DIST + API;
  const modules = entries().map(({ module }) => module);
  run(process.execPath, ["doc", "--quiet", "--html", "--name=Veltix", `--output=${folder}`, ...modules], ROOT);
  for (const file of htmlFiles(folder)) {
    const root = "../".repeat(file.split("/").length);
    const icon = `<link rel="icon" type="image/svg+xml" href="${root}logo.svg">`;
    writeFileSync(folder + file, readFileSync(folder + file, "utf8").replace("<head>", `<head>${icon}`));
  }
  writeFileSync(`${folder}page.css`, readFileSync(`${SITE}api.css`), { flag: "a" });
  // Its first page would name no entry of the package.
  writeFileSync(
    `${folder}index.html`,
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Veltix API</title>` +
      `<link rel="icon" type="image/svg+xml" href="../logo.svg"><meta http-equiv="refresh" content="0; url=../reference.html">` +
      `</head><body><a href="../reference.html">API reference</a></body></html>\n`,
  );
}

/** Writes what VitePress reads. */
function stage(all: readonly Page[]): void {
  rmSync(STAGE, { recursive: true, force: true });
  cpSync(`${SITE}public`, `${STAGE}public`, { recursive: true });
  cpSync(`${ROOT}docs/images`, `${STAGE}images`, { recursive: true });
  const sources = new Set<string>();
  const files = new Set<string>();
  for (const page of all) {
    const staged = stagedPage(page);
    write(STAGE + page.path, page.path === "index.md" ? homeOf(staged.text) : staged.text);
    for (const source of staged.sources) sources.add(source);
    for (const file of staged.files) files.add(file);
  }
  for (const source of sources) {
    const { path, text } = sourcePage(source);
    write(STAGE + path, text);
  }
  write(`${STAGE}reference.md`, referencePage(API));
  for (const file of files) {
    const to = `${STAGE}public/files/${file}`;
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(ROOT + file, to);
  }
}

/** The home page shows its title and introduction in another way, and the first program beside them. */
function homeOf(text: string): string {
  const [{ code, language }] = blocksOf(text);
  write(`${STAGE}hero.md`, `\`\`\`${language}\n${code}\n\`\`\`\n`);
  return text.slice(text.indexOf("\n## ") + 1);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Runs a program, and shows what it printed if it fails. */
function run(program: string, args: readonly string[], folder: string): void {
  const { error, status, stderr, stdout } = spawnSync(program, args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
    maxBuffer: 1 << 28,
  });
  if (status === 0) return;
  throw new Error(`${program} ${args.slice(0, 3).join(" ")} failed\n${stdout ?? ""}${stderr ?? ""}`, { cause: error });
}
