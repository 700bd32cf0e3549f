/**
 * `queueWhileDown`: what is sent without a connection arrives later, in order and never twice, and the counts of `disconnect`
 * say what became of every message.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BackpressureError,
  bytes,
  Client,
  type ClientConfig,
  ConnectionError,
  type DisconnectState,
  json,
  messageType,
  PayloadError,
  Server,
  text,
  TimeoutError,
} from "../mod.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import type { Connection } from "../src/transport.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import {
  advanceUntil,
  memoryWorld,
  type Raw,
  RawServer,
  Recorder,
  serve,
  turn,
  until,
  type World,
} from "./session_support.ts";
import { isMine, Random } from "./wire_support.ts";

const NUMBER = messageType(200, "number", json<number>());
const ECHO = messageType(201, "echo", text, text);
const LOGIN = messageType(202, "login", text);
const BLOB = messageType(203, "blob", bytes);
const SURE = { delay: 1_000, jitter: false } as const;

/** A client whose server by hand is gone. */
// deno-lint-ignore explicit-function-return-type
async function down(config: ClientConfig = {}, world = memoryWorld()) {
  const server = await RawServer.listen(world);
  const client = new Client({
    ...server.address,
    transport: world.transport,
    reconnect: SURE,
    queueWhileDown: true,
    ...config,
  });
  const heard = new Recorder(client, ["connect", "disconnect", "error"]);
  const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
  raw.connection.abort();
  const [state] = await heard.next("disconnect");
  return {
    world,
    client,
    heard,
    server,
    state: state as DisconnectState,
    async back(): Promise<Raw> {
      const [raw] = await advanceUntil(world.clock, Promise.all([server.welcome("native"), heard.next("connect")]));
      return raw;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await server[Symbol.asyncDispose]();
      assertEquals(world.clock.pending, 0, "a timer was left");
    },
  };
}

/** The numbers of the next frames; PINGs of the library are answered on the way. */
async function numbers(raw: Raw, count: number): Promise<number[]> {
  const got: number[] = [];
  while (got.length < count) {
    const frame = (await raw.frame())!;
    if (frame.code === 0) await pong(raw, frame);
    else got.push(JSON.parse(new TextDecoder().decode(frame.content)));
  }
  return got;
}

function pong(raw: Raw, { requestId }: DecodedFrame): Promise<void> {
  return raw.send({ code: 1, requestId: requestId as number, flags: 2 });
}

