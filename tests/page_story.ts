/**
 * Runs what a page of `docs` shows: writes its files, types what its terminals show, and compares what the programs print.
 *
 * A line that begins with `**` and a name in backticks says that the next block is this file. One that begins with
 * `**Terminal 1**` or `**The page**` says that the next block is what happens there:
 *
 * - `$ node server.ts` is entered, on the runtime of the test. `deno run` and `bun` are, too, each on its own runtime.
 * - `> hello` is typed.
 * - `^C` and `^D` are pressed; the program has to end.
 * - `…` at the end says that more is printed, which does not matter.
 * - Anything else is printed: the test waits for it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { ROOT } from "../scripts/runtimes.ts";
import { type Browser, launch, type Tab } from "./browser/browser.ts";
import type { FoundBrowser } from "./browser/find.ts";
import { INTERRUPTED } from "./examples_support.ts";
import { Child } from "./processes/child.ts";
import { freePort } from "./processes/free_port.ts";
import { limited } from "./processes/waiting.ts";

/** A file, or what happens in a terminal or in a page of a browser. */
export type Step =
  | { readonly kind: "file"; readonly name: string; readonly text: string }
  | { readonly kind: "screen"; readonly name: string; readonly lines: readonly string[] };

/** A part of a page of `docs`, from one heading of the second level to the next. */
export interface Section {
  /** Its heading; empty for what stands before the first one. */
  readonly title: string;
  readonly steps: readonly Step[];
}

/** What only shows commands to install something, or a line that goes wrong. */
const NOT_RUN = /^(?:sh|text)$/;
/** Decides where packages are found, which a folder of the repository knows better. */
const LEFT_OUT = "deno.json";
/** The screen of a browser. */
const PAGE = "The page";
/** Stands for what a program prints further on. */
const MORE = "…";
/** How long a page may take to show a line, in milliseconds. */
const SHOW_LIMIT = 30_000;

/** Reads a page of `docs`. */
export function sectionsOf(path: string): Section[] {
  const sections: { title: string; steps: Step[] }[] = [{ title: "", steps: [] }];
  let label = "";
  let block: { readonly language: string; readonly lines: string[] } | undefined;
  for (const line of readFileSync(`${ROOT}docs/${path}`, "utf8").split(/\r?\n/)) {
    if (line.startsWith("```")) {
      if (block === undefined) {
        block = { language: line.slice(3), lines: [] };
        continue;
      }
      const step = stepOf(label, block.lines);
      assert(
        step !== undefined || NOT_RUN.test(block.language),
        `${path} has a block without a name: ${block.lines[0]}`,
      );
      if (step !== undefined) sections.at(-1)!.steps.push(step);
      [label, block] = ["", undefined];
    } else if (block !== undefined) block.lines.push(line);
    else if (line.startsWith("## ")) sections.push({ title: line.slice(3), steps: [] });
    else if (line.startsWith("**")) label = line;
  }
  return sections;
}

function stepOf(label: string, lines: readonly string[]): Step | undefined {
  const [, file, screen] = /^\*\*(?:`([\w./-]+)`|(Terminal \d|The page))\*\*/.exec(label) ?? [];
  if (file !== undefined) return { kind: "file", name: file, text: `${lines.join("\n")}\n` };
  if (screen !== undefined) return { kind: "screen", name: screen, lines: lines.filter((line) => line !== "") };
  return undefined;
}

/** Whether steps need a browser. */
export function needsBrowser(steps: readonly Step[]): boolean {
  return steps.some(({ name }) => name === PAGE);
}

/** A folder with the files of pages, in which imports of the package find this repository. */
export class Folder implements Disposable {
  readonly path: string;

  constructor() {
    mkdirSync(`${ROOT}.tmp`, { recursive: true });
    this.path = mkdtempSync(`${ROOT}.tmp/page-`);
  }

