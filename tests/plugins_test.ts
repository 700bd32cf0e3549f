/**
 * Plugins: what they may do and what they cannot reach, their order, their dependencies and their end.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import {
  type AttachMode,
  bytes,
  Client,
  type ConnectedClient,
  definePlugin,
  errorOf,
  json,
  messageType,
  type Permission,
  PermissionError,
  type Plugin,
  type PluginClient,
  PluginError,
  type PluginMessage,
  RemoteError,
  Server,
  streamType,
  text,
} from "../mod.ts";
import { FakeClock } from "../src/adapters/fake_clock.ts";
import { Registry } from "../src/plugins/registry.ts";
import { Registration } from "../src/plugins/registration.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { PLUGIN_EVENTS } from "../src/plugins/permissions.ts";
import { SERVER_EVENTS } from "../src/server/server_events.ts";
import { CLIENT_EVENTS } from "../src/client/client_events.ts";
import { type StreamPeers, streamPeers } from "./streams_support.ts";
import { deferred, memoryWorld, serve, until } from "./session_support.ts";

const UPPER = messageType(200, "upper", text, text);
const SUM = messageType(201, "sum", json<number[]>(), json<{ sum: number }>());
const RAW = messageType(202, "raw", bytes, bytes);
const NOTE = messageType(203, "note", text);
const NOTED = messageType(206, "noted", bytes);
const COUNT = streamType(204, "count", { head: json<{ to: number }>(), up: false, down: json<number>(), result: text });
const CHECKED = messageType(205, "checked", text, text, { errors: ["rude"] });

/** Both sides: what a server's plugin does, a client's does, too. */
const SIDES: readonly [
  name: "server" | "client",
  sides: (peers: StreamPeers) => { readonly asker: Pick<Client, "request" | "send" | "open">; readonly host: Client },
][] = [
  ["server", ({ client, server }) => ({ asker: client, host: server as unknown as Client })],
  ["client", ({ client, info }) => ({ asker: info as unknown as Client, host: client })],
];

/** What a plugin was handed. */
interface Seen {
  // deno-lint-ignore no-explicit-any
  host?: any;
  // deno-lint-ignore no-explicit-any
  client?: any;
  message?: PluginMessage;
  // deno-lint-ignore no-explicit-any
  outcome?: any;
  // deno-lint-ignore no-explicit-any
  call?: any;
}

/** A plugin that shows its host and the views that its hooks get. */
function spy(permissions: readonly Permission[], name = "spy"): { plugin: Plugin<Permission, void>; seen: Seen } {
  const seen: Seen = {};
  const plugin = definePlugin<Permission>({
    name,
    version: "1.2.3",
    permissions,
    setup: (host) => {
      seen.host = host;
      return {
        before: (message: PluginMessage, client: unknown) => void Object.assign(seen, { message, client }),
        after: (_message: PluginMessage, _client: unknown, outcome: unknown) => void Object.assign(seen, { outcome }),
        outgoing: (call: unknown) => void Object.assign(seen, { call }),
      };
    },
  });
  return { plugin, seen };
}

/** Everything that can be reached from a value by members, prototypes and the results of getters. */
function reachable(value: unknown, found = new Set<unknown>(), receiver: unknown = value): Set<unknown> {
  if (typeof value !== "object" && typeof value !== "function" || value === null || found.has(value)) return found;
  // The world of the language leads nowhere: only that of the library and of the program counts.
  if (value === globalThis || found.size > 5_000) return found;
  found.add(value);
  for (const key of Reflect.ownKeys(value)) {
    const { value: member, get } = Object.getOwnPropertyDescriptor(value, key) ?? {};
    reachable(member, found);
    if (get === undefined) continue;
    reachable(get, found);
    try {
      reachable(get.call(receiver), found);
    } catch {
      // It leads nowhere.
    }
  }
  const prototype = Object.getPrototypeOf(value);
  // A prototype that is known already may have getters that say more of this value.
  if (Object.isFrozen(prototype)) found.delete(prototype);
  return reachable(prototype, found, receiver);
}