describe("a client with queueWhileDown", () => {
  it("keeps messages and requests in order, and sends them when it is connected again", async () => {
    await using met = await down();
    const { client } = met;
    for (let n = 0; n < 5; n++) assertEquals(client.send(NUMBER, n), true);
    const asked = client.request(ECHO, "a question");
    client.send(NUMBER, 5);
    assertEquals([client.stats().queuedWhileDown, client.state], [7, "reconnecting"]);
    const raw = await met.back();
    assertEquals(await numbers(raw, 5), [0, 1, 2, 3, 4]);
    const question = (await raw.frame())!;
    assertEquals([question.code, question.flags], [201, 1]);
    await raw.send({ code: 201, content: "an answer", requestId: question.requestId as number, flags: 2 });
    assertEquals([await asked, await numbers(raw, 1)], ["an answer", [5]]);
    client.send(NUMBER, 6);
    assertEquals([await numbers(raw, 1), client.stats().queuedWhileDown], [[6], 0]);
  });

  it("queues from the first connect() on, and not before", async () => {
    const world = memoryWorld();
    const client = new Client({ port: 7, hostname: "127.0.0.1", transport: world.transport, queueWhileDown: true });
    assertThrows(() => client.send(NUMBER, 0), ConnectionError);
    const got: number[] = [];
    const server = new Server({ port: 7, hostname: "127.0.0.1", transport: world.transport });
    server.route(NUMBER, ({ data }) => void got.push(data));
    await server.start();
    server.route(ECHO, ({ data }) => data);
    const connecting = client.connect();
    client.send(NUMBER, 1);
    const asked = client.request(ECHO, "early");
    assertEquals([client.state, client.stats().queuedWhileDown], ["connecting", 2]);
    await connecting;
    client.send(NUMBER, 2);
    assertEquals(await asked, "early");
    await client.close();
    assertEquals(got, [1, 2]);
    assertThrows(() => client.send(NUMBER, 3), ConnectionError);
    await server.close();
  });

  it("counts as lost what waited for a first connection that there never was", async () => {
    for (const end of ["refused", "closed"] as const) {
      const world = memoryWorld();
      const client = new Client({ port: 7, hostname: "127.0.0.1", transport: world.transport, queueWhileDown: true });
      const told: (number | undefined)[] = [];
      client.on("disconnect", ({ permanent, messages }) => void told.push(permanent ? messages?.lost : undefined));
      const connecting = assertRejects(() => client.connect(), ConnectionError);
      client.send(NUMBER, 1);
      client.send(NUMBER, 2);
      if (end === "closed") await client.close();
      await connecting;
      await client.closed;
      assertEquals(told, [2], end);
    }
  });

  describe("whose listener to connect returns a promise", () => {
    /** Frames by their codes, and contents that are short. */
    const words = async (raw: Raw, count: number): Promise<string[]> => {
      const got: string[] = [];
      while (got.length < count) {
        const { code, content } = (await raw.frame())!;
        if (code >= 200) got.push(`${code} ${new TextDecoder().decode(content)}`);
      }
      return got;
    };
    const answer = (raw: Raw, requestId: number): Promise<void> => raw.send({ code: 201, requestId, flags: 2 });

    it("sends what was queued after it, and messages of others meanwhile behind that", async () => {
      await using met = await down();
      const { client } = met;
      client.on("connect", async () => {
        client.send(LOGIN, "at once");
        await client.request(ECHO, "one");
        await client.request(ECHO, "two");
      });
      client.send(NUMBER, 1);
      client.send(NUMBER, 2);
      const raw = await met.back();
      assertEquals(await words(raw, 2), ["202 at once", "201 one"]);
      assertEquals(client.send(NUMBER, 3), true);
      await answer(raw, 1);
      assertEquals(await words(raw, 1), ["201 two"]);
      client.send(NUMBER, 4);
      assertEquals(client.stats().queuedWhileDown, 4);
      await answer(raw, 2);
      assertEquals(await numbers(raw, 4), [1, 2, 3, 4]);
      client.send(NUMBER, 5);
      assertEquals([await numbers(raw, 1), client.stats().queuedWhileDown], [[5], 0]);
    });

    it("waits no longer than handshakeTimeout, and not for one that rejects", async () => {
      for (const rejects of [true, false]) {
        await using met = await down({ handshakeTimeout: 3_000 });
        const { client, world: { clock } } = met;
        client.on("connect", () => rejects ? Promise.reject(new Error("no login")) : new Promise(() => {}));
        client.send(NUMBER, 1);
        const raw = await met.back();
        await clock.settle();
        assertEquals(client.stats().queuedWhileDown, rejects ? 0 : 1);
        if (rejects) assertEquals((await met.heard.next("error"))[0].message, "no login");
        await clock.advance(3_100);
        assertEquals(await numbers(raw, 1), [1]);
      }
    });

    it("begins anew with the next connection when one is lost meanwhile", async () => {
      await using met = await down();
      const { client } = met;
      client.on("connect", () => client.request(ECHO, "login").catch(() => {}));
      client.send(NUMBER, 1);
      const first = await met.back();
      assertEquals(await words(first, 1), ["201 login"]);
      first.connection.abort();
      await met.heard.next("disconnect");
      const raw = await met.back();
      assertEquals(await words(raw, 1), ["201 login"]);
      await answer(raw, 1);
      assertEquals(await numbers(raw, 1), [1]);
    });
  });

  it("gives the place of a request that nobody waits for any more to others", async () => {
    await using met = await down({
      queueWhileDown: { messages: 4, bytes: 100 },
      reconnect: { delay: 9_000, jitter: false },
    });
    const { client, world: { clock } } = met;
    const stop = new AbortController();
    client.send(NUMBER, 1);
    const gone = [
      assertRejects(() => client.request(ECHO, "x".repeat(40), { timeout: 100 }), TimeoutError),
      assertRejects(() => client.request(ECHO, "y".repeat(40), { signal: stop.signal }), Error, "enough"),
    ];
    client.send(NUMBER, 2);
    assertThrows(() => client.send(NUMBER, 3), BackpressureError);
    stop.abort(new Error("enough"));
    await clock.advance(200);
    await Promise.all(gone);
    assertEquals([client.send(NUMBER, 3), client.send(NUMBER, 4), client.stats().queuedWhileDown], [true, false, 4]);
    const raw = await met.back();
    assertEquals(await numbers(raw, 4), [1, 2, 3, 4]);
  });

  it("gives up a request that is aborted in the turn of the first connect()", async () => {
    const world = memoryWorld();
    const client = new Client({ port: 7, transport: world.transport, reconnect: SURE, queueWhileDown: true });
    const connecting = assertRejects(() => client.connect(), ConnectionError);
    const stop = new AbortController();
    const asked = assertRejects(() => client.request(ECHO, "x", { signal: stop.signal }), Error, "enough");
    stop.abort(new Error("enough"));
    await asked;
    assertEquals(client.stats().queuedWhileDown, 0);
    await client.close({ drain: 0 });
    await connecting;
    assertEquals(world.clock.pending, 0);
  });

  it("does not count requests", async () => {
    await using met = await down({ reconnect: { ...SURE, attempts: 2 } });
    const asked = assertRejects(() => met.client.request(ECHO, "x"), ConnectionError);
    met.client.send(NUMBER, 1);
    await met.server[Symbol.asyncDispose]();
    await met.world.clock.advance(1_500);
    const [{ messages }] = await met.heard.next("disconnect");
    assertEquals([messages.queued, met.client.stats().queuedWhileDown], [1, 2]);
    await met.client.close();
    await asked;
  });

  it("rejects a queued request at once that the new server does not take", async () => {
    await using met = await down();
    const asked = assertRejects(() => met.client.request(ECHO, "x".repeat(2_000)), PayloadError);
    const [raw] = await advanceUntil(
      met.world.clock,
      Promise.all([
        met.server.welcome("native", { maxMessageSize: 1_000 }),
        met.heard.next("connect"),
        met.heard.next("connect"),
      ]),
    );
    const now = met.world.clock.now();
    await asked;
    assertEquals([met.world.clock.now() - now, met.heard.of("error")], [0, []]);
    raw.connection.abort();
  });

  it("goes on in its next life when it was closed while the buffer was full", async () => {
    const clock = memoryWorld().clock;
    const transport = memoryTransport({
      clock,
      pipeSize: 1_000,
      faults: ({ side, index }) => side === "client" && index === 1 ? { freeze: { after: 1_000 } } : undefined,
    });
    const config = { queueWhileDown: true, maxBufferedBytes: 1_000, highWaterMark: 1_000 };
    await using met = await down(config, { clock, transport });
    for (let n = 0; n < 4; n++) met.client.send(BLOB, new Uint8Array(700));
    const stuck = await met.back();
    await clock.advance(100);
    assert(met.client.stats().queuedWhileDown > 0);
    await met.client.close({ drain: 0 });
    stuck.connection.abort();
    const connecting = met.client.connect();
    await turn();
    const raw = await met.server.welcome("native");
    await connecting;
    met.client.send(NUMBER, 5);
    await clock.advance(1);
    assertEquals([await numbers(raw, 1), met.client.stats().queuedWhileDown], [[5], 0]);
  });

  it("closes within one drain, however much is queued", async () => {
    const clock = memoryWorld().clock;
    const transport = memoryTransport({
      clock,
      pipeSize: 1_000,
      faults: ({ side, index }) => side === "client" && index === 1 ? { freeze: { after: 1_000 } } : undefined,
    });
    await using met = await down({ highWaterMark: 1_000 }, { clock, transport });
    for (let n = 0; n < 500; n++) met.client.send(BLOB, new Uint8Array(1_000));
    const stuck = await met.back();
    const began = clock.now();
    await advanceUntil(clock, met.client.close({ drain: 4_000 }));
    const took = clock.now() - began;
    assert(took >= 4_000 && took <= 4_200, `it took ${took} ms`);
    stuck.connection.abort();
  });

  it("lets what connect listeners send go first: a login", async () => {
    await using met = await down();
    met.client.send(NUMBER, 1);
    met.client.on("connect", () => void met.client.send(LOGIN, "me"));
    const raw = await met.back();
    const codes = [(await raw.frame())!.code, (await raw.frame())!.code];
    assertEquals(codes, [202, 200]);
  });

  it("takes no more than its limits, and takes nothing then", async () => {
    await using met = await down({ queueWhileDown: { messages: 3, bytes: 100 } });
    const { client } = met;
    for (let n = 0; n < 3; n++) client.send(NUMBER, n);
    const error = assertThrows(() => client.send(NUMBER, 3), BackpressureError) as BackpressureError;
    assertEquals([error.code, client.stats().queuedWhileDown], ["queue-full", 3]);
    await assertRejects(() => client.request(ECHO, "x"), BackpressureError);
    const raw = await met.back();
    assertEquals(await numbers(raw, 3), [0, 1, 2]);

    await using other = await down({ queueWhileDown: { bytes: 100 } });
    other.client.send(BLOB, new Uint8Array(500)); // An empty queue takes one message of any size.
    assertThrows(() => other.client.send(BLOB, new Uint8Array(1)), BackpressureError);
    assertThrows(() => other.client.send(BLOB, new Uint8Array(11 * 2 ** 20)), PayloadError);
    for (const wrong of [{ messages: 0 }, { bytes: 0.5 }, { age: -1 }]) {
      assertThrows(() => new Client({ queueWhileDown: wrong }), RangeError, "queueWhileDown.");
    }
  });

  it("keeps its own copy of a payload", async () => {
    await using met = await down();
    const payload = new Uint8Array([1, 2, 3]);
    met.client.send(BLOB, payload);
    payload.fill(9);
    const raw = await met.back();
    assertEquals([...(await raw.frame())!.content], [1, 2, 3]);
  });

  it("leaves out what waited longer than its age, and says how many", async () => {
    await using met = await down({ queueWhileDown: { age: 500 } });
    met.client.send(NUMBER, 1);
    met.client.send(NUMBER, 2);
    await met.world.clock.advance(600);
    met.client.send(NUMBER, 3);
    const raw = await met.back();
    assertEquals(await numbers(raw, 1), [3]);
    raw.connection.abort();
    const [{ messages }] = await met.heard.next("disconnect");
    assertEquals(messages, { expired: 2, replaced: 0, delivered: 0, uncertain: 1, lost: 0, queued: 0 });
  });

  it("rejects a waiting request by its timeout, its signal, or the end, and does not send it then", async () => {
    await using met = await down();
    const { client } = met;
    const late = assertRejects(() => client.request(ECHO, "late", { timeout: 300 }), TimeoutError, "No connection");
    const controller = new AbortController();
    const aborted = client.request(ECHO, "aborted", { signal: controller.signal }).catch((error) => error);
    client.send(NUMBER, 1);
    await met.world.clock.advance(320);
    await late;
    controller.abort("enough");
    assertEquals(await aborted, "enough");
    await assertRejects(() => client.request(ECHO, "x", { timeout: -1 }), RangeError);
    const raw = await met.back();
    const frame = (await raw.frame())!;
    assertEquals([frame.code, client.stats().pendingRequests], [200, 0]);

    await using other = await down();
    const ended = assertRejects(() => other.client.request(ECHO, "x"), ConnectionError);
    await other.client.close();
    await ended;
  });

  it("counts the time a request waited against its timeout", async () => {
    await using met = await down();
    const asked = met.client.request(ECHO, "x", { timeout: 3_000 });
    const failing = assertRejects(() => asked, TimeoutError);
    await met.back(); // After a second.
    const before = met.world.clock.now();
    await met.world.clock.advance(2_030);
    await failing;
    assert(met.world.clock.now() - before < 2_100);
  });

  it("knows by a PONG what was delivered, and calls the rest uncertain", async () => {
    await using met = await down();
    const raw = await met.back();
    for (let n = 0; n < 300; n++) met.client.send(NUMBER, n);
    // The first 256 are covered by a PING behind them, which is answered; the other 44 by none.
    let ping: DecodedFrame | undefined;
    for (let i = 0; i < 301; i++) {
      const frame = (await raw.frame())!;
      if (frame.code === 0) ping = frame;
    }
    await pong(raw, ping!);
    await until(() => met.client.stats().pendingRequests === 0);
    raw.connection.abort();
    const [{ messages }] = await met.heard.next("disconnect");
    assertEquals(messages, { expired: 0, replaced: 0, delivered: 256, uncertain: 44, lost: 0, queued: 0 });
  });

  it("covers a few messages by a PING after a second, and by any answer before", async () => {
    await using met = await down();
    let raw = await met.back();
    met.client.send(NUMBER, 1);
    assertEquals((await raw.frame())!.code, 200);
    await met.world.clock.advance(1_050);
    const ping = (await raw.frame())!;
    assertEquals(ping.code, 0);
    await pong(raw, ping);
    await until(() => met.client.stats().pendingRequests === 0);
    const asked = met.client.request(ECHO, "x").catch(() => {});
    raw.connection.abort();
    const [first] = await met.heard.next("disconnect");
    assertEquals(first.messages, { expired: 0, replaced: 0, delivered: 1, uncertain: 0, lost: 0, queued: 0 });
    await asked;

    raw = await met.back();
    met.client.send(NUMBER, 2);
    const answered = met.client.request(ECHO, "x");
    await raw.frame();
    const question = (await raw.frame())!;
    met.client.send(NUMBER, 3);
    await raw.send({ code: 201, content: "y", requestId: question.requestId as number, flags: 2 });
    await answered;
    raw.connection.abort();
    const [second] = await met.heard.next("disconnect");
    assertEquals(second.messages, { expired: 0, replaced: 0, delivered: 1, uncertain: 1, lost: 0, queued: 0 });
  });

  it("leaves nothing uncertain where the server goes away in good order", async () => {
    const world = memoryWorld();
    const got: number[] = [];
    const served = await serve(world, {}, (server) => server.route(NUMBER, ({ data }) => void got.push(data)));
    const client = new Client({
      ...served.address,
      transport: world.transport,
      reconnect: SURE,
      queueWhileDown: true,
    });
    const heard = new Recorder(client, ["disconnect"]);
    await client.connect();
    for (let n = 0; n < 1_000; n++) client.send(NUMBER, n);
    await served.server.close();
    const [{ messages, reason }] = await heard.next("disconnect");
    assertEquals([reason, messages?.delivered, messages?.uncertain, got.length], ["going-away", 1_000, 0, 1_000]);
    for (let n = 0; n < 10; n++) client.send(NUMBER, n);
    await client.close();
    const [last] = await heard.next("disconnect");
    assertEquals(last.messages, { expired: 0, replaced: 0, delivered: 0, uncertain: 0, lost: 10, queued: 0 });
  });

  it("calls nothing expired that lies behind what a connection has sent", async () => {
    await using met = await down({ queueWhileDown: { age: 500 }, highWaterMark: 1_000, maxBufferedBytes: 4_000 });
    await met.world.clock.advance(900); // The connection comes back at 1,000.
    for (let n = 0; n < 200; n++) met.client.send(BLOB, new Uint8Array(2_000));
    const raw = await met.back();
    assert(met.client.stats().queuedWhileDown > 0);
    await met.world.clock.advance(600);
    raw.connection.abort();
    const [first] = await met.heard.next("disconnect");
    const { expired, delivered, uncertain, lost, queued } = first.messages;
    assertEquals([expired, delivered, uncertain + lost + queued], [0, 0, 200]);
    assert(uncertain > 0 && queued > 0);
    const again = await met.back();
    again.connection.abort();
    const [second] = await met.heard.next("disconnect");
    assertEquals([second.messages.expired, second.messages.queued], [queued, 0]);
  });

  it("is ready() at once below the mark, and above it when the queue is empty", async () => {
    await using met = await down({ highWaterMark: 1_000 });
    assertEquals(met.client.send(BLOB, new Uint8Array(500)), true);
    await met.client.ready();
    assertEquals(met.client.send(BLOB, new Uint8Array(600)), false);
    let ready = false;
    const waiting = met.client.ready().then(() => ready = true);
    await turn();
    assertEquals(ready, false);
    await met.back();
    await waiting;
  });

  it("refuses at once what the server it knows does not take", async () => {
    const world = memoryWorld();
    const server = await RawServer.listen(world);
    const client = new Client({
      ...server.address,
      transport: world.transport,
      reconnect: SURE,
      queueWhileDown: true,
    });
    const [raw] = await Promise.all([server.welcome("native", { maxMessageSize: 1_000 }), client.connect()]);
    raw.connection.abort();
    await until(() => client.state === "reconnecting");
    assertThrows(() => client.send(BLOB, new Uint8Array(985)), PayloadError, "above the 1000 bytes");
    client.send(BLOB, new Uint8Array(984));
    const meta = { a: "b" };
    assertThrows(() => client.send(BLOB, new Uint8Array(974), { meta }), PayloadError, "its 985 bytes and the header");
    await assertRejects(() => client.request(ECHO, "x".repeat(974), { meta }), PayloadError, "its 985 bytes");
    client.send(BLOB, new Uint8Array(973), { meta });
    await client.close();
    await server[Symbol.asyncDispose]();
  });

  it("flushes its queue, too, before close() ends a connection", async () => {
    await using met = await down({ highWaterMark: 1_000, maxBufferedBytes: 4_000 });
    for (let n = 0; n < 200; n++) met.client.send(BLOB, new Uint8Array(2_000).fill(n));
    const raw = await met.back();
    assert(met.client.stats().queuedWhileDown > 0, "the queue waits for the connection to take it");
    const closing = met.client.close();
    for (let n = 0; n < 200; n++) {
      const { code, content } = (await raw.frame())!;
      assertEquals([code, content.length, content[0]], [203, 2_000, n]);
    }
    raw.connection.abort();
    await closing;
  });

  it("agrees, message by message, with what a server behind random cuts got", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6].filter(isMine)) await randomCuts(seed);
  });
});