  /** Writes files into a folder of it. */
  write(steps: readonly Step[], folder: string = ""): void {
    for (const step of steps) {
      if (step.kind !== "file" || step.name === LEFT_OUT) continue;
      const path = join(this.path, folder, step.name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, step.text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/**
 * Imports a file of a folder. Resolves with what it printed by `console.log`, the values of one call in one row.
 *
 * @param folder Where the file is.
 * @param name Its name.
 */
export async function printedBy(folder: Folder, name: string): Promise<unknown[][]> {
  const printed: unknown[][] = [];
  const { log } = console;
  console.log = (...values) => void printed.push(values);
  try {
    await import(pathToFileURL(join(folder.path, name)).href);
  } finally {
    console.log = log;
  }
  return printed;
}

/** The ports that the pages use. */
const PORTS = /\b(?:8080|8081|8000)\b/g;

/**
 * Runs steps.
 *
 * @param before What stands before them, of which only the files matter.
 * @param steps The steps.
 * @param browser The browser for those that need one.
 */
export async function play(before: readonly Step[], steps: readonly Step[], browser?: FoundBrowser): Promise<void> {
  using folder = new Folder();
  await using screens = new Screens(folder.path, browser);
  const ports = new Map<string, string>();
  const used = JSON.stringify([before, steps]).match(PORTS) ?? [];
  for (const port of new Set(used)) ports.set(port, String(await freePort()));
  const replaced = (steps: readonly Step[]): Step[] =>
    JSON.parse(JSON.stringify(steps).replaceAll(PORTS, (port) => ports.get(port)!));

  folder.write(replaced(before));
  for (const step of replaced(steps)) {
    if (step.kind === "file") folder.write([step]);
    else for (const line of step.lines) await screens.take(step.name, line);
  }
  screens.check();
}

/** All terminals of a page, and its browser. */
class Screens implements AsyncDisposable {
  readonly #folder: string;
  readonly #found: FoundBrowser | undefined;
  readonly #terminals = new Map<string, Terminal>();
  #browser: Browser | undefined;
  #page: Shown | undefined;
  /** The address that a page of the browser was last told to be at. */
  #url = "";

  constructor(folder: string, found: FoundBrowser | undefined) {
    this.#folder = folder;
    this.#found = found;
  }

  /** Does what a line says. */
  async take(name: string, line: string): Promise<void> {
    if (name === PAGE) {
      this.#page ??= await this.#open();
      if (line.startsWith("> ")) await this.#page.type(line.slice(2));
      else await this.#page.find(line);
      return;
    }
    if (!this.#terminals.has(name)) this.#terminals.set(name, new Terminal(name, this.#folder));
    await this.#terminals.get(name)!.take(line);
    this.#url = /http:\/\/127\.0\.0\.1:\d+\//.exec(line)?.[0] ?? this.#url;
  }

  /** Checks that no program printed more than it should. */
  check(): void {
    for (const terminal of this.#terminals.values()) terminal.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const terminal of this.#terminals.values()) await terminal[Symbol.asyncDispose]();
    await this.#browser?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<Shown> {
    assert(this.#found !== undefined, "There is no browser");
    this.#browser = await launch(this.#found, { pin: "" });
    return new Shown(await this.#browser.open(this.#url));
  }
}

/** A terminal, in which one program runs after another. */
class Terminal implements AsyncDisposable {
  readonly #name: string;
  readonly #folder: string;
  #child: Child | undefined;
  /** What the program should have printed. */
  #expected: string[] = [];

  constructor(name: string, folder: string) {
    this.#name = name;
    this.#folder = folder;
  }

  /** Does what a line says. */
  async take(line: string): Promise<void> {
    if (line.startsWith("$ ")) {
      await this.#over();
      const [command, ...args] = commandOf(line.slice(2).split(" "));
      this.#child = new Child(command, args, this.#folder);
      return;
    }
    const child = this.#child;
    assert(child !== undefined, `Nothing runs in ${this.#name}, which shows ${line}`);
    if (line.startsWith("> ")) child.type(line.slice(2));
    else if (line === "^D") {
      child.endInput();
      await this.#over(0);
    } else if (line === "^C") {
      child.interrupt();
      assertEquals(await child.end(), INTERRUPTED, `${this.#name}: ${child.text}`);
    } else if (line === MORE) this.#expected.push(line);
    else {
      this.#expected.push(line);
      await child.find(new RegExp(`^${line.replaceAll(/[^\w\s]/g, "\\$&")}\\n`, "m"));
    }
  }

  /** Checks that its program has printed what it should, and nothing else. */
  check(): void {
    const printed = this.#child?.text.split("\n").filter((line) => line !== "") ?? [];
    const more = this.#expected.indexOf(MORE);
    if (more >= 0) printed.splice(more, Infinity, MORE);
    assertEquals(printed, this.#expected, this.#name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.[Symbol.asyncDispose]();
  }

  /** Waits for the end of a program, if there is one, and checks it. */
  async #over(expected?: number): Promise<void> {
    if (this.#child === undefined) return;
    const code = await this.#child.end();
    if (expected !== undefined) assertEquals(code, expected, `${this.#name}: ${this.#child.text}`);
    this.check();
    this.#child = undefined;
    this.#expected = [];
  }
}

/** A page in a browser, which shows lines and may have a field for input. */
class Shown {
  readonly #tab: Tab;
  #seen = 0;

  constructor(tab: Tab) {
    this.#tab = tab;
  }

  /** Types a line into the field of the page. */
  async type(line: string): Promise<void> {
    await this.#tab.evaluate(`{
      document.querySelector("input").value = ${JSON.stringify(line)};
      document.querySelector("form").requestSubmit();
      "";
    }`);
  }

  /** Waits for the next line, which must be this one. */
  async find(line: string): Promise<void> {
    const lines = this.#tab.evaluate(`new Promise((resolve) => {
      const look = () => {
        const lines = document.body.innerText.split("\\n").filter((line) => line !== "");
        if (lines.length > ${this.#seen}) resolve(lines[${this.#seen}]);
      };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
      look();
    })`);
    assertEquals(await limited(`The page shows "${line}"`, SHOW_LIMIT, lines), line, PAGE);
    this.#seen++;
  }
}

/** Returns the program and the arguments of a command on a page. */
function commandOf([command, ...args]: readonly string[]): string[] {
  const [deno, bun] = ["Deno" in globalThis, "Bun" in globalThis];
  if (command === "npx" && args[0] === "esbuild") return [esbuildPath(), ...args.slice(1)];
  if (command === "deno" && deno || command === "bun" && bun) return [process.execPath, ...args];
  assertEquals(command, "node", "this runtime has no such command");
  return [process.execPath, ...deno ? ["run", "-A", "-q", "--no-check"] : [], ...args];
}

/** The program of esbuild. */
function esbuildPath(): string {
  const [path] = globSync("node_modules/@esbuild/*/{bin/esbuild,esbuild.exe}", { cwd: ROOT });
  assert(path !== undefined && existsSync(ROOT + path), "esbuild is not installed");
  return ROOT + path;
}
