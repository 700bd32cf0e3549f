/** Compression in a session: what is agreed on, sent, refused and counted, and when a payload is inflated. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import {
  bytes,
  Client,
  json,
  messageType,
  messageTypes,
  RemoteError,
  Server,
  type ServerConfig,
  text,
} from "../mod.ts";
import { zlibCodecs } from "../src/adapters/zlib.ts";
import { EXTRA_FEATURES } from "../src/app/endpoint_core.ts";
import { RUNTIME } from "../src/auto/platform.ts";
import { Client as CoreClient } from "../src/client/client.ts";
import type { CompressionCodec, CompressionCodecName } from "../src/compression_seam.ts";
import { ConfigError, ConnectionError, HandshakeError, ProtocolError } from "../src/errors.ts";
import type { Feature, FeatureHost } from "../src/session/feature.ts";
import type { PayloadOrigin } from "../src/session/payload_encoding.ts";
import { Flag } from "../src/wire/frame.ts";
import { announced, COMPRESSED, DEFLATE, HOT, noise, packed, WORDS } from "./compression_support.ts";
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
  type Recorder,
  serve,
  soon,
  turn,
  until,
  type World,
} from "./session_support.ts";
import { sync } from "./streams_raw.ts";
import { join, Random, unhex, utf8 } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const ASK = messageType(201, "ask", text, text);
const DATA = messageType(202, "data", bytes);
const ECHO = messageType(203, "echo", bytes, bytes);
const { REQUEST, REPLY, ERROR, STREAM } = Flag;

const FEATURES = { compression: { codecs: ["deflate-raw"] } };

const note = (raw: string): RawFrame => ({ code: NOTE.code, flags: COMPRESSED, content: packed(raw) });

/** A server, and what became of it. */
interface Served extends AsyncDisposable {
  readonly server: Server<unknown>;
  readonly events: Recorder;
}

/** A server with compression and a peer by hand. */
async function meet(
  config: ServerConfig<unknown> = {},
  features: Record<string, unknown> = FEATURES,
  world: World = memoryWorld(),
): Promise<Served & { readonly raw: Raw }> {
  const served = await serve<unknown>(world, { ...HOT, ...config });
  const raw = await Raw.connect(world, served.address, "native", { features });
  return {
    ...served,
    raw,
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** A client and a server in one program. */
async function pair(
  serverConfig: ServerConfig<unknown>,
  clientConfig: object,
  world: World = memoryWorld(),
  set?: (server: Server<unknown>) => void,
): Promise<Served & { readonly client: Client }> {
  const served = await serve<unknown>(world, serverConfig, set);
  const client = new Client({ ...served.address, transport: world.transport, logger: new Lines(), ...clientConfig });
  await client.connect();
  return {
    ...served,
    client,
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await served[Symbol.asyncDispose]();
    },
  };
}

/** Why the other side ended the connection. It waits until the peer has read to the end. */
async function endOf({ raw, events }: { readonly raw: Raw; readonly events: Recorder }): Promise<string> {
  void raw.end();
  return (await events.next("disconnect")).at(-1).reason;
}

describe("the agreement on compression", () => {
  const both: readonly CompressionCodecName[] = ["zstd", "deflate-raw"];
  const offers: readonly (readonly CompressionCodecName[] | undefined)[] = [
    undefined,
    ["deflate-raw"],
    ["zstd"],
    both,
    both.toReversed(),
  ];
  const has = zlibCodecs().map(({ name }) => name);

  for (const ours of offers) {
    for (const theirs of offers) {
      const expected = ours?.find((codec) => theirs?.includes(codec)) ?? "none";
      // A runtime without zstd can only be tried with what it has.
      const test = [ours, theirs].every((codecs) => codecs?.some((codec) => has.includes(codec)) ?? true)
        ? it
        : it.skip;
      test(`of ${ours ?? "nothing"} on the server with ${theirs ?? "nothing"} on the client: ${expected}`, async () => {
        const world = memoryWorld();
        await using met = await pair(
          ours === undefined ? {} : { compression: { codecs: ours } },
          theirs === undefined ? {} : { compression: { codecs: theirs } },
          world,
          (server) => server.route(ASK, ({ data }) => data),
        );
        assertEquals(await met.client.request(ASK, WORDS), WORDS);
        const { bytesSavedSent, bytesSavedReceived } = met.client.stats();
        const there = met.server.clients[0].stats();
        assertEquals([bytesSavedSent, bytesSavedReceived], [there.bytesSavedReceived, there.bytesSavedSent]);
        assertEquals([bytesSavedSent! > 1_000, bytesSavedReceived! > 1_000], Array(2).fill(expected !== "none"));
      });
    }
  }

  it("is the first codec of the server that the client has, named in message 3", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { compression: { codecs: ["deflate-raw"] } });
    for (
      const [offered, chosen] of [
        [["zstd", "deflate-raw"], { codec: "deflate-raw" }],
        [["lz4", 7, null, "deflate-raw"], { codec: "deflate-raw" }],
        [["zstd"], undefined],
        [[], undefined],
        ["deflate-raw", undefined],
        [undefined, undefined],
        [{ length: 1, 0: "deflate-raw" }, undefined],
      ] as const
    ) {
      await using raw = new Raw(await world.transport.connect(served.address), "native");
      await raw.message();
      const compression = { codecs: offered, codec: "zstd" };
      const native = { versions: [1], features: { compression }, maxMessageSize: 10_000 };
      const offer = utf8(JSON.stringify({ v: "2.0.0", meta: { native } }));
      await raw.connection.write(join(new Uint8Array([offer.length >> 8, offer.length & 255]), offer));
      const { native: { features } } = await raw.message() as { native: { features: Record<string, unknown> } };
      assertEquals(features.compression, chosen, JSON.stringify(offered));
    }
  });

  it("fails on a client whose server names a codec that was not offered", async () => {
    for (const answer of [{ codec: "zstd" }, { codec: "lz4" }, {}, { codec: ["deflate-raw"] }]) {
      const world = memoryWorld();
      await using server = await RawServer.listen(world);
      const client = new Client({ ...server.address, transport: world.transport, logger: new Lines(), ...HOT });
      const welcome = server.welcome("native", { features: { compression: answer } });
      const failed = assertRejects(() => client.connect(), HandshakeError);
      const raw = await welcome;
      void raw.end();
      assertMatch((await failed).message, /terms that were not offered/);
      await client.close();
    }
  });

  it("is not to be had of the core, or of a runtime without a codec that the program names", async () => {
    const { transport } = memoryWorld();
    const error = assertThrows(() => new CoreClient({ transport, compression: true }), ConfigError);
    assertEquals(error.code, "unsupported");
    class Poor extends CoreClient {
      static readonly platform = { ...RUNTIME, loadCompression: () => [DEFLATE] };
    }
    assertThrows(
      () => new Poor({ transport, compression: { codecs: ["zstd"] } }),
      ConfigError,
      "compression cannot use zstd on this runtime, which has deflate-raw",
    );
    await new Poor({ transport, compression: true }).close();
    await new CoreClient({ transport, compression: false }).close();
  });

  it("has options that are checked", () => {
    for (
      const [compression, message] of [
        ["zstd", 'compression must be true, false or an object, not "zstd"'],
        [null, "compression must be true, false or an object, not null"],
        [{ level: 10 }, "compression.level must be a whole number from 1 to 9, not 10"],
        [{ least: 0 }, "compression.least must be a whole number from 1 to 2147483647, not 0"],
        [{ codecs: [] }, "compression.codecs must be an array of at least one codec"],
        [{ codecs: ["zstd", "br"] }, 'compression.codecs[1] must be zstd or deflate-raw, not "br"'],
        [{ speed: 1 }, 'Unknown option "speed": compression has codecs, least, level'],
      ] as const
    ) assertThrows(() => new Server({ compression } as never), Error, message);
    assertThrows(() => messageType(200, "x", text, undefined, { compress: 1 } as never), TypeError, "compress must be");
  });
});

