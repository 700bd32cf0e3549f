/** Middleware around what is sent, in memory: every way of sending, what it changes, and what it may return. */

import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  ConnectionError,
  json,
  messageType,
  type OutgoingCall,
  Server,
  streamType,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { streamPeers } from "./streams_support.ts";
import { deferred, memoryWorld, serve, until } from "./session_support.ts";

const UPPER = messageType(200, "upper", text, text);
const NOTE = messageType(201, "note", text);
const COUNT = streamType(202, "count", { head: json<number>(), up: false, down: json<number>(), result: text });

describe("outgoing middleware", () => {
  it("is around each way of sending, on both sides, in the order in which it was added", async () => {
    await using peers = await streamPeers();
    const { client, info, server } = peers;
    const log: string[] = [];
    for (const end of [client, server] as const) {
      (end as Client).route(UPPER, ({ data }) => data.toUpperCase());
      (end as Client).route(NOTE, ({ data }) => void log.push(`noted ${data}`));
      (end as Client).stream(COUNT, ({ head }) => `counted ${head}`);
      for (const name of ["a", "b"]) {
        (end as Client).useOutgoing(({ kind, type, payload, peer, options }, next) => {
          const to = peer === undefined ? "all" : peer === client as unknown ? "server" : "client";
          log.push(`${name} ${kind} ${type.name} ${payload} to ${to} ${JSON.stringify(options)}`);
          return next();
        });
      }
    }
    for (const [sender, to] of [[client, "server"], [info, "client"]] as const) {
      assertEquals(sender.send(NOTE, "hi", { maxAge: 5_000 }), true);
      await until(() => log.length === 3);
      assertEquals(log.splice(0), [
        `a send note hi to ${to} {"maxAge":5000}`,
        `b send note hi to ${to} {"maxAge":5000}`,
        "noted hi",
      ]);
      assertEquals(await sender.request(UPPER, "x"), "X");
      assertEquals(log.splice(0), [`a request upper x to ${to} {}`, `b request upper x to ${to} {}`]);
      const { data, latency } = await sender.exchange(UPPER, "y", { timeout: 100 });
      assertEquals([data, latency >= 0], ["Y", true]);
      assertEquals(log.splice(0)[1], `b request upper y to ${to} {"timeout":100}`);
      assertEquals(await sender.open(COUNT, 4).result, "counted 4");
      assertEquals(log.splice(0), [`a open count 4 to ${to} {}`, `b open count 4 to ${to} {}`]);
    }
    assertEquals(server.broadcast(NOTE, "all"), { sent: 1, dropped: 0, closed: 0 });
    await until(() => log.length === 3);
    assertEquals(log, ["a broadcast note all to all {}", "b broadcast note all to all {}", "noted all"]);
    assertEquals(peers.errors, []);
  });

  it("changes the payload, and adds metadata to that of the call", async () => {
    await using peers = await streamPeers();
    const { client, info, server } = peers;
    const got = deferred<unknown>();
    client.route(NOTE, ({ data, meta }) => got.resolve([data, { ...meta }]));
    server.route(UPPER, ({ data, meta }) => `${data} ${JSON.stringify(meta)}`);
    server.stream(COUNT, ({ head, meta }) => `${head} ${JSON.stringify(meta)}`);
    for (const end of [client, server as unknown as Client]) {
      end.useOutgoing(({ takesMetadata, payload }, next) => {
        assertEquals(takesMetadata, true);
        return next({ meta: { b: "2" }, payload: typeof payload === "number" ? payload + 1 : `${payload}!` });
      });
      end.useOutgoing(({ options }, next) => {
        assertEquals(options.meta?.b, "2");
        return next({ meta: { c: "3" } });
      });
    }
    assertEquals(await client.request(UPPER, "x", { meta: { a: "1", b: "0" } }), 'x! {"a":"1","b":"2","c":"3"}');
    assertEquals(await client.open(COUNT, 1).result, '2 {"b":"2","c":"3"}');
    server.broadcast(NOTE, "hi");
    assertEquals(await got.promise, ["hi!", { b: "2", c: "3" }]);
    assertEquals(info.send(NOTE, "x"), true);
  });

  it("knows whether metadata reaches the peer", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { protocol: "1.6.3" });
    const { hostname, port } = served.address;
    await using client = new Client({
      hostname,
      port,
      transport: world.transport,
      queueWhileDown: true,
      protocol: "1.6.3",
    });
    const seen: boolean[] = [];
    const watch = ({ takesMetadata }: { takesMetadata: boolean }, next: () => unknown): unknown => {
      seen.push(takesMetadata);
      return next();
    };
    client.useOutgoing(watch);
    served.server.useOutgoing(watch);
    const connecting = client.connect();
    client.send(NOTE, "before");
    await connecting;
    const [info] = await served.events.next("connect");
    client.send(NOTE, "after");
    info.send(NOTE, "x");
    served.server.broadcast(NOTE, "x");
    assertEquals(seen, [false, false, false, false]);
  });

  it("goes only with its types, until it is removed", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    const seen: string[] = [];
    server.route(UPPER, ({ data }) => data.toUpperCase());
    server.route(NOTE, () => {});
    const remove = client.useOutgoing([NOTE], ({ type }, next) => (seen.push(type.name), next()));
    client.send(NOTE, "x");
    await client.request(UPPER, "x");
    assertEquals(seen, ["note"]);
    remove();
    remove();
    client.send(NOTE, "x");
    assertEquals(seen, ["note"]);
  });

  it("answers a request itself, now or later, and sends it again after a failure", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    let asked = 0;
    server.route(UPPER, ({ data }) => (asked++, data.toUpperCase()));
    const remove = client.useOutgoing([UPPER], () => ({ data: "cached" }));
    assertEquals(await client.request(UPPER, "x"), "cached");
    assertEquals(await client.exchange(UPPER, "x"), { data: "cached", meta: {}, latency: 0 });
    assertEquals(asked, 0);
    remove();
    client.useOutgoing([UPPER], async (_call, next) => {
      await Promise.resolve();
      return await next();
    });
    assertEquals(await client.request(UPPER, "x"), "X");
  });

  it("refuses a call by throwing, which the caller gets", async () => {
    await using peers = await streamPeers();
    const { client, info, server } = peers;
    const refusal = new Error("not today");
    for (const end of [client, server as unknown as Client]) {
      end.useOutgoing(() => {
        throw refusal;
      });
    }
    for (const sender of [client, info]) {
      assertStrictEquals(assertThrows(() => sender.send(NOTE, "x")), refusal);
      assertStrictEquals(assertThrows(() => sender.open(COUNT, 1)), refusal);
      assertStrictEquals(await assertRejects(() => sender.request(UPPER, "x")), refusal);
      assertStrictEquals(await assertRejects(() => sender.exchange(UPPER, "x")), refusal);
    }
    assertStrictEquals(assertThrows(() => server.broadcast(NOTE, "x")), refusal);
  });

  it("must return what the method returns, at once except for requests", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    let result: unknown;
    let late: (() => unknown) | undefined;
    for (const end of [client, server as unknown as Client]) {
      end.useOutgoing((_call, next) => {
        late = next;
        return result;
      });
    }
    const rejected = Promise.reject(new Error("unseen"));
    for (const wrong of [undefined, 1, null, rejected]) {
      result = wrong;
      assertThrows(() => client.send(NOTE, "x"), TypeError, 'Cannot send "note": a middleware returned ');
      assertThrows(() => late!(), TypeError, 'Cannot go on with "note": the middleware has ended');
      assertThrows(() => client.open(COUNT, 1), TypeError, 'Cannot open "count": a middleware returned ');
      assertThrows(() => server.broadcast(NOTE, "x"), TypeError, 'Cannot broadcast "note": a middleware returned ');
      if (wrong === rejected) break;
      await assertRejects(
        () => client.request(UPPER, "x"),
        TypeError,
        'Cannot request "upper": a middleware returned ',
      );
    }
    result = false;
    assertEquals(client.send(NOTE, "x"), false);
  });

  it("goes on once", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    let heard = 0;
    server.route(NOTE, () => void heard++);
    server.route(UPPER, ({ data }) => (heard++, data));
    client.useOutgoing((_call, next) => {
      next();
      return next();
    });
    assertThrows(() => client.send(NOTE, "x"), TypeError, 'Cannot go on with "note": next() was called before');
    await assertRejects(() => client.request(UPPER, "x"), TypeError, "next() was called before");
    await until(() => heard === 2);
    const refused = client.useOutgoing.bind(client) as (...args: unknown[]) => unknown;
    assertThrows(() => refused("x"), TypeError, "Cannot use: ");
    assertThrows(() => refused([], () => {}), TypeError, "the list of types is empty");
  });

  it("leaves no rejection behind, whoever ignores a promise", async () => {
    await using peers = await streamPeers();
    const { client } = peers;
    const failed = (): Promise<never> => Promise.reject(new Error("unseen"));
    client.useOutgoing((_call, next) => {
      next();
      return true;
    });
    client.useOutgoing(failed);
    assertEquals(client.send(NOTE, "x"), true);
    await assertRejects(() => client.request(UPPER, "x"), TypeError, "returned true in place of an answer");
    // Were one left, the runtime would end the test.
    await new Promise((resolve) => setTimeout(resolve, 0));
  });

  it("that removes itself skips no other", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    server.route(UPPER, ({ meta }) => JSON.stringify(meta));
    const remove = client.useOutgoing((_call, next) => {
      remove();
      return next({ meta: { a: "1" } });
    });
    client.useOutgoing((_call, next) => next({ meta: { b: "2" } }));
    assertEquals(await client.request(UPPER, "x"), '{"a":"1","b":"2"}');
    assertEquals(await client.request(UPPER, "x"), '{"b":"2"}');
  });

  it("does not send late", async () => {
    await using peers = await streamPeers();
    const { client } = peers;
    let late: (() => unknown) | undefined;
    client.useOutgoing(async (_call, next) => {
      late = next;
      return await Promise.resolve({ data: "cached" });
    });
    assertEquals(await client.request(UPPER, "x"), "cached");
    assertThrows(() => late!(), TypeError, "the middleware has ended");
  });

  it("adds metadata only to metadata, and refuses what is none", async () => {
    await using peers = await streamPeers();
    const { client } = peers;
    client.useOutgoing((_call, next) => next({ meta: { a: "1" } }));
    for (const meta of ["abc", [1], null, 5] as never[]) {
      assertThrows(() => client.send(NOTE, "x", { meta }), TypeError);
      await assertRejects(() => client.request(UPPER, "x", { meta }), TypeError);
    }
    for (const options of ["abc", 5, null] as never[]) assertThrows(() => client.send(NOTE, "x", options), TypeError);
    client.useOutgoing((_call, next) => next({ meta: { a: 1 } as never }));
    assertThrows(() => client.send(NOTE, "x"), TypeError);
  });

  it("knows of a broadcast whether metadata reaches those that it is for", async () => {
    const world = memoryWorld();
    const { transport } = world;
    const at = { port: 0, hostname: "127.0.0.1" };
    await using server = new Server({ transport, listen: [at, { ...at, protocol: "1.6.3" }] });
    await server.start();
    const [native, python] = server.addresses as TcpEndpoint[];
    await using one = new Client({ ...native, transport });
    await using other = new Client({ ...python, transport, protocol: "1.6.3" });
    await one.connect();
    await other.connect();
    await until(() => server.clients.length === 2);
    const [first, second] = server.clients;
    const seen: boolean[] = [];
    server.useOutgoing(({ takesMetadata }, next) => (seen.push(takesMetadata), next()));
    server.broadcast(NOTE, "x");
    for (const client of [first, second]) server.broadcast(NOTE, "x", { to: [client] });
    server.broadcast(NOTE, "x", { except: [second] });
    assertEquals(seen, [false, true, false, true]);
    // An iterator can be read only once, but is asked about and sent to.
    assertEquals(server.broadcast(NOTE, "x", { to: [first].values() }).sent, 1);
    assertEquals(server.broadcast(NOTE, "x", { except: [first].values() }).sent, 1);
    assertEquals(seen.slice(4), [true, false]);
  });

  it("passes on what the method throws, and refuses unknown changes", async () => {
    const client = new Client({ transport: memoryWorld().transport });
    let changes: object = {};
    client.useOutgoing((call: OutgoingCall<Client>, next) => {
      assertStrictEquals(call.peer, client);
      return next(changes);
    });
    assertThrows(() => client.send(NOTE, "x"), ConnectionError, 'Cannot send "note"');
    await assertRejects(() => client.request(UPPER, "x"), ConnectionError, 'Cannot request "upper"');
    assertThrows(() => client.open(COUNT, 1), ConnectionError, 'Cannot open "count"');
    changes = { data: 1 };
    assertThrows(() => client.send(NOTE, "x"), TypeError, 'Unknown option "data": next()');
    const server = new Server({ listen: [] });
    server.useOutgoing((_call, next) => next());
    assertEquals(server.broadcast(NOTE, "x"), { sent: 0, dropped: 0, closed: 0 });
  });
});
