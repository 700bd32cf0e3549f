/** Compression together with metadata, deadlines, streams and messages of which only the latest counts. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, json, messageType, messageTypes, Server, streamType, text } from "../mod.ts";
import { zlibCodecs } from "../src/adapters/zlib.ts";
import { RUNTIME } from "../src/auto/platform.ts";
import type { CompressionCodec } from "../src/compression_seam.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { Flag, SystemCode } from "../src/wire/frame.ts";
import { COMPRESSED, DEFLATE, HOT, noise, packed, WORDS } from "./compression_support.ts";
import {
  deferred,
  face,
  type Faced,
  HOST,
  Lines,
  memoryWorld,
  Raw,
  type RawFrame,
  RawServer,
  turn,
  until,
} from "./session_support.ts";
import { type FacedServer, faceServer, grantOf, OPEN, PIECE, sync, TERMS, verdict } from "./streams_raw.ts";
import { collect, settled, streamPeers } from "./streams_support.ts";
import { join, Random, utf8 } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const { END, ERROR, META, REPLY, REQUEST } = Flag;

/** What a peer by hand offers to a server, and what it answers to a client. */
const OFFER = { ...TERMS, meta: {}, compression: { codecs: ["deflate-raw"] } };
const ANSWER = { ...TERMS, meta: {}, compression: { codec: "deflate-raw" } };

/** What was compressed. */
function unpacked({ content }: DecodedFrame): Uint8Array {
  return DEFLATE.inflate(content.subarray(4), new DataView(content.slice().buffer).getUint32(0))!;
}

/** A payload after metadata. */
function described(meta: Record<string, string>, payload: string): Uint8Array {
  const names = utf8(JSON.stringify(meta));
  return join(Uint8Array.of(names.length >> 8, names.length), names, utf8(payload));
}

/** Bytes that shrink, but not to a 256th. */
const plain = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i >> 5 & 255);

function serving(config: object = {}, set?: (server: Server) => void, more: object = {}): Promise<FacedServer> {
  return faceServer({ ...HOT, ...config }, set, { features: { ...OFFER, ...more } });
}

function facing(config: object = {}, more: object = {}): Promise<Faced> {
  return face(memoryWorld(), "native", { features: { ...ANSWER, ...more } }, { ...HOT, ...config });
}

const words = ({ content }: DecodedFrame): string => new TextDecoder().decode(content);

/** The next answer: its id, and the payload or the code of the error. */
async function answer(raw: Raw): Promise<[id: unknown, what: string]> {
  const frame = (await raw.frame())!;
  const what = new TextDecoder().decode((frame.flags & COMPRESSED) === 0 ? frame.content : unpacked(frame));
  return [frame.requestId, (frame.flags & ERROR) === 0 ? what : `error ${JSON.parse(what).code}`];
}