describe("what is sent", () => {
  interface Watched extends Faced {
    next(): Promise<[flags: number, compressed: boolean, content: Uint8Array]>;
  }

  /** A client with compression and a server by hand, which tells the flags and the size of each frame. */
  async function watch(config: object = {}, maxMessageSize?: number): Promise<Watched> {
    const met = await face(
      memoryWorld(),
      "native",
      { features: { compression: { codec: "deflate-raw" } }, maxMessageSize },
      { ...HOT, ...config },
    );
    return {
      ...met,
      async next(): Promise<[flags: number, compressed: boolean, content: Uint8Array]> {
        const { flags, content } = (await met.raw.frame())!;
        if ((flags & COMPRESSED) === 0) return [flags, false, content];
        const size = new DataView(content.buffer, content.byteOffset).getUint32(0);
        return [flags & ~COMPRESSED, true, DEFLATE.inflate(content.subarray(4), size)!];
      },
    };
  }

  it("is compressed from 1 KiB up to 4 MiB, and only if it shrinks by an eighth", async () => {
    await using met = await watch({ compression: { codecs: ["deflate-raw"], level: 9 } });
    const { client } = met;
    const zeros = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i >> 4 & 63);
    // Each of its bytes but the first `share` is the same.
    const partly = (share: number): Uint8Array => join(noise(share), new Uint8Array(4_000 - share).fill(7));
    for (
      const [payload, shrinks] of [
        [new Uint8Array(0), false],
        [zeros(1_023), false],
        [zeros(1_024), true],
        [noise(100_000), false],
        [zeros(4 * 1024 * 1024), true],
        [zeros(4 * 1024 * 1024 + 1), false],
        [partly(3_400), true],
        [partly(3_600), false],
        // What shrinks to less than a 256th would pass for a bomb.
        [new Uint8Array(1_000_000), false],
      ] as const
    ) {
      client.send(DATA, payload);
      const [flags, saved, content] = await met.next();
      assertEquals([flags, saved, content.length], [0, shrinks, payload.length]);
      assertEquals(content, payload);
    }
    const same = "ä".repeat(1_023);
    client.send(NOTE, same);
    assertEquals((await met.next())[1], false, "a text counts by its characters");
  });

  it("begins at `least`, and never concerns a type with compress: false, in a contract neither", async () => {
    await using met = await watch({ compression: { codecs: ["deflate-raw"], least: 100 } });
    const { secret, open } = messageTypes({
      secret: { code: 300, payload: text, compress: false },
      open: { code: 301, payload: text },
    });
    const plain = messageType(302, "plain", text, text, { compress: false });
    assertEquals([secret.compress, open.compress, plain.compress, NOTE.compress], [false, true, false, true]);
    met.client.route(plain, ({ data }) => data);
    for (const [type, content] of [[open, "x".repeat(100)], [open, "x".repeat(99)], [secret, WORDS]] as const) {
      met.client.send(type, content);
      assertEquals((await met.next()).slice(0, 2), [0, type === open && content.length >= 100]);
    }
    const answer = met.client.request(plain, WORDS);
    assertEquals((await met.next()).slice(0, 2), [REQUEST, false]);
    await met.raw.send({ code: plain.code, flags: REPLY | COMPRESSED, requestId: 1, content: packed(WORDS) });
    assertEquals(await answer, WORDS);
    await met.raw.send({ code: plain.code, flags: REQUEST, requestId: 9, content: WORDS });
    assertEquals((await met.next()).slice(0, 2), [REPLY, false]);
  });

  it("is answers and errors as well", async () => {
    await using met = await watch();
    met.client.route(ASK, ({ data }) => {
      if (data === "fail") throw Object.assign(new Error("why ".repeat(400)), { code: "long" });
      return WORDS;
    });
    await met.raw.send(
      { code: ASK.code, flags: REQUEST, requestId: 1, content: "x" },
      { code: ASK.code, flags: REQUEST, requestId: 2, content: "fail" },
    );
    assertEquals((await met.next()).slice(0, 2), [REPLY, true]);
    const [flags, saved, content] = await met.next();
    assertEquals([flags, saved], [REPLY | ERROR, true]);
    assertEquals(JSON.parse(new TextDecoder().decode(content)).message, "why ".repeat(400));
  });

  it("is refused where the peer does not take it uncompressed", async () => {
    await using met = await watch({}, 10_000);
    const numbers = Array.from({ length: 10_000 }, (_, i) => i).join(" ");
    assertThrows(() => met.client.send(NOTE, numbers.slice(0, 9_985)), Error, "are above the 10000 bytes");
    met.client.send(NOTE, numbers.slice(0, 9_984));
    assertEquals((await met.next())[1], true);
  });

  it("is what it was when it was sent, also in shared memory and from the queue of a client that is down", async () => {
    const world = memoryWorld();
    const quiet = messageType(300, "quiet", bytes, bytes, { compress: false });
    const client = new Client({
      hostname: HOST,
      port: 1,
      transport: world.transport,
      logger: new Lines(),
      queueWhileDown: true,
      reconnect: true,
      ...HOT,
    });
    await using server = await RawServer.listen(world, { hostname: HOST, port: 1 });
    const payload = new Uint8Array(new SharedArrayBuffer(2_000)).fill(5);
    void client.connect();
    client.send(DATA, payload);
    client.send(quiet, payload);
    const asked = client.request(quiet, payload);
    asked.catch(() => {});
    payload.fill(6);
    await using raw = await server.welcome("native", { features: { compression: { codec: "deflate-raw" } } });
    const frames = [await raw.frame(), await raw.frame(), await raw.frame()].map((frame) => frame!.flags);
    assertEquals(frames, [COMPRESSED, 0, REQUEST]);
    const sent = new Uint8Array(1_500).fill(1);
    client.send(DATA, sent);
    sent.fill(2);
    const { content } = (await raw.frame())!;
    assertEquals(DEFLATE.inflate(content.subarray(4), 1_500), new Uint8Array(1_500).fill(1));
    await client.close({ drain: 0 });
  });

  it("is a broadcast that is compressed once for each codec in use", async () => {
    const world = memoryWorld();
    const counts: string[] = [];
    const counted = zlibCodecs().map((codec): CompressionCodec => ({
      ...codec,
      compress: (content, level) => (counts.push(`${codec.name} ${level}`), codec.compress(content, level)),
    }));
    class Counting extends Server {
      static readonly platform = { ...RUNTIME, loadCompression: () => counted };
    }
    const { transport } = world;
    await using server = new Counting({ hostname: HOST, port: 0, transport, logger: new Lines(), compression: true });
    await server.start();
    const heard: string[] = [];
    const clients: Client[] = [];
    const names = counted.map(({ name }) => name);
    for (const codec of [...names, ...names, undefined, undefined]) {
      const compression = codec === undefined ? false : { codecs: [codec] };
      const client = new Client({
        ...server.addresses[0] as never as object,
        transport,
        logger: new Lines(),
        compression,
      });
      client.route(NOTE, ({ data }) => void heard.push(data));
      client.route(DATA, ({ data }) => void heard.push(`${data.length}`));
      await client.connect();
      clients.push(client);
    }
    assertEquals(server.broadcast(NOTE, WORDS), { sent: clients.length, dropped: 0, closed: 0 });
    await until(() => heard.length === clients.length);
    assertEquals(heard, heard.map(() => WORDS));
    assertEquals(counts.sort(), names.map((name) => `${name} ${name === "zstd" ? 1 : 2}`).sort());
    const saved = clients.map((client) => client.stats().bytesSavedReceived! > 1_000);
    assertEquals(saved, clients.map((_, i) => i < 2 * names.length));
    assertEquals(server.clients.map((client) => client.stats().bytesSavedSent > 1_000), saved);
    // One that does not shrink is tried once, too, and sent as it is.
    counts.length = 0;
    server.broadcast(DATA, noise(2_000));
    await until(() => heard.length === 2 * clients.length);
    assertEquals(counts.length, names.length);
    assertEquals(heard.at(-1), "2000");
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe("what is received", () => {
  it("is what docs/protocol.md shows", async () => {
    const page = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8");
    const [, shown] = /```text\n(zstd {9}[\s\S]*?)```/.exec(page)!;
    const frames = shown.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
    assertEquals(frames.map(([codec]) => codec), ["zstd", "deflate-raw"]);
    for (const [name, hex] of frames) {
      if (!zlibCodecs().some((codec) => codec.name === name)) continue;
      await using met = await meet(
        { compression: { codecs: [name as CompressionCodecName] } },
        { compression: { codecs: [name] } },
      );
      const got = deferred<string>();
      met.server.route(NOTE, ({ data }) => got.resolve(data));
      await met.raw.connection.write(unhex(hex.replaceAll(" ", "")));
      assertEquals(await got.promise, WORDS);
    }
  });

  it("reaches handlers, raw routes, listeners without a route and requests", async () => {
    await using met = await meet();
    const got: string[] = [];
    met.server.route(NOTE, ({ data, content }) => void got.push(`${data.length} ${content.length}`));
    met.server.on("message", (message) => void got.push(`unrouted ${message.text.length}`));
    met.server.route(ASK, ({ data }) => `${data.length}`);
    await met.raw.send(note(WORDS), { ...note(WORDS), code: 999 });
    await met.raw.send({ code: ASK.code, flags: REQUEST | COMPRESSED, requestId: 1, content: packed(WORDS) });
    assertEquals(new TextDecoder().decode((await met.raw.frame())!.content), "1120");
    assertEquals(got, ["1120 1120", "unrouted 1120"]);
    assertEquals(met.server.clients[0].stats().bytesSavedReceived, 3 * (1120 - packed(WORDS).length));
  });

  const faults: [what: string, frame: RawFrame, text: RegExp][] = [
    ["nothing", { code: 200, content: "" }, /of 0 bytes, which holds nothing/],
    ["a size alone", { code: 200, content: announced(4, new Uint8Array(0)) }, /of 4 bytes, which holds nothing/],
    ["a size of 0", { code: 200, content: packed(WORDS, 0) }, /announces 0 bytes and is larger itself/],
    [
      "a size below its own",
      { code: 200, content: announced(100, new Uint8Array(200)) },
      /announces 100 bytes and is larger/,
    ],
    [
      "a size above maxMessageSize",
      { code: 200, content: announced(9_985, new Uint8Array(5_000)) },
      /of 9985 bytes, more than this side takes/,
    ],
    [
      "the largest size there is",
      { code: 200, content: announced(0xffffffff, new Uint8Array(5_000)) },
      /of 4294967295 bytes, more than this side/,
    ],
    [
      "a ratio above 256",
      { code: 200, content: announced(257 * 20, new Uint8Array(20)) },
      /of 5140 bytes in 20, more than 256 times as many/,
    ],
    ["a size that is one too small", { code: 200, content: packed(WORDS, 1119) }, /does not inflate to the 1119 bytes/],
    ["a size that is one too large", { code: 200, content: packed(WORDS, 1121) }, /does not inflate to the 1121 bytes/],
    ["a byte too many", { code: 200, content: join(packed(WORDS), unhex("00")) }, /does not inflate to the 1120 bytes/],
    ["a byte too few", { code: 200, content: packed(WORDS).subarray(0, -1) }, /does not inflate to the 1120 bytes/],
    ["noise", { code: 200, content: announced(1_000, noise(500)) }, /does not inflate to the 1000 bytes/],
    [
      "a system frame",
      { code: 0, flags: REQUEST, requestId: 1, content: packed(WORDS) },
      /a system frame is compressed/,
    ],
    [
      "a piece above 65,536 bytes",
      { code: 200, flags: STREAM, requestId: 1, content: announced(65_537, new Uint8Array(5_000)) },
      /more than a piece/,
    ],
  ];
  for (const [what, frame, message] of faults) {
    it(`ends the connection as protocol-error: ${what}`, async () => {
      const max = frame.flags === STREAM ? 100_000 : 10_000;
      await using met = await meet({ maxMessageSize: max }, { ...FEATURES, streams: {} });
      const handled: unknown[] = [];
      met.server.route(NOTE, ({ data }) => void handled.push(data));
      await met.raw.send({ ...frame, flags: (frame.flags ?? 0) | COMPRESSED });
      assertEquals(await endOf(met), "protocol-error");
      assertMatch((met.events.of("error")[0][0] as Error).message, message);
      assertEquals(handled, []);
    });
  }

  it("may be as large as is allowed: maxMessageSize, 256 times, one byte less than a piece too many", async () => {
    await using met = await meet({ maxMessageSize: 1_000_016 });
    const got: number[] = [];
    met.server.route(DATA, ({ data }) => void got.push(data.length));
    const payload = Uint8Array.from({ length: 1_000_000 }, (_, i) => i >> 6 & 255);
    await met.raw.send({ code: DATA.code, flags: COMPRESSED, content: packed(payload) });
    // A deflate stream of 100 bytes for 25,600: its own, and stored blocks of nothing before it.
    const zeros = DEFLATE.compress(new Uint8Array(256 * 105), 9);
    const padding = (105 - zeros.length) / 5;
    assert(Number.isInteger(padding) || zeros.length < 105);
    const blocks = Math.ceil(padding);
    const filled = join(...Array.from({ length: blocks }, () => unhex("000000ffff")), zeros);
    const size = Math.min(256 * filled.length, 256 * 105);
    await met.raw.send({ code: DATA.code, flags: COMPRESSED, content: announced(size, filled) });
    await until(() => got.length === 2);
    assertEquals(got, [1_000_000, 256 * 105]);
  });

  it("ends a client's connection, too, when an answer or an error is malformed, and the request rejects", async () => {
    for (const flags of [REPLY, REPLY | ERROR]) {
      await using met = await face(
        memoryWorld(),
        "native",
        { features: { compression: { codec: "deflate-raw" } } },
        HOT,
      );
      const asked = met.client.request(ASK, "x");
      await met.raw.frame();
      await met.raw.send({ code: ASK.code, flags: flags | COMPRESSED, requestId: 1, content: packed(WORDS, 1121) });
      const { cause } = await assertRejects(() => asked, ConnectionError, "protocol-error");
      assertMatch((cause as Error).message, /does not inflate/);
      assertEquals(await endOf(met), "protocol-error");
    }
  });

  it("is an answer or an error that the request gets whole", async () => {
    await using met = await face(memoryWorld(), "native", { features: { compression: { codec: "deflate-raw" } } }, HOT);
    const asked = [met.client.request(ASK, "x"), met.client.request(ASK, "y")];
    const error = JSON.stringify({ code: "long", message: "why ".repeat(300) });
    await met.raw.send(
      { code: ASK.code, flags: REPLY | COMPRESSED, requestId: 1, content: packed(WORDS) },
      { code: ASK.code, flags: REPLY | ERROR | COMPRESSED, requestId: 2, content: packed(error) },
    );
    assertEquals(await asked[0], WORDS);
    assertEquals((await assertRejects(() => asked[1], RemoteError)).code, "long");
  });
});

describe("a bit that flips on the way", () => {
  it("or a frame that is cut short never reaches a handler, wherever it is", async () => {
    const world = memoryWorld();
    const random = new Random(3);
    const words = Array.from({ length: 300 }, () => "abcd"[random.below(4)].repeat(4)).join("");
    await using served = await serve(world, HOT);
    const { server, address, events } = served;
    const got: string[] = [];
    server.route(NOTE, ({ data }) => void got.push(data));
    const raw = await Raw.connect(world, address, "native", { features: FEATURES });
    const frame = raw.encode(note(words));
    await raw.connection.write(frame);
    await until(() => got.length === 1);
    await raw.connection.closeWrite();
    await endOf({ raw, events });
    for (let bit = 0; bit < 8 * frame.length; bit++) {
      await using peer = await Raw.connect(world, address, "native", { features: FEATURES });
      const flipped = frame.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      await peer.connection.write(flipped);
      const reason = await endOf({ raw: peer, events });
      // The server greets those who break the protocol again and again more slowly.
      await world.clock.advance(1_000);
      assert(["corrupt", "protocol-error", "message-too-large"].includes(reason), `bit ${bit}: ${reason}`);
    }
    for (let length = 1; length < frame.length; length++) {
      await using peer = await Raw.connect(world, address, "native", { features: FEATURES });
      await peer.connection.write(frame.subarray(0, length));
      await peer.connection.closeWrite();
      assertEquals(await endOf({ raw: peer, events }), "network-error", `${length} bytes`);
      await world.clock.advance(1_000);
    }
    assertEquals(got, [words]);
  });
});

describe("a message that waits", () => {
  it("is inflated when it is handed to its handler, not before", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1 });
    const got: string[] = [];
    const first = deferred();
    met.server.route(NOTE, ({ data }) => {
      got.push(data.slice(0, 3));
      return got.length === 1 ? first.promise : undefined;
    });
    const broken = { ...note(WORDS), content: packed(WORDS, 1121) };
    await met.raw.send(note("one".repeat(400)), note("two".repeat(400)), broken, {
      code: 0,
      flags: REQUEST,
      requestId: 1,
    });
    assertEquals((await met.raw.frame())!.code, 1, "the session goes on while the broken one waits");
    assertEquals([got, met.server.clients[0].stats().queuedMessages], [["one"], 2]);
    first.resolve();
    assertEquals(await endOf(met), "protocol-error");
    assertEquals(got, ["one", "two"]);
  });

  it("is inflated even if it is as small as the others, and no larger than it was", async () => {
    // Stored blocks of nothing fill it up.
    const filled = (raw: string): Uint8Array => {
      const compressed = DEFLATE.compress(utf8(raw), 1);
      const blocks = (raw.length - 4 - compressed.length) / 5;
      if (!Number.isInteger(blocks)) return filled(`${raw}a`);
      return announced(raw.length, join(...Array.from({ length: blocks }, () => unhex("000000ffff")), compressed));
    };
    const content = filled("a".repeat(100));
    assertEquals(new DataView(content.buffer).getUint32(0), content.length);
    await using met = await meet({ maxConcurrentHandlers: 1 });
    const first = deferred();
    const got: string[] = [];
    met.server.route(NOTE, ({ data }) => {
      got.push(data);
      return got.length === 1 ? first.promise : undefined;
    });
    const small = { code: NOTE.code, flags: COMPRESSED, content };
    await met.raw.send(small, small, { code: NOTE.code, content: "plain" });
    await until(() => met.server.clients[0]?.stats().queuedMessages === 2);
    first.resolve();
    await until(() => got.length === 3);
    assertEquals(got, ["a".repeat(content.length), "a".repeat(content.length), "plain"]);
  });

  it("is never inflated if its sender gives it up", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1 });
    const first = deferred();
    const got: string[] = [];
    met.server.route(ASK, ({ data }) => (got.push(data), first.promise.then(() => data)));
    await met.raw.send(
      { code: ASK.code, flags: REQUEST, requestId: 1, content: "one" },
      { code: ASK.code, flags: REQUEST | COMPRESSED, requestId: 2, content: packed(WORDS, 1121) },
      { code: 3, requestId: 2 },
    );
    await until(() => met.server.clients.length === 1 && met.server.clients[0].stats().queuedMessages === 1);
    first.resolve();
    assertEquals(new TextDecoder().decode((await met.raw.frame())!.content), "one");
    await met.raw.send({ code: ASK.code, flags: REQUEST, requestId: 3, content: "three" });
    assertEquals(new TextDecoder().decode((await met.raw.frame())!.content), "three");
    assertEquals(got, ["one", "three"]);
  });

  it("goes to the route that its type has by then", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1 });
    const first = deferred();
    const got: string[] = [];
    met.server.route(ASK, () => first.promise.then(() => "one"));
    met.server.route(NOTE, () => void got.push("old"));
    await met.raw.send({ code: ASK.code, flags: REQUEST, requestId: 1, content: "one" }, note(WORDS), note(WORDS));
    await until(() => met.server.clients.length === 1 && met.server.clients[0].stats().queuedMessages === 2);
    met.server.unroute(NOTE);
    met.server.route(NOTE, ({ data }) => void got.push(`new ${data.length}`));
    first.resolve();
    await until(() => got.length === 2);
    assertEquals(got, ["new 1120", "new 1120"]);
  });

  it("is an answer that nobody waits for: it is counted, and not inflated", async () => {
    await using met = await face(memoryWorld(), "native", { features: { compression: { codec: "deflate-raw" } } }, HOT);
    const broken = { code: ASK.code, flags: REPLY | COMPRESSED, content: packed(WORDS, 1121) };
    await met.raw.send({ ...broken, requestId: 5 }, { code: 0, flags: REQUEST, requestId: 1 });
    assertEquals((await met.raw.frame())!.code, 1);
    assertEquals([met.client.stats().repliesDropped, met.events.all], [1, []]);
  });
});

