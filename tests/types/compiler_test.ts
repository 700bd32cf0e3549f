/**
 * The compiler at work on the types, as a step of `deno task ok`: the errors that `types_test.ts` expects are errors, and a program that uses the packed
 * package compiles with the oldest TypeScript and the smallest `lib` that are promised:
 *
 * - TypeScript 5.7 (`package.json` pins it; Deno brings the newest);
 * - `lib`: `es2022`, `esnext.disposable` (for `await using`), and `dom` or `webworker` (for `AbortSignal` and streams);
 *   or `es2022` with the types of Node, which bring the others.
 *
 * The published declarations stand the strictest options, hide nothing in an `any`, and mistakes get words.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { findRuntimes, ROOT } from "../../scripts/runtimes.ts";

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

/** Mistakes, each with what the compiler must say about it. */
const MISTAKES: readonly [source: string, says: RegExp][] = [
  ['void client.request(CHAT, "hello");', /has no reply: use send\(\), or give it a codec for the reply/],
  ["void client.request(CHAT);", /has no reply: use send\(\), or give it a codec for the reply/],
  ['void clients[0].request(CHAT, "hello");', /has no reply: use send\(\), or give it a codec for the reply/],
  ["void client.request(UPPER);", /has a payload: pass it as the second argument/],
  ["client.send(CHAT);", /has a payload: pass it as the second argument/],
  ["server.broadcast(CHAT);", /has a payload: pass it as the second argument/],
  ['client.send(PING_ME, "hello");', /'string' is not assignable to parameter of type 'void'/],
  ["client.send(CHAT, 5);", /'number' is not assignable to parameter of type 'string'/],
  ["client.open(UPLOAD);", /Expected 2-3 arguments, but got 1/],
  ["client.open(UPLOAD, 5);", /'number' is not assignable to parameter of type 'string'/],
  ['client.open(FEED, "a");', /'"a"' is not assignable to parameter of type 'undefined'/],
  ["server.stream(UPLOAD, () => 5);", /'number' is not assignable to type/],
  ["server.stream(FEED, async function* () { yield 5; });", /AsyncGenerator<number/],
  // What is not a RequestType leads to it by its name.
  [
    "const ask = <In, Out, R, S>(type: MessageType<In, Out, R, S>, payload: In): Promise<S> => client.request(type, payload);",
    /parameter of type 'RequestType</,
  ],
];

/** The files of a folder and its folders whose names end like this. */
function filesOf(folder: string, end: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.endsWith(end));
}

/** What a declaration file declares, without comments and texts. */
function bare(source: string): string {
  return source.replace(/\/\*[^]*?\*\/|\/\/.*/g, "").replace(/"[^"\n]*"/g, '""');
}

