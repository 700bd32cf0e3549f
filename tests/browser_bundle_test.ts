/**
 * A program in a browser has the entries of the package: what a bundler makes of them names no module of a runtime, runs
 * where there is neither `process` nor `Deno` nor `Bun`, and costs no more than it says here.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { ROOT } from "../scripts/runtimes.ts";
import { isMine } from "./wire_support.ts";

// Else it makes a thread, which lives on.
process.env.ESBUILD_WORKER_THREADS = "0";
const { buildSync } = await import("esbuild");

/** The program of the sizes: it takes of the package what most pages do. */
const PAGE = `
  import { Client, json, messageType } from "@veltix/core";
  export { Client, json, messageType };
`;

/** A contract file with everything of its entry. */
const CONTRACT = 'export * from "@veltix/core/contract";';

/** The most that each may cost, minified and gzipped, in bytes. A little above what it is: less is always welcome. */
const MOST = {
  /** What a page loads at first, in all of its files. */
  first: 36_000,
  /** What it loads in addition when it connects. */
  connected: 51_000,
  /** Its WebSocket. */
  webSocket: 7_000,
  contract: 4_096,
};

/** A file that a bundler made. */
interface Chunk {
  readonly text: string;
  readonly bytes: number;
  /** The source files that it has code of. */
  readonly sources: string[];
  /** The chunks that are loaded together with it, and those that it may load later. */
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
  readonly entryPoint: string | undefined;
}

interface Bundle {
  readonly chunks: ReadonlyMap<string, Chunk>;
  /** What it imports from outside of the bundle. */
  readonly outside: string[];
}

interface Options {
  /** One file, with what is loaded later in it. */
  readonly format?: "esm" | "iife";
  readonly minify?: boolean;
  /** The modules that stay imports. */
  readonly external?: string[];
  /** The folder of the program. */
  readonly from?: string;
}

/** Bundles a program for browsers. Fails if it imports a module that a browser does not have, unless that is external. */
function bundle(
  contents: string,
  { format = "esm", minify = false, external = [], from = ROOT }: Options = {},
): Bundle {
  const { metafile, outputFiles } = buildSync({
    stdin: { contents, resolveDir: from, loader: "ts", sourcefile: "program.ts" },
    absWorkingDir: ROOT,
    outdir: "out",
    entryNames: "[dir]/main",
    bundle: true,
    write: false,
    metafile: true,
    splitting: format === "esm",
    format,
    minify,
    external,
    platform: "browser",
    target: "esnext",
    logLevel: "silent",
  });
  const chunks = outputFiles.map(({ path, text, contents }): [string, Chunk] => {
    const name = `out/${path.replaceAll("\\", "/").split("/out/").at(-1)}`;
    const { imports, inputs, entryPoint } = metafile.outputs[name];
    const sources = Object.keys(inputs).filter((source) => inputs[source].bytesInOutput > 0);
    return [name, { text, bytes: contents.length, sources, imports, entryPoint }];
  });
  const outside = Object.entries(metafile.inputs).flatMap(([file, { imports }]) =>
    imports.filter(({ external }) => external).map(({ path }) => `${file} imports ${path}`)
  );
  return { chunks: new Map(chunks), outside };
}

/** The chunks that are loaded at once with that of a source file, or with the program itself. */
function loadedWith({ chunks }: Bundle, entryPoint = "program.ts"): Map<string, Chunk> {
  const loaded = new Map<string, Chunk>();
  const load = (path: string): void => {
    const chunk = chunks.get(path);
    if (chunk === undefined || loaded.has(path)) return;
    loaded.set(path, chunk);
    for (const { kind, path } of chunk.imports) if (kind === "import-statement") load(path);
  };
  const entry = [...chunks].find(([, chunk]) => chunk.entryPoint === entryPoint);
  assert(entry !== undefined, `nothing loads ${entryPoint}`);
  load(entry[0]);
  return loaded;
}

/** The size of chunks, each gzipped on its own as servers do. */
function sizeOf(chunks: Iterable<Pick<Chunk, "text" | "bytes">>): { minified: number; gzipped: number } {
  let [minified, gzipped] = [0, 0];
  for (const { bytes, text } of chunks) {
    minified += bytes;
    gzipped += gzipSync(text, { level: 9 }).length;
  }
  return { minified, gzipped };
}

/** The code of chunks in one. */
function joined(chunks: Iterable<Chunk>): Pick<Chunk, "text" | "bytes"> {
  const text = Array.from(chunks, ({ text }) => text).join("");
  return { text, bytes: text.length };
}