for (const [side, sidesOf] of SIDES) {
  describe(`plugins of a ${side}`, () => {
    it("are called before and after the handler, for the types to which they are attached", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      const log: string[] = [];
      host.route(UPPER, ({ data }) => (log.push("handler"), data.toUpperCase()));
      host.route(SUM, ({ data }) => ({ sum: data.length }));
      const watcher = definePlugin({
        name: "watcher",
        version: "1.0.0",
        permissions: ["messages:read"],
        setup: () => ({
          before: ({ data, type }) => log.push(`before ${type.name} ${data}`),
          after: (_message, _client, { result }) => log.push(`after ${result}`),
        }),
      });
      await host.register(watcher);
      const stop = host.attach(UPPER, watcher, "before");
      host.attach(UPPER, "watcher", "after");
      assertEquals(await asker.request(UPPER, "a"), "A");
      assertEquals(await asker.request(SUM, [1]), { sum: 1 });
      assertEquals(log.splice(0), ["before upper a", "handler", "after A"]);
      stop();
      stop();
      assertEquals(await asker.request(UPPER, "b"), "B");
      assertEquals(log.splice(0), ["handler", "after B"]);
      assertEquals(peers.errors, []);
    });

    it("change payloads, answers and errors with messages:modify, and stand in place of handlers", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      host.route(UPPER, ({ data }) => {
        if (data === "fail") throw new Error("It failed");
        return data.toUpperCase();
      });
      host.route(RAW, () => bytes.encode(new Uint8Array([1])) as Uint8Array);
      const modifier = definePlugin({
        name: "modifier",
        version: "1.0.0",
        permissions: ["messages:modify"],
        setup: () => ({
          before: ({ data, type }) => {
            if (data === "own") return { result: "answered" };
            return type.name === "upper" ? { data: `${data}!` } : undefined;
          },
          after: (_message, _client, { result, error }) => ({
            result: error === undefined ? `${result}?` : error.message,
          }),
          instead: ({ data }) => Promise.resolve(type(data)),
        }),
      });
      const type = (data: unknown): unknown => data instanceof Uint8Array ? new Uint8Array([2]) : { sum: 7 };
      await host.register(modifier);
      const stops = [host.attach(UPPER, modifier, "after"), host.attach(UPPER, modifier, "before")];
      assertEquals(await asker.request(UPPER, "a"), "A!?");
      assertEquals(await asker.request(UPPER, "own"), "answered?");
      stops[1]();
      assertEquals(await asker.request(UPPER, "fail"), "It failed");
      stops[0]();
      host.attach([SUM, RAW], modifier, "instead");
      assertEquals(await asker.request(RAW, new Uint8Array()), new Uint8Array([2]));
      // It has no route: the codecs are those of the type to which the plugin is attached.
      assertEquals(await asker.request(SUM, [1]), { sum: 7 });
      await host.unregister("modifier");
      assertEquals(await asker.request(UPPER, "a"), "A");
      assertEquals((await assertRejects(() => asker.request(SUM, [1]), RemoteError)).code, "no-route");
      assertEquals(peers.errors, []);
    });

    it("see copies without messages:modify, and change nothing by what they return, change or throw", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      const kept = { sum: 3 };
      let sent: unknown;
      host.route(SUM, ({ data }) => (sent = data, assertEquals(data, [1, 2]), kept));
      const vandal = definePlugin({
        name: "vandal",
        version: "1.0.0",
        permissions: ["messages:read"],
        setup: () => ({
          before: (message) => {
            (message.data as number[]).push(9);
            message.content!.fill(0);
            return { data: [9], result: { sum: 9 } };
          },
          after: (_message, _client, { result }) => {
            (result as { sum: number }).sum = 9;
            return { result: { sum: 9 } };
          },
          outgoing: (call) => {
            (call.payload as number[]).push(9);
            return { payload: [9] } as never;
          },
        }),
      });
      await host.register(vandal);
      for (const mode of ["before", "after"] as const) host.attach("all", vandal, mode);
      assertEquals(await asker.request(SUM, [1, 2]), { sum: 3 });
      assertEquals([kept, sent], [{ sum: 3 }, [1, 2]]);

      host.attach(SUM, vandal, "outgoing");
      const out = side === "client" ? peers.client : peers.info;
      const at = side === "client" ? peers.server : peers.client;
      const got = deferred<unknown>();
      if (side === "client") peers.server.route(SUM, ({ data }) => (got.resolve(data), { sum: 0 }));
      else at.route(SUM, (({ data }: { data: unknown }) => (got.resolve(data), { sum: 0 })) as never);
      const payload = [5];
      await out.request(SUM, payload);
      assertEquals([payload, await got.promise], [[5], [5]]);
      assertEquals(peers.errors, []);
    });

    it("see copies of bytes without messages:modify", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      host.route(RAW, ({ data }) => data);
      const eraser = definePlugin({
        name: "eraser",
        version: "1.0.0",
        permissions: ["messages:read"],
        setup: () => ({
          before: ({ content, data }) => void (content!.fill(0), (data as Uint8Array).fill(0)),
          after: (_message, _client, { result }) => void (result as Uint8Array).fill(0),
        }),
      });
      await host.register(eraser);
      for (const mode of ["before", "after"] as const) host.attach(RAW, eraser, mode);
      assertEquals(await asker.request(RAW, new Uint8Array([1, 2])), new Uint8Array([1, 2]));
      assertEquals(peers.errors, []);
    });

    it("see copies of Buffers, without the pool that these are parts of", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      const result = Buffer.from("result");
      host.route(RAW, () => result);
      const sizes: number[] = [];
      const erase = (value: unknown): void => {
        const { buffer } = value as Uint8Array<ArrayBuffer>;
        sizes.push(buffer.byteLength);
        new Uint8Array(buffer).fill(0);
      };
      const eraser = definePlugin({
        name: "eraser",
        version: "1.0.0",
        permissions: ["messages:read"],
        setup: () => ({
          before: ({ content }) => erase(content),
          after: (_message, _client, { result }) => erase(result),
          outgoing: ({ payload }) => erase(payload),
        }),
      });
      await host.register(eraser);
      for (const mode of ["before", "after"] as const) host.attach(RAW, eraser, mode);
      assertEquals(`${Buffer.from(await asker.request(RAW, Buffer.from("asked")))}`, "result");
      assertEquals([sizes.splice(0), `${result}`], [[5, 6], "result"]);
      host.attach(NOTED, eraser, "outgoing");
      const out = side === "client" ? peers.client : peers.info;
      const at = (side === "client" ? peers.server : peers.client) as Client;
      const got = deferred<string>();
      at.route(NOTED, ({ data }) => got.resolve(`${Buffer.from(data)}`));
      const payload = Buffer.from("payload");
      out.send(NOTED, payload);
      assertEquals([await got.promise, sizes, `${payload}`], ["payload", [7], "payload"]);
      assertEquals(peers.errors, []);
    });

    it("see types that they cannot change, whose codecs work", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      /** A codec of the program, which is not frozen and has a state. */
      class Own {
        mark = "!";
        encode(value: string): string {
          return value + this.mark;
        }
        decode(content: Uint8Array): string {
          return text.decode(content) + this.mark;
        }
      }
      const own = new Own();
      const OWN = messageType(207, "own", own, own, { errors: ["no"], description: "Own codecs" });
      const UP = streamType(208, "up", { head: own, up: own, down: own, result: own });
      host.route(OWN, ({ data }) => data);
      host.stream(UP, ({ head }) => head);
      const seen: unknown[] = [];
      const codecs: unknown[] = [];
      const vandal = definePlugin({
        name: "vandal",
        version: "1.0.0",
        permissions: ["messages:modify"],
        setup: () => {
          // deno-lint-ignore no-explicit-any
          const spoil = ({ type }: { type: any }): void => {
            seen.push(type);
            for (const value of [type, type.payload, type.reply, type.head, type.up, type.down, type.result]) {
              if (value === undefined) continue;
              codecs.push(value);
              assertThrows(() => value.decode = () => "spoiled", TypeError);
              assertStrictEquals(Object.getPrototypeOf(value), Object.prototype);
            }
          };
          return { before: (message) => void spoil(message), outgoing: (call) => void spoil(call) };
        },
      });
      await host.register(vandal);
      host.attach("all", vandal, "before");
      host.attach([OWN], vandal, "outgoing");
      assertEquals(await asker.request(OWN, "a"), "a!!!!");
      assertEquals(await asker.open(UP, "b").result, "b!!!!");
      const out = (side === "client" ? peers.client : peers.info) as Client;
      const at = (side === "client" ? peers.server : peers.client) as Client;
      at.route(OWN, ({ data }) => data);
      assertEquals(await out.request(OWN, "c"), "c!!!!");
      const [first, second, third] = seen as (typeof OWN)[];
      assertEquals([seen.length, first.name, second.name, third.name], [3, "own", "up", "own"]);
      assertStrictEquals(first, third);
      const { payload, reply, ...rest } = first;
      assertEquals(rest, { code: 207, name: "own", description: "Own codecs", compress: true, errors: ["no"] });
      assertEquals([payload.encode("x"), reply!.decode(new Uint8Array([65]))], ["x!", "A!"]);
      assertEquals([codecs.includes(own), peers.errors], [false, []]);
      // What it was given is a type like any other.
      assertEquals(await out.request(first, "d"), "d!!!!");
    });

    it("see copies of what middleware has changed, and of the heads of streams", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      const changed = [4, 5];
      host.route(SUM, ({ data }) => (assertStrictEquals(data, changed), assertEquals(data, [4, 5]), { sum: 9 }));
      let head: unknown;
      host.stream(COUNT, async function* (stream): AsyncGenerator<number, string> {
        head = stream.head;
        yield stream.head.to;
        return "done";
      });
      host.use([SUM], (_message, _peer, next) => next({ data: changed }));
      const seen: unknown[] = [];
      const reader = definePlugin({
        name: "reader",
        version: "1.0.0",
        permissions: ["messages:read"],
        setup: () => ({
          before: ({ data, kind }) => {
            seen.push(kind, structuredClone(data));
            if (kind === "stream") (data as { to: number }).to = 99;
            else (data as number[]).length = 0;
          },
        }),
      });
      await host.register(reader);
      host.attach("all", reader, "before");
      assertEquals(await asker.request(SUM, [1]), { sum: 9 });
      const stream = asker.open(COUNT, { to: 3 });
      assertEquals(await Array.fromAsync(stream.readable), [3]);
      assertEquals(await stream.result, "done");
      assertEquals([seen, head], [["message", [4, 5], "stream", { to: 3 }], { to: 3 }]);
      assertEquals(peers.errors, []);
    });

    it("change what is sent, without seeing what they send themselves", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      const calls: string[] = [];
      const signer = definePlugin({
        name: "signer",
        version: "1.0.0",
        permissions: ["messages:modify", "messages:send", "clients:read"],
        setup: (plugin) => ({
          outgoing: ({ kind, payload, type }, client) => {
            calls.push(`${kind} ${type.name} ${payload} ${client?.id}`);
            // Would go on for ever, if it were seen again.
            if (kind !== "broadcast") plugin.broadcast(NOTE, "sent");
            return { payload: `${payload}!`, meta: { signed: "yes" } };
          },
        }),
      });
      await host.register(signer);
      host.attach([NOTE, UPPER], signer, "outgoing");
      const got: string[] = [];
      const both = deferred();
      const receive = ({ data, meta }: { data: string; meta: Readonly<Record<string, string>> }): void => {
        if (got.push(`${data} ${meta.signed}`) === 2) both.resolve();
      };
      (asker as Client & { route?: unknown }).route === undefined
        ? peers.server.route(NOTE, receive)
        : (asker as Client).route(NOTE, receive);
      const out = side === "client" ? peers.client : peers.info;
      out.send(NOTE, "a");
      await both.promise;
      assertEquals(got, ["sent undefined", "a! yes"]);
      assertEquals(calls, [`send note a ${side === "client" ? 0 : 1}`]);
    });

    it("add routes, which go with them", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      const echo = definePlugin({
        name: "echo",
        version: "1.0.0",
        permissions: ["routes:add"],
        setup: (plugin) => {
          plugin.route(UPPER, ({ data }) => `${data} by plugin`);
          plugin.route(CHECKED, () => {
            throw errorOf(CHECKED, "rude", "How rude");
          });
          plugin.route(SUM, () => ({ sum: 1 }))();
        },
      });
      await host.register(echo);
      assertEquals(await asker.request(UPPER, "a"), "a by plugin");
      assertEquals((await assertRejects(() => asker.request(SUM, []), RemoteError)).code, "no-route");
      for (let i = 0; i < 12; i++) {
        assertEquals((await assertRejects(() => asker.request(CHECKED, ""), RemoteError)).code, "rude");
      }
      assertEquals(host.plugins[0].failures, 0, "a declared error is no failure");
      assertThrows(() => host.route(UPPER, () => ""), "is routed as");
      assertEquals(await host.unregister("echo"), true);
      host.route(UPPER, ({ data }) => data);
      assertEquals(await asker.request(UPPER, "a"), "a");
      assertEquals(await host.unregister("echo"), false);
      assertEquals(peers.errors, []);
    });

    it("have just the members that their permissions name, and say what is missing", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      host.route(UPPER, ({ data }) => data);
      const members: Record<string, string[]> = {
        "messages:send": ["broadcast"],
        "clients:read": ["clients"],
        "routes:add": ["route"],
        "stats": ["stats"],
        "events:connect": ["on"],
      };
      const always = ["name", "version", "side", "setTimeout", "setInterval", "onClose", "remove"];
      const clients: Record<string, string[]> = {
        "clients:read": "address protocol security publicKey principal connectedAt connected leaving tags hasTag getTag"
          .split(" "),
        "clients:tag": ["addTag", "setTag", "removeTag"],
        "clients:close": ["close"],
        "messages:send": ["send", "request"],
      };
      const all = [
        "messages:send",
        "clients:read",
        "clients:tag",
        "clients:close",
        "routes:add",
        "stats",
        "events:connect",
      ];
      for (const permission of all as Permission[]) {
        if (side === "client" && permission === "clients:tag") continue;
        const { plugin, seen } = spy(["messages:read", permission]);
        await host.register(plugin);
        host.attach(UPPER, plugin, "before");
        await asker.request(UPPER, "x");
        assertEquals(Object.keys(seen.host).sort(), [...always, ...members[permission] ?? []].sort(), permission);
        assertEquals(Object.keys(seen.client).sort(), ["id", ...clients[permission] ?? []].sort(), permission);
        for (const [other, names] of Object.entries(members)) {
          for (const name of names) {
            assertEquals(name in seen.host, other === permission);
            if (other === permission) continue;
            const error = assertThrows(() => seen.host[name], PermissionError, `host.${name}: it lacks the permission`);
            assertEquals([error.code, error.plugin], ["permission-denied", "spy"]);
            assertMatch(error.message, /add it to the permissions of definePlugin\(\)/);
          }
        }
        for (const [other, names] of Object.entries(clients)) {
          for (const name of names) {
            if (other === permission) continue;
            assert(!(name in seen.client));
            const error = assertThrows(() => seen.client[name], PermissionError, `client.${name}`);
            assertEquals(error.missing, [other]);
          }
        }
        assertEquals([seen.host.then, seen.client.toJSON], [undefined, undefined]);
        await host.unregister("spy");
      }
      assertEquals(peers.errors, []);
    });

    it("reach nothing of the program through what they are handed", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      host.route(SUM, ({ data }) => {
        if (data.length === 0) throw Object.assign(new Error("Empty"), { host, peers, cause: host });
        return { sum: 1 };
      });
      const { plugin, seen } = spy(["messages:read", "clients:read", "events:error"]);
      const events: unknown[] = [];
      await host.register(plugin);
      seen.host.on("error", (event: unknown) => events.push(event));
      for (const mode of ["before", "after"] as const) host.attach("all", plugin, mode);
      await asker.request(SUM, [1]);
      await assertRejects(() => asker.request(SUM, []), RemoteError);
      const handed = [seen.host, seen.client, seen.message, seen.outcome, seen.message!.signal, ...events];
      assertEquals([events.length, seen.outcome.error.message], [1, "Empty"]);
      const found = reachable(handed.filter((value) => value !== seen.host && value !== seen.client));
      for (const own of [seen.host, seen.client]) {
        assertEquals([Object.getPrototypeOf(own), Object.isFrozen(own), own.constructor], [null, true, undefined]);
        for (const key of Reflect.ownKeys(own)) {
          try {
            reachable(own[key], found);
          } catch {
            // A capability that lacks its argument.
          }
        }
      }
      const real = [peers.server, peers.client, peers.info, peers, ...peers.server.clients];
      for (const secret of real) assert(!found.has(secret), "it leads to the Server, the Client or a ConnectedClient");
      for (const value of found) {
        for (const kind of [Server, Registration, peers.info.constructor as typeof Server]) {
          assert(!(value instanceof kind) && value !== kind && value !== kind.prototype, `it leads to ${kind.name}`);
        }
      }
      for (const value of handed.slice(0, 4)) {
        assertThrows(() => Object.assign(value as object, { id: 9 }), TypeError);
      }
    });

    it("have capabilities that throw once they are removed", async () => {
      await using peers = await streamPeers();
      const { asker, host } = sidesOf(peers);
      host.route(UPPER, ({ data }) => data);
      const permissions: Permission[] = [
        "messages:read",
        "messages:send",
        "clients:read",
        "clients:close",
        "routes:add",
        "stats",
        "events:error",
      ];
      if (side === "server") permissions.push("clients:tag");
      const { plugin, seen } = spy(permissions);
      await host.register(plugin);
      host.attach(UPPER, plugin, "before");
      await asker.request(UPPER, "x");
      await host.unregister("spy");
      const uses: Record<string, () => unknown> = {
        "host.broadcast()": () => seen.host.broadcast(NOTE, "x"),
        "host.clients()": () => seen.host.clients(),
        "host.route()": () => seen.host.route(SUM, () => ({ sum: 1 })),
        "host.stats()": () => seen.host.stats(),
        "host.on()": () => seen.host.on("error", () => {}),
        "host.setTimeout()": () => seen.host.setTimeout(() => {}, 1),
        "host.setInterval()": () => seen.host.setInterval(() => {}, 1),
        "host.onClose()": () => seen.host.onClose(() => {}),
        "host.remove()": () => seen.host.remove(),
        "client.address": () => seen.client.address,
        "client.tags": () => seen.client.tags,
        "client.hasTag()": () => seen.client.hasTag("x"),
        "client.close()": () => seen.client.close(),
        "client.send()": () => seen.client.send(NOTE, "x"),
        "client.request()": () => seen.client.request(UPPER, "x"),
        ...(side === "server" ? { "client.addTag()": () => seen.client.addTag("x") } : {}),
      };
      for (const [what, use] of Object.entries(uses)) {
        const error = assertThrows(use, PluginError, `cannot use ${what}: it was removed`);
        assertEquals(error.code, "plugin-removed");
      }
      assertEquals(peers.errors, []);
    });

    it("are listed with their versions, permissions and states, and an event tells of each change", async () => {
      await using peers = await streamPeers();
      const { host } = sidesOf(peers);
      const changes: unknown[] = [];
      host.on("plugin", (change) => changes.push({ ...change }));
      const going = deferred();
      const slow = definePlugin({ name: "slow", version: "2.1.0", permissions: ["stats"], setup: () => going.promise });
      assertEquals(host.plugins, []);
      const registered = host.register(slow);
      await until(() => host.plugins.length === 1);
      const info = { name: "slow", version: "2.1.0", permissions: ["stats" as const], reason: undefined, failures: 0 };
      assertEquals(host.plugins, [{ ...info, state: "starting" }]);
      assertThrows(() => host.attach(UPPER, slow, "before"), PluginError, "it is starting");
      going.resolve();
      await registered;
      assertEquals(host.plugins, [{ ...info, state: "on" }]);
      const removed = host.unregister("slow");
      assertEquals(host.plugins.map(({ state }) => state), ["stopping"]);
      assertEquals(await removed, true);
      assertEquals(host.plugins, []);
      const change = { name: "slow", version: "2.1.0", reason: undefined };
      assertEquals(changes, [{ ...change, state: "on" }, { ...change, state: "removed" }]);
    });
  });
}

