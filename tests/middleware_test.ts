/** Middleware around handlers, in memory: what it sees and changes, its order, and what it cannot do. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type AnyMessageType,
  bytes,
  type Client,
  type ConnectedClient,
  dedupe,
  type Incoming,
  json,
  type Message,
  messageType,
  type Middleware,
  RemoteError,
  streamType,
  text,
  timing,
} from "../mod.ts";
import { Routes } from "../src/app/routes.ts";
import { type StreamPeers, streamPeers } from "./streams_support.ts";
import { deferred, until } from "./session_support.ts";

const UPPER = messageType(200, "upper", text, text);
const NOTE = messageType(201, "note", text);
const RAW = messageType(202, "raw", bytes, bytes);
const UNKNOWN = messageType(203, "unknown", bytes, bytes);
const COUNT = streamType(204, "count", { head: json<number>(), up: false, down: json<number>(), result: text });

/** A middleware that writes down when it begins and ends. */
function scribe(log: string[], name: string): (received: Incoming, peer: unknown, next: () => unknown) => unknown {
  return async ({ kind, type }, _peer, next) => {
    log.push(`${name}> ${kind} ${type.name}`);
    try {
      return await next();
    } finally {
      log.push(`${name}<`);
    }
  };
}

/** The code of the error that a request rejects with. */
function codeOf(request: Promise<unknown>): Promise<string> {
  return request.then(() => "answered", (error) => error instanceof RemoteError ? error.code : `${error}`);
}

/** Both directions: what a server's middleware does, a client's does, too. */
const SIDES: readonly [
  name: string,
  sides: (peers: StreamPeers) => {
    readonly asker: Pick<Client, "request" | "send" | "open">;
    readonly answerer: Client;
  },
][] = [
  ["a server", ({ client, server }) => ({ asker: client, answerer: server as unknown as Client })],
  ["a client", ({ client, info }) => ({ asker: info as unknown as Client, answerer: client })],
];

