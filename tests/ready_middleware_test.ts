/** The middleware that comes with the library. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  dedupe,
  type DedupeOptions,
  json,
  messageType,
  RemoteError,
  requirePrincipal,
  requireTag,
  type StandardSchema,
  streamType,
  text,
  type Timing,
  timing,
  validate,
} from "../mod.ts";
import { type StreamPeers, streamPeers } from "./streams_support.ts";
import { advanceUntil, deferred, memoryWorld, serve, until } from "./session_support.ts";

const UPPER = messageType(200, "upper", text, text);
const NOTE = messageType(201, "note", text);
const NUMBER = messageType(202, "number", json<number>(), json<number>());
const COUNT = streamType(203, "count", { head: json<number>(), up: false, down: json<number>(), result: text });

/** Numbers above 0, doubled. */
const doubled: StandardSchema<unknown, number> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) =>
      typeof value === "number" && value > 0 ? { value: 2 * value } : { issues: [{ message: "Not above 0" }] },
  },
};

/** What came of a request: its answer, or the code of the error. */
function outcome(request: Promise<unknown>): Promise<unknown> {
  return request.catch((error) => error instanceof RemoteError ? error.code : error);
}

describe("timing()", () => {
  it("reports each handler once, however it ends", async () => {
    await using peers = await streamPeers();
    const { client, info, server } = peers;
    const seen: Timing<unknown>[] = [];
    server.use(timing((timing) => seen.push(timing)));
    server.route(UPPER, ({ data }) => {
      if (data === "throw") throw new Error(data);
      if (data === "reject") return Promise.reject(new Error(data));
      return data === "later" ? Promise.resolve(data) : data;
    });
    for (const data of ["now", "later", "throw", "reject"]) await outcome(client.request(UPPER, data));
    assertEquals(seen.map(({ failed }) => failed), [false, false, true, true]);
    for (const { type, peer, ms } of seen) assert(type.name === "upper" && peer === info && ms >= 0);
  });

  it("fails the message if the report fails, unless its handler has failed", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    let report: () => unknown = () => {};
    server.use(timing(() => report() as void));
    server.route(UPPER, ({ data }) => {
      if (data === "throw") throw new Error("handler");
      return data === "reject" ? Promise.reject(new Error("handler")) : data;
    });
    const reports = [() => {
      throw new Error("report");
    }, () => Promise.reject(new Error("report"))];
    for (report of reports) {
      await assertRejects(() => client.request(UPPER, "fine"), RemoteError, "report");
      await assertRejects(() => client.request(UPPER, "throw"), RemoteError, "handler");
      await assertRejects(() => client.request(UPPER, "reject"), RemoteError, "handler");
    }
    report = () => Promise.resolve();
    assertEquals(await client.request(UPPER, "fine"), "fine");
    await assertRejects(() => client.request(UPPER, "throw"), RemoteError, "handler");
  });

  it("wants a function", () => {
    assertThrows(() => timing(1 as never), TypeError, "timing(): report must be a function");
  });
});

describe("requireTag()", () => {
  for (
    const [what, middleware, right, wrong] of [
      ["a tag", requireTag("room"), ["a", "b", undefined], []],
      ["a value", requireTag("room", "a"), ["a"], ["b", undefined]],
      ["the value undefined", requireTag("room", undefined), [undefined], ["a"]],
    ] as const
  ) {
    it(`lets in who has ${what}`, async () => {
      await using peers = await streamPeers();
      const { client, info, server } = peers;
      let called = 0;
      server.use(middleware);
      server.route(UPPER, ({ data }) => (called++, data));
      server.route(NOTE, () => called++);
      server.stream(COUNT, () => `${called++}`);
      for (const value of right) {
        info.setTag("room", value);
        assertEquals(await outcome(client.request(UPPER, "x")), "x");
      }
      called = 0;
      for (const value of [...wrong, null]) {
        info.clearTags();
        if (value !== null) info.setTag("room", value);
        assertEquals(await outcome(client.request(UPPER, "x")), "forbidden");
        assertEquals(await outcome(client.open(COUNT, 1).result), "forbidden");
        client.send(NOTE, "x");
        const errors = peers.errors.length;
        await until(() => peers.errors.length > errors);
      }
      assertEquals(called, 0);
    });
  }

  it("wants a name", () => {
    assertThrows(() => requireTag(""), TypeError, "requireTag(): name");
  });
});

