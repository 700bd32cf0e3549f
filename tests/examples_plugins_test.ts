/**
 * The two plugins of the examples, as a user starts them on this runtime, and in the cases that they are made for.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { auditLog } from "../examples/plugins/audit_log.ts";
import { profanityFilter } from "../examples/plugins/profanity_filter.ts";
import { openDatabase } from "../examples/plugins/sqlite.ts";
import { bytes, json, messageType, PluginError, RemoteError, text } from "../mod.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { outputOf } from "./processes/output.ts";
import { memoryWorld, until } from "./session_support.ts";
import { streamPeers } from "./streams_support.ts";

const SAY = messageType(200, "say", text, text);
const POST = messageType(201, "post", json<unknown>(), json<unknown>());
const RAW = messageType(202, "raw", bytes, bytes);

/** How long the program may take, in milliseconds. */
const LIMIT = 50_000;

function temporary(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "plugins-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** Returns the lines of an audit log, without their times. */
async function linesOf(path: string): Promise<unknown[][]> {
  const database = await openDatabase(path);
  try {
    const rows = database.prepare("SELECT client, event, bytes, outcome, at FROM audit ORDER BY id").all();
    return (rows as { client: number; event: string; bytes: number | null; outcome: string; at: number }[])
      .map(({ client, event, bytes, outcome, at }) => {
        assert(Math.abs(Date.now() - at) < 3_600_000);
        return [client, event, bytes, outcome];
      });
  } finally {
    database.close();
  }
}

describe("examples/plugins", () => {
  it("filters a chat, writes it down, and prints what its README says", async () => {
    using folder = temporary();
    const path = join(folder.path, "audit.sqlite");
    const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
    const { code, text } = await outputOf(spawn(process.execPath, [...flags, "examples/plugins/main.ts", path], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: LIMIT,
      killSignal: "SIGKILL",
    }));
    assertEquals(code, 0, text);
    const [, expected] = /```text\n([^]*?)```/.exec(readFileSync(`${ROOT}examples/plugins/README.md`, "utf8"))!;
    assertEquals(text.replaceAll("\r", ""), expected);
    const lines = await linesOf(path);
    const [connect, ...said] = lines;
    assertEquals([connect, ...said.slice(0, 3)], [
      [1, "connect", null, "ok"],
      [1, "say", 6, "ok"],
      [1, "say", 23, "ok"],
      [1, "say", 13, "ok"],
    ]);
    assertEquals([lines.length, lines[4].slice(0, 3)], [5, [1, "disconnect", null]]);
  });
});

describe("the audit log", () => {
  it("writes in batches, with the codes of errors, and what is left when it is removed", async () => {
    using folder = temporary();
    const path = join(folder.path, "audit.sqlite");
    const world = memoryWorld();
    await using peers = await streamPeers({}, world);
    const { client, server } = peers;
    server.route(SAY, ({ data }) => {
      if (data === "fail") throw Object.assign(new Error("Failed"), { code: "no-way" });
      return data;
    });
    await server.register(auditLog, { path, interval: 1_000 });
    server.attach("all", auditLog, "after");
    await client.request(SAY, "hello");
    await assertRejects(() => client.request(SAY, "fail"), RemoteError);
    await assertRejects(() => client.request(RAW, new Uint8Array(7)), RemoteError);
    assertEquals(await linesOf(path), []);
    await world.clock.advance(1_000);
    const lines = [[1, "say", 5, "ok"], [1, "say", 4, "no-way"], [1, "raw", 7, "ok"]];
    // It has no route, so its type is known by its code alone.
    lines[2][1] = "type-202";
    assertEquals(await linesOf(path), lines);
    await client.request(SAY, "bye");
    await server.unregister("audit-log");
    assertEquals((await linesOf(path)).length, 4);
    rmSync(path);
    assertEquals(peers.errors.length, 1, "only the handler has failed");
  });

  it("is not registered without its database, and is switched off without its disk, and nobody else notices", async () => {
    using folder = temporary();
    await using peers = await streamPeers();
    const { client, server } = peers;
    server.route(SAY, ({ data }) => data);
    const missing = join(folder.path, "missing", "audit.sqlite");
    const error = await assertRejects(() => server.register(auditLog, { path: missing }), PluginError);
    assertEquals([error.code, existsSync(missing), server.plugins], ["plugin-failed", false, []]);
    await assertRejects(() => server.register(auditLog, { path: "" }), TypeError, "path must be the name of a file");

    const path = join(folder.path, "audit.sqlite");
    await server.register(auditLog, { path, maxWaiting: 1 }, { maxFailures: 3 });
    server.attach(SAY, auditLog, "after");
    const database = await openDatabase(path);
    database.exec("DROP TABLE audit");
    database.close();
    for (let i = 0; i < 5; i++) assertEquals(await client.request(SAY, "x"), "x");
    await until(() => server.plugins[0].state === "off");
    assertEquals(server.plugins[0].failures >= 3, true);
  });
});

describe("the profanity filter", () => {
  it("masks whole words in any case, in texts and within JSON, and leaves bytes alone", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    server.route(SAY, ({ data }) => data);
    server.route(POST, ({ data }) => data);
    server.route(RAW, ({ data }) => data);
    await assertRejects(() => server.register(profanityFilter, { words: [] }), TypeError, "words must be");
    await server.register(profanityFilter, { words: ["heck", "mist", "ärger", "a+b"], mask: "#" });
    server.attach([SAY, POST, RAW], profanityFilter, "before");
    for (
      const [said, heard] of [
        ["heck", "####"],
        ["What the HECK?", "What the ####?"],
        ["heckle, checkheck, heck2", "heckle, checkheck, heck2"],
        ["Optimist, Mist!", "Optimist, ####!"],
        ["A\u0308rger und Ärgernis", "##### und Ärgernis"],
        ["a+b and aab", "### and aab"],
        ["", ""],
      ]
    ) {
      assertEquals(await client.request(SAY, said), heard);
    }
    const post = { title: "heck", tags: ["mist", 1, null, { heck: "heck" }], ok: true };
    assertEquals(await client.request(POST, post), {
      title: "####",
      tags: ["####", 1, null, { heck: "####" }],
      ok: true,
    });
    const content = new TextEncoder().encode("heck");
    assertEquals(await client.request(RAW, content), content);
    assertEquals(peers.errors, []);
  });

  it("stops what it cannot filter", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    let handled = 0;
    server.route(POST, ({ data }) => (handled++, data));
    const loop: unknown[] = [];
    loop.push(loop);
    // A middleware before the filter may hand on anything.
    const stop = server.use([POST], (_message, _client, next) => next({ data: loop }));
    await server.register(profanityFilter, { words: ["heck"] });
    server.attach(POST, profanityFilter, "before");
    assertEquals(await client.request(POST, ["x"]).catch(({ code }) => code), "plugin-failed");
    assertEquals(handled, 0);
    stop();
    assertEquals(await client.request(POST, ["heck"]), ["****"]);
  });
});