describe("compression and metadata", () => {
  const work = (requestId: number, meta: Record<string, string>, payload = WORDS): RawFrame => ({
    code: WORK.code,
    flags: REQUEST | META | COMPRESSED,
    requestId,
    content: packed(described(meta, payload)),
  });

  it("of what is sent: the metadata is inside, in messages, requests, answers and openings", async () => {
    const OPENED = streamType(300, "opened", { head: text, up: false, down: false });
    await using met = await facing();
    const next = async (): Promise<[flags: number, content: string]> => {
      const frame = (await met.raw.frame())!;
      return [frame.flags, new TextDecoder().decode(unpacked(frame))];
    };
    const inside = (json: string): string => `\0${String.fromCharCode(json.length)}${json}${WORDS}`;
    met.client.send(NOTE, WORDS, { meta: { a: "1" } });
    assertEquals(await next(), [META | COMPRESSED, inside('{"a":"1"}')]);
    met.client.request(WORK, WORDS, { timeout: 500, meta: { b: "2" } }).catch(() => {});
    assertEquals(await next(), [REQUEST | META | COMPRESSED, inside('{"b":"2","deadline":"500"}')]);
    met.client.open(OPENED, WORDS, { meta: { c: "3" } });
    assertEquals(await next(), [OPEN | END | META | COMPRESSED, inside('{"c":"3"}')]);
    met.client.route(WORK, (message) => (message.setReplyMeta({ d: "4" }), WORDS));
    await met.raw.send({ code: WORK.code, flags: REQUEST, requestId: 1, content: "x" });
    assertEquals(await next(), [REPLY | META | COMPRESSED, inside('{"d":"4"}')]);
  });

  it("reach handlers and whoever asks, whether a message waits or not", async () => {
    for (const maxConcurrentHandlers of [1, 100]) {
      await using peers = await streamPeers({ ...HOT, maxConcurrentHandlers });
      const heard: unknown[] = [];
      peers.server.route(NOTE, ({ data, meta }) => void heard.push([data === WORDS, meta.n]));
      peers.server.route(WORK, async (message) => {
        await turn();
        message.setReplyMeta({ back: message.meta.n! });
        return `${message.timeLeft !== undefined}${message.data}`;
      });
      const asked = Array.from(
        { length: 3 },
        (_, n) => peers.client.exchange(WORK, WORDS, { timeout: 5_000, meta: { n: `${n}` } }),
      );
      peers.client.send(NOTE, WORDS, { meta: { n: "9" } });
      const answers = await Promise.all(asked);
      assertEquals(answers.map(({ data, meta }) => [data, meta.back]), [0, 1, 2].map((n) => [`true${WORDS}`, `${n}`]));
      await until(() => heard.length === 1);
      assertEquals([heard, peers.errors], [[[true, "9"]], []]);
      assert(peers.client.stats().bytesSavedSent! > 4_000);
    }
  });

  it("are read when the message is handed out: malformed metadata ends the connection only then", async () => {
    const gate = deferred();
    const called: string[] = [];
    await using met = await serving({ maxConcurrentHandlers: 1 }, (server) => {
      server.route(WORK, ({ data }) => (called.push(data), gate.promise.then(() => data)));
    });
    const broken = { ...work(2, {}), content: packed(join(Uint8Array.of(0, 2), utf8(`[]${WORDS}`))) };
    await met.raw.send({ code: WORK.code, flags: REQUEST, requestId: 1, content: "one" }, broken);
    assertEquals(await sync(met.raw), []);
    gate.resolve();
    assertEquals((await answer(met.raw))[1], "one");
    assertEquals([await verdict(met), called], ["protocol-error", ["one"]]);
  });

  it("a deadline counts from arrival, also in a request that waits compressed and for the route of that time", async () => {
    const gate = deferred();
    const seen: unknown[] = [];
    const late = deferred();
    await using met = await serving({ maxConcurrentHandlers: 1 }, (server) => {
      server.route(WORK, ({ data }) => gate.promise.then(() => data));
    });
    await met.raw.send(
      { code: WORK.code, flags: REQUEST, requestId: 1, content: "one" },
      work(2, { deadline: "500" }),
      work(3, { deadline: "5000", name: "three" }),
    );
    await until(() => met.server.clients[0]?.stats().queuedMessages === 2);
    const { clock } = met.world;
    await clock.advance(600);
    met.server.unroute(WORK);
    met.server.route(WORK, (message) => {
      seen.push([message.meta.name, message.timeLeft, message.data === WORDS]);
      return late.promise.then(() => "late");
    });
    gate.resolve();
    assertEquals(await answer(met.raw), [1, "one"]);
    // Nobody was told before its turn: its deadline is compressed as well.
    assertEquals(await answer(met.raw), [2, "error deadline-exceeded"]);
    await until(() => seen.length === 1);
    assertEquals(seen, [["three", 4_400, true]]);
    await clock.advance(4_420);
    assertEquals(await answer(met.raw), [3, "error deadline-exceeded"]);
    late.resolve();
    assertEquals([met.events.of("error"), await verdict(met)], [[], "open"]);
  });

  it("a deadline that is over at arrival is answered without the handler, and a message has none", async () => {
    const heard: unknown[] = [];
    await using met = await serving({}, (server) => {
      server.route(WORK, () => (heard.push("called"), "x"));
      server.route(NOTE, ({ timeLeft, meta }) => void heard.push([timeLeft, { ...meta }]));
    });
    await met.raw.send(
      work(1, { deadline: "0" }),
      { code: NOTE.code, flags: META | COMPRESSED, content: packed(described({ deadline: "0", a: "b" }, WORDS)) },
    );
    assertEquals(await answer(met.raw), [1, "error deadline-exceeded"]);
    await until(() => heard.length === 1);
    assertEquals(heard, [[undefined, { a: "b" }]]);
  });

  it("a request that was given up is never inflated, whatever is inside", async () => {
    const gate = deferred();
    await using met = await serving({ maxConcurrentHandlers: 1 }, (server) => {
      server.route(WORK, ({ data }) => gate.promise.then(() => data));
    });
    const content = packed(described({ deadline: "5" }, WORDS), 1_300);
    await met.raw.send(
      { code: WORK.code, flags: REQUEST, requestId: 1, content: "one" },
      { ...work(2, {}), content },
      { code: SystemCode.CANCEL, requestId: 2 },
    );
    await sync(met.raw);
    gate.resolve();
    assertEquals(await answer(met.raw), [1, "one"]);
    assertEquals(await verdict(met), "open");
  });
});