describe("a plugin's permissions", () => {
  it("name every event of a Server and of a Client, and no other", () => {
    assertEquals([...PLUGIN_EVENTS].sort(), [...new Set([...SERVER_EVENTS, ...CLIENT_EVENTS])].sort());
  });

  it("are no more than the program grants: it learns what the plugin wants beyond that", async () => {
    const server = new Server();
    const { plugin, seen } = spy(["messages:read", "clients:close", "events:connect"]);
    const error = await assertRejects(
      () => server.register(plugin, undefined, { permissions: ["messages:read"] }),
      PermissionError,
      'it wants "clients:close", "events:connect"',
    );
    assertEquals([error.plugin, error.missing], ["spy", ["clients:close", "events:connect"]]);
    assertEquals([server.plugins, seen.host], [[], undefined]);
    await server.register(plugin, undefined, {
      permissions: ["clients:close", "events:connect", "messages:read", "stats"],
    });
    assertThrows(() => seen.host.stats, PermissionError, undefined, "what is granted and not wanted is not there");
  });

  it("are refused where a Client has no such thing", async () => {
    await using peers = await streamPeers();
    for (const permission of ["clients:tag", "events:rejected"] as const) {
      const { plugin } = spy([permission]);
      const error = await assertRejects(
        () => peers.client.register(plugin),
        PermissionError,
        "with a client: it has no",
      );
      assertEquals(error.missing, [permission]);
    }
  });

  it("are checked when it is defined", () => {
    const setup = (): void => {};
    for (
      const [members, what] of [
        [{ permissions: ["messages:write"] }, '"messages:write", which is no permission'],
        [{ permissions: ["events:nothing"] }, '"events:nothing", which is no permission'],
        [{ permissions: "stats" }, "permissions must be a list of permissions"],
        [{ name: "" }, "name must be a non-empty string"],
        [{ version: undefined }, "version must be a non-empty string"],
        [{ setup: undefined }, "setup must be a function"],
        [{ dependsOn: ["", "b"] }, "dependsOn[0] must be a non-empty string"],
        [{ permision: [] }, 'Unknown option "permision"'],
      ] as const
    ) {
      assertThrows(() => definePlugin({ name: "a", version: "1", setup, ...members } as never), TypeError, what);
    }
    assert(Object.isFrozen(definePlugin({ name: "a", version: "1", setup })));
  });

  it("limit the events that it may listen to", async () => {
    const server = new Server();
    const { plugin, seen } = spy(["events:connect"]);
    await server.register(plugin);
    assertThrows(() => seen.host.on("error", () => {}), PermissionError, '"events:error"');
    assertThrows(() => seen.host.on("nothing", () => {}), PermissionError, '"events:nothing"');
  });

  it("limit the hooks that can be attached", async () => {
    const server = new Server();
    const { plugin } = spy(["stats"]);
    const { plugin: reader } = spy(["messages:read"], "reader");
    await server.register(plugin);
    await server.register(reader);
    const attach = (plugin: unknown, mode: AttachMode, types: unknown = UPPER) => () =>
      server.attach(types as typeof UPPER, plugin as "spy", mode);
    assertThrows(attach("spy", "before"), PermissionError, '"messages:read"');
    assertThrows(attach("reader", "instead"), PermissionError, '"messages:modify"');
    const { plugin: modifier } = spy(["messages:modify"], "modifier");
    await server.register(modifier);
    assertEquals(assertThrows(attach("modifier", "instead"), PluginError).code, "no-hook");
    assertThrows(attach("modifier", "around" as never), RangeError, "attach()'s mode must be before");
    assertThrows(attach("modifier", "before", [UPPER, {}]), TypeError, "a type, a list of types");
    assertThrows(attach("modifier", "before", []), TypeError, "the list of types is empty");
    assertEquals(assertThrows(attach("nobody", "before"), PluginError).code, "plugin-missing");
    assertThrows(attach(spy([], "reader").plugin, "before"), PluginError, "another one of that name");
    const answering = definePlugin({
      name: "answering",
      version: "1",
      permissions: ["messages:modify"],
      setup: () => ({ instead: () => "x" }),
    });
    await server.register(answering);
    assertThrows(attach(answering, "instead", "all"), TypeError, "name types of messages");
    assertThrows(attach(answering, "instead", COUNT), TypeError, "name types of messages");
  });
});

