/** What `deno task consumer` is built of, without the network: archives, the forms of the package, and the registry. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { gzipSync } from "node:zlib";
import { jsrConfig, jsrNpmForm, npmForm, packed, textOf } from "../scripts/consumer/package_forms.ts";
import { PROGRAM_NAMES } from "../scripts/consumer/project.ts";
import { quickStart } from "../scripts/consumer/quick_start.ts";
import { Registry } from "../scripts/consumer/registry.ts";
import { type Files, readTar, writeArchive, writeTar } from "../scripts/consumer/tar.ts";
import { USES } from "../scripts/consumer/uses.ts";
import { findRuntimes, ROOT } from "../scripts/runtimes.ts";
import { OLDEST } from "../src/adapters/runtime_check.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Files as plain values, to compare. */
function plain(files: Files): Record<string, string> {
  return Object.fromEntries([...files].map(([path, content]) => [path, new TextDecoder().decode(content)]));
}

describe("an archive", () => {
  it("gives back what was put into it, whatever the sizes", () => {
    const files: Files = new Map([0, 1, 511, 512, 513, 5_000].map((size) => [`a/${size}.txt`, text("x".repeat(size))]));
    assertEquals(plain(readTar(writeTar(files))), plain(files));
    assertEquals([...readTar(writeArchive(new Map([["b", text("c")]]))).keys()], ["package/b"]);
  });

  it("is the same bytes for the same files, in whatever order", () => {
    const entries: [string, Uint8Array][] = [["b", text("1")], ["a", text("2")]];
    assertEquals(writeTar(new Map(entries)), writeTar(new Map(entries.reverse())));
  });

  it("takes no path that has no room, and reads nothing but files and folders", () => {
    assertThrows(() => writeTar(new Map([["a".repeat(101), text("")]])), RangeError, "the path is too long");
    const link = new Uint8Array(1_024);
    link.set(text("link"));
    link.set(text("2"), 156);
    assertThrows(() => readTar(gzipSync(link)), Error, '"link" is of the type "2"');
  });
});

const [deno] = findRuntimes(["deno"]);
const withDeno = deno.path === undefined ? it.skip : it;

describe("the package", () => {
  const config = jsrConfig();
  let own: Files;
  let jsr: Files;

  beforeAll(() => {
    if (deno.path === undefined) return;
    own = npmForm(packed(deno.path, { maps: false }));
    const published: Files = new Map([
      ["src/a.ts", text('import { b } from "./b.ts";\nimport { gcm } from "npm:/@noble/ciphers@^2.4.0/aes.js";\n')],
    ]);
    jsr = jsrNpmForm(packed(deno.path, { maps: true }), published);
  });

  /** The specifiers in the code of a module. */
  function specifiersOf(code: string): string[] {
    const found = code.matchAll(/^(?:import|export)(?:[\w$*{},\s]*\bfrom)?\s*"([^"\n]+)"|\bimport\("([^"\n]+)"\)/gm);
    return [...found].map(([, fixed, dynamic]) => fixed ?? dynamic);
  }

  withDeno("for npm says what it needs, and has every entry in JavaScript and in declarations", () => {
    const manifest = JSON.parse(textOf(own, "package.json"));
    assertEquals([manifest.name, manifest.version, manifest.license], [config.name, config.version, config.license]);
    assertEquals(manifest.engines, {
      node: `>=${OLDEST.Node}`,
      bun: `>=${OLDEST.Bun}`,
      deno: `>=${OLDEST.Deno}`,
    });
    const { imports } = JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8"));
    assertEquals(
      manifest.dependencies,
      Object.fromEntries(Object.entries<string>(imports).map(([name, at]) => [name, at.slice(`npm:${name}@`.length)])),
    );
    const { "./package.json": itself, ...entries } = manifest.exports;
    assert(own.has(itself.slice(2)));
    assertEquals(Object.keys(entries), Object.keys(config.exports));
    for (const { types, default: code } of Object.values<{ types: string; default: string }>(entries)) {
      assert(own.has(types.slice(2)) && types.endsWith(".d.ts"), types);
      assert(own.has(code.slice(2)) && code.endsWith(".js"), code);
    }
    for (const name of ["README.md", "LICENSE", "CHANGELOG.md"]) assert(own.has(name), name);
  });

  withDeno("for npm names the modules that are imported for what they do, and no others", () => {
    const found = new Set<string>();
    for (
      const path of [
        "mod.ts",
        ...(readdirSync(`${ROOT}src`, { recursive: true }) as string[]).map((p) => `src/${p}`),
      ]
    ) {
      if (!path.endsWith(".ts")) continue;
      for (const [, specifier] of readFileSync(ROOT + path, "utf8").matchAll(/^import "([^"]+)";$/gm)) {
        found.add(`./${posix.join(posix.dirname(path), specifier).replace(/\.ts$/, ".js")}`);
      }
    }
    assertEquals(new Set(JSON.parse(textOf(own, "package.json")).sideEffects), found);
  });

  withDeno("imports nothing but its own files, its dependencies and modules of Node, in both forms", () => {
    for (const files of [own, jsr]) {
      const known = new Set(Object.keys(JSON.parse(textOf(files, "package.json")).dependencies));
      for (const path of files.keys()) {
        if (!/\.(js|d\.ts)$/.test(path)) continue;
        for (const specifier of specifiersOf(textOf(files, path))) {
          if (specifier.startsWith(".")) {
            const target = posix.join(posix.dirname(path), specifier);
            const there = path.endsWith(".d.ts") ? target.replace(/\.js$/, ".d.ts") : target;
            assert(files.has(there), `${path} imports ${specifier}`);
          } else if (!specifier.startsWith("node:")) {
            const [name] = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)!;
            assert(known.has(name), `${path} imports ${specifier}`);
          }
        }
      }
    }
  });

  withDeno("of JSR for npm has the sources, JavaScript with source maps, and declarations in _dist", () => {
    const manifest = JSON.parse(textOf(jsr, "package.json"));
    assertEquals([manifest.name, manifest.type], ["@jsr/veltix__core", "module"]);
    assertEquals(manifest.exports["./wire"], { types: "./_dist/src/wire/mod.d.ts", default: "./src/wire/mod.js" });
    for (const { types, default: code } of Object.values<{ types: string; default: string }>(manifest.exports)) {
      assert(jsr.has(types.slice(2)), types);
      assert(jsr.has(code.slice(2)), code);
    }
    assertEquals(
      textOf(jsr, "src/a.ts"),
      'import { b } from "./b.js";\nimport { gcm } from "@noble/ciphers/aes.js";\n',
    );
    assert(textOf(jsr, "mod.js").endsWith("\n//# sourceMappingURL=mod.js.map\n"));
    const map = JSON.parse(textOf(jsr, "mod.js.map"));
    assertEquals([map.sources, map.sourcesContent, map.mappings.length > 100], [["./mod.ts"], undefined, true]);
  });
});