describe("the compiler", () => {
  let folder = "";
  let unpacked = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "veltix-types-"));
    unpacked = join(folder, "node_modules/@veltix/core");
    const packed = join(folder, "package.tgz");
    const pack = run(deno.path!, ["pack", "--config=jsr.json", "--allow-dirty", `--output=${packed}`], ROOT);
    assertEquals(pack.status, 0, pack.output);
    assertEquals(run("tar", ["xzf", packed], folder).status, 0);
    mkdirSync(join(folder, "node_modules/@veltix"), { recursive: true });
    cpSync(join(folder, "package"), unpacked, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    assert(existsSync(join(unpacked, "mod.d.ts")));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // TypeScript and Node come with `npm install`.
  const installed = node.path !== undefined && existsSync(TSC);
  if (!installed && process.env.VELTIX_REQUIRE_ALL === "1") throw new Error("Cannot compile: no TypeScript");
  const old = installed ? it : it.skip;

  it("accepts types_test.ts, and no longer does when one expected error is none", () => {
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
    copyFileSync(join(ROOT, "tests/types/consumer.ts"), join(folder, "consumer.ts"));
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

  /** Compiles files of the folder with the smallest lib that is promised. */
  function compileStrictly(files: string[], options: object): { status: number | null; output: string } {
    const lib = ["es2022", "esnext.disposable", "dom"];
    const common = { strict: true, target: "es2022", module: "nodenext", types: [], lib, skipLibCheck: false };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...common, ...options }, files }));
    return run(node.path!, [TSC, "-p", ".", "--pretty", "false"], folder);
  }

  old("takes every entry's declarations with the strictest options, and a module that exports what they name", () => {
    copyFileSync(join(ROOT, "tests/types/strict.ts"), join(folder, "strict.ts"));
    const { exports } = JSON.parse(readFileSync(join(ROOT, "jsr.json"), "utf8"));
    const entries = Object.keys(exports).map((entry, i) => `export * as e${i} from "@veltix/core${entry.slice(1)}";\n`);
    writeFileSync(join(folder, "entries.ts"), entries.join(""));
    const strictest = {
      exactOptionalPropertyTypes: true,
      isolatedDeclarations: true,
      declaration: true,
      outDir: "out",
    };
    assertEquals(compileStrictly(["entries.ts", "strict.ts"], strictest), { status: 0, output: "" });
    // The declarations were looked at: a fault in one of them is found.
    const path = join(unpacked, "src/wire/decoded_frame.d.ts");
    const source = readFileSync(path, "utf8");
    writeFileSync(path, source.replaceAll("sentAt: number | undefined", "sentAt: string"));
    const { output } = compileStrictly(["entries.ts"], strictest);
    writeFileSync(path, source);
    assertMatch(output, /decoded_frame\.d\.ts.* error TS2416/);
  });

  it("finds no any in the published declarations", () => {
    const files = filesOf(unpacked, ".d.ts");
    assert(files.length > 50, `${files.length} declaration files`);
    const found = files.flatMap((name) => {
      const lines = bare(readFileSync(join(unpacked, name), "utf8")).split("\n");
      return lines.filter((line) => /\bany\b/.test(line)).map((line) => `${name}: ${line.trim()}`);
    });
    assertEquals(found, []);
  });

  old("finds every exported type of the sources written down", () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, "jsr.json"), "utf8"));
    const files = Object.values<string>(exports).map((path) => join(ROOT, path));
    writeFileSync(join(folder, "untold.ts"), "export const untold = Math.max(1, 2);\n");
    // By the compiler's own interface: types of Node are missing, and with errors elsewhere its command does not get this far.
    writeFileSync(
      join(folder, "isolated.mjs"),
      `import ts from ${JSON.stringify(pathToFileURL(join(ROOT, "node_modules/typescript/lib/typescript.js")).href)};
      const options = {
        strict: true, isolatedDeclarations: true, declaration: true, allowImportingTsExtensions: true, noEmit: true,
        target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.NodeNext, lib: ["lib.esnext.d.ts", "lib.dom.d.ts"], types: [],
      };
      const program = ts.createProgram(process.argv.slice(2), options);
      const files = program.getSourceFiles().filter((file) => !file.isDeclarationFile);
      console.log(files.length);
      for (const file of files) {
        for (const { messageText } of program.getDeclarationDiagnostics(file)) console.log(file.fileName, messageText);
      }`,
    );
    const { output } = run(node.path!, ["isolated.mjs", ...files, "untold.ts"], folder);
    const [count, ...faults] = output.trim().split("\n");
    assert(Number(count) > 100, output);
    assertEquals(faults.length, 1, output);
    assertStringIncludes(faults[0], "untold.ts Variable must have an explicit type annotation");
  });

  old("says what is wrong in the words of a user", () => {
    const head = [
      'import { Client, type ConnectedClient, empty, type MessageType, messageType, Server, streamType, text } from "@veltix/core";',
      'const CHAT = messageType(200, "chat", text);',
      'const UPPER = messageType(201, "upper", text, text);',
      'const PING_ME = messageType(202, "ping me", empty);',
      'const UPLOAD = streamType(203, "upload", { head: text, down: false, result: text });',
      'const FEED = streamType(204, "feed", { up: false, down: text });',
      "const client = new Client();",
      "const server = new Server();",
      "const clients: readonly ConnectedClient[] = server.clients;",
    ];
    writeFileSync(join(folder, "mistakes.ts"), [...head, ...MISTAKES.map(([source]) => source)].join("\n"));
    const { output } = compileStrictly(["mistakes.ts"], { noEmit: true });
    // The lines of an error that are indented belong to it.
    const errors = output.split(/^(?=mistakes\.ts\()/m);
    assertEquals(errors.length, MISTAKES.length, output);
    MISTAKES.forEach(([, says], i) => {
      assertStringIncludes(errors[i], `mistakes.ts(${head.length + i + 1},`);
      assertMatch(errors[i], says);
    });
  });

  it("is told the smallest lib and the oldest TypeScript in the same words as the pages", () => {
    const readme = join(ROOT, "README.md");
    const versions = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).optionalDependencies;
    assertMatch(versions.typescript, /^5\.7\.\d+$/);
    const text = existsSync(readme) ? readFileSync(readme, "utf8") : "";
    if (/TypeScript \d/.test(text)) assertStringIncludes(text, "TypeScript 5.7");
  });
});