describe("the clients of a plugin", () => {
  it("are always the same objects, with the values that are there, as copies", async () => {
    const principal = { roles: ["guest"] };
    const world = memoryWorld();
    await using served = await serve<{ roles: string[] }>(world, { authenticate: () => principal });
    await using client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    const [info] = await served.events.next("connect") as [ConnectedClient<{ roles: string[] }>];
    const peers = { server: served.server, client, info };
    peers.server.route(UPPER, ({ data }) => data);
    const { plugin, seen } = spy(["messages:read", "clients:read", "clients:tag", "messages:send"]);
    await peers.server.register(plugin);
    peers.server.attach(UPPER, plugin, "before");
    await peers.client.request(UPPER, "x");
    const shown = seen.client;
    await peers.client.request(UPPER, "y");
    assertStrictEquals(seen.client, shown);
    assertEquals(seen.host.clients().length, 1);
    assertStrictEquals(seen.host.clients()[0], shown);
    const value = { at: [1] };
    assertEquals([shown.addTag("place", value), shown.addTag("place"), shown.getTag("place")], [true, false, value]);
    shown.getTag("place").at.push(2);
    shown.tags.get("place").at.push(2);
    shown.principal.roles.push("admin");
    shown.address.port = 1;
    assertEquals([principal.roles, peers.info.getTag("place")], [["guest"], { at: [1] }]);
    assertEquals([shown.id, shown.connected, shown.protocol, shown.security], [1, true, "native", "none"]);
    assertEquals(shown.address, peers.info.address);
    peers.info.setTag("close", () => peers.info.close());
    assertThrows(() => shown.getTag("close"), TypeError, 'Cannot copy the tag "close" for a plugin');

    const got = deferred<string>();
    peers.client.route(NOTE, ({ data }) => got.resolve(data));
    assertEquals(seen.host.broadcast(NOTE, "x", { except: [shown] }).sent, 0);
    assertEquals(seen.host.broadcast(NOTE, "hello", { to: [shown] }).sent, 1);
    assertEquals(await got.promise, "hello");
    assertThrows(
      () => seen.host.broadcast(NOTE, "x", { to: [peers.info] }),
      TypeError,
      "to must have clients that the plugin",
    );
  });

  it("have copies of bytes, wherever these are, with nothing else of their buffers", async () => {
    const pool = new TextEncoder().encode("secret key secret").buffer;
    const part = new Uint8Array(pool, 7, 3);
    const shared = new SharedArrayBuffer(4);
    const error = new Error("Oops", { cause: part });
    const list = [part, part] as unknown[];
    const principal: Record<string, unknown> = {
      key: Buffer.from(pool, 7, 3),
      whole: new Uint8Array([1, 2]),
      view: new DataView(pool, 7, 3),
      wide: new Uint16Array(pool, 8, 2),
      map: new Map<unknown, unknown>([[part, { part }], ["last", 1]]),
      set: new Set<unknown>([part]),
      shared,
      bytes: new Uint8Array(shared),
      list,
      error,
    };
    principal.self = principal;
    await using peers = await streamPeers();
    const { plugin, seen } = spy(["messages:read", "clients:read"]);
    peers.server.route(UPPER, ({ data }) => data);
    await peers.server.register(plugin);
    peers.server.attach(UPPER, plugin, "before");
    await peers.client.request(UPPER, "x");
    peers.info.setTag("all", principal);
    peers.info.setTag("key", Buffer.from(pool, 7, 3));
    peers.info.setTag("shared", new Uint8Array(shared));
    const copy = seen.client.getTag("all");
    const buffers = [seen.client.getTag("key"), copy.key, copy.view, copy.wide, [...copy.set][0], ...copy.list].map((
      { buffer },
    ) => buffer);
    buffers.push([...copy.map.keys()][0].buffer, copy.map.values().next().value.part.buffer);
    assertEquals(buffers.map((one) => `${Buffer.from(one)}`.length), [3, 3, 3, 4, 3, 3, 3, 3, 3]);
    assertEquals(
      `${Buffer.from(copy.key)} ${Buffer.from(copy.view.buffer)} ${Buffer.from(copy.wide.buffer)}`,
      [
        "key",
        "key",
        "ey s",
      ].join(" "),
    );
    assertEquals([copy.whole, copy.map.get("last"), [...copy.map.keys()][1]], [new Uint8Array([1, 2]), 1, "last"]);
    assertStrictEquals(copy.list[0], copy.list[1]);
    assertStrictEquals(copy.self, copy);
    if (copy.error.cause !== undefined) assertEquals(copy.error.cause.buffer.byteLength, 3);
    for (const buffer of buffers) new Uint8Array(buffer).fill(0);
    copy.bytes.fill(9);
    new Uint8Array(copy.shared).fill(9);
    seen.client.getTag("shared").fill(9);
    for (const tag of seen.client.tags.values()) (tag.bytes ?? tag).fill(9);
    assertEquals([`${Buffer.from(pool)}`, new Uint8Array(shared)], ["secret key secret", new Uint8Array(4)]);
  });

  it("are closed by it with clients:close", async () => {
    await using peers = await streamPeers();
    const over = new Promise<string>((resolve) =>
      peers.server.on("disconnect", (_client, { reason }) => resolve(reason))
    );
    const kicker = definePlugin({
      name: "kicker",
      version: "1",
      permissions: ["messages:read", "clients:close"],
      setup: () => ({ before: (_message, client) => client.close("rate-limited", { drain: 0 }) }),
    });
    await peers.server.register(kicker);
    peers.server.attach("all", kicker, "before");
    peers.client.send(NOTE, "x");
    assertEquals(await over, "rate-limited");
  });
});