/** What of a bundle only a runtime has: every import of a module, whichever way. */
function ofARuntime({ chunks, outside }: Bundle): string[] {
  // Once minified, no text looks like an import. One that names a module imports nothing: adapters look theirs up.
  const found = [...chunks.values()].flatMap(({ text }) => [
    ...text.matchAll(/(?:\bfrom|\bimport\(?)(["'`])[@\w][\w@:/.-]*\1|\brequire\([^)]*\)?/g),
  ]);
  return [...outside, ...found.map(([text]) => text)];
}

/** The source files of chunks, in folders whose code must not be in them. */
function inFolders(chunks: Iterable<Chunk>, folders: RegExp): string[] {
  return [...chunks].flatMap(({ sources }) => sources.filter((source) => folders.test(source))).sort();
}

/** Lists what the chunks of a bundle cost. */
function list(
  title: string,
  rows: readonly (readonly [name: string, size: { minified: number; gzipped: number }])[],
): void {
  const lines = rows.map(([name, { minified, gzipped }]) =>
    `  ${name.padEnd(60)} ${String(minified).padStart(8)} ${String(gzipped).padStart(8)}`
  );
  console.log([`${title.padEnd(62)} minified  gzipped`, ...lines].join("\n"));
}

describe("a bundle for browsers", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "veltix-browser-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // What is made is the same wherever it is made; that it works is tried on each runtime.
  if (isMine(0)) {
    for (const entry of ["", "/contract", "/memory", "/wire", "/encryption", "/node", "/deno", "/bun"]) {
      it(`of the entry .${entry} imports no module of a runtime`, () => {
        const made = bundle(`import * as all from "@veltix/core${entry}"; globalThis.all = all;`, { minify: true });
        assertEquals(ofARuntime(made), []);
        assert([...made.chunks.values()].some(({ bytes }) => bytes > 1_000));
      });
    }

    it("is seen to import one, whichever way it came in", () => {
      const found = (more: string): string =>
        ofARuntime(bundle(PAGE + more, { external: ["node:*", "bun"], minify: true })).join("\n");
      assertEquals(found(""), "");
      assertEquals(found('import "node:net";'), 'program.ts imports node:net\nimport"node:net"');
      assertEquals(
        found('export const net = () => import("node:net");'),
        'program.ts imports node:net\nimport("node:net"',
      );
      assertEquals(found('export { serve } from "bun";'), 'program.ts imports bun\nfrom"bun"');
      assertEquals(found('export const fs = module.require("node:fs");'), 'require("node:fs")');
    });
  }

  if (isMine(1)) {
    it("has in its first chunks the Client and what it needs before it connects, and nothing else", () => {
      const made = bundle(PAGE);
      const first = [...loadedWith(made).values()];
      assertEquals(inFolders(first, /^src\/(server|logger|encryption|session\/features)\//), []);
      assertEquals(inFolders(first, /^src\/adapters\/(node|deno|bun|tls|threads|memory|stale|descriptors)/), []);
      assertEquals(inFolders(first, /^src\/workers\/(pool|task|bootstrap|worker_handler)/), []);
      assertEquals(inFolders(first, /^(?!src\/|program\.ts$)/), [], "it has a package of others");
      assertEquals(
        inFolders(made.chunks.values(), /^src\/(server|logger)\//),
        [],
        "nothing loads a Server or the logger",
      );
      assertEquals(inFolders(first, /^src\/client\/(client|connector)\.ts$/).length, 2);
      const later = [...made.chunks.values()].flatMap(({ entryPoint }) => entryPoint ?? []).sort();
      assertEquals(later, [
        // What `ws` is in a browser: a function that throws. It is never loaded there.
        "node_modules/ws/browser.js",
        "program.ts",
        "src/adapters/bun.ts",
        "src/adapters/deno.ts",
        "src/adapters/node.ts",
        "src/adapters/threads.ts",
        "src/adapters/tls.ts",
        "src/adapters/web_socket/connect_ws.ts",
        "src/adapters/web_socket/listen.ts",
        "src/adapters/web_socket/open_error.ts",
        "src/adapters/web_socket/web_sockets.ts",
        "src/client/comeback.ts",
        "src/client/connection_parts.ts",
        "src/encryption/encrypt.ts",
        "src/plugins/registry.ts",
        "src/session/features/compression/compression.ts",
        "src/session/features/resume.ts",
        "src/workers/pool.ts",
      ]);
    });

    it("costs what it says", () => {
      const made = bundle(PAGE, { minify: true });
      const first = loadedWith(made);
      const sizeAfter = (entryPoint: string): { minified: number; gzipped: number } =>
        sizeOf([...loadedWith(made, entryPoint)].filter(([name]) => !first.has(name)).map(([, chunk]) => chunk));
      const firstSize = sizeOf(first.values());
      const connected = sizeAfter("src/client/connection_parts.ts");
      const webSocket = sizeAfter("src/adapters/web_socket/web_sockets.ts");
      list("A client in a browser", [
        [`at first, ${first.size} files`, firstSize],
        ["the same, if it were one file", sizeOf([joined(first.values())])],
        ["when it connects", connected],
        ["when it connects, its WebSocket", webSocket],
        ["with resume: its sessions", sizeAfter("src/session/features/resume.ts")],
        ["with resume: the way back", sizeAfter("src/client/comeback.ts")],
        ["with compression", sizeAfter("src/session/features/compression/compression.ts")],
        ["with encryption", sizeAfter("src/encryption/encrypt.ts")],
        ["all that it might load, in one file", sizeOf(bundle(PAGE, { minify: true, format: "iife" }).chunks.values())],
      ]);
      assert(firstSize.gzipped <= MOST.first, `${firstSize.gzipped} bytes at first are above ${MOST.first}`);
      assert(
        connected.gzipped <= MOST.connected,
        `${connected.gzipped} bytes when it connects, above ${MOST.connected}`,
      );
      assert(
        webSocket.gzipped <= MOST.webSocket,
        `${webSocket.gzipped} bytes for WebSockets, above ${MOST.webSocket}`,
      );
    });
  }

  if (isMine(2)) {
    it("of a contract costs what it says", () => {
      const size = sizeOf(bundle(CONTRACT, { minify: true }).chunks.values());
      list("A contract in a browser", [["the whole entry", size]]);
      assert(size.gzipped <= MOST.contract, `${size.gzipped} bytes are above ${MOST.contract}`);
    });

    it("of a contract costs nothing where it is not used, whatever the package says of side effects", () => {
      const [{ text }] = bundle(CONTRACT).chunks.values();
      // Out of the package, nothing but its own code tells the bundler.
      writeFileSync(join(folder, "contract.mjs"), text);
      const names = "bytes, empty, fingerprint, json, messageType, messageTypes, streamType, text";
      for (const what of ["", `{ ${names} } from `]) {
        const [made] = bundle(`import ${what}"./contract.mjs";`, { minify: true, from: folder }).chunks.values();
        assertEquals(made.text.trim(), "");
      }
    });
  }

  // The Server is in it to talk to, which no page would have.
  const TALK = `
    import { Client, ConfigError, messageType, Server } from "@veltix/core";
    import { json, messageTypes } from "@veltix/core/contract";
    import { memoryTransport } from "@veltix/core/memory";
    import { nodeTransport } from "@veltix/core/node";
    import { denoTransport } from "@veltix/core/deno";
    const { add } = messageTypes({ add: [json(), json()] });
    const ANY = messageType(300, "any", json(), json());
    const refused = async (of: () => unknown): Promise<string> => {
      try { await of(); } catch (error) { return error instanceof ConfigError ? error.code + ": " + error.message : String(error); }
      return "it works";
    };
    export const talked = (async (): Promise<unknown[]> => {
      const transport = memoryTransport();
      const server = new Server({ transport, logger: { warn() {}, error() {} }, resume: true });
      server.route(add, ({ data }) => data.a + data.b);
      server.workerRoute(ANY, "file:///worker.js");
      await server.start();
      const client = new Client({ transport, reconnect: true, resume: true });
      await client.connect();
      const sums = await Promise.all(Array.from({ length: 2000 }, (_, i) => client.request(add, { a: i, b: 1 })));
      const worker = await client.request(ANY, 1).catch((error) => error.message);
      await client.close();
      await server.close();
      return [
        sums.at(-1), client.state, worker,
        await refused(() => new Client().connect()),
        await refused(() => new Client({ tls: true }).connect()),
        await refused(() => new Server({ transport: "deno" }).start()),
        await refused(() => nodeTransport()),
        await refused(() => denoTransport()),
      ];
    })();
  `;

  /** What the program resolves with where there is no runtime. */
  function checkTalk([sum, state, worker, auto, tls, deno, node, own]: unknown[]): void {
    assertEquals([sum, state], [2000, "disconnected"]);
    assertMatch(String(worker), /^Cannot start a worker: this runtime has no threads$/);
    const without = (id: string): RegExp =>
      new RegExp(`^unsupported: .*: this runtime, such as a browser, has no ${id} `);
    assertMatch(String(auto), without("node:net"));
    assertMatch(String(tls), without("node:tls"));
    assertMatch(String(node), without("node:net"));
    for (const text of [deno, own]) assertMatch(String(text), /^unsupported: .*this runtime is unknown, not Deno$/);
  }

  // Bun cannot be taken away from Bun.
  const chunked = "Bun" in globalThis ? it.skip : it;

  /** Writes the chunks of a bundle and a program that imports the first of them, and returns what that prints as JSON. */
  function runInChunks({ chunks }: Bundle, name: string, program: string): unknown {
    for (const [path, { text }] of chunks) {
      const file = join(folder, name, path.replace(/\.js$/, ".mjs"));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text.replaceAll(/(["']\.\/[\w-]+)\.js(["'])/g, "$1.mjs$2"));
    }
    const file = join(folder, name, "program.mjs");
    writeFileSync(file, program);
    const flags = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-config"] : [];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, file], {
      encoding: "utf8",
      timeout: 50_000,
      env: { ...process.env, NO_COLOR: "1" },
    });
    assertEquals([status, stderr], [0, ""]);
    return JSON.parse(stdout);
  }

  chunked("works in chunks where there is no process, no Deno and no setImmediate", () => {
    const made = bundle(TALK);
    assert(made.chunks.size > 10);
    const [here, talked] = runInChunks(
      made,
      "talk",
      `const { log } = console;
      for (const name of ["process", "Deno", "setImmediate"]) delete globalThis[name];
      const here = ["process", "Deno", "setImmediate"].filter((name) => name in globalThis);
      const { talked } = await import("./out/main.mjs");
      log(JSON.stringify([here, await talked]));`,
    ) as [unknown, unknown[]];
    assertEquals(here, []);
    checkTalk(talked);
  });

  // Deno reads all files that it may need before the program runs.
  const late = "Deno" in globalThis ? it.skip : it;

  late("says that a file of it cannot be loaded, and tries again the next time", () => {
    const made = bundle(`
      import { Client } from "@veltix/core";
      const refused = { name: "refused", connect: () => Promise.reject(new Error("nobody is there")) };
      export const client = new Client({ transport: { ...refused, listen: refused.connect }, logger: { warn() {}, error() {} } });
    `);
    const [path] = [...made.chunks].find(([, { entryPoint }]) => entryPoint === "src/client/connection_parts.ts")!;
    const said = runInChunks(
      made,
      "missing",
      `import { renameSync } from "node:fs";
      const part = new URL(${JSON.stringify(`./${path.replace(/\.js$/, ".mjs")}`)}, import.meta.url);
      const { client } = await import("./out/main.mjs");
      const said = () => client.connect().then(() => "connected", ({ message }) => [client.state, message]);
      renameSync(part, new URL("./away.mjs", import.meta.url));
      const missing = await said();
      renameSync(new URL("./away.mjs", import.meta.url), part);
      console.log(JSON.stringify([missing, await said()]));`,
    ) as [[string, string], [string, string]];
    assertEquals(said[0][0], "disconnected");
    assert(said[0][1].includes(path.slice("out/".length, -".js".length)), said[0][1]);
    assertEquals(said[1], ["disconnected", "nobody is there"]);
  });

  it("works in one file in an empty context, where all that is loaded later is at hand", async () => {
    const [{ text }] = bundle(TALK.replace("export const talked", "globalThis.talked"), { format: "iife" }).chunks
      .values();
    // What a browser has and the language has not, and the class of what some of that returns.
    const names = [
      "AbortController",
      "AbortSignal",
      "MessageChannel",
      "ReadableStream",
      "TextDecoder",
      "TextEncoder",
      "URL",
      "Uint8Array",
      "WritableStream",
      "atob",
      "btoa",
      "clearTimeout",
      "console",
      "crypto",
      "performance",
      "queueMicrotask",
      "setTimeout",
    ] as const;
    const context = createContext(Object.fromEntries(names.map((name) => [name, globalThis[name]])));
    runInContext(text, context);
    checkTalk([...await context.talked]);
  });
});