for (const [name, sidesOf] of SIDES) {
  describe(`middleware of ${name}`, () => {
    it("is around messages, requests, streams and what has no route, in the order in which it was added", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const log: string[] = [];
      const noted = deferred();
      answerer.route(UPPER, ({ data }) => (log.push("upper"), data.toUpperCase()));
      answerer.use(scribe(log, "a"));
      answerer.use(scribe(log, "b"));
      // A route that comes after its middleware is inside it as well.
      answerer.route(NOTE, () => (log.push("note"), noted.resolve()));
      answerer.stream(COUNT, async function* ({ head }): AsyncGenerator<number, string> {
        for (let i = 0; i < head; i++) yield i;
        log.push("count");
        return "counted";
      });
      answerer.on("message", (message) => (log.push("listener"), message.reply(new Uint8Array([7]))));

      assertEquals(await asker.request(UPPER, "x"), "X");
      assertEquals(log.splice(0), ["a> message upper", "b> message upper", "upper", "b<", "a<"]);
      asker.send(NOTE, "x");
      await noted.promise;
      await until(() => log.length === 5);
      assertEquals(log.splice(0), ["a> message note", "b> message note", "note", "b<", "a<"]);
      const stream = asker.open(COUNT, 3);
      assertEquals(await Array.fromAsync(stream.readable), [0, 1, 2]);
      assertEquals(await stream.result, "counted");
      // A generator runs when its values are sent, after the middleware has handed it on.
      assertEquals(log.splice(0), ["a> stream count", "b> stream count", "b<", "a<", "count"]);
      assertEquals(await asker.request(UNKNOWN, new Uint8Array(1)), new Uint8Array([7]));
      assertEquals(log.splice(0), ["a> message type-203", "b> message type-203", "listener", "b<", "a<"]);
      assertEquals(peers.errors, []);
    });

    it("sees the message and the peer, and changes what the handler gets and what it returns", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const seen: unknown[] = [];
      answerer.route(UPPER, ({ data, text }, peer) => (seen.push(text, peer), data.toUpperCase()));
      answerer.route(RAW, ({ data, content }) => (assertEquals(data, content), data));
      answerer.stream(COUNT, ({ head }) => `head ${head}`);
      answerer.use([UPPER], async ({ data }, peer, next) => {
        seen.push(peer);
        return `${await next({ data: `${data}!` })}?`;
      });
      answerer.use([RAW], (_message, _peer, next) => next({ data: new Uint8Array([1, 2]) }));
      answerer.use([COUNT], ({ head }, _peer, next) => next({ data: head + 1 }));
      assertEquals(await asker.request(UPPER, "a"), "A!?");
      assertEquals(seen[1], "a", "the other views stay as they were received");
      assertEquals(seen[0], seen[2]);
      assertEquals(await asker.request(RAW, new Uint8Array()), new Uint8Array([1, 2]));
      assertEquals(await asker.open(COUNT, 41).result, "head 42");
    });

    it("answers itself, without the handler", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      let called = 0;
      answerer.route(UPPER, ({ data }) => (called++, data));
      answerer.stream(COUNT, () => (called++, ""));
      answerer.use([UPPER], () => "cached");
      answerer.use([COUNT], () => Promise.resolve("cached"));
      answerer.use((received, _peer, next) => {
        return received.type.code === UNKNOWN.code && received.kind === "message"
          ? received.reply(new Uint8Array([9]) as never)
          : next();
      });
      assertEquals(await asker.request(UPPER, "a"), "cached");
      assertEquals(await asker.open(COUNT, 1).result, "cached");
      assertEquals(await asker.request(UNKNOWN, new Uint8Array()), new Uint8Array([9]));
      assertEquals(called, 0);
    });

    it("answers no-route where nothing answers, whatever is around it", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const log: string[] = [];
      assertEquals(await codeOf(asker.request(UNKNOWN, new Uint8Array())), "no-route");
      const remove = answerer.use(scribe(log, "a"));
      // Whose payload is not decoded is nothing for middleware that expects a type.
      answerer.use([UNKNOWN], scribe(log, "never") as never);
      // Python peers expect no answer to most messages, so none is sent by chance.
      answerer.use(async (_message, _peer, next) => (await next(), new Uint8Array()));
      assertEquals(await codeOf(asker.request(UNKNOWN, new Uint8Array())), "no-route");
      answerer.on("message", () => {});
      assertEquals(await codeOf(asker.request(UNKNOWN, new Uint8Array())), "no-route");
      answerer.on("message", () => Promise.resolve());
      assertEquals(await codeOf(asker.request(UNKNOWN, new Uint8Array())), "no-route");
      assertEquals(log.length, 6);
      remove();
      assertEquals(await codeOf(asker.request(UNKNOWN, new Uint8Array())), "no-route");
      assertEquals(log.length, 6);
    });

    it("that throws fails its message alone", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const refused = (): Error => Object.assign(new Error("Not today"), { code: "closed-today" });
      answerer.route(UPPER, ({ data }) => data.toUpperCase());
      answerer.stream(COUNT, () => "never");
      answerer.use((received, _peer, next) => {
        const asked = received.kind === "message" ? received.text : "async";
        if (asked === "sync") throw refused();
        if (asked === "async") return Promise.reject(refused());
        return next();
      });
      for (const how of ["sync", "async"]) {
        assertEquals(await codeOf(asker.request(UPPER, how)), "closed-today");
        assertEquals(await codeOf(asker.request(UNKNOWN, new TextEncoder().encode(how))), "closed-today");
      }
      assertEquals(await codeOf(asker.open(COUNT, 1).result), "closed-today");
      assertEquals(await asker.request(UPPER, "fine"), "FINE");
      assertEquals(peers.errors.length, 5);
    });

    it("catches what the handler throws", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      answerer.route(UPPER, ({ data }) => {
        if (data === "sync") throw new Error("sync");
        return Promise.reject(new Error(data));
      });
      answerer.use([UPPER], async (_message, _peer, next) => {
        try {
          return await next() as string;
        } catch (error) {
          return `caught ${(error as Error).message}`;
        }
      });
      assertEquals(await asker.request(UPPER, "sync"), "caught sync");
      assertEquals(await asker.request(UPPER, "async"), "caught async");
      assertEquals(peers.errors, []);
    });

    it("cannot go on twice, nor after it has ended", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      let called = 0;
      let late: (() => unknown) | undefined;
      answerer.route(UPPER, ({ data }) => (called++, data));
      const remove = answerer.use([UPPER], (_message, _peer, next) => {
        next();
        return next();
      });
      await assertRejects(() => asker.request(UPPER, "a"), RemoteError, 'Cannot go on with "upper": next() was called');
      assertEquals(called, 1);
      remove();
      for (const result of ["now", Promise.resolve("later")]) {
        const remove = answerer.use([UPPER], (_message, _peer, next) => {
          late = next;
          return result;
        });
        assertEquals(await asker.request(UPPER, "a"), await result);
        assertThrows(() => late!(), TypeError, 'Cannot go on with "upper": the middleware has ended');
        remove();
      }
      answerer.stream(COUNT, () => (called++, ""));
      answerer.use([COUNT], (_stream, _peer, next) => {
        late = next;
        return Promise.resolve("later");
      });
      assertEquals(await asker.open(COUNT, 1).result, "later");
      await until(() => {
        try {
          late!();
          return false;
        } catch (error) {
          return (error as Error).message.includes("the middleware has ended");
        }
      });
      assertEquals(called, 1);
    });

    it("must not end before an asynchronous handler, and fails with it", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      let gate = deferred();
      let ended = 0;
      answerer.route(UPPER, async () => {
        await gate.promise;
        ended++;
        throw new Error("seen as the cause");
      });
      const early = 'A middleware of "upper" ended before the handler';
      const forgetful: [middleware: Middleware<unknown>, text: string][] = [
        [(_message, _peer, next) => void next(), early],
        [(_message, _peer, next) => Promise.resolve(next).then((next) => void next()), early],
        [(_message, _peer, next) => (next(), "early"), early],
        [(_message, _peer, next) => {
          next();
          throw new Error("sync");
        }, "sync"],
        [async (_message, _peer, next) => {
          next();
          await Promise.reject(new Error("async"));
        }, "async"],
      ];
      for (const [i, [middleware, text]] of forgetful.entries()) {
        const remove = answerer.use([UPPER as AnyMessageType], middleware as never);
        const failed = assertRejects(() => asker.request(UPPER, "a"), RemoteError, text);
        await asker.request(UNKNOWN, new Uint8Array()).catch(() => {});
        assertEquals(ended, i, "its message is not over before its handler");
        gate.resolve();
        await failed;
        assertEquals(ended, i + 1);
        remove();
        gate = deferred();
      }
      assertEquals(peers.errors.length, forgetful.length);
      assertEquals(((peers.errors[0] as Error).cause as Error).message, "seen as the cause");
    });

    it("runs a promise that works for each who waits for it only once", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      let ran = 0;
      const lazily = {
        then: (resolve: (value: string) => void) => {
          ran++;
          resolve("done");
        },
      };
      answerer.route(UPPER, () => lazily as unknown as Promise<string>);
      answerer.use(async (_message, _peer, next) => await next());
      answerer.use((_message, _peer, next) => next());
      answerer.use(timing(() => {}));
      answerer.use(dedupe({ key: () => "one" }));
      assertEquals(await asker.request(UPPER, "a"), "done");
      assertEquals(await asker.request(UPPER, "a"), "done");
      assertEquals(ran, 1);
    });

    it("goes on after a change was refused, and not once nobody waits", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      answerer.route(RAW, ({ data }) => data);
      answerer.use([RAW], (_message, _peer, next) => {
        assertThrows(() => next({ data: 1 }), TypeError, "its data must be a Uint8Array");
        return next({ data: new Uint8Array([1]) });
      });
      assertEquals(await asker.request(RAW, new Uint8Array()), new Uint8Array([1]));
    });

    it("is removed, once or while its messages are handled", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const log: string[] = [];
      answerer.route(UPPER, ({ data }) => data.toUpperCase());
      const removeA = answerer.use(scribe(log, "a"));
      const gate = deferred();
      const removeB = answerer.use(async (_message, _peer, next) => {
        removeB();
        removeA();
        await gate.promise;
        return await next();
      });
      const first = asker.request(UPPER, "x");
      const second = asker.request(UPPER, "y");
      assertEquals(await second, "Y");
      gate.resolve();
      assertEquals(await first, "X");
      removeA();
      assertEquals(await asker.request(UPPER, "z"), "Z");
      assertEquals(log, ["a> message upper", "a<"]);
    });

    it("may be asynchronous before it goes on, and keeps the order of an ordered route", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const order: string[] = [];
      const gates = [deferred(), deferred()];
      answerer.route(UPPER, ({ data }) => (order.push(data), data), { ordered: true });
      let i = 0;
      answerer.use(async (_message, _peer, next) => {
        await gates[i++]?.promise;
        return await next();
      });
      const answers = Promise.all([asker.request(UPPER, "a"), asker.request(UPPER, "b")]);
      gates[1].resolve();
      gates[0].resolve();
      assertEquals(await answers, ["a", "b"]);
      assertEquals(order, ["a", "b"]);
    });

    it("refuses what is no middleware, no list of types and no change", async () => {
      await using peers = await streamPeers();
      const { asker, answerer } = sidesOf(peers);
      const use = answerer.use.bind(answerer) as (...args: unknown[]) => () => void;
      assertThrows(() => use([UPPER]), TypeError, "Cannot use: the middleware must be a function, not undefined");
      assertThrows(() => use("x"), TypeError, "Cannot use: ");
      assertThrows(() => use([], () => {}), TypeError, "the list of types is empty");
      assertThrows(() => use([{}], () => {}), TypeError, "types must be a list of types, and one of them is");
      assertThrows(() => use({ code: 200 }, () => {}), TypeError, "types must be a list of types, not");
      answerer.route(RAW, ({ data }) => data);
      answerer.route(UPPER, ({ data }) => data);
      answerer.use([RAW], (_message, _peer, next) => next({ data: "no bytes" }));
      answerer.use([UPPER], (_message, _peer, next) => next({ payload: 1 } as never));
      await assertRejects(() => asker.request(RAW, new Uint8Array()), RemoteError, "its data must be a Uint8Array");
      await assertRejects(() => asker.request(UPPER, ""), RemoteError, 'Unknown option "payload": next()');
    });
  });
}

