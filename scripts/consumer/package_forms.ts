/**
 * The forms of the package: what is published, and the two npm packages that are made of it.
 *
 * JSR makes an npm package of what was published: the sources, each with JavaScript beside it, and declarations in `_dist`.
 * `deno pack` transpiles and declares with the same libraries as JSR does, so its files are those of JSR, in another layout.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OLDEST } from "../../src/adapters/runtime_check.ts";
import { ROOT } from "../runtimes.ts";
import { type Files, readTar } from "./tar.ts";

/** The part of `jsr.json` that is used here. */
export interface JsrConfig {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
}

/** Modules that do something when they are imported, so that a bundler must not leave them out. */
const EFFECTS = ["./src/adapters/runtime_check.js", "./src/base/real_time.js"];

/** Returns `jsr.json`. */
export function jsrConfig(): JsrConfig {
  return JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8"));
}

/** Returns the name that JSR gives a package on npm: `@jsr/veltix__core`. */
export function npmName({ name }: Pick<JsrConfig, "name">): string {
  return `@jsr/${name.slice(1).replace("/", "__")}`;
}

/**
 * Returns what `deno pack` makes of the package: JavaScript, declarations, `package.json` and the texts.
 *
 * @param deno The path of Deno.
 * @param options `maps` is true for JavaScript that ends with its source map.
 * @throws {Error} It fails.
 */
export function packed(deno: string, { maps }: { readonly maps: boolean }): Files {
  const folder = mkdtempSync(join(tmpdir(), "veltix-pack-"));
  try {
    const path = join(folder, "package.tgz");
    const args = [
      "pack",
      "--config=jsr.json",
      "--allow-dirty",
      `--output=${path}`,
      ...maps ? [] : ["--no-source-maps"],
    ];
    const { status, stdout, stderr, error } = spawnSync(deno, args, { cwd: ROOT, encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot pack the package: ${error?.message ?? `${stdout}${stderr}`.trim()}`);
    const files: Files = new Map();
    for (const [name, content] of readTar(readFileSync(path))) files.set(name.replace(/^package\//, ""), content);
    return files;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the package as npm takes it: {@linkcode packed}, with all that a `package.json` should say. */
export function npmForm(files: Files): Files {
  const { name, version, license, exports } = jsrConfig();
  const { dependencies } = JSON.parse(textOf(files, "package.json"));
  const manifest = {
    name,
    version,
    description: "Typed messages and streams between programs, for Deno, Bun, Node and browsers",
    license,
    type: "module",
    exports: {
      ...mapValues(exports, (path) => ({ types: renamed(path, ".d.ts"), default: renamed(path, ".js") })),
      "./package.json": "./package.json",
    },
    // npx and bunx run it by the name of the package, since it is the only one.
    bin: { veltix: renamed(exports["./cli"], ".js") },
    sideEffects: EFFECTS.filter((path) => files.has(path.slice(2))),
    engines: { node: `>=${OLDEST.Node}`, bun: `>=${OLDEST.Bun}`, deno: `>=${OLDEST.Deno}` },
    dependencies,
  };
  return new Map([...files, ["package.json", json(manifest)]]);
}

/**
 * Returns the package as `npm.jsr.io` serves it.
 *
 * @param files What `deno pack` made, with source maps.
 * @param published What was published to JSR.
 */
export function jsrNpmForm(files: Files, published: Files): Files {
  const config = jsrConfig();
  const form: Files = new Map();
  for (const [path, content] of published) {
    form.set(path, path.endsWith(".ts") ? bytes(bareSpecifiers(text(content))) : content);
  }
  for (const [path, content] of files) {
    if (path.endsWith(".js")) {
      const [code, map] = splitMap(path, text(content));
      form.set(path, bytes(code)).set(`${path}.map`, json(map));
    } else if (path.endsWith(".d.ts")) form.set(`_dist/${path}`, content);
  }
  const { dependencies } = JSON.parse(textOf(files, "package.json"));
  const manifest = {
    name: npmName(config),
    version: config.version,
    homepage: `https://jsr.io/${config.name}`,
    type: "module",
    dependencies,
    exports: mapValues(
      config.exports,
      (path) => ({ types: renamed(`./_dist/${path.slice(2)}`, ".d.ts"), default: renamed(path, ".js") }),
    ),
    _jsr_revision: 11,
  };
  return form.set("package.json", json(manifest));
}

/** Returns the text of a file of a package. */
export function textOf(files: Files, path: string): string {
  const content = files.get(path);
  if (content === undefined) throw new Error(`The package has no "${path}"`);
  return text(content);
}

/** Returns how many bytes the files have together. */
export function sizeOf(files: Files): number {
  return [...files.values()].reduce((total, { length }) => total + length, 0);
}

/** Takes the source map from the end of a module. JSR has it in a file of its own, without the sources. */
function splitMap(path: string, code: string): [code: string, map: object] {
  const [before, map] = code.split("//# sourceMappingURL=data:application/json;base64,");
  if (map === undefined) throw new Error(`"${path}" has no source map`);
  const name = path.slice(path.lastIndexOf("/") + 1);
  const { mappings } = JSON.parse(text(Uint8Array.from(atob(map.trim()), (char) => char.charCodeAt(0))));
  const sources = [`./${name.replace(/\.js$/, ".ts")}`];
  return [`${before}//# sourceMappingURL=${name}.map\n`, { version: 3, file: name, sources, names: [], mappings }];
}

/** A specifier after `from`, `import` or `import(`. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*)"([^"\n]+)"/g;

/** Replaces `npm:name@^1/path` by `name/path`, and the `.ts` of relative specifiers by `.js`. */
function bareSpecifiers(source: string): string {
  return source.replace(SPECIFIER, (_, before, specifier) => {
    const bare = /^\.{1,2}\//.test(specifier)
      ? specifier.replace(/\.ts$/, ".js")
      : specifier.replace(/^npm:\/?((?:@[^/@]+\/)?[^/@]+)(?:@[^/]+)?/, "$1");
    return `${before}"${bare}"`;
  });
}

function renamed(path: string, end: string): string {
  return path.replace(/\.ts$/, end);
}

function mapValues<T>(table: Readonly<Record<string, string>>, map: (value: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, map(value)]));
}

function text(content: Uint8Array): string {
  return new TextDecoder().decode(content);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function json(value: unknown): Uint8Array {
  return bytes(`${JSON.stringify(value, undefined, 2)}\n`);
}
