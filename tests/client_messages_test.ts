/**
 * `client.messages()`: a loop over messages, with real backpressure, across reconnects.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, json, type Message, messageType, MessageTypeError, type Server, text } from "../mod.ts";
import { advanceUntil, memoryWorld, Recorder, serve, turn, until, WORLDS } from "./session_support.ts";

const NUMBER = messageType(200, "number", json<number>());
const UPPER = messageType(201, "upper", text, text);
const BLOB = messageType(202, "blob", bytes);

for (const { name, make } of WORLDS) {
  describe(`client.messages(), ${name},`, () => {
    it("hands out every message in order, and stops the server while the loop is busy", async () => {
      const made = await make();
      await using served = await serve(made, { maxBufferedBytes: 2 ** 28 });
      const client = new Client({ ...served.address, transport: made.transport, maxQueuedBytes: 100_000 });
      const blobs = client.messages(BLOB);
      await client.connect();
      const [peer] = await served.events.next("connect");
      for (let n = 0; n < 200; n++) peer.send(BLOB, new Uint8Array(50_000).fill(n));
      const first = await blobs.next();
      assertEquals(first.value.content[0], 0);
      for (let i = 0; i < 50; i++) await turn();
      const { bytesReceived } = client.stats();
      // maxQueuedBytes, one message beyond, and what the loop has taken.
      assert(bytesReceived! < 100_000 + 4 * 50_100, `${bytesReceived} bytes came although nobody took them`);
      for (let n = 1; n < 200; n++) {
        const { value } = await blobs.next();
        assertEquals([value.content[0], value.content.length], [n % 256, 50_000]);
      }
      await client.close();
      assertEquals(await blobs.next(), { done: true, value: undefined });
    });
  });
}

// deno-lint-ignore explicit-function-return-type
async function pair(set?: (server: Server) => void) {
  const world = memoryWorld();
  const served = await serve(world, {}, set);
  const client = new Client({
    ...served.address,
    transport: world.transport,
    reconnect: { delay: 100, jitter: false },
  });
  return { client, ...served, [Symbol.asyncDispose]: () => client.close().then(() => served.server.close()) };
}

describe("client.messages()", () => {
  it("ends when the client is closed, after what came before, and wakes whoever waits", async () => {
    await using met = await pair();
    const numbers = met.client.messages(NUMBER);
    await met.client.connect();
    const [peer] = await met.events.next("connect");
    peer.send(NUMBER, 1);
    await until(() => met.client.stats().framesReceived! > 0);
    const got: number[] = [];
    const loop = (async () => {
      for await (const { data } of numbers) got.push(data);
    })();
    await turn();
    await met.client.close();
    await loop;
    assertEquals(got, [1]);
    // The route is gone, and a new loop may begin.
    await met.client.messages(NUMBER).return!();
  });

  it("goes on across reconnects", async () => {
    await using met = await pair((server) => server.on("connect", (peer) => peer.send(NUMBER, peer.id)));
    const numbers = met.client.messages(NUMBER);
    await met.client.connect();
    const heard = new Recorder(met.client, ["connect"]);
    assertEquals((await numbers.next()).value.data, 1);
    const next = numbers.next();
    const [first] = met.server.clients;
    await first.close("manual", { drain: 0 });
    assertEquals((await advanceUntil(met.world.clock, next)).value.data, 2);
    await heard.next("connect");
  });

  it("holds one message, however many connections a server makes and cuts, and hands out in order what it holds", async () => {
    await using met = await pair((server) => server.on("connect", (peer) => peer.send(NUMBER, peer.id)));
    const numbers = met.client.messages(NUMBER);
    await met.client.connect();
    const heard = new Recorder(met.client, ["connect"]);
    for (let id = 1; id <= 5; id++) {
      await until(() => met.client.stats().framesReceived! > 0);
      const { queuedMessages, runningHandlers } = met.client.stats();
      assertEquals([queuedMessages, runningHandlers], id === 1 ? [0, 1] : [1, 0], "where the message waits");
      if (id === 5) break;
      void met.server.clients[0].close("manual", { drain: 0 });
      await advanceUntil(met.world.clock, heard.next("connect"));
    }
    const [peer] = met.server.clients;
    peer.send(NUMBER, 6);
    const got = [];
    for (let i = 0; i < 3; i++) got.push((await numbers.next()).value.data);
    // What had not been handed on went with its connection.
    assertEquals(got, [1, 5, 6]);
  });

  it("is no work any more once the client is closed, whether the loop reads what is left or not", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const client = new Client({ ...served.address, transport: world.transport, maxConcurrentHandlers: 1 });
    const connected = async () => {
      await client.connect();
      return (await served.events.next("connect"))[0];
    };
    // A message that nobody takes out.
    let peer = await connected();
    const numbers = client.messages(NUMBER);
    peer.send(NUMBER, 1);
    await until(() => client.stats().runningHandlers === 1);
    await client.close({ drain: 0 });
    // A request that the loop has taken and never ends.
    peer = await connected();
    const questions = client.messages(UPPER);
    peer.request(UPPER, "a").catch(() => {});
    assertEquals((await questions.next()).value.data, "a");
    await client.close({ drain: 0 });
    peer = await connected();
    client.route(UPPER, ({ data }) => Promise.resolve(data.toUpperCase()));
    assertEquals(await peer.request(UPPER, "b"), "B");
    assertEquals((await numbers.next()).value.data, 1);
    await client.close();
  });

  it("lets the loop answer requests by reply()", async () => {
    await using met = await pair();
    const questions = met.client.messages(UPPER);
    await met.client.connect();
    const [peer] = await met.events.next("connect");
    const asked = [peer.request(UPPER, "a"), peer.request(UPPER, "b")];
    for (let i = 0; i < 2; i++) {
      const { value } = await questions.next() as IteratorYieldResult<Message<string, string>>;
      value.reply(value.data.toUpperCase());
    }
    assertEquals(await Promise.all(asked), ["A", "B"]);
  });

  it("frees the type when the loop is left, and refuses one that is routed", async () => {
    await using met = await pair();
    const left = met.client.messages(NUMBER);
    assertThrows(() => met.client.route(NUMBER, () => {}), MessageTypeError);
    assertThrows(() => met.client.messages(NUMBER), MessageTypeError);
    await met.client.connect();
    const [peer] = await met.events.next("connect");
    peer.send(NUMBER, 1);
    peer.send(NUMBER, 2);
    for await (const { data } of left) {
      assertEquals(data, 1);
      break;
    }
    const unhandled = new Recorder(met.client, ["unhandled"]);
    peer.send(NUMBER, 3);
    const [{ code }] = await unhandled.next("unhandled");
    assertEquals(code, 200);
    met.client.route(NUMBER, () => {});
  });

  it("holds nothing up when the loop is left: what waited is refused or goes to others", async () => {
    await using met = await pair();
    const numbers = met.client.messages(NUMBER);
    const questions: string[] = [];
    met.client.route(UPPER, ({ data }) => (questions.push(data), data.toUpperCase()));
    const heard = new Recorder(met.client, ["unhandled", "error"]);
    await met.client.connect();
    const [peer] = await met.events.next("connect");
    for (let n = 0; n < 10; n++) peer.send(NUMBER, n);
    const asked = peer.request(UPPER, "behind them");
    for await (const { data } of numbers) {
      assertEquals(data, 0);
      // By now the next one waits for the loop.
      await turn();
      break;
    }
    assertEquals([await asked, questions], ["BEHIND THEM", ["behind them"]]);
    // One was offered to the loop already, which did not take it any more.
    assertEquals([heard.of("error").length, heard.of("unhandled").length], [1, 8]);
    const { queuedMessages, runningHandlers } = met.client.stats();
    assertEquals([queuedMessages, runningHandlers], [0, 0]);
  });

  it("refuses requests that wait when the loop is left, and one that it did not answer", async () => {
    await using met = await pair();
    const questions = met.client.messages(UPPER);
    met.client.on("error", () => {});
    await met.client.connect();
    const [peer] = await met.events.next("connect");
    const asked = [1, 2, 3, 4].map((n) => peer.request(UPPER, `${n}`).catch((error: { code: string }) => error.code));
    const first = await questions.next();
    await questions.next();
    assertEquals([first.value.data, await asked[0]], ["1", "not-answered"]);
    await questions.return!();
    assertEquals(await Promise.all(asked), ["not-answered", "not-answered", "no-route", "no-route"]);
  });

  it("tells the loop by the message's signal that a request was given up", async () => {
    await using met = await pair();
    const questions = met.client.messages(UPPER);
    await met.client.connect();
    const [peer] = await met.events.next("connect");
    const stop = new AbortController();
    const asked = peer.request(UPPER, "x", { signal: stop.signal }).catch((error: unknown) => error);
    const { value } = await questions.next();
    const aborted = new Promise((resolve) => value.signal.addEventListener("abort", resolve));
    stop.abort("enough");
    assertEquals(await asked, "enough");
    await aborted;
  });

  it("ends by close() on a client that was never connected, too", async () => {
    const client = new Client();
    const numbers = client.messages(NUMBER);
    const next = numbers.next();
    await client.close();
    assertEquals(await next, { done: true, value: undefined });
  });
});

describe("handlers that a lost connection has left at work", () => {
  /** Makes the server cut the connection, and waits for the next. */
  const cut = async (met: Awaited<ReturnType<typeof pair>>) => {
    const heard = new Recorder(met.client, ["connect"]);
    void met.server.clients[0].close("manual", { drain: 0 });
    await advanceUntil(met.world.clock, heard.next("connect"));
    return (await met.events.next("connect"))[0];
  };

  it("hold up the next messages of an ordered route, and of no other", async () => {
    await using met = await pair();
    const holds: (() => void)[] = [];
    const got: number[] = [];
    const handler = ({ data }: Message<number>) => {
      got.push(data);
      return new Promise<void>((resolve) => holds.push(resolve));
    };
    met.client.route(NUMBER, handler, { ordered: true });
    met.client.route(UPPER, ({ data }) => data.toUpperCase());
    await met.client.connect();
    let [peer] = await met.events.next("connect");
    peer.send(NUMBER, 1);
    await until(() => got.length === 1);
    peer = await cut(met);
    assertEquals(await peer.request(UPPER, "a"), "A");
    peer.send(NUMBER, 2);
    peer.send(NUMBER, 3);
    await until(() => met.client.stats().queuedMessages === 2);
    assertEquals(got, [1]);
    holds[0]();
    await until(() => got.length === 2);
    holds[1]();
    await until(() => got.length === 3);
    assertEquals(got, [1, 2, 3]);
    holds[2]();
    // A route that takes its place has no handler at work.
    peer.send(NUMBER, 4);
    await until(() => got.length === 4);
    peer = await cut(met);
    met.client.unroute(NUMBER);
    met.client.route(NUMBER, handler, { ordered: true });
    peer.send(NUMBER, 5);
    await until(() => got.length === 5);
    for (const end of holds) end();
  });

  it("count for maxConcurrentHandlers, those of listeners to `message` included, until each is done", async () => {
    await using met = await pair();
    const client = new Client({
      ...met.address,
      transport: met.world.transport,
      reconnect: { delay: 100, jitter: false },
      maxConcurrentHandlers: 3,
    });
    const holds: (() => void)[] = [];
    const held = () => new Promise<void>((resolve) => holds.push(resolve));
    client.route(NUMBER, held);
    client.on("message", held);
    await client.connect();
    const all = { ...met, client };
    let [peer] = await met.events.next("connect");
    for (let connection = 1; connection <= 3; connection++) {
      peer.send(NUMBER, connection);
      if (connection < 3) peer.send(BLOB, new Uint8Array(1));
      await until(() => holds.length === Math.min(2 * connection, 3));
      await peer.ping();
      if (connection < 3) peer = await cut(all);
    }
    assertEquals([holds.length, client.stats().queuedMessages, client.stats().runningHandlers], [3, 1, 0]);
    holds[1]();
    await until(() => holds.length === 4);
    peer.send(NUMBER, 4);
    await peer.ping();
    assertEquals([holds.length, client.stats().queuedMessages, client.stats().runningHandlers], [4, 1, 1]);
    holds[0]();
    await until(() => holds.length === 5);
    for (const end of holds) end();
    await client.close();
  });

  it("count for maxHandlerBytes, too", async () => {
    await using met = await pair();
    const client = new Client({
      ...met.address,
      transport: met.world.transport,
      reconnect: { delay: 100, jitter: false },
      maxHandlerBytes: 100_000,
    });
    const holds: (() => void)[] = [];
    client.route(BLOB, () => new Promise<void>((resolve) => holds.push(resolve)));
    await client.connect();
    let [peer] = await met.events.next("connect");
    peer.send(BLOB, new Uint8Array(60_000));
    await until(() => holds.length === 1);
    peer = await cut({ ...met, client });
    peer.send(BLOB, new Uint8Array(60_000));
    await until(() => client.stats().queuedMessages === 1);
    assertEquals(holds.length, 1);
    holds[0]();
    await until(() => holds.length === 2);
    holds[1]();
    await client.close();
  });
});