describe("the events of a plugin", () => {
  it("tell of clients and messages as far as it may see them, and nobody else misses anything", async () => {
    const world = memoryWorld();
    await using peers = await streamPeers({}, world);
    const events: [name: string, client: number | undefined, info: unknown, message: unknown][] = [];
    const make = (name: string, extra: readonly Permission[]): Plugin<Permission, void> =>
      definePlugin<Permission>({
        name,
        version: "1",
        permissions: ["events:tag", "events:message", "events:unhandled", "events:route", ...extra],
        setup: (host) => {
          for (const event of ["tag", "message", "unhandled", "route"] as const) {
            host.on(event, ({ name: said, client, info, message }) => {
              events.push([`${name} ${said}`, client?.id, { ...info }, message?.content]);
              // Nobody waits for it.
              return new Promise(() => {});
            });
          }
        },
      });
    await peers.server.register(make("blind", []), undefined, { hookTimeout: 0x7fffffff });
    await peers.server.register(make("seeing", ["messages:read"]), undefined, { hookTimeout: 0x7fffffff });
    const unhandled = deferred<number>();
    peers.server.on("unhandled", ({ code }) => unhandled.resolve(code));
    peers.info.addTag("x", { deep: [1] });
    peers.server.route(UPPER, ({ data }) => data);
    peers.client.send(NOTE, "hi");
    assertEquals(await unhandled.promise, NOTE.code, "a plugin that looks on does not handle a message");
    const tag = { action: "added", name: "x", value: { deep: [1] } };
    const route = { action: "added", code: 200, name: "upper" };
    const content = new TextEncoder().encode("hi");
    assertEquals(events.map(([name, client, info, message]) => [name, client, JSON.stringify(info), message]), [
      ["blind tag", 1, JSON.stringify(tag), undefined],
      ["seeing tag", 1, JSON.stringify(tag), undefined],
      ["blind route", undefined, JSON.stringify(route), undefined],
      ["seeing route", undefined, JSON.stringify(route), undefined],
      ["blind message", 1, "{}", undefined],
      ["seeing message", 1, "{}", content],
      ["blind unhandled", 1, JSON.stringify({ code: 203, size: 2 }), undefined],
      ["seeing unhandled", 1, JSON.stringify({ code: 203, size: 2 }), undefined],
    ]);
    assertEquals(
      (await assertRejects(() => peers.client.request(SUM, []), RemoteError)).code,
      "no-route",
      "and does not make its sender wait",
    );
  });

  it("leave errors in the log that nobody else listens to", async () => {
    const lines: unknown[] = [];
    const logger = { warn: (line: unknown) => lines.push(line), error: (line: unknown) => lines.push(line) };
    const server = new Server({ logger });
    const seen: unknown[] = [];
    await server.register(definePlugin({
      name: "errors",
      version: "1",
      permissions: ["events:error"],
      setup: (host) => void host.on("error", ({ error }) => seen.push(error?.message)),
    }));
    server.on("route", () => {
      throw new Error("A listener failed");
    });
    server.route(UPPER, ({ data }) => data);
    assertEquals([seen, lines.length], [["A listener failed"], 1]);
  });
});

