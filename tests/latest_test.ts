/** `latest` and `maxAge`: a slow peer gets the newest of each key, everyone else gets everything, and nobody is surprised. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BackpressureError,
  bytes,
  Client,
  type ClientConfig,
  type ConnectedClient,
  ConnectionError,
  type DisconnectState,
  empty,
  json,
  messageType,
  PayloadError,
  type SendOptions,
  type Server,
  type ServerConfig,
  text,
} from "../mod.ts";
import {
  advanceUntil,
  face,
  memoryWorld,
  Raw,
  RawServer,
  Recorder,
  serve,
  SPOKEN,
  until,
  type World,
} from "./session_support.ts";
import { Random } from "./wire_support.ts";

const POSITION = messageType(200, "position", json<{ player: number; tick: number }>());
const NOTE = messageType(201, "note", text);
const ASK = messageType(202, "ask", text, text);
const BLOB = messageType(203, "blob", bytes);
const TICK = messageType(204, "tick", empty);

/** The contents of the next messages; what the library sends by itself is left out. */
async function texts(raw: Raw, count: number): Promise<string[]> {
  const all: string[] = [];
  while (all.length < count) {
    const { code, content } = (await raw.frame())!;
    if (code >= 200) all.push(new TextDecoder().decode(content));
  }
  return all;
}

/** The contents of all messages up to FIN. */
async function rest(raw: Raw): Promise<string[]> {
  const all: string[] = [];
  for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
    if (frame.code >= 200) all.push(new TextDecoder().decode(frame.content));
  }
  return all;
}

interface Met extends AsyncDisposable {
  readonly world: World;
  readonly server: Server;
  /** The client, as the server has it. */
  readonly client: ConnectedClient;
  readonly raw: Raw;
}