describe("the registry", () => {
  let registry: Registry;
  const files: Files = new Map([
    ["jsr.json", text('{ "name": "@a/b", "version": "1.0.0", "exports": { ".": "./mod.ts" } }')],
    ["mod.ts", text("export const a = 1;\n")],
  ]);

  beforeAll(async () => {
    registry = await Registry.start();
  });
  afterAll(() => registry.stop());

  async function get(path: string): Promise<Response> {
    return await fetch(new URL(path, registry.url));
  }

  it("has nothing before something is published", async () => {
    const found = await get("@a/b/meta.json");
    assertEquals([found.status, await found.text()], [404, "not found"]);
    assertThrows(() => registry.published, Error, "Nothing has been published");
  });

  it("serves what deno publish uploads, as jsr.io and npm.jsr.io do", async () => {
    const upload = await fetch(new URL("api/scopes/a/packages/b/versions/1.0.0?config=/jsr.json", registry.url), {
      method: "POST",
      body: new Uint8Array(writeTar(files)),
    });
    assertEquals((await upload.json()).status, "success");
    assertEquals(plain(registry.published), plain(files));
    const archive: Files = new Map([["package.json", text('{ "dependencies": { "c": "^1.0.0" } }')]]);
    registry.serveNpm(archive);

    const { scope, name, latest, versions } = await (await get("@a/b/meta.json")).json();
    assertEquals([scope, name, latest, versions], ["a", "b", "1.0.0", { "1.0.0": {} }]);
    const { manifest, exports } = await (await get("@a/b/1.0.0_meta.json")).json();
    assertEquals(exports, { ".": "./mod.ts" });
    const source = await get("@a/b/1.0.0/mod.ts");
    assertEquals(source.headers.get("content-type"), "text/typescript");
    const bytes = new Uint8Array(await source.arrayBuffer());
    assertEquals(bytes, new Uint8Array(files.get("mod.ts")!));
    const checksum = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
    assertEquals(manifest["/mod.ts"], { size: bytes.length, checksum });
    const stranger = await get("@a/b/1.0.0/none.ts");
    assertEquals([stranger.status, await stranger.text()], [404, "not found"]);

    // npm escapes the slash.
    const packument = await (await get("@jsr%2fa__b")).json();
    const { dist, dependencies } = packument.versions["1.0.0"];
    assertEquals([packument["dist-tags"], dependencies], [{ latest: "1.0.0" }, { c: "^1.0.0" }]);
    const tarball = new Uint8Array(await (await fetch(dist.tarball)).arrayBuffer());
    assertEquals(dist.integrity, `sha512-${createHash("sha512").update(tarball).digest("base64")}`);
    assertEquals([...readTar(tarball).keys()], ["package/package.json"]);
  });
});

describe("the programs of users", () => {
  it("are files, and each is one that a use on docs/install.md has", () => {
    const used = new Set<string>(USES.flatMap(({ programs }) => programs));
    assertEquals(used, new Set(["main", ...PROGRAM_NAMES]));
    const there = readdirSync(`${ROOT}scripts/consumer/programs`);
    for (const name of PROGRAM_NAMES) assert(there.includes(`${name}.ts`), name);
  });

  it("need the permissions that docs/install.md lists, in the same order", () => {
    const page = readFileSync(`${ROOT}docs/install.md`, "utf8");
    const rows = [...page.matchAll(/^\| ([^|]+?) +\| (`--allow[^|]+?) +\|$/gm)].map(([, use, flags]) => [use, flags]);
    assertEquals(rows, USES.map(({ name, permissions }) => [name, permissions.map((flag) => `\`${flag}\``).join(" ")]));
  });

  it("begin with the quick start of README.md, at another port", () => {
    const code = quickStart(1_234);
    assertEquals(code.split("port: 1234").length, 3);
    assert(!code.includes("8080") && code.includes('from "@veltix/core"'), code);
    assert(readFileSync(`${ROOT}README.md`, "utf8").includes(code.replaceAll("1234", "8080")));
  });
});