describe("the order of plugins", () => {
  const tracer = (name: string, log: string[], dependsOn: readonly string[] = []) =>
    definePlugin({
      name,
      version: "1",
      permissions: ["messages:read"],
      dependsOn,
      setup: (host) => {
        log.push(`${name} set up`);
        host.onClose(() => log.push(`${name} closed first`));
        host.onClose(() => Promise.resolve().then(() => log.push(`${name} closes`)));
        return {
          before: () => log.push(`${name} before`),
          after: () => log.push(`${name} after`),
        };
      },
    });

  it("is that in which they are attached, and the last one is nearest to the handler", async () => {
    await using peers = await streamPeers();
    const log: string[] = [];
    peers.server.route(UPPER, ({ data }) => (log.push("handler"), data));
    for (const name of ["a", "b"]) {
      await peers.server.register(tracer(name, log));
      peers.server.attach(UPPER, name, "before");
      peers.server.attach(UPPER, name, "after");
    }
    log.length = 0;
    await peers.client.request(UPPER, "x");
    assertEquals(log, ["a before", "b before", "handler", "b after", "a after"]);
  });

  it("has what they depend on first, even if nobody has awaited it", async () => {
    const server = new Server();
    const log: string[] = [];
    const gate = deferred();
    const base = definePlugin({
      name: "base",
      version: "1",
      setup: () => gate.promise.then(() => void log.push("base")),
    });
    const registered = [server.register(base), server.register(tracer("user", log, ["base"]))];
    await until(() => server.plugins.length === 2);
    assertEquals(log, []);
    gate.resolve();
    await Promise.all(registered);
    assertEquals(log, ["base", "user set up"]);
    const error = await assertRejects(() => server.unregister("base"), PluginError, '"user" needs it');
    assertEquals(error.code, "plugin-needed");
    await server.unregister("user");
    assertEquals(await server.unregister("base"), true);
  });

  it("cannot be had without what is missing, failed or goes in a circle", async () => {
    const server = new Server();
    const log: string[] = [];
    const codeOf = async (plugin: Plugin<never, void>): Promise<string> => {
      const { code, message } = await assertRejects(() => server.register(plugin), PluginError);
      return `${code}: ${message}`;
    };
    const a = tracer("a", log, ["b"]) as unknown as Plugin<never, void>;
    const b = tracer("b", log, ["c"]) as unknown as Plugin<never, void>;
    const c = tracer("c", log, ["a"]) as unknown as Plugin<never, void>;
    const own = tracer("own", log, ["own"]) as unknown as Plugin<never, void>;
    assertEquals(
      await codeOf(a),
      'dependency-missing: Cannot register the plugin "a": it needs "b", register that first',
    );
    assertEquals(
      await codeOf(b),
      'dependency-missing: Cannot register the plugin "b": it needs "c", register that first',
    );
    assertEquals(
      await codeOf(c),
      'dependency-circular: Cannot register the plugin "c": "c" needs "a" needs "b" needs "c"',
    );
    assertEquals(await codeOf(own), 'dependency-circular: Cannot register the plugin "own": "own" needs "own"');
    const gate = deferred();
    const failing = server.register(definePlugin({ name: "b", version: "1", setup: () => gate.promise }));
    const waiting = server.register(a);
    failing.catch(() => {});
    waiting.catch(() => {});
    await until(() => server.plugins.length === 2);
    gate.reject(new Error("no"));
    assertEquals((await assertRejects(() => waiting, PluginError)).code, "dependency-missing");
    assertEquals([server.plugins, log], [[], []]);
  });

  it("is turned round at the end: the last one goes first, and so does its last onClose", async () => {
    const log: string[] = [];
    {
      await using server = new Server({ listen: [] });
      await server.register(tracer("a", log));
      await server.register(tracer("b", log, ["a"]));
      await server.start();
      await server.restart();
      assertEquals(server.plugins.map(({ state }) => state), ["on", "on"], "a restart leaves them");
      await server.close();
      assertEquals(
        server.plugins.map(({ state }) => state),
        ["on", "on"],
        "so does the end, after which it may start again",
      );
      log.length = 0;
    }
    assertEquals(log, ["b closes", "b closed first", "a closes", "a closed first"]);
  });
});

