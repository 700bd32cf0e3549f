/**
 * The face of the package: the names it exports, and that its files say the same about it.
 *
 * `public_api.json` lists the names. When one is meant to change, write the list anew with
 * `VELTIX_UPDATE=1 deno test -A tests/public_api_test.ts` and look at the difference.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { ROOT } from "../scripts/runtimes.ts";

const read = (path: string): string => readFileSync(ROOT + path, "utf8");
// deno-lint-ignore no-explicit-any
const readJson = (path: string): any => JSON.parse(read(path));

const jsr = readJson("jsr.json");
const npm = readJson("package.json");
const deno = readJson("deno.json");
const entries = Object.entries<string>(jsr.exports);
const LIST = "tests/public_api.json";

/** `VELTIX_UPDATE=1` writes the list, on Deno. */
const update = process.env.VELTIX_UPDATE === "1" && "Deno" in globalThis;

/** Kinds of exports that are there at run time. */
const VALUES = ["class", "function", "variable", "enum"];

/** The groups of the package's page at JSR: what `@category` may say. */
const CATEGORIES = [
  "Client",
  "Command line",
  "Contracts",
  "Errors",
  "Events",
  "Logging",
  "Messages",
  "Middleware",
  "Options",
  "Plugins",
  "Requests",
  "Security",
  "Server",
  "Streams",
  "Telemetry",
  "Testing",
  "Transport",
  "Utilities",
  "WebSockets",
  "Wire protocol",
  "Workers",
];

/** An exported name as `deno doc` tells it. */
interface Exported {
  readonly name: string;
  /** What `@category` says, in each of its docs; empty without one. */
  readonly categories: readonly string[];
  /** `class`, `interface` and so on, sorted, as several can share a name. */
  readonly kind: string;
  /** Where it is declared. */
  readonly at: string;
}

function documented(path: string): { moduleDoc: string; names: Exported[] } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["doc", "--json", path], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 256 * 2 ** 20,
    env: { ...process.env, NO_COLOR: "1" },
  });
  assertEquals(status, 0, stderr);
  const [{ module_doc: about, symbols }] = Object.values<
    { module_doc?: { doc?: string }; symbols: { name: string; declarations: Declaration[] }[] }
  >(JSON.parse(stdout).nodes);
  type Declaration = {
    kind: string;
    location: { filename: string; line: number; col: number };
    jsDoc?: { tags?: { kind: string; doc?: string }[] };
  };
  const names = symbols.map(({ name, declarations }) => {
    const { filename, line, col } = declarations[0].location;
    return {
      name,
      kind: [...new Set(declarations.map(({ kind }) => kind))].sort().join("+"),
      at: `${filename}:${line}:${col}`,
      categories: declarations.flatMap(({ jsDoc }) =>
        jsDoc?.tags?.filter(({ kind }) => kind === "category").map(({ doc }) => doc?.trim() ?? "") ?? []
      ),
    };
  });
  return { moduleDoc: about?.doc ?? "", names };
}

describe("the exported names", () => {
  const committed: Record<string, string[]> = existsSync(ROOT + LIST) ? readJson(LIST) : {};

  it("are those of the committed list, as far as they are values", async () => {
    if (update) return;
    assertEquals(Object.keys(committed), entries.map(([entry]) => entry));
    for (const [entry, path] of entries) {
      const module = await import(pathToFileURL(ROOT + path).href);
      const expected = committed[entry].map((line) => line.split(" "))
        .filter(([kind, , note]) => VALUES.includes(kind) && note === undefined);
      assertEquals(Object.keys(module).sort(), expected.map(([, name]) => name).sort(), entry);
    }
  });

  it("are never two for one value, and never one for two", async () => {
    const names = new Map<unknown, string>();
    const values = new Map<string, unknown>();
    for (const [, path] of entries) {
      for (const [name, value] of Object.entries(await import(pathToFileURL(ROOT + path).href))) {
        assertEquals(names.get(value) ?? name, name, "one value has two names");
        assert(!values.has(name) || values.get(name) === value, `"${name}" is two things`);
        if (typeof value === "object" || typeof value === "function") names.set(value, name);
        values.set(name, value);
      }
    }
    assert(names.has(Object.values(await import("@veltix/core"))[0]));
  });

  // Only Deno knows the types.
  ("Deno" in globalThis ? it : it.skip)(
    "are those of the committed list, types and all, and one name means one thing",
    async () => {
      const exported: [entry: string, names: Exported[]][] = [];
      const list: Record<string, string[]> = {};
      for (const [entry, path] of entries) {
        const module = await import(pathToFileURL(ROOT + path).href);
        const { names } = documented(path);
        exported.push([entry, names]);
        list[entry] = names.map(({ kind, name }) =>
          `${kind} ${name}${VALUES.includes(kind) && !(name in module) ? " (type only)" : ""}`
        ).sort();
      }
      if (update) writeFileSync(ROOT + LIST, `${JSON.stringify(list, null, 2)}\n`);
      else assertEquals(list, committed);

      const nameOf = new Map<string, string>();
      const placeOf = new Map<string, string>();
      for (const { name, at } of exported.flatMap(([, names]) => names)) {
        assertEquals(nameOf.get(at) ?? name, name, `what is declared at ${at} has two names`);
        assertEquals(placeOf.get(name) ?? at, at, `"${name}" is two things`);
        nameOf.set(at, name);
        placeOf.set(name, at);
      }
      assert(nameOf.size > 50);
    },
  );
});

/** LogTape keeps its loggers where every copy of it in a program finds them. */
const LOGTAPE = ["globalThis.Symbol(logtape.levelFilters)", "globalThis.Symbol(logtape.rootLogger)"];