describe("compressed streams", () => {
  const BOTH = streamType(300, "both", { head: text, result: text });
  const QUIET = streamType(301, "quiet", { head: text, result: text, compress: false });

  it("carry head, pieces in both directions, items and result", async () => {
    const ITEMS = streamType(302, "items", { up: json<string>(), down: json<string>() });
    await using peers = await streamPeers(HOT);
    peers.server.stream(BOTH, async ({ head, readable, writable }) => {
      const data = await collect(readable);
      const writer = writable.getWriter();
      await writer.write(data);
      await writer.close();
      return head;
    });
    peers.server.stream(ITEMS, ({ readable }) => readable as AsyncIterable<string>);
    const data = plain(1_000_000);
    const stream = peers.client.open(BOTH, WORDS);
    const writer = stream.writable.getWriter();
    void writer.write(data).then(() => writer.close());
    assertEquals(await collect(stream.readable), data);
    assertEquals(await stream.result, WORDS);
    const here = peers.client.stats();
    const there = peers.info.stats();
    assertEquals([here.bytesSavedSent, here.bytesSavedReceived], [there.bytesSavedReceived, there.bytesSavedSent]);
    assert(here.bytesSavedSent! > 900_000 && here.bytesSavedReceived! > 900_000, `${here.bytesSavedSent}`);
    const items = peers.client.open(ITEMS);
    const said = items.writable.getWriter();
    const heard = items.readable.getReader();
    for (const item of [WORDS, "a", WORDS.repeat(100)]) {
      void said.write(item);
      assertEquals((await heard.read()).value, item);
    }
    void said.close();
    await items.result;
    assertEquals(peers.errors, []);
  });

  it("use up the window by what they inflate to, and are cut to it", async () => {
    await using met = await facing({}, { streams: { window: 100_000, max: 10, least: 256 } });
    const stream = met.client.open(BOTH, WORDS);
    stream.result.catch(() => {});
    const writer = stream.writable.getWriter();
    void writer.write(plain(200_000)).catch(() => {});
    const frames = [await met.raw.frame(), await met.raw.frame(), await met.raw.frame()].map((frame) => frame!);
    assertEquals(frames.map(({ flags }) => flags), [OPEN, PIECE, PIECE].map((flags) => flags | COMPRESSED));
    assertEquals(frames.map((frame) => unpacked(frame).length), [1_120, 65_536, 34_464]);
    // It sends nothing more, however little that was on the way.
    assertEquals(await sync(met.raw), []);
    await met.raw.send(grantOf(1, 300, REPLY));
    const next = (await met.raw.frame())!;
    assertEquals([next.flags, next.content.length], [PIECE, 300]);
  });

  it("are left alone for 1 MiB once 8 pieces in a row did not shrink, each direction of each stream by itself", async () => {
    await using met = await facing({}, { streams: { window: 2 ** 30, max: 10, least: 256 } });
    const open = async (): Promise<(content: Uint8Array) => Promise<boolean>> => {
      const stream = met.client.open(BOTH, "x");
      stream.result.catch(() => {});
      await met.raw.frame();
      const writer = stream.writable.getWriter();
      return async (content) => {
        void writer.write(content).catch(() => {});
        return ((await met.raw.frame())!.flags & COMPRESSED) !== 0;
      };
    };
    const [one, two] = [await open(), await open()];
    const good = plain(32_768);
    const bad = noise(32_768);
    for (let i = 0; i < 7; i++) assertEquals(await one(bad), false);
    assertEquals(await one(good), true, "7 are not enough");
    for (let i = 0; i < 8; i++) assertEquals(await one(bad), false);
    for (let i = 0; i < 32; i++) assertEquals(await one(good), false, `after ${i} of 32`);
    assertEquals(await two(good), true);
    assertEquals(await one(good), true, "after 1 MiB");
  });

  it("are not tried again while they are left alone: the codec is asked 8 times a MiB", async () => {
    let asked = 0;
    const counted: CompressionCodec = {
      ...DEFLATE,
      compress: (content, level) => (asked++, DEFLATE.compress(content, level)),
    };
    class Counting extends Client {
      static readonly platform = { ...RUNTIME, loadCompression: () => [counted] };
    }
    await using peers = await streamPeers(HOT);
    peers.server.stream(BOTH, async ({ readable }) => `${(await collect(readable)).length}`);
    const [{ hostname, port }] = peers.server.addresses as [{ hostname: string; port: number }];
    const client = new Counting({ hostname, port, transport: peers.world.transport, logger: new Lines(), ...HOT });
    await client.connect();
    const stream = client.open(BOTH, "x");
    const writer = stream.writable.getWriter();
    const image = noise(65_536);
    for (let i = 0; i < 48; i++) await writer.write(image);
    await writer.close();
    assertEquals(await stream.result, `${48 * 65_536}`);
    // 8 of the first 8, 16 left alone, and so on.
    assert(asked >= 16 && asked <= 24, `${asked}`);
    await client.close({ drain: 0 });
  });

  it("are compressed 256 KiB at a time, so that messages, PINGs and other connections have their turn", async () => {
    let inTurn = 0;
    let most = 0;
    const counted: CompressionCodec = {
      ...DEFLATE,
      compress(content, level): Uint8Array {
        if (inTurn === 0) queueMicrotask(() => inTurn = 0);
        most = Math.max(most, inTurn += content.length);
        return DEFLATE.compress(content, level);
      },
    };
    class Counting extends Client {
      static readonly platform = { ...RUNTIME, loadCompression: () => [counted] };
    }
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    const client = new Counting({ ...server.address, transport: world.transport, logger: new Lines(), ...HOT });
    const features = { ...ANSWER, streams: { window: 2 ** 30, max: 10, least: 256 } };
    const [raw] = await Promise.all([server.welcome("native", { features }), client.connect()]);
    const stream = client.open(BOTH, "x");
    stream.result.catch(() => {});
    await raw.frame();
    void stream.writable.getWriter().write(plain(8 * 1024 * 1024)).catch(() => {});
    for (let size = 0; size < 8 * 1024 * 1024;) size += unpacked((await raw.frame())!).length;
    // The socket has taken as much, and asks for more.
    assert(most >= 65_536 && most <= 2 * 256 * 1024, `${most}`);
    await client.close({ drain: 0 });
    await raw[Symbol.asyncDispose]();
  });

  it("leave a type with `compress: false` alone, on both ends and in a contract", async () => {
    const contract = messageTypes({ quiet: { stream: { head: text, result: text, compress: false }, code: 303 } });
    assertEquals([BOTH.compress, QUIET.compress, contract.quiet.compress], [true, false, false]);
    for (const type of [QUIET, contract.quiet]) {
      await using met = await facing();
      const stream = met.client.open(type, WORDS);
      stream.result.catch(() => {});
      void stream.writable.getWriter().write(plain(10_000)).catch(() => {});
      assertEquals([(await met.raw.frame())!.flags, (await met.raw.frame())!.flags], [OPEN, PIECE]);
    }
    await using met = await serving({}, (server) => {
      server.stream(QUIET, async ({ head, writable }) => {
        await writable.getWriter().write(plain(10_000));
        if (head === "fail") throw new Error(WORDS);
        return WORDS;
      });
    });
    for (const [requestId, head] of [[1, "x"], [2, "fail"]] as const) {
      await met.raw.send({ code: 301, flags: OPEN, requestId, content: head });
      assertEquals((await met.raw.frame())!.flags, PIECE | REPLY);
      assertEquals((await met.raw.frame())!.flags, REPLY | (head === "x" ? 0 : ERROR));
    }
  });

  it("have answers and errors that are compressed", async () => {
    await using met = await serving({}, (server) => {
      server.stream(BOTH, ({ head }) => {
        if (head === "fail") throw Object.assign(new Error(WORDS), { code: "long" });
        return WORDS as never;
      });
    });
    for (const [requestId, head] of [[1, "x"], [2, "fail"]] as const) {
      await met.raw.send({ code: 300, flags: OPEN | END, requestId, content: head });
      const frame = (await met.raw.frame())!;
      assertEquals(frame.flags, REPLY | COMPRESSED | (head === "x" ? 0 : ERROR));
      assert(new TextDecoder().decode(unpacked(frame)).includes(WORDS));
    }
  });

  const opening = (requestId: number, flags = 0): RawFrame => ({ code: 300, flags: OPEN | flags, requestId });
  const piece = (requestId: number, content: Uint8Array, flags: number = PIECE): RawFrame => ({
    code: 300,
    flags: flags | COMPRESSED,
    requestId,
    content,
  });
  /** It announces `size` and is none. */
  const wrong = packed(WORDS, 1_121);
  const stop = { code: SystemCode.STOP, requestId: 1, flags: REPLY };

  const received: readonly [what: string, frames: readonly RawFrame[], verdict: string][] = [
    ["a piece of 65,536 bytes", [opening(1), piece(1, packed(plain(65_536)))], "open"],
    ["a piece that announces 65,537", [opening(1), piece(1, packed(plain(65_537)))], "protocol-error"],
    [
      "one above a ratio of 256",
      [opening(1), piece(1, packed(new Uint8Array(65_536), undefined, 9))],
      "protocol-error",
    ],
    ["one that inflates to less than it says", [opening(1), piece(1, wrong)], "protocol-error"],
    ["one that inflates to more", [opening(1), piece(1, packed(plain(65_536), 60_000))], "protocol-error"],
    ["the last piece of a direction", [opening(1), piece(1, packed(WORDS), PIECE | END)], "open"],
    ["two within the window", [opening(1), piece(1, packed(plain(32_768))), piece(1, packed(plain(32_768)))], "open"],
    [
      "one beyond the window, by what it inflates to",
      [opening(1), piece(1, packed(plain(65_536))), piece(1, packed(WORDS))],
      "protocol-error",
    ],
    ["one with metadata", [opening(1), piece(1, packed(described({}, WORDS)), PIECE | META)], "protocol-error"],
    ["one after END", [opening(1, END), piece(1, packed(WORDS))], "protocol-error"],
    ["a broken one for what is not open: not inflated", [piece(9, wrong)], "open"],
    ["a head that is a bomb", [{ ...opening(1, COMPRESSED), content: packed(WORDS, 20_000_000) }], "protocol-error"],
    ["a head that is broken", [{ ...opening(1, COMPRESSED), content: wrong }], "protocol-error"],
    [
      "a head with metadata",
      [{ ...opening(1, COMPRESSED | META), content: packed(described({ a: "b" }, WORDS)) }],
      "open",
    ],
    [
      "a head with malformed metadata",
      [{ ...opening(1, COMPRESSED | META), content: packed(join(Uint8Array.of(255, 255), utf8(WORDS))) }],
      "protocol-error",
    ],
    [
      "a STOP that is compressed",
      [opening(1), { ...stop, flags: COMPRESSED, content: packed(WORDS) }],
      "protocol-error",
    ],
  ];
  for (const [what, frames, end] of received) {
    it(`${what}: ${end}`, async () => {
      const gate = deferred<string>();
      const heads: unknown[] = [];
      await using met = await serving({}, (server) => {
        server.stream(BOTH, ({ head, meta }) => (heads.push([head, meta.a]), gate.promise));
      });
      await met.raw.send(...frames);
      assertEquals(await verdict(met), end);
      if (what === "a head with metadata") assertEquals(heads, [[WORDS, "b"]]);
      gate.resolve("");
    });
  }

  it("are not inflated once nobody reads them, nor is the head of one that is refused", async () => {
    const gate = deferred<string>();
    await using met = await serving({ maxStreams: 1 }, (server) => {
      server.stream(BOTH, ({ readable }) => (void readable.cancel(), gate.promise));
    });
    await met.raw.send(opening(1));
    await until(() => met.server.clients[0]?.stats().openStreams === 1);
    assertEquals((await met.raw.frame())!.code, SystemCode.STOP);
    await met.raw.send(piece(1, wrong), { ...opening(2, COMPRESSED), content: wrong });
    assertEquals(await answer(met.raw), [2, "error too-many-streams"]);
    assertEquals(await verdict(met), "open");
    gate.resolve("");
  });

  it("that break the protocol by their head give their window back to the server", async () => {
    await using met = await serving({ maxTotalStreamBytes: 70_000 }, (server) => {
      server.stream(BOTH, ({ head }) => head as never);
    });
    await met.raw.send({ ...opening(1, COMPRESSED), content: wrong });
    assertEquals(await verdict(met), "protocol-error");
    const { hostname, port } = met.server.addresses[0] as { hostname: string; port: number };
    await using raw = await Raw.connect(met.world, { hostname, port }, "native", { features: OFFER });
    for (let id = 1; id <= 3; id++) {
      const content = packed(described({ note: WORDS.repeat(2) }, WORDS));
      await raw.send({ ...opening(id, END | COMPRESSED | META), content });
      assertEquals(await answer(raw), [id, WORDS]);
    }
    await raw.send({ ...opening(4), content: "x" });
    assertEquals((await answer(raw))[1], "x");
  });

  it("are granted what they inflated to, as it is read", async () => {
    const reads: (() => void)[] = [];
    await using met = await serving({}, (server) => {
      server.stream(BOTH, async ({ readable }) => {
        for await (const part of readable) {
          await new Promise<void>((resolve) => reads.push(resolve));
          if (part.length === 0) break;
        }
        return "";
      });
    });
    await met.raw.send(opening(1), piece(1, packed(plain(40_000))));
    assertEquals((await sync(met.raw)).filter((frame) => frame.startsWith("WINDOW")), ["WINDOW 2 1 40000"]);
    await until(() => reads.length === 1);
    reads[0]();
    await met.raw.send({ code: SystemCode.CANCEL, requestId: 1 });
    await sync(met.raw);
  });

  it("cost credit by what their heads inflate to, on both ends", async () => {
    const credit = (size: number): RawFrame => ({ code: SystemCode.CREDIT, content: grantOf(0, size).content });
    await using met = await facing({}, { credit: { window: 2_000 } });
    const NONE = streamType(304, "none", { head: text, up: false, down: false });
    for (let i = 0; i < 3; i++) met.client.open(NONE, WORDS).result.catch(() => {});
    // 1,136 each: 2,000, 864, -272.
    for (let i = 0; i < 2; i++) assertEquals((await met.raw.frame())!.flags, OPEN | END | COMPRESSED);
    await met.raw.send(credit(272));
    assertEquals(await sync(met.raw), []);
    await met.raw.send(credit(1));
    assertEquals((await met.raw.frame())!.requestId, 3);

    const gate = deferred<string>();
    await using there = await serving(
      { maxQueuedBytes: 2_000 },
      (server) => server.stream(BOTH, () => gate.promise),
      { credit: { window: 1_000_000 } },
    );
    // What is charged at an opening is given back at once, as the stream does not wait.
    await there.raw.send(...[1, 2, 3].map((id) => ({ ...opening(id, COMPRESSED), content: packed(WORDS) })));
    const granted = (await sync(there.raw)).filter((frame) => frame.startsWith("CREDIT"));
    assert(granted.length > 0);
    gate.resolve("");
  });
});