describe("a plugin's end", () => {
  it("waits for its hooks under way, which keep their capabilities", async () => {
    await using peers = await streamPeers();
    peers.server.route(UPPER, ({ data }) => data);
    const gate = deferred();
    const log: string[] = [];
    const slow = definePlugin({
      name: "slow",
      version: "1",
      permissions: ["messages:modify", "clients:read"],
      setup: (host) => {
        host.onClose(() => log.push(`closed, ${host.clients().length} clients`));
        return {
          before: async () => {
            await gate.promise;
            log.push(`hook, ${host.clients().length} clients`);
            return { data: "changed" };
          },
        };
      },
    });
    await peers.server.register(slow);
    peers.server.attach(UPPER, slow, "before");
    const first = peers.client.request(UPPER, "a");
    await until(() => peers.server.clients[0].stats().runningHandlers === 1);
    const removed = peers.server.unregister("slow").then(() => log.push("removed"));
    const again = peers.server.unregister("slow");
    assertEquals(await peers.client.request(UPPER, "b"), "b", "nothing new reaches it");
    assertEquals(log, []);
    gate.resolve();
    assertEquals(await first, "changed");
    await removed;
    assertEquals(await again, true);
    assertEquals(log, ["hook, 1 clients", "closed, 1 clients", "removed"]);
    assertEquals(peers.errors, []);
  });

  it("may be asked for by itself in the middle of a message", async () => {
    await using peers = await streamPeers();
    peers.server.route(UPPER, ({ data }) => data.toUpperCase());
    const log: string[] = [];
    const once = definePlugin({
      name: "once",
      version: "1",
      permissions: ["messages:modify", "routes:add"],
      setup: (host) => {
        host.route(SUM, () => ({ sum: 1 }));
        host.onClose(() => log.push("closed"));
        return {
          before: ({ data }) => {
            host.remove();
            return { data: `${data} once` };
          },
          instead: async () => {
            // It is called before anything else is awaited, so nobody waits for this hook.
            await peers.server.unregister("once");
            return "removed";
          },
        };
      },
    });
    await peers.server.register(once);
    peers.server.attach(UPPER, once, "before");
    assertEquals(await peers.client.request(UPPER, "a"), "A ONCE");
    await until(() => peers.server.plugins.length === 0);
    assertEquals(await peers.client.request(UPPER, "a"), "A");
    assertEquals((await assertRejects(() => peers.client.request(SUM, []), RemoteError)).code, "no-route");
    await peers.server.register(once);
    peers.server.attach(UPPER, once, "instead");
    assertEquals(await peers.client.request(UPPER, "a"), "removed");
    assertEquals([log, peers.server.plugins], [["closed", "closed"], []]);
    assertEquals(peers.errors, []);
  });

  it("stops its timers", async () => {
    const world = memoryWorld();
    await using peers = await streamPeers({}, world);
    const log: string[] = [];
    const before = world.clock.pending;
    await peers.server.register(definePlugin({
      name: "timers",
      version: "1",
      setup: (host) => {
        host.setTimeout(() => log.push("once"), 10);
        host.setTimeout(() => log.push("never"), 10)();
        host.setInterval(() => log.push("again"), 100);
        host.setInterval(() => log.push("never"), 100)();
      },
    }));
    assertEquals(world.clock.pending, before + 2);
    await world.clock.advance(350);
    assertEquals(log, ["once", "again", "again", "again"]);
    await peers.server.unregister("timers");
    assertEquals(world.clock.pending, before);
    await world.clock.advance(1_000);
    assertEquals(log.length, 4);
  });

  it("takes all its middleware off, so that messages cost what they cost before", async () => {
    const there = new Set<object>();
    const put = (): () => void => {
      const one = {};
      there.add(one);
      return () => void there.delete(one);
    };
    const core = {
      transport: "none",
      loopOf: () => ({ clock: new FakeClock() }),
      events: { emit: () => true },
      use: put,
      useOutgoing: put,
    };
    const registry = new Registry({ side: "server", core, events: [], peers: () => [] } as never);
    const plugin = definePlugin({
      name: "guest",
      version: "1",
      permissions: ["messages:modify"],
      setup: () => ({ before: () => {}, after: () => {}, instead: () => {}, outgoing: () => {} }),
    });
    await registry.register(plugin, undefined, {});
    for (const mode of ["before", "after", "instead", "outgoing"] as const) {
      registry.attach(UPPER as never, plugin, mode);
    }
    assertEquals(there.size, 4);
    await registry.unregister("guest");
    assertEquals(there.size, 0);
  });

  it("leaves no attachment, route or listener behind, and neither does a setup that fails", async () => {
    await using peers = await streamPeers();
    const log: string[] = [];
    const make = (fail: boolean) =>
      definePlugin({
        name: "guest",
        version: "1",
        permissions: ["routes:add", "events:tag"],
        setup: async (host) => {
          host.route(UPPER, ({ data }) => data);
          host.on("tag", () => log.push("tag"));
          host.setInterval(() => log.push("tick"), 1);
          host.onClose(() => log.push("closed"));
          await Promise.resolve();
          if (fail) throw new Error("No disk");
        },
      });
    const error = await assertRejects(() => peers.server.register(make(true)), PluginError, "failed in setup()");
    assertEquals([error.code, (error.cause as Error).message], ["plugin-failed", "No disk"]);
    peers.info.addTag("a");
    assertEquals([log, peers.server.plugins, peers.server.unroute(UPPER)], [["closed"], [], false]);
    await peers.server.register(make(false));
    peers.info.addTag("b");
    await peers.server.unregister("guest");
    peers.info.addTag("c");
    assertEquals([log.filter((line) => line !== "tick"), peers.server.unroute(UPPER)], [
      ["closed", "tag", "closed"],
      false,
    ]);
    assertEquals(peers.errors, []);
  });
});

