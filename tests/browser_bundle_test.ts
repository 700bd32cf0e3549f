/**
 * A program in a browser may have the Client: what a bundler makes of it reaches no module of a runtime.
 *
 * The entries of `jsr.json` find sockets by name, which takes the adapters along. So this test bundles the classes of the
 * core as they stand in `src/`. The entry for browsers is to export just that, `src/client/client.ts` as `Client`, with
 * `src/message/` and `src/errors.ts` beside it, and nothing of `src/auto/`.
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { isMine } from "./wire_support.ts";

// Else it makes a thread, which lives on.
process.env.ESBUILD_WORKER_THREADS = "0";
const { buildSync } = await import("esbuild");

const CLIENT = `
  export { Client } from "./src/client/client.ts";
  export { memoryTransport } from "./src/adapters/memory.ts";
`;

/** Bundles a program for browsers; what it imports of a runtime stays an import, and is found in `outside`. */
function bundle(contents: string): { text: string; files: string[]; outside: string[] } {
  const { metafile, outputFiles } = buildSync({
    stdin: { contents, resolveDir: ROOT, loader: "ts", sourcefile: "program.ts" },
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    target: "esnext",
    external: ["node:*", "bun", "bun:*"],
    logLevel: "silent",
  });
  const inputs = Object.entries(metafile.inputs);
  const outside = inputs.flatMap(([file, { imports }]) =>
    imports.filter(({ external }) => external).map(({ path }) => `${file} imports ${path}`)
  );
  return { text: outputFiles[0].text, files: inputs.map(([file]) => file), outside };
}

/** What of a bundle only a runtime has. `found` are the modules that it may find when it runs. */
function ofARuntime({ text, files, outside }: ReturnType<typeof bundle>, ...found: string[]): string[] {
  // Asked for only where there is such a function: Node, Deno and Bun have it, browsers do not.
  const rest = text.replaceAll(
    /(?:\?\.getBuiltinModule\?\.|\bbuiltinModule)\("node:(\w+)"\)/g,
    (call, name) => ["zlib", "crypto", ...found].includes(name) ? "" : call,
  );
  // A text that names a module imports nothing; a string that is a module's name might.
  return [
    ...outside,
    ...files.filter((file) => /^src\/(auto\/|adapters\/(node|deno|bun|threads|descriptors|stale))/.test(file)),
    ...files.filter((file) => !/^(src\/|program\.ts$|node_modules\/@noble\/)/.test(file)),
    ...[...rest.matchAll(/.*(?:["']node:\w+["']|\brequire\(|\bimport\(["']).*/g)].map(([line]) => line.trim()),
  ];
}

describe("a bundle for browsers", () => {
  // What is made is the same wherever it is made; that it works is tried on each runtime.
  if (isMine(0)) {
    it("of the Client and the memory transport has nothing of a runtime in it", () => {
      const made = bundle(CLIENT);
      assertEquals(ofARuntime(made), []);
      assert(made.files.length > 50 && made.files.includes("src/client/client.ts"));
      assert(made.text.length > 100_000);
      assert(!made.files.some((file) => file.startsWith("src/server/")), "the Client takes no Server along");
    });
  }

  if (isMine(2)) {
    it("of identities has nothing of a runtime in it", () => {
      const made = bundle('export * from "./src/encryption/mod.ts";');
      assertEquals(ofARuntime(made, "fs"), []);
      assertEquals(ofARuntime(made).length, 1);
      assert(made.files.includes("node_modules/@noble/curves/ed25519.js"));
    });
  }

  if (isMine(1)) {
    it("is seen to have something, whichever way it came in", () => {
      const found = (more: string): string => ofARuntime(bundle(CLIENT + more)).join("\n");
      for (const way of ['import "node:net";', 'export const net = () => import("node:net");']) {
        assert(found(way).includes("program.ts imports node:net"), way);
      }
      assert(
        found('export { nodeTransport } from "./src/adapters/node.ts";').includes(
          "src/adapters/node_listen.ts imports node:net",
        ),
      );
      assert(found('export { Server } from "./mod.ts";').includes("src/auto/server.ts"));
      assert(
        found('export const threads = process.getBuiltinModule("node:worker_threads");').includes(
          "node:worker_threads",
        ),
      );
      assert(found('export const fs = process?.getBuiltinModule?.("node:fs");').includes("node:fs"));
    });
  }

  it("works where there is no process, no Deno and no setImmediate", () => {
    const { text } = bundle(`
      import { Client } from "./src/client/client.ts";
      import { Server } from "./src/server/server.ts";
      import { memoryTransport } from "./src/adapters/memory.ts";
      import { json } from "./src/message/codecs.ts";
      import { messageType } from "./src/message/message_type.ts";
      const ADD = messageType(200, "add", json(), json());
      const transport = memoryTransport();
      const server = new Server({ transport });
      server.route(ADD, ({ data }) => data.a + data.b);
      await server.start();
      const client = new Client({ transport });
      await client.connect();
      const sums = await Promise.all(Array.from({ length: 2000 }, (_, i) => client.request(ADD, { a: i, b: 1 })));
      await client.close();
      await server.close();
      let refused;
      try { new Client(); } catch (error) { refused = error.message; }
      console.log(sums.at(-1), client.state, refused);
    `);
    const folder = mkdtempSync(join(tmpdir(), "veltix-browser-"));
    try {
      writeFileSync(join(folder, "bundle.mjs"), text);
      writeFileSync(
        join(folder, "main.mjs"),
        `for (const name of ["process", "Deno", "setImmediate"]) { delete globalThis[name]; }
        await import("./bundle.mjs");`,
      );
      const flags = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-config"] : [];
      const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, join(folder, "main.mjs")], {
        encoding: "utf8",
        timeout: 50_000,
        env: { ...process.env, NO_COLOR: "1" },
      });
      assertEquals([status, stderr], [0, ""]);
      assert(/^2000 disconnected transport "auto" cannot be loaded/.test(stdout), stdout);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