describe("compression and the latest value", () => {
  const credit = (size: number): RawFrame => ({ code: SystemCode.CREDIT, content: grantOf(0, size).content });
  const ORDER = "order ".repeat(200);

  it("is compressed as it is sent, and costs what it inflates to", async () => {
    await using met = await facing({}, { credit: { window: 2_000 } });
    // 1,136 each: 2,000, 864, -272.
    for (let i = 0; i < 2; i++) met.client.send(NOTE, WORDS);
    for (const value of [WORDS, "short", ORDER]) met.client.send(NOTE, value, { latest: "a", meta: { v: value[0] } });
    met.client.send(NOTE, WORDS, { latest: "b" });
    met.client.send(NOTE, "x".repeat(500));
    const before = met.client.stats();
    for (let i = 0; i < 2; i++) assertEquals((await met.raw.frame())!.flags, COMPRESSED);
    await met.raw.send(credit(272));
    assertEquals(await sync(met.raw), []);
    await met.raw.send(credit(1));
    const frame = (await met.raw.frame())!;
    assertEquals(frame.flags, META | COMPRESSED);
    const content = described({ v: "o" }, ORDER);
    assertEquals(unpacked(frame), content);
    // It has cost 16 + its content.
    await met.raw.send(credit(16 + content.length - 1));
    assertEquals(await sync(met.raw), []);
    await met.raw.send(credit(1));
    assertEquals(unpacked((await met.raw.frame())!), utf8(WORDS));
    await met.raw.send(credit(1_136 - 1));
    assertEquals(await sync(met.raw), []);
    await met.raw.send(credit(1));
    assertEquals(words((await met.raw.frame())!), "x".repeat(500));
    const saved = [utf8(WORDS), content, utf8(WORDS)].map((raw) => raw.length - packed(raw).length);
    const after = met.client.stats();
    assertEquals(
      after.bytesSavedSent! - before.bytesSavedSent!,
      saved[1] + saved[2],
      "replaced ones have saved nothing",
    );
    assertEquals([after.replaced, after.bufferedBytes], [2, 0]);
  });

  it("leaves alone what is marked, and what is above the peer's limit", async () => {
    const quiet = messageType(210, "quiet", text, undefined, { compress: false });
    await using met = await facing({}, { credit: { window: 1 } });
    met.client.send(NOTE, "x");
    met.client.send(quiet, WORDS, { latest: 1 });
    await met.raw.frame();
    await met.raw.send(credit(10_000));
    assertEquals((await met.raw.frame())!.flags, 0);
  });

  it("of a broadcast is compressed once for each codec, whoever waits", async () => {
    const calls: string[] = [];
    const counted = zlibCodecs().map((codec): CompressionCodec => ({
      ...codec,
      compress: (content, level) => (calls.push(codec.name), codec.compress(content, level)),
    }));
    class Counting extends Server {
      static readonly platform = { ...RUNTIME, loadCompression: () => counted };
    }
    const { transport, ...world } = memoryWorld();
    const names = counted.map(({ name }) => name);
    await using server = new Counting({ hostname: HOST, port: 0, transport, logger: new Lines(), compression: true });
    await server.start();
    const to = server.addresses[0] as { hostname: string; port: number };
    const raws: Raw[] = [];
    for (const name of [...names, ...names]) {
      const features = { compression: { codecs: [name] }, meta: {}, credit: { window: 100 } };
      raws.push(await Raw.connect({ transport, ...world }, to, "native", { features }));
    }
    await until(() => server.clients.length === raws.length);
    server.broadcast(NOTE, "y".repeat(100));
    for (const value of [WORDS, ORDER]) server.broadcast(NOTE, value, { latest: "k", meta: { a: "b" } });
    assertEquals(calls.sort(), [...names, ...names].sort());
    for (const [i, raw] of raws.entries()) {
      assertEquals(words((await raw.frame())!), "y".repeat(100));
      await raw.send(credit(17));
      const frame = (await raw.frame())!;
      assertEquals(frame.flags, META | COMPRESSED);
      const size = new DataView(frame.content.slice().buffer).getUint32(0);
      const codec = counted[i % names.length];
      assertEquals(codec.inflate(frame.content.subarray(4), size), described({ a: "b" }, ORDER));
      await raw[Symbol.asyncDispose]();
    }
  });
});