describe("a plugin that is being removed", () => {
  const ADDS = ["route", "on", "setTimeout", "setInterval"] as const;
  /** Tries to add everything. Returns the codes of the errors. */
  // deno-lint-ignore no-explicit-any
  const add = (host: any, log: string[]): string =>
    ADDS.map((name) => {
      try {
        if (name === "route") host.route(SUM, () => ({ sum: log.push("route") }));
        else if (name === "on") host.on("tag", () => log.push("on"));
        else host[name](() => log.push(name), 1);
        return "added";
      } catch (error) {
        return error instanceof PluginError ? `${error.code}: ${error.message}` : `${error}`;
      }
    }).join("\n");
  const REFUSED = ADDS.map((name) => `plugin-removed: Plugin "late" cannot use host.${name}(): it is being removed`)
    .join("\n");

  it("adds nothing any more in its hooks, timers and onClose, and an onClose is called or refused", async () => {
    const world = memoryWorld();
    await using peers = await streamPeers({}, world);
    const { server } = peers;
    server.route(UPPER, ({ data }) => data);
    const log: string[] = [];
    const gate = deferred();
    const pending = world.clock.pending;
    await server.register(definePlugin({
      name: "late",
      version: "1",
      permissions: ["messages:read", "routes:add", "events:tag"],
      setup: (host) => {
        const late = async (): Promise<void> => {
          await gate.promise;
          log.push(add(host, log));
          host.onClose(() => log.push("late onClose"));
        };
        host.setTimeout(late, 1);
        host.onClose(() => {
          log.push(add(host, log));
          host.onClose(() => log.push("never"));
        });
        return { before: late };
      },
    }));
    server.attach(UPPER, "late", "before");
    await peers.client.request(UPPER, "x");
    await world.clock.advance(1);
    const removed = server.unregister("late");
    gate.resolve();
    await removed;
    assertEquals(log, [REFUSED, REFUSED, "late onClose", "late onClose", REFUSED]);
    assertEquals(peers.errors.map((error) => `${((error as Error).cause as Error).message}`), [
      'Plugin "late" cannot use host.onClose(): it is being removed',
    ]);
    peers.info.addTag("x");
    await world.clock.advance(1_000);
    assertEquals((await assertRejects(() => peers.client.request(SUM, []), RemoteError)).code, "no-route");
    assertEquals([log.length, world.clock.pending, server.unroute(SUM)], [5, pending, false]);
  });

  it("leaves nothing behind if a listener removes it while it adds something", async () => {
    await using peers = await streamPeers();
    const { server } = peers;
    let removed: Promise<boolean> | undefined;
    server.on("route", () => removed ??= server.unregister("late"));
    let add!: () => unknown;
    await server.register(definePlugin({
      name: "late",
      version: "1",
      permissions: ["routes:add"],
      setup: (host) => void (add = () => host.route(UPPER, ({ data }) => data)),
    }));
    add();
    assertEquals(await removed, true);
    assertEquals([server.plugins, server.unroute(UPPER)], [[], false]);
  });

  it("is removed when its last onClose has ended, if it was switched off before, too", async () => {
    await using peers = await streamPeers();
    const { server } = peers;
    const gates = [deferred(), deferred(), deferred()];
    const log: string[] = [];
    await server.register(
      definePlugin({
        name: "slow",
        version: "1",
        permissions: ["events:tag"],
        setup: (host) => {
          for (const [i, gate] of [...gates.entries()].reverse()) {
            host.onClose(async () => {
              await gate.promise;
              log.push(`closed ${i}`);
            });
          }
          host.on("tag", () => {
            throw new Error("Oops");
          });
        },
      }),
      undefined,
      { maxFailures: 1 },
    );
    peers.info.addTag("x");
    assertEquals(server.plugins[0].state, "off");
    const removed = server.unregister("slow").then(() => log.push("removed"));
    for (const gate of gates) {
      gate.resolve();
      await peers.client.ping();
    }
    await removed;
    assertEquals(log, ["closed 0", "closed 1", "closed 2", "removed"]);
  });
});

describe("a plugin's options", () => {
  it("are checked by it before it is set up", async () => {
    const server = new Server();
    const seen: unknown[] = [];
    const plugin = definePlugin({
      name: "limited",
      version: "1",
      options: ({ limit = 5 }: { limit?: number }) => {
        if (limit < 1) throw new RangeError(`limit must be at least 1, not ${limit}`);
        return { limit };
      },
      setup: (_host, options) => void seen.push(options),
    });
    await assertRejects(() => server.register(plugin, { limit: 0 }), RangeError, "limit must be at least 1");
    assertEquals([seen, server.plugins], [[], []]);
    await server.register(plugin, {});
    assertEquals(seen, [{ limit: 5 }]);
  });

  it("of registering are checked, too", async () => {
    const server = new Server();
    const { plugin } = spy([]);
    const register = (how: unknown) => () => server.register(plugin, undefined, how as never);
    await assertRejects(register({ hookTimeout: 0 }), RangeError, "hookTimeout");
    await assertRejects(register({ maxFailures: "3" }), TypeError, "maxFailures");
    await assertRejects(register({ whenOff: "stop" }), RangeError, "whenOff must be pass or refuse");
    await assertRejects(register({ permission: [] }), TypeError, 'Unknown option "permission"');
    await assertRejects(() => server.register({} as Plugin<never, void>), TypeError, "name must be a non-empty string");
  });
});

describe("docs/plugins.md", () => {
  const page = readFileSync(`${ROOT}docs/plugins.md`, "utf8");

  it("has each permission with the members that come with it, and no other", async () => {
    const rows = page.slice(page.indexOf("## Permissions"), page.indexOf("## Order")).split("\n")
      .filter((line) => line.startsWith("| `")).map((line) => line.split(" | "));
    const named = rows.map(([permission]) => permission.replace(/[|` ]/g, ""));
    const plain = "messages:read messages:modify messages:send clients:read clients:tag clients:close routes:add stats";
    assertEquals(named.sort(), [...plain.split(" "), "events:<name>"].sort());

    await using peers = await streamPeers();
    peers.server.route(UPPER, ({ data }) => data);
    for (const [cell, members] of rows) {
      const permission = cell.replace(/[|` ]/g, "").replace("<name>", "error") as Permission;
      const { plugin, seen } = spy(["messages:read", permission]);
      await peers.server.register(plugin);
      peers.server.attach(UPPER, plugin, "before");
      await peers.client.request(UPPER, "x");
      for (const name of [...Object.keys(seen.host), ...Object.keys(seen.client)]) {
        const always = "name version side setTimeout setInterval onClose remove id".split(" ");
        assert(
          always.includes(name) || new RegExp(`\\b${name}\\b`).test(members),
          `${permission} says nothing of ${name}`,
        );
      }
      await peers.server.unregister("spy");
    }
  });

  it("has each code of a PluginError", () => {
    const errors = readFileSync(`${ROOT}docs/errors.md`, "utf8");
    const codes = /type PluginErrorCode =([^;]*);/.exec(readFileSync(`${ROOT}src/errors.ts`, "utf8"))![1];
    for (const [, code] of codes.matchAll(/"([\w-]+)"/g)) {
      assert(errors.includes(`\`${code}\``), code);
      assert(page.includes(`\`${code}\``) || code === "no-hook" || code === "plugin-missing", code);
    }
  });
});

describe("the types of plugins", () => {
  it("have what the permissions name", () => {
    definePlugin({
      name: "typed",
      version: "1",
      permissions: ["messages:read", "clients:read"],
      setup: (host) => {
        // @ts-expect-error There is no permission messages:send.
        const send = (): unknown => host.broadcast(NOTE, "x");
        // @ts-expect-error There is no permission for events.
        const on = (): unknown => host.on("connect", () => {});
        const first: PluginClient<"messages:read" | "clients:read"> | undefined = host.clients()[0];
        // @ts-expect-error There is no permission clients:close.
        const close = (): unknown => first?.close();
        void [send, on, close, first];
        return { before: (_message, client) => client.tags };
      },
    });
    definePlugin({
      name: "events",
      version: "1",
      permissions: ["events:connect", "messages:send"],
      setup: (host) => {
        host.on("connect", ({ client }) => client?.send(NOTE, "x"));
        // @ts-expect-error There is no permission events:error.
        const on = (): unknown => host.on("error", () => {});
        void on;
      },
    });
    // @ts-expect-error Its options have to be given.
    const register = (server: Server, plugin: Plugin<never, { words: string[] }>): unknown => server.register(plugin);
    void register;
    assert(true);
  });
});