describe("requirePrincipal()", () => {
  it("lets in who was authenticated, and whom the check allows", async () => {
    // `authenticate` that returns null or undefined lets nobody in. Without it there is no principal.
    const principals = [undefined, "ada", "bob"];
    for (const principal of principals) {
      const world = memoryWorld();
      await using served = await serve<string | null | undefined>(
        world,
        principal ? { authenticate: () => principal } : {},
      );
      const { address, server } = served;
      await using client = new Client({ ...address, transport: world.transport });
      await client.connect();
      server.route(UPPER, ({ data }) => data);
      const remove = server.use(requirePrincipal());
      assertEquals(await outcome(client.request(UPPER, "x")), principal ? "x" : "forbidden");
      remove();
      server.use([UPPER], requirePrincipal((name) => name === "ada"));
      assertEquals(await outcome(client.request(UPPER, "x")), principal === "ada" ? "x" : "forbidden");
    }
  });

  it("lets nobody in whose check is a promise", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { authenticate: () => "ada" });
    served.server.route(UPPER, ({ data }) => data);
    served.server.use(requirePrincipal((() => Promise.resolve(true)) as never));
    await using client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    assertEquals(await outcome(client.request(UPPER, "x")), "forbidden");
    served.server.use(requirePrincipal((() => Promise.reject(new Error("unseen"))) as never));
    assertEquals(await outcome(client.request(UPPER, "x")), "forbidden");
    assertThrows(() => requirePrincipal(1 as never), TypeError, "requirePrincipal(): allows must be a function");
  });
});

describe("validate()", () => {
  it("refuses what does not fit, and hands on what the schema made", async () => {
    await using peers = await streamPeers();
    const { client, server } = peers;
    const got: unknown[] = [];
    server.use([NUMBER, COUNT], validate(doubled));
    server.route(NUMBER, ({ data }) => (got.push(data), data));
    server.stream(COUNT, ({ head }) => (got.push(head), ""));
    assertEquals(await outcome(client.request(NUMBER, 2)), 4);
    assertEquals(await outcome(client.open(COUNT, 3).result), "");
    assertEquals(await outcome(client.request(NUMBER, -1)), "invalid-payload");
    assertEquals(await outcome(client.open(COUNT, -1).result), "invalid-payload");
    assertEquals(got, [4, 6]);
    assertThrows(() => validate({} as never), TypeError, "must implement Standard Schema");
  });
});