describe("limits and compression", () => {
  it("count what is inflated: a rate of bytes", async () => {
    const world = memoryWorld();
    await using met = await meet({ rateLimit: { bytes: 10_000, action: "reject" } }, FEATURES, world);
    const got: number[] = [];
    met.server.route(NOTE, ({ data }) => void got.push(data.length));
    const limited: unknown[] = [];
    met.server.on("limited", (info) => void limited.push(info.action));
    // Ten times 1,120 are above it; ten times what is sent would not be.
    for (let i = 0; i < 12; i++) await met.raw.send(note(WORDS));
    await until(() => limited.length > 0);
    assert(got.length >= 9 && got.length <= 10, `${got.length}`);
  });

  it("count what is inflated: bytes in handlers", async () => {
    await using met = await meet({ maxHandlerBytes: 3_000 });
    const gate = deferred();
    let running = 0;
    met.server.route(NOTE, () => (running++, gate.promise));
    for (let i = 0; i < 4; i++) await met.raw.send(note(WORDS));
    await until(() => met.server.clients[0]?.stats().queuedMessages === 2);
    assertEquals(running, 2);
    gate.resolve();
    await until(() => running === 4);
  });

  it("count what is inflated: bytes in the queue of a peer without credit", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1, maxQueuedBytes: 5_000 });
    const gate = deferred();
    let handled = 0;
    met.server.route(NOTE, () => (handled++, gate.promise));
    for (let i = 0; i < 20; i++) await met.raw.send(note(WORDS));
    await until(() => met.server.clients[0]?.stats().queuedMessages === 5);
    await turn();
    await turn();
    assertEquals(met.server.clients[0].stats().queuedMessages, 5, "nothing more is read");
    gate.resolve();
    await until(() => handled === 20);
  });

  it("refuse a message beyond the credit that its inflated size has used up", async () => {
    await using met = await meet(
      { maxQueuedBytes: 2_000, maxConcurrentHandlers: 1 },
      { ...FEATURES, credit: { window: 1_000_000 } },
    );
    const gate = deferred();
    met.server.route(NOTE, () => gate.promise);
    await met.raw.send(note(WORDS), note(WORDS), note(WORDS), note(WORDS));
    const [error] = await met.events.next("error");
    assertMatch(error.message, /beyond the credit/);
    gate.resolve();
    assertEquals(await endOf(met), "protocol-error");
  });

  it("are kept by the sender: a compressed message costs what it inflates to, held or not, and each is granted", async () => {
    const features = { compression: { codec: "deflate-raw" }, credit: { window: 2_000 } };
    await using met = await face(memoryWorld(), "native", { features }, HOT);
    const credit = (size: number): RawFrame => ({ code: 5, content: announced(size, new Uint8Array(0)) });
    for (let i = 0; i < 4; i++) met.client.send(NOTE, WORDS);
    // 1,136 each: 2,000, 864, -272.
    for (let i = 0; i < 2; i++) assertEquals((await met.raw.frame())!.flags, COMPRESSED);
    await met.raw.send(credit(272));
    assertEquals(await sync(met.raw), []);
    await met.raw.send(credit(1));
    assertEquals((await met.raw.frame())!.code, 200);
    // -1,135 by now.
    await met.raw.send(credit(1_135), { code: 0, flags: REQUEST, requestId: 1 });
    assertEquals((await met.raw.frame())!.code, 1);
    await met.raw.send(credit(1));
    assertEquals((await met.raw.frame())!.code, 200);
  });

  it("stay whole on both ends, whatever is sent, held, broadcast and handled late", async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = new Random(seed);
      const world = memoryWorld();
      const limits = {
        maxQueuedBytes: 20_000,
        maxQueuedMessages: 40,
        maxConcurrentHandlers: 2,
        compression: seed % 2 === 0 ? HOT.compression : true,
      };
      const count = { server: 0, client: 0 };
      const late = (): Promise<void> | undefined => random.below(3) === 0 ? turn() : undefined;
      await using met = await pair(limits, limits, world, (server) => {
        server.route(ECHO, ({ data }) => (count.server++, late()?.then(() => data.subarray(0, 9)) ?? data));
        server.route(NOTE, () => (count.server++, late()));
      });
      met.client.route(NOTE, () => (count.client++, late()));
      const [theirs] = met.server.clients;
      const payload = (): string =>
        random.below(2) === 0
          ? String.fromCharCode(...noise(random.below(3_000), random.below(1_000) + 1))
          : "word ".repeat(random.below(1_500));
      const sent = { server: 0, client: 0 };
      for (let step = 0; step < 1_500; step++) {
        const kind = random.below(4);
        if (kind === 0) met.client.request(ECHO, utf8(payload())).catch(() => {});
        else if (kind === 1) met.client.send(NOTE, payload());
        else if (kind === 2) theirs.send(NOTE, payload());
        else met.server.broadcast(NOTE, payload());
        if (kind < 2) sent.server++;
        else sent.client++;
        if (random.below(20) === 0) await turn();
        if (met.client.stats().bufferedBytes! > 500_000 || theirs.stats().bufferedBytes > 500_000) {
          await Promise.all([met.client.ready(), theirs.ready()]);
          await turn();
        }
      }
      await until(() => count.server === sent.server && count.client === sent.client);
      await until(() => met.client.stats().pendingRequests === 0);
      await until(() => met.client.stats().runningHandlers === 0 && theirs.stats().runningHandlers === 0);
      assertEquals([met.client.state, met.events.of("error"), met.events.of("disconnect")], ["connected", [], []]);
      assert(met.client.stats().bytesSavedSent! > 100_000 && met.client.stats().bytesSavedReceived! > 100_000);
      // Had the two ends counted differently, one of them would by now hold messages for ever.
      assertEquals([met.client.stats().bufferedBytes, theirs.stats().bufferedBytes], [0, 0]);
    }
  });
});