describe("middleware", () => {
  it("is around the routes of a loop and of an implemented contract", async () => {
    await using peers = await streamPeers();
    const log: string[] = [];
    peers.client.use(scribe(log, "a"));
    const loop = peers.client.messages(NOTE);
    peers.info.send(NOTE, "hello");
    assertEquals((await loop.next()).value?.data, "hello");
    await loop.return?.();
    assertEquals(log, ["a> message note", "a<"]);
  });

  it("closes its own client without waiting for itself", async () => {
    await using peers = await streamPeers();
    peers.server.route(UPPER, ({ data }) => data);
    peers.server.use(async (_message, client, next) => {
      await (client as ConnectedClient).close();
      return await next();
    });
    // Only the test moves the clock, so a close() that waited for its own handler would never return.
    assertEquals(await peers.client.request(UPPER, "a"), "a");
    await peers.client.closed;
  });

  it("leaves the handler itself in place where there is none", () => {
    const routes = new Routes();
    const handler = ({ data }: Message<string, string>): string => data;
    const route = routes.add(UPPER, handler);
    const remove = routes.use(undefined, () => {}, true);
    assert(route.handler !== handler as unknown);
    remove();
    assertStrictEquals(route.handler, handler as unknown);
    routes.use([NOTE as AnyMessageType], () => {}, false);
    assertStrictEquals(route.handler, handler as unknown);
  });
});
