/**
 * Checks for the blocks of code in the pages, one for each language. `ts` is none of them: the gate checks its types.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

// Else it makes a thread, which lives on.
process.env.ESBUILD_WORKER_THREADS = "0";
const { transformSync } = await import("esbuild");

/** Says what is wrong with a text; nothing if it is right. */
export type BlockCheck = (code: string) => string | undefined;

/** Finds a program. */
function find(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const path = folders.flatMap((folder) => [join(folder, name), join(folder, `${name}.exe`)]).find(existsSync);
  if (path === undefined && process.env.VELTIX_REQUIRE_ALL === "1") throw new Error(`Cannot check pages: no ${name}`);
  return path;
}

/** The programs that checks need, where they are installed. */
export const PROGRAMS: Readonly<Record<"bash" | "python3", string | undefined>> = {
  bash: find("bash"),
  python3: find("python3"),
};

/** Runs a program that reads the text; what it says is wrong. */
function by(program: keyof typeof PROGRAMS, ...args: string[]): BlockCheck {
  return (code) => {
    const { status, stderr } = spawnSync(PROGRAMS[program]!, args, { input: code, encoding: "utf8" });
    return status === 0 ? undefined : stderr.trim();
  };
}

/** Returns what a function throws. */
function thrownBy(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function script(code: string): string | undefined {
  return thrownBy(() => transformSync(code, { loader: "ts", logLevel: "silent" }));
}

/** Elements are closed in their order, and scripts inside of the page can be parsed. */
function html(code: string): string | undefined {
  const empty = new Set(["meta", "link", "input", "img", "br", "hr", "source"]);
  const open: string[] = [];
  const plain = code.replaceAll(/(<(script|style)\b[^>]*>)[^]*?(<\/\2>)/g, "$1$3");
  for (const [, end, name] of plain.matchAll(/<(\/?)([a-z][a-z0-9-]*)\b[^>]*>/gi)) {
    if (end === "") {
      if (!empty.has(name)) open.push(name);
    } else if (open.pop() !== name) return `</${name}> closes another element`;
  }
  if (open.length > 0) return `<${open.at(-1)}> is not closed`;
  for (const [, text] of code.matchAll(/<script\b[^>]*>([^]*?)<\/script>/g)) {
    const wrong = script(text);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** Comments are taken out, where no text has them. */
function jsonc(code: string): string | undefined {
  const plain = code.replaceAll(/("(?:[^"\\]|\\.)*")|\/\/.*|\/\*[^]*?\*\//g, "$1").replaceAll(/,(\s*[\]}])/g, "$1");
  return thrownBy(() => JSON.parse(plain));
}

/** Each line has one of these forms. */
function lines(...forms: RegExp[]): BlockCheck {
  return (code) => {
    const wrong = code.split("\n").find((line) => line.trim() !== "" && !forms.some((form) => form.test(line)));
    return wrong === undefined ? undefined : `what is this: ${wrong.trim()}`;
  };
}

/** Each statement ends with a semicolon or is a block, and blocks are closed. */
function nginx(code: string): string | undefined {
  let depth = 0;
  for (const line of code.replaceAll(/#.*/g, "").split("\n").map((line) => line.trim())) {
    if (line === "") continue;
    if (!/[;{}]$/.test(line)) return `no semicolon: ${line}`;
    depth += line.split("{").length - line.split("}").length;
    if (depth < 0) return "a block too many is closed";
  }
  return depth === 0 ? undefined : "a block is not closed";
}

/** No tabs, each line is a key, an item or a comment, and what is deeper is so by two. */
function yaml(code: string): string | undefined {
  let depth = 0;
  /** The indentation of a text of several lines, whose content is free. */
  let text = Infinity;
  for (const line of code.split("\n")) {
    const indent = line.search(/\S/);
    if (indent > text || indent === -1) continue;
    text = Infinity;
    if (line.includes("\t")) return `a tab: ${line}`;
    if (!/^ *(#|---|(- )*([\w."/*{-][^:]*: ?|- ?)|- \S)/.test(line)) return `what is this: ${line.trim()}`;
    if (indent > depth && indent - depth !== 2 && !/^ *- /.test(line)) return `its indentation: ${line}`;
    depth = indent + (/^ *((?:- )+)/.exec(line)?.[1].length ?? 0);
    if (/[|>][-+]?$/.test(line)) text = indent;
  }
  return undefined;
}

const DOCKERFILE = lines(
  /^(ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|RUN|STOPSIGNAL|USER|VOLUME|WORKDIR|LABEL) \S/,
  /^\s*(#|&& |\S.*\\$)/,
  /^ +\S/,
);

/** The check for each language, or the program that it needs. A language that is not here may not be used. */
export const CHECKS: Readonly<Record<string, { readonly check: BlockCheck; readonly needs?: keyof typeof PROGRAMS }>> =
  {
    js: { check: script },
    html: { check: html },
    json: { check: (code) => thrownBy(() => JSON.parse(code)) },
    jsonc: { check: jsonc },
    sh: { check: by("bash", "-n"), needs: "bash" },
    bash: { check: by("bash", "-n"), needs: "bash" },
    py: { check: by("python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())"), needs: "python3" },
    python: { check: by("python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())"), needs: "python3" },
    nginx: { check: nginx },
    haproxy: { check: lines(/^(global|defaults|frontend|backend|listen)\b/, /^ +[a-z]/, /^ *#/) },
    ini: { check: lines(/^\[[^\]]+\]$/, /^[\w.-]+ *=/, /^[#;]/) },
    toml: { check: lines(/^\[\[?[^\]]+\]\]?$/, /^[\w."-]+ *= *\S/, /^#/) },
    yaml: { check: yaml },
    dockerfile: { check: DOCKERFILE },
    /** What a program prints, drawings, bytes: tests of their pages know more about some of them. */
    text: { check: () => undefined },
    /** What is typed and printed in a terminal. */
    console: { check: () => undefined },
  };
