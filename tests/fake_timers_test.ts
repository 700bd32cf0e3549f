/** A program's tests fake its time, as Jest, Vitest and Sinon do: sockets go on living in the real one. */

import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, messageType, Server, text } from "../mod.ts";
import type { LockTimes } from "../src/encryption/file_lock.ts";
import { KnownHosts } from "../src/encryption/known_hosts.ts";
import { ConfigError, TimeoutError } from "../src/errors.ts";
import { peerOf } from "./encryption_peers.ts";
import { inFolder } from "./encryption_support.ts";

const ECHO = messageType(200, "echo", text, text);
const HOLD = messageType(201, "hold", text, text);

/** Time stands still until it is disposed. Not `process.nextTick`: Node's own sockets need it, too. */
function fakeTime(): Disposable {
  const target = globalThis as unknown as Record<string, unknown>;
  const before = new Map<string, unknown>();
  const names = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "queueMicrotask"];
  for (const name of names) {
    before.set(name, target[name]);
    target[name] = () => 0;
  }
  const { now } = performance;
  performance.now = () => 0;
  return {
    [Symbol.dispose](): void {
      for (const [name, value] of before) target[name] = value;
      performance.now = now;
    },
  };
}

describe("with a time that a test has faked after the import", () => {
  it("a server and a client connect, talk, time out, reconnect and close", async () => {
    using _time = fakeTime();
    const server = new Server({ port: 0, hostname: "127.0.0.1" });
    server.route(ECHO, ({ data }) => data);
    server.route(
      HOLD,
      ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    await server.start();
    const client = new Client({ ...server.addresses[0], reconnect: { delay: 10 } });
    await client.connect();
    assertEquals(await client.request(ECHO, "a"), "a");
    await assertRejects(() => client.request(HOLD, "", { timeout: 30 }), TimeoutError);
    await client.ping();
    for (let i = 0; i < 3_000; i++) client.send(ECHO, "x".repeat(100));
    assertEquals(await client.request(ECHO, "b"), "b");
    const back = new Promise<void>((resolve) => client.on("connect", () => resolve()));
    await server.restart({ retryAfter: 10 });
    await back;
    assertEquals(await client.request(ECHO, "c"), "c");
    await client.close();
    await server.close();
  });

  it("a client that meets a server waits for another writer of its file, and takes over the lock of a dead one", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const { setTimeout: really } = globalThis;
      using _time = fakeTime();
      const add = (times: LockTimes, port: number): void | Promise<void> =>
        new KnownHosts(path, times).add([peerOf(port).key], { hostname: "host", port });
      writeFileSync(`${path}.lock`, "of one that lives");
      const living = add({ stale: Infinity, patience: 50_000 }, 1);
      really(() => rmSync(`${path}.lock`), 30);
      await living;
      writeFileSync(`${path}.lock`, "of one that is dead");
      await add({ stale: 50, patience: 50_000 }, 2);
      writeFileSync(`${path}.lock`, "of one that goes on for long");
      await assertRejects(
        async () => await add({ stale: Infinity, patience: 50 }, 3),
        ConfigError,
        "somebody else keeps",
      );
      assertEquals(readFileSync(path, "utf8").match(/^host:\d/gm), ["host:1", "host:2"]);
    }));
});