/** Sends numbers while the connection is cut at random, and holds the counts against what came. */
async function randomCuts(seed: number): Promise<void> {
  const random = new Random(seed);
  const world: World = memoryWorld();
  const got: number[] = [];
  const connections = new Set<{ abort(): void }>();
  const listener = world.transport.listen.bind(world.transport);
  const transport = {
    ...world.transport,
    // Keeps the connections, so that they can be cut.
    listen: async (...args: Parameters<typeof listener>) => {
      const inner = await listener(...args);
      return {
        address: inner.address,
        close: () => inner.close(),
        unref: () => inner.unref(),
        [Symbol.asyncDispose]: () => inner.close(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
          for await (const connection of inner) {
            connections.add(connection);
            yield connection;
          }
        },
      };
    },
  };
  const served = await serve({ ...world, transport }, {}, (server) => {
    server.route(NUMBER, ({ data }) => void got.push(data));
  });
  const config = {
    reconnect: { delay: 10, maxDelay: 40 },
    queueWhileDown: { messages: 5_000, age: 100 },
    highWaterMark: 20_000,
  };
  const client = new Client({ ...served.address, transport: world.transport, ...config });
  const states: DisconnectState[] = [];
  client.on("disconnect", (state) => states.push(state));
  await client.connect();
  let sent = 0;
  for (let round = 0; round < 150; round++) {
    for (let count = random.below(400); count > 0; count--) {
      try {
        client.send(NUMBER, sent);
        sent++;
      } catch (error) {
        if (!(error instanceof BackpressureError)) throw error;
        break;
      }
    }
    for (let turns = random.below(4); turns > 0; turns--) await world.clock.settle();
    if (random.below(3) === 0) {
      for (const connection of connections) connection.abort();
      connections.clear();
    }
    await world.clock.advance(random.below(60));
  }
  await advanceUntil(world.clock, client.connect());
  await advanceUntil(world.clock, client.close());
  await served.server.close();

  assert(got.every((n, i) => i === 0 || n > got[i - 1]), `seed ${seed}: twice, or out of order`);
  const came = new Set(got);
  let at = 0;
  let certain = 0;
  for (const { messages } of states) {
    const { expired, delivered, uncertain, lost } = messages!;
    const next = (count: number, holds?: boolean): void => {
      for (; count > 0; count--, at++) {
        if (holds !== undefined) assertEquals(came.has(at), holds, `seed ${seed}: number ${at}`);
      }
    };
    next(expired, false);
    next(delivered, true);
    next(uncertain);
    next(lost, false);
    certain += delivered;
  }
  assertEquals([at, world.clock.pending], [sent, 0], `seed ${seed}: the counts cover all`);
  assert(states.length > 20 && certain > 1_000, `seed ${seed}: ${states.length} ends, ${certain} delivered`);
}