describe("the pages of the package", () => {
  // Only Deno knows the docs.
  ("Deno" in globalThis ? it : it.skip)(
    "begin with the doc of a module, and group each exported name by one known category",
    () => {
      const seen = new Set<string>();
      const wrong: string[] = [];
      for (const [entry, path] of entries) {
        const { moduleDoc, names } = documented(path);
        if (moduleDoc === "") wrong.push(`${entry} has no doc of its module`);
        for (const { categories, name } of names) {
          const [category] = new Set(categories);
          if (new Set(categories).size !== 1) wrong.push(`${entry} ${name}: ${categories.join(", ") || "none"}`);
          else if (!CATEGORIES.includes(category)) wrong.push(`${entry} ${name}: "${category}" is no known one`);
          else seen.add(category);
        }
      }
      assertEquals(wrong, []);
      assertEquals([...seen].sort(), CATEGORIES);
    },
  );
});

describe("importing", () => {
  for (const [entry, path] of entries) {
    const changes = entry === "./logger" ? LOGTAPE : [];
    const what = changes.length === 0 ? "nothing" : "nothing but LogTape's own two symbols";
    it(`${entry} changes ${what}, prints nothing, and keeps no program alive`, () => {
      const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
      const args = [...flags, `${ROOT}tests/import_effects.ts`, pathToFileURL(ROOT + path).href];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, {
        cwd: ROOT,
        encoding: "utf8",
        timeout: 50_000,
        env: { ...process.env, NO_COLOR: "1" },
      });
      assertEquals([status, stdout.trim(), stderr], [0, JSON.stringify(changes), ""]);
    });
  }
});

describe("jsr.json, package.json and deno.json", () => {
  it("agree on name, version, license and entries", async () => {
    assertEquals((await import("../mod.ts")).VERSION, jsr.version);
    assertEquals(
      [npm.name, npm.version, npm.license, npm.exports],
      [jsr.name, jsr.version, jsr.license, jsr.exports],
    );
    const imports = Object.entries(deno.imports).filter(([name]) => name.split("/", 2).join("/") === jsr.name);
    const specifiers = entries.map(([entry, path]) => [jsr.name + entry.slice(1), path]);
    assertEquals(Object.fromEntries(imports), Object.fromEntries(specifiers));
    for (const [, path] of entries) assert(existsSync(ROOT + path), path);
    assert(npm.private, "the package is published on JSR, not from package.json");
  });

  it("have no key twice, whose first value would be lost, and a command for each task", () => {
    const keys = (value: unknown): number =>
      typeof value !== "object" || value === null ? 0 : Object.values(value).reduce(
        (sum, part) => sum + keys(part),
        Array.isArray(value) ? 0 : Object.keys(value).length,
      );
    for (const file of ["deno.json", "jsr.json", "package.json"]) {
      assertEquals(read(file).match(/"(?:[^"\\]|\\.)*"\s*:/g)?.length, keys(readJson(file)), file);
    }
    for (const [name, task] of Object.entries<{ command?: string }>(deno.tasks)) assert(task.command, name);
  });

  it("pin the same versions of what the tests import, exactly", () => {
    for (const [name, specifier] of Object.entries<string>(deno.imports)) {
      const [, library, version] = /^npm:(.+)@(.+)$/.exec(specifier) ?? [];
      const pins = { ...npm.dependencies, ...npm.devDependencies };
      if (library !== undefined) assertEquals([name, version], [library, pins[name]], name);
      const [, scoped, range] = /^jsr:(.+)@\^(.+)$/.exec(specifier) ?? [];
      if (scoped === undefined) continue;
      const folder = npm.devDependencies[scoped].replace(/^file:\.\//, "");
      assert(deno.links.includes(`./${folder}`), scoped);
      for (const file of ["deno.json", "package.json"]) {
        const stand = readJson(`${folder}/${file}`);
        assertEquals([stand.name, stand.version], [scoped, range], `${folder}/${file}`);
      }
    }
    const pinned = { ...npm.dependencies, ...npm.devDependencies, ...npm.optionalDependencies };
    for (const [name, version] of Object.entries<string>(pinned)) {
      assert(
        /^\d+\.\d+\.\d+$/.test(version) || version.startsWith("file:./std/"),
        `${name} ${version} is no exact version`,
      );
    }
  });

  it("name the runtimes that the pages and workflows name", () => {
    const pages = [
      "README.md",
      "CONTRIBUTING.md",
      ...globSync(["docs/**/*.md", "examples/**/*.md", ".github/**/*.yml"], { cwd: ROOT }),
    ]
      .filter((path) => existsSync(ROOT + path));
    let seen = 0;
    for (const page of pages) {
      for (const [, name, version] of read(page).matchAll(/\b(deno|bun|node)@(\d+\.\d+\.\d+)/g)) {
        assertEquals(version, npm.optionalDependencies[name], `${page} names ${name}@${version}`);
        seen++;
      }
    }
    assert(seen > 0, "no page tells how to start");
  });

  it("publish files that are there, and no dependencies but those that some entries stand on", () => {
    for (const path of jsr.publish.include) assert(existsSync(ROOT + path), `${path} is published and not there`);
    const pins = Object.entries<string>(npm.dependencies);
    assertEquals(jsr.imports, Object.fromEntries(pins.map(([name, version]) => [name, `npm:${name}@^${version}`])));
    assertEquals(pins.map(([name]) => name), [
      "@logtape/file",
      "@logtape/logtape",
      "@noble/ciphers",
      "@noble/curves",
      "@noble/hashes",
      "@opentelemetry/api",
      "commander",
      "ws",
    ]);
    assertEquals([npm.peerDependencies, jsr.dependencies], [undefined, undefined]);
  });
});