describe("pieces of streams", () => {
  /** A feature that hands its host out. */
  function handing(hosts: FeatureHost[]): Feature {
    return {
      name: "hosts",
      offer: () => ({}),
      attach: (_ours, _theirs, host) => (hosts.push(host), {}),
    };
  }

  it("are compressed up to 65,536 bytes, and a stream that does not shrink is left alone for 1 MiB", async () => {
    const hosts: FeatureHost[] = [];
    const extra = { [EXTRA_FEATURES]: [handing(hosts)] };
    await using met = await pair({ ...HOT, ...extra } as never, { ...HOT, ...extra });
    assertEquals(met.client.state, "connected");
    const { sender } = hosts[0];
    const stream: PayloadOrigin = {};
    const good = utf8(WORDS);
    const bad = noise(32_768);
    const tried = (content: Uint8Array, origin: PayloadOrigin | undefined, flags: number = STREAM): boolean =>
      sender.encode(300, flags, content, origin)?.flags === COMPRESSED;
    const large = Uint8Array.from({ length: 65_537 }, (_, i) => i >> 5 & 255);
    assertEquals([tried(large.subarray(1), stream), tried(large, stream)], [true, false]);
    assertEquals(tried(large, stream, STREAM | REQUEST), true, "the head of a stream is no piece");
    for (let i = 0; i < 8; i++) assertEquals(tried(bad, stream), false);
    assertEquals(tried(good, stream), false, "it is not tried any more");
    assertEquals(tried(good, {}), true, "another stream is");
    assertEquals(tried(good, undefined), true);
    for (let i = 0; i < 32; i++) assertEquals(tried(bad, stream), false);
    assertEquals(tried(good, stream), true, "it is tried again");
    assertEquals(tried(good, { compress: false }), false);
  });

  it("are decoded by the feature that takes them", async () => {
    const hosts: FeatureHost[] = [];
    const extra = { [EXTRA_FEATURES]: [handing(hosts)] };
    await using met = await pair({ ...HOT, ...extra } as never, { ...HOT, ...extra });
    assertEquals(met.client.state, "connected");
    const [{ sender }, receiver] = hosts;
    const { flags, content, size } = sender.encode(300, STREAM, utf8(WORDS), {})!;
    assertEquals(size, 1120);
    const frame = { code: 300, flags: STREAM | flags, requestId: 1, sentAt: undefined, size: size!, content };
    assertEquals(new TextDecoder().decode(receiver.decode(frame).content), WORDS);
    assertThrows(() => receiver.decode({ ...frame, content: content.subarray(0, -1) }), ProtocolError);
  });
});