describe("dedupe()", () => {
  async function peersWith(
    options?: DedupeOptions<never>,
  ): Promise<StreamPeers & { called: string[]; failing: { now: boolean } }> {
    const peers = await streamPeers();
    const called: string[] = [];
    const failing = { now: false };
    peers.server.use(dedupe(options as DedupeOptions<object>) as never);
    peers.server.route(UPPER, async ({ data }) => {
      called.push(data);
      await Promise.resolve();
      if (failing.now) throw new Error("failed");
      return `${data}${called.length}`;
    });
    peers.server.route(NOTE, ({ data }) => void called.push(data));
    return Object.assign(peers, { called, failing });
  }
  const keyed = (key: string): { meta: Record<string, string> } => ({ meta: { "idempotency-key": key } });

  it("hands each message on once, and answers a repeated request as the first one", async () => {
    await using peers = await peersWith();
    const { called, client } = peers;
    const [a, b, c] = await Promise.all([
      client.request(UPPER, "a", keyed("1")),
      client.request(UPPER, "a", keyed("1")),
      client.request(UPPER, "a", keyed("2")),
    ]);
    assertEquals([a, b], ["a1", "a1"]);
    assertEquals([c, called.length], ["a2", 2]);
    client.send(NOTE, "n", keyed("3"));
    client.send(NOTE, "n", keyed("3"));
    client.send(NOTE, "free");
    client.send(NOTE, "free");
    await client.ping();
    assertEquals(called.slice(2), ["n", "free", "free"]);
  });

  it("lets a message come again that has failed", async () => {
    await using peers = await peersWith();
    peers.failing.now = true;
    assertEquals(await outcome(peers.client.request(UPPER, "a", keyed("1"))), "handler-failed");
    peers.failing.now = false;
    assertEquals(await outcome(peers.client.request(UPPER, "a", keyed("1"))), "a2");
  });

  it("forgets the oldest when it knows too many", async () => {
    await using peers = await peersWith({ size: 2 });
    for (const key of ["1", "2", "3", "2", "1"]) await peers.client.request(UPPER, key, keyed(key));
    assertEquals(peers.called, ["1", "2", "3", "1"]);
  });

  it("never takes messages of different types for the same", async () => {
    await using peers = await peersWith();
    peers.server.route(NUMBER, ({ data }) => data);
    assertEquals(await peers.client.request(UPPER, "a", keyed("1")), "a1");
    assertEquals(await peers.client.request(NUMBER, 5, keyed("1")), 5);
  });

  it("lets a message come again whose first copy nobody waits for", async () => {
    await using peers = await streamPeers();
    const { client, server, world } = peers;
    const gate = deferred();
    let called = 0;
    server.use(dedupe());
    server.route(UPPER, async ({ data }) => (called++ === 0 && await gate.promise, data), { timeout: 1_000 });
    const first = outcome(client.request(UPPER, "a", keyed("1")));
    await until(() => called === 1);
    assertEquals(await advanceUntil(world.clock, first), "timeout");
    assertEquals(await client.request(UPPER, "b", keyed("1")), "b");
    gate.resolve();
  });

  it("says of a message without a route that it was answered", async () => {
    await using peers = await peersWith();
    const [RAW] = [messageType(210, "raw", text, text)];
    peers.server.on("message", ({ reply }) => void reply(new Uint8Array([65])));
    assertEquals(await peers.client.request(RAW, "", keyed("1")), "A");
    assertEquals(await outcome(peers.client.request(RAW, "", keyed("1"))), "duplicate");
  });

  it("refuses a key that is none", async () => {
    for (const key of [() => 1, () => Promise.reject(new Error("unseen"))]) {
      await using peers = await peersWith({ key: key as never });
      await assertRejects(() => peers.client.request(UPPER, "a"), RemoteError, "key must return a string or undefined");
      assertEquals(peers.called, []);
    }
  });

  it("keeps the keys of clients apart, unless they are shared", () => {
    for (const shared of [false, true]) {
      const called: unknown[] = [];
      const middleware = dedupe({ key: () => "same", shared });
      const [a, b] = [{}, {}];
      for (const peer of [a, b, a]) {
        middleware({ kind: "message", type: UPPER, meta: {} } as never, peer, () => called.push(peer));
      }
      assertEquals(called.length, shared ? 1 : 2);
    }
  });

  it("says that a request was answered whose answer nobody has kept", async () => {
    await using peers = await streamPeers();
    const gate = deferred();
    peers.server.use(dedupe());
    peers.server.route(UPPER, async ({ reply, data }) => {
      const done = reply(data);
      await gate.promise;
      return done;
    });
    assertEquals(await peers.client.request(UPPER, "a", keyed("1")), "a");
    gate.resolve();
    assertEquals(await outcome(peers.client.request(UPPER, "a", keyed("1"))), "duplicate");
  });

  it("refuses wrong options", () => {
    assertThrows(() => dedupe({ size: 0 }), RangeError, "size must be a whole number from 1");
    assertThrows(() => dedupe({ key: 1 as never }), TypeError, "key must be a function");
    assertThrows(() => dedupe({ keys: 1 } as never), TypeError, 'Unknown option "keys"');
  });
});