describe("all of it at once", () => {
  it("leaves both ends with the same credit, whatever is sent, held, replaced and read when", async () => {
    const FLOW = streamType(305, "flow", { head: bytes, result: bytes });
    for (let seed = 1; seed <= 4; seed++) {
      const random = new Random(seed);
      const config = { ...HOT, maxQueuedBytes: 20_000, maxQueuedMessages: 40, maxConcurrentHandlers: 2 };
      await using peers = await streamPeers(config);
      const { client, server, info } = peers;
      let running = 0;
      const late = async (): Promise<void> => {
        running++;
        if (random.below(3) === 0) await turn();
        running--;
      };
      server.route(NOTE, late);
      client.route(NOTE, late);
      server.route(WORK, async (message) => {
        await late();
        message.setReplyMeta({ ...message.meta });
        return message.data;
      });
      server.stream(FLOW, async ({ head, readable, writable }) => {
        await readable.pipeTo(writable);
        return head;
      });
      const payload = (): string =>
        random.below(3) === 0
          ? String.fromCharCode(...noise(random.below(3_000), random.below(1_000) + 1))
          : "word ".repeat(random.below(1_500));
      const done: Promise<unknown>[] = [];
      for (let step = 0; step < 600; step++) {
        const sent = payload();
        const meta = random.below(2) === 0 ? { m: sent.slice(0, 50).toWellFormed() } : undefined;
        const kind = random.below(6);
        if (kind === 0) {
          done.push(
            client.exchange(WORK, sent, { meta }).then((answer) =>
              assertEquals([answer.data, answer.meta.m], [sent, meta?.m])
            ),
          );
        } else if (kind === 1) client.send(NOTE, sent, { meta });
        else if (kind === 2) info.send(NOTE, sent, { latest: random.below(5), meta });
        else if (kind === 3) server.broadcast(NOTE, sent, { latest: random.below(5), meta });
        else if (kind === 4) client.send(NOTE, sent, { latest: random.below(5), meta });
        else if (random.below(4) === 0) {
          const stream = client.open(FLOW, utf8(sent), { meta });
          const writer = stream.writable.getWriter();
          done.push(
            writer.write(utf8(sent)).then(() => writer.close()),
            collect(stream.readable).then((back) => assertEquals(back, utf8(sent))),
            stream.result.then((back) => assertEquals(back, utf8(sent))),
          );
        }
        if (random.below(10) === 0) await turn();
        await Promise.all([client.ready(), info.ready()]);
      }
      assertEquals(await Promise.all(done.map(settled)), done.map(() => "done"));
      await until(() => client.stats().bufferedBytes === 0 && info.stats().bufferedBytes === 0);
      await until(() => running === 0 && info.stats().queuedMessages === 0 && client.stats().queuedMessages === 0);
      await until(() => info.stats().runningHandlers === 0 && client.stats().runningHandlers === 0);
      assertEquals([client.state, peers.errors], ["connected", []]);
      // What was written last may still be on its way.
      await until(() => info.stats().bytesSavedReceived === client.stats().bytesSavedSent);
      await until(() => client.stats().bytesSavedReceived === info.stats().bytesSavedSent);
      const here = client.stats();
      assert(here.bytesSavedSent! > 100_000 && here.replaced! > 0, `${here.bytesSavedSent} ${here.replaced}`);
    }
  });

  it("refuses a contract that puts `compress` beside a stream, and what is no boolean", () => {
    const parts = { stream: { head: text } };
    for (
      const make of [
        () => messageTypes({ a: { ...parts, compress: false } as never }),
        () => streamType(300, "a", { compress: 1 as never }),
        () => messageTypes({ a: { stream: { compress: "no" as never } } }),
      ]
    ) {
      assertThrows(() => void make(), TypeError, "compress");
    }
  });
});