/** Starts a server, and connects to it by hand over a network that takes 64 bytes at a time. */
async function meetSlow(release: string, config: ServerConfig): Promise<Met> {
  const world = memoryWorld({ pipeSize: 64 });
  const served = await serve(world, config);
  const raw = await Raw.connect(world, served.address, release);
  const [client] = await served.events.next("connect") as [ConnectedClient];
  return {
    world,
    server: served.server,
    client,
    raw,
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

describe("a broadcast with latest", () => {
  it("gives a slow client the newest of each key, and all others everything, encoded once", async () => {
    const world = memoryWorld({ pipeSize: 512 });
    let encoded = 0;
    const position = messageType(200, "position", {
      encode: (value: { player: number; tick: number }) => (encoded++, JSON.stringify(value)),
      decode: (content) => JSON.parse(new TextDecoder().decode(content)) as { player: number; tick: number },
    });
    await using served = await serve(world);
    const { server, address } = served;
    const slow = await Raw.connect(world, address, "native");
    await until(() => server.clients.length === 1);
    const got: string[][] = [];
    const clients = Array.from({ length: 99 }, (_, i) => {
      const client = new Client({ ...address, transport: world.transport });
      got.push([]);
      client.route(position, ({ data }) => void got[i].push(`${data.player}:${data.tick}`));
      return client;
    });
    await Promise.all(clients.map((client) => client.connect()));
    await until(() => server.clients.length === 100);
    const players = 5;
    const sent: string[] = [];
    for (let tick = 0; tick < 64; tick++) {
      for (let player = 0; player < players; player++) {
        sent.push(`${player}:${tick}`);
        const result = server.broadcast(position, { player, tick }, { latest: player });
        assertEquals(result, { sent: 100, dropped: 0, closed: 0 });
      }
      await until(() => got.every(({ length }) => length === sent.length));
    }
    assertEquals(encoded, sent.length);
    for (const all of got) assertEquals(all, sent);
    const [first] = server.clients;
    const { bufferedBytes, replaced, framesSent } = first.stats();
    const update = 16 + JSON.stringify({ player: 1, tick: 63 }).length;
    // One write is with the socket: that was the last moment at which it could be replaced.
    assert(bufferedBytes <= 2 * players * update, `${bufferedBytes} bytes wait`);
    const came = (await texts(slow, framesSent)).map((text) => {
      const { player, tick } = JSON.parse(text);
      return `${player}:${tick}`;
    });
    assertEquals(came.slice(-players), sent.slice(-players));
    assertEquals([came.length + replaced, new Set(came).size], [sent.length, came.length]);
    assertEquals(first.stats().bufferedBytes, 0);
    await Promise.all(clients.map((client) => client.close()));
    await slow[Symbol.asyncDispose]();
  });

  it("goes to a group, replaces what was sent to one client alone, and leaves other keys and types alone", async () => {
    for (const { release, server: spoken } of SPOKEN) {
      await using met = await meetSlow(release, { protocol: spoken });
      const { client, raw, server } = met;
      client.addTag("room", 1);
      client.send(BLOB, new Uint8Array(1_000));
      client.send(NOTE, "mine", { latest: "k" });
      server.broadcast(NOTE, "room's", { to: { tag: "room", value: 1 }, latest: "k" });
      server.broadcast(NOTE, "nobody's", { to: { tag: "room", value: 2 }, latest: "k" });
      server.broadcast(NOTE, "another key", { latest: "l" });
      client.send(NOTE, "no key");
      server.broadcast(TICK, undefined, { latest: "k" });
      client.send(NOTE, "newest", { latest: "k" });
      const { replaced } = client.stats();
      const [, ...notes] = await texts(raw, 5);
      assertEquals([notes, replaced], [["newest", "another key", "no key", ""], 2], release);
    }
  });

  it("skips or closes a client that has no room, and leaves out what expires", async () => {
    await using met = await meetSlow("native", { highWaterMark: 1_000, maxBufferedBytes: 2_000 });
    const { client, raw, server, world } = met;
    client.send(BLOB, new Uint8Array(900));
    server.broadcast(NOTE, "too old", { maxAge: 10 });
    server.broadcast(NOTE, "x".repeat(900), { latest: 1 });
    assertEquals(server.broadcast(NOTE, "y".repeat(900), { latest: 2 }), { sent: 0, dropped: 1, closed: 0 });
    assertEquals(server.broadcast(NOTE, "z".repeat(900), { latest: 1 }), { sent: 1, dropped: 0, closed: 0 });
    await world.clock.advance(11);
    assertEquals((await texts(raw, 2))[1], "z".repeat(900));
    assertEquals([client.stats().expired, client.stats().replaced, client.stats().bufferedBytes], [1, 1, 0]);
    client.send(BLOB, new Uint8Array(1_500));
    const closed = server.broadcast(NOTE, "y".repeat(900), { latest: 2, onFull: "close" });
    assertEquals(closed, { sent: 0, dropped: 0, closed: 1 });
  });
});

describe("send with latest", () => {
  it("keeps the order of all other messages and requests, before and behind it", async () => {
    const world = memoryWorld({ pipeSize: 64 });
    await using met = await face(world, "native", {}, { maxMessageSize: 1_000_000 });
    const { client, raw } = met;
    client.send(BLOB, new Uint8Array(1_000));
    client.send(NOTE, "1");
    client.send(NOTE, "2 old", { latest: "k" });
    const asked = client.request(ASK, "3");
    client.send(NOTE, "4");
    client.send(NOTE, "5", { latest: "l" });
    client.send(NOTE, "2 new", { latest: "k" });
    const frames = [];
    while (frames.length < 6) frames.push((await raw.frame())!);
    assertEquals(frames.slice(1).map(({ content }) => new TextDecoder().decode(content)), [
      "1",
      "2 new",
      "3",
      "4",
      "5",
    ]);
    await raw.send({ code: 202, content: "answer", requestId: frames[3].requestId as number, flags: 2 });
    assertEquals(await asked, "answer");
    const { replaced, expired, framesSent } = client.stats();
    assertEquals([replaced, expired, framesSent], [1, 0, 6]);
  });

  it("has its last values sent by a close with drain, whatever is spoken", async () => {
    for (const { release, server: spoken } of SPOKEN) {
      await using met = await meetSlow(release, { protocol: spoken });
      const { client, raw, server } = met;
      client.send(BLOB, new Uint8Array(1_000));
      for (let i = 0; i < 10; i++) for (const key of [1, 2, 3]) client.send(NOTE, `${key}:${i}`, { latest: key });
      const closing = server.close({ drain: 1_000 });
      const [, ...last] = await rest(raw);
      await raw.connection.closeWrite();
      await closing;
      assertEquals(last, ["1:9", "2:9", "3:9"], release);
    }
  });

  it("encodes each payload when it is sent, and keeps what waits when a codec throws", async () => {
    const world = memoryWorld({ pipeSize: 64 });
    await using met = await face(world, "native");
    const { client, raw } = met;
    const fussy = messageType(201, "fussy", {
      encode(value: { text: string }): string {
        if (value.text === "bad") throw new TypeError("cannot encode this");
        return value.text;
      },
      decode: () => ({ text: "" }),
    });
    client.send(BLOB, new Uint8Array(1_000));
    const value = { text: "good" };
    client.send(fussy, value, { latest: "k" });
    value.text = "changed later";
    assertThrows(() => client.send(fussy, { text: "bad" }, { latest: "k" }), TypeError, "cannot encode this");
    const wrong = messageType(201, "wrong", { encode: () => 5 as unknown as string, decode: () => 5 });
    assertThrows(() => client.send(wrong, 5, { latest: "k" }), PayloadError, 'Cannot encode "wrong"');
    client.send(NOTE, "end");
    assertEquals((await texts(raw, 3)).slice(1), ["good", "end"]);
  });

  it("refuses wrong options by name, and is an ordinary message without any", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    await using served = await serve(world);
    const { client, raw } = met;
    const wrong: [unknown, typeof TypeError | typeof RangeError, string][] = [
      [{ latest: NaN }, TypeError, "latest must be a string or a number, not NaN"],
      [{ latest: true }, TypeError, "latest must be a string or a number, not true"],
      [{ latest: null }, TypeError, "latest must be a string or a number, not null"],
      [{ latest: Symbol() }, TypeError, "latest must be a string or a number, not of type symbol"],
      [{ maxAge: 0 }, RangeError, "maxAge must be above 0 ms, not 0"],
      [{ maxAge: -1 }, RangeError, "maxAge must be above 0 ms, not -1"],
      [{ maxAge: NaN }, RangeError, "maxAge must be above 0 ms, not NaN"],
      [{ maxAge: "5" }, TypeError, 'maxAge must be a number, not "5"'],
      [{ lastest: 1 }, TypeError, 'Unknown option "lastest"'],
      [7, TypeError, "must be an object, not 7"],
    ];
    for (const [options, kind, words] of wrong) {
      assertThrows(() => client.send(NOTE, "x", options as SendOptions), kind, words);
      assertThrows(() => served.server.broadcast(NOTE, "x", options as SendOptions), kind, words);
    }
    client.send(NOTE, "1", {});
    client.send(NOTE, "2", { latest: undefined, maxAge: Infinity });
    client.send(NOTE, "3", { latest: "" });
    client.send(NOTE, "4", { latest: -Infinity, maxAge: 0.5 });
    assertEquals(await texts(raw, 4), ["1", "2", "3", "4"]);
    assertEquals(client.stats().replaced, 0);
  });

  it("is refused once nothing can be sent, and reported by `sent` each time it is taken", async () => {
    const world = memoryWorld({ pipeSize: 64 });
    await using met = await face(world, "native");
    const { client, raw } = met;
    const sent: number[] = [];
    client.on("sent", ({ code, size }) => void (code >= 200 && sent.push(size)));
    client.send(BLOB, new Uint8Array(1_000));
    client.send(NOTE, "1", { latest: "k" });
    client.send(NOTE, "22", { latest: "k" });
    assertEquals([sent, client.stats().framesSent], [[1_000, 1, 2], 2]);
    raw.connection.abort();
    await met.events.next("disconnect");
    assertThrows(() => client.send(NOTE, "x", { latest: "k" }), ConnectionError, 'Cannot send "note"');
  });

  it("never lets a message overtake an older one of its key, over random sizes and a peer that reads at random", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = new Random(seed);
      const world = memoryWorld({ pipeSize: 1_000 });
      await using met = await face(world, "native");
      const { client, raw } = met;
      const newest = new Map<number, number>();
      const came = new Map<number, number>();
      let order = -1;
      let last = -1;
      const seen = (content: Uint8Array): boolean => {
        const { player, tick } = JSON.parse(new TextDecoder().decode(content)) as { player: number; tick: number };
        if (player < 0) {
          assert(tick > order, `seed ${seed}: ${tick} after ${order}`);
          order = tick;
        } else {
          assert(tick > (came.get(player) ?? -1), `seed ${seed}: ${player} at ${tick}`);
          came.set(player, tick);
        }
        return tick === last;
      };
      for (let tick = 0; tick < 500; tick++) {
        const player = random.below(8) - 2;
        if (player < 0) client.send(POSITION, { player, tick });
        else {
          client.send(POSITION, { player, tick }, { latest: player });
          newest.set(player, tick);
        }
        if (random.below(6) === 0) seen((await raw.frame())!.content);
      }
      last = 500;
      client.send(POSITION, { player: -1, tick: last });
      for (let frame = await raw.frame(); !seen(frame!.content);) {
        do frame = await raw.frame(); while (frame!.code < 200);
      }
      assertEquals(came, newest, `seed ${seed}`);
    }
  });
});