describe("compression beside everything else", () => {
  it("is off for Python peers, whose statistics stay at zero", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { compression: true });
    const got = deferred<string>();
    served.server.route(NOTE, ({ data }) => got.resolve(data));
    await using raw = await Raw.connect(world, served.address, "2.0.0");
    await raw.send({ code: NOTE.code, content: WORDS });
    assertEquals(await got.promise, WORDS);
    served.server.broadcast(NOTE, WORDS);
    assertEquals(new TextDecoder().decode((await raw.frame())!.content), WORDS);
    const { bytesSavedSent, bytesSavedReceived } = served.server.clients[0].stats();
    assertEquals([bytesSavedSent, bytesSavedReceived], [0, 0]);
  });

  it("refuses the flag where it was not agreed on", async () => {
    await using met = await meet({ compression: false });
    await met.raw.send(note(WORDS));
    assertEquals(await endOf(met), "protocol-error");
    assertMatch(met.events.of("error")[0][0].message, /the flag 0x10 is not in use/);
  });

  it("hands a message that came before the end to its handler, and its answer back", async () => {
    const world = memoryWorld();
    await using met = await pair(
      { ...HOT, maxConcurrentHandlers: 1 },
      HOT,
      world,
      (server) => server.route(ASK, async ({ data }) => (await turn(), data)),
    );
    const asked = Array.from({ length: 5 }, () => met.client.request(ASK, WORDS));
    assert(await soon(() => met.server.clients.length === 1));
    const closed = met.client.close({ drain: 60_000 });
    assertEquals(await Promise.all(asked), asked.map(() => WORDS));
    await closed;
  });

  it("tells observers what is on the wire, and handlers what was sent", async () => {
    await using met = await meet();
    const seen: unknown[] = [];
    met.server.on("received", ({ size }) => void seen.push(size));
    met.server.on("routed", ({ size }) => void seen.push(size));
    met.server.on("sent", ({ size }) => void seen.push(size));
    met.server.route(ASK, ({ data }) => data);
    await met.raw.send({ code: ASK.code, flags: REQUEST | COMPRESSED, requestId: 1, content: packed(WORDS) });
    const { content } = (await met.raw.frame())!;
    assertEquals(seen, [packed(WORDS).length, 1120, content.length]);
  });

  it("carries JSON with a validator as before", async () => {
    const POINTS = messageType(400, "points", json<{ x: number }[]>(), json<number>());
    await using met = await pair(
      { compression: true },
      { compression: true },
      memoryWorld(),
      (server) => server.route(POINTS, ({ data }) => data.reduce((sum, { x }) => sum + x, 0)),
    );
    const points = Array.from({ length: 1_000 }, (_, x) => ({ x }));
    assertEquals(await met.client.request(POINTS, points), 499_500);
    assert(met.client.stats().bytesSavedSent! > 5_000);
  });
});
