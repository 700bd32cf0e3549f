/**
 * The compiler at work on the types: the errors that `types_test.ts` expects are errors, and a program that uses the packed
 * package compiles with the oldest TypeScript and the smallest `lib` that are promised:
 *
 * - TypeScript 5.7 (`package.json` pins it; Deno brings the newest);
 * - `lib`: `es2022`, `esnext.disposable` (for `await using`), and `dom` or `webworker` (for `AbortSignal` and streams);
 *   or `es2022` with the types of Node, which bring the others.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRuntimes, ROOT } from "../scripts/runtimes.ts";

const here = "Deno" in globalThis;
const [deno, node] = findRuntimes(["deno", "node"]);
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** A program's exit code and everything it said. */
function run(path: string, args: string[], cwd: string): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(path, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, output: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}` };
}

describe("the compiler", () => {
  let folder = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "veltix-types-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // One runtime is enough to start a compiler.
  const test = here ? it : it.skip;
  // TypeScript and Node come with `npm install`.
  const installed = node.path !== undefined && existsSync(TSC);
  if (here && !installed && process.env.VELTIX_REQUIRE_ALL === "1") throw new Error("Cannot compile: no TypeScript");
  const old = installed ? test : it.skip;

  test("accepts types_test.ts, and no longer does when one expected error is none", () => {
    const source = readFileSync(join(ROOT, "tests/types_test.ts"), "utf8");
    const wrong = "client.send(contract.chat, 5);";
    assertEquals(source.split(wrong).length, 2);
    const copy = join(folder, "types_copy.ts");
    writeFileSync(copy, source.replace(wrong, 'client.send(contract.chat, "5");'));
    const checked = run(deno.path!, ["check", `--config=${ROOT}deno.json`, "tests/types_test.ts", copy], ROOT);
    assertEquals(checked.status, 1, checked.output);
    assertEquals(checked.output.match(/\bTS\d+ \[ERROR\].*/g), [
      "TS2578 [ERROR]: Unused '@ts-expect-error' directive.",
    ]);
    assertStringIncludes(checked.output, "types_copy.ts:");
  });

  old("of TypeScript 5.7 takes a program on the packed types with the smallest lib, and with nothing less", () => {
    const packed = join(folder, "package.tgz");
    const pack = run(deno.path!, ["pack", "--config=jsr.json", "--allow-dirty", `--output=${packed}`], ROOT);
    assertEquals(pack.status, 0, pack.output);
    assertEquals(run("tar", ["xzf", packed], folder).status, 0);
    mkdirSync(join(folder, "node_modules/@veltix"), { recursive: true });
    cpSync(join(folder, "package"), join(folder, "node_modules/@veltix/core"), { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    copyFileSync(join(ROOT, "tests/types/consumer.ts"), join(folder, "consumer.ts"));
    assert(existsSync(join(folder, "node_modules/@veltix/core/mod.d.ts")));

    const compile = (...lib: string[]): { status: number | null; output: string } => {
      const compilerOptions = { strict: true, target: "es2022", module: "nodenext", noEmit: true, types: [], lib };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
      return run(node.path!, [TSC, "-p", "."], folder);
    };
    for (const web of ["dom", "webworker"]) {
      assertEquals(compile("es2022", "esnext.disposable", web), { status: 0, output: "" });
    }
    const missing: [name: string, ...lib: string[]][] = [
      ["ErrorOptions", "es2021", "esnext.disposable", "dom"],
      ["AsyncDisposable", "es2022", "dom"],
      ["AbortSignal", "es2022", "esnext.disposable"],
    ];
    for (const [name, ...lib] of missing) {
      const { status, output } = compile(...lib);
      assert(status !== 0, `it compiles with ${lib}`);
      assertMatch(output, new RegExp(`Cannot find name '${name}'`));
    }
  });

  it("is told the smallest lib and the oldest TypeScript in the same words as the pages", () => {
    const readme = join(ROOT, "README.md");
    const versions = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).optionalDependencies;
    assertMatch(versions.typescript, /^5\.7\.\d+$/);
    const text = existsSync(readme) ? readFileSync(readme, "utf8") : "";
    if (/TypeScript \d/.test(text)) assertStringIncludes(text, "TypeScript 5.7");
  });
});