describe("queueWhileDown with latest", () => {
  // deno-lint-ignore explicit-function-return-type
  async function down(config: ClientConfig = {}) {
    const world = memoryWorld();
    const server = await RawServer.listen(world);
    const client = new Client({
      ...server.address,
      transport: world.transport,
      reconnect: { delay: 1_000, jitter: false },
      queueWhileDown: true,
      ...config,
    });
    const heard = new Recorder(client, ["connect", "disconnect", "error"]);
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    raw.connection.abort();
    await heard.next("disconnect");
    await heard.next("connect");
    return {
      world,
      client,
      heard,
      back: async (): Promise<Raw> =>
        (await advanceUntil(world.clock, Promise.all([server.welcome("native"), heard.next("connect")])))[0],
      async [Symbol.asyncDispose](): Promise<void> {
        await client.close({ drain: 0 });
        await server[Symbol.asyncDispose]();
        assertEquals(world.clock.pending, 0, "a timer was left");
      },
    };
  }

  it("replaces in place, expires by maxAge, and counts both", async () => {
    await using met = await down();
    const { client, world, heard } = met;
    client.send(NOTE, "a1", { latest: "a" });
    client.send(NOTE, "b");
    client.send(NOTE, "c", { maxAge: 500 });
    client.send(NOTE, "d1", { latest: "d", maxAge: 500 });
    client.send(NOTE, "a2", { latest: "a" });
    assertEquals(client.stats().queuedWhileDown, 4);
    await world.clock.advance(400);
    client.send(NOTE, "d2", { latest: "d", maxAge: 5_000 });
    const raw = await met.back();
    assertEquals(await texts(raw, 3), ["a2", "b", "d2"]);
    raw.connection.abort();
    const [{ messages }] = await heard.next("disconnect") as [DisconnectState];
    assertEquals(messages, { expired: 1, replaced: 2, delivered: 0, uncertain: 3, lost: 0, queued: 0 });
  });

  it("takes the place of what waits also when a listener to connect sends it, which otherwise goes first", async () => {
    await using met = await down();
    const { client } = met;
    client.send(NOTE, "old", { latest: "a" });
    client.send(NOTE, "b");
    client.on("connect", () => {
      client.send(NOTE, "hello");
      client.send(NOTE, "new", { latest: "a" });
      client.send(NOTE, "first", { latest: "other" });
    });
    const raw = await met.back();
    assertEquals(await texts(raw, 4), ["hello", "first", "new", "b"]);
  });

  it("counts bytes and messages once, and refuses a longer one that finds no room", async () => {
    await using met = await down({ queueWhileDown: { bytes: 100, messages: 3 } });
    const { client } = met;
    client.send(BLOB, new Uint8Array(40), { latest: 1 });
    client.send(BLOB, new Uint8Array(40), { latest: 2 });
    assertThrows(() => client.send(BLOB, new Uint8Array(61), { latest: 1 }), BackpressureError, "80 bytes");
    assertEquals(client.send(BLOB, new Uint8Array(60).fill(1), { latest: 1 }), false);
    assertThrows(() => client.send(BLOB, new Uint8Array(1), { latest: 3 }), BackpressureError, "100 bytes");
    client.send(BLOB, new Uint8Array([2]), { latest: 2 });
    client.send(BLOB, new Uint8Array([3]), { latest: 1 });
    client.send(BLOB, new Uint8Array([4]), { latest: "1" });
    assertThrows(() => client.send(BLOB, new Uint8Array(1), { latest: 4 }), BackpressureError, "3 messages");
    let ready = false;
    void client.ready().then(() => ready = true);
    const raw = await met.back();
    const got = [];
    while (got.length < 3) got.push([...(await raw.frame())!.content]);
    assertEquals([got, ready], [[[3], [2], [4]], true]);
  });

  it("tells the age of a message from when it was sent, not from when there was a connection", async () => {
    const world = memoryWorld({ pipeSize: 64 });
    const server = await RawServer.listen(world);
    const client = new Client({
      ...server.address,
      transport: world.transport,
      queueWhileDown: true,
      highWaterMark: 1_020,
      maxBufferedBytes: 2_000,
    });
    const heard = new Recorder(client, ["disconnect"]);
    const connecting = client.connect();
    await world.clock.settle();
    client.send(BLOB, new Uint8Array(900));
    client.send(NOTE, "too old in the buffer", { maxAge: 100 });
    client.send(NOTE, "old", { latest: "k" });
    client.send(BLOB, new Uint8Array(100));
    client.send(NOTE, "too old in the queue", { maxAge: 100 });
    client.send(NOTE, "last");
    await world.clock.advance(60);
    const [raw] = await Promise.all([server.welcome("native"), connecting]);
    await until(() => client.stats().queuedWhileDown === 2);
    await world.clock.advance(41);
    const frames = [];
    while (frames.length < 4) frames.push((await raw.frame())!);
    assertEquals(frames.map(({ content }) => content.length), [900, 3, 100, 4]);
    assertEquals([client.stats().expired, client.stats().queuedWhileDown], [1, 0]);
    client.send(BLOB, new Uint8Array(900));
    client.send(NOTE, "new", { latest: "k" });
    client.send(NOTE, "newer", { latest: "k" });
    raw.connection.abort();
    const [{ messages }] = await heard.next("disconnect") as [DisconnectState];
    assertEquals(messages, { expired: 2, replaced: 1, delivered: 0, uncertain: 5, lost: 1, queued: 0 });
    await client.close({ drain: 0 });
    await server[Symbol.asyncDispose]();
  });

  it("keeps a waiting request and a message of one key apart, and forgets what is given up", async () => {
    await using met = await down();
    const { client, heard } = met;
    const asked = client.request(ASK, "x", { timeout: 300 });
    const late = assertRejects(() => asked, Error, "No connection");
    client.send(NOTE, "1", { latest: "k", maxAge: 200 });
    client.send(NOTE, "2");
    await met.world.clock.advance(400);
    await late;
    const raw = await met.back();
    assertEquals(await texts(raw, 1), ["2"]);
    raw.connection.abort();
    const [{ messages }] = await heard.next("disconnect") as [DisconnectState];
    assertEquals([messages!.expired, messages!.replaced], [1, 0]);
    client.send(NOTE, "waits", { latest: "k" });
    client.send(NOTE, "waits as well", { latest: "k" });
    await client.close();
    const [end] = await heard.next("disconnect") as [DisconnectState];
    assertEquals([end.messages!.lost, end.messages!.replaced], [1, 1]);
    const connecting = client.connect();
    client.send(NOTE, "after", { latest: "k" });
    const again = await met.back();
    await connecting;
    assertEquals(await texts(again, 1), ["after"]);
  });
});
