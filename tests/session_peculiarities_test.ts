/** Peculiarities of single Python releases on open connections: sections 1 to 4 of the protocol page, by hand-made peers. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType, text } from "../mod.ts";
import { ConnectionError, HandshakeError, PayloadError, TimeoutError } from "../src/errors.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { type Frame, SystemCode } from "../src/wire/frame.ts";
import { helloFrame, helloVersion } from "../src/wire/python/hello_frames.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  advanceUntil,
  counting,
  face,
  memoryWorld,
  message,
  Raw,
  RawServer,
  Recorder,
  serve,
  turn,
  until,
  UUID,
} from "./session_support.ts";
import { join, utf8 } from "./wire_support.ts";

const DATA = messageType(200, "data", bytes);
const NOTE = messageType(200, "note", text);
const UPPER = messageType(201, "upper", text, text);

/** One release of each Python protocol. */
const RELEASES = ["1.2.1", "1.3.0", "1.6.0", "1.6.3", "1.6.10", "1.7.5", "1.9.0", "2.0.0"] as const;

/** The id of a frame that is nobody's answer. */
function idle(release: string): number | string {
  return protocol(release).ids === "uuid" ? UUID : 7;
}

/** Frames by hand. */
function encode(release: string, ...frames: (Partial<Omit<Frame, "content">> & { content?: string })[]): Uint8Array {
  const spoken = protocol(release);
  return join(
    ...frames.map(({ content = "", ...frame }) =>
      encodeFrame(spoken, { code: 200, requestId: idle(release), flags: 0, ...frame, content: utf8(content) })
    ),
  );
}

describe("release 1.2", () => {
  it("is sent one frame a write, of at most 962 bytes of content", async () => {
    const { clock, transport } = memoryWorld();
    const writes: number[] = [];
    await using met = await face({ clock, transport: counting(transport, writes) }, "1.2.1");
    const { client } = met;
    for (const size of [0, 961, 962]) client.send(DATA, new Uint8Array(size));
    const asked = client.request(messageType(201, "ask", bytes, text), new Uint8Array(962));
    for (const size of [963, 964, 100_000]) {
      const error = assertThrows(() => client.send(DATA, new Uint8Array(size)), PayloadError) as PayloadError;
      assertEquals(error.code, "payload-too-large");
      assertStringIncludes(error.message, "above the 1024 bytes that the peer takes");
    }
    await assertRejects(() => client.request(UPPER, "x".repeat(963)), PayloadError);
    const frames: DecodedFrame[] = [];
    for (let i = 0; i < 4; i++) frames.push((await met.raw.frame())!);
    assertEquals(frames.map(({ content }) => content.length), [0, 961, 962, 962]);
    assertEquals(writes, [62, 1_023, 1_024, 1_024]);
    const { requestId } = frames[3];
    await met.raw.connection.write(encode("1.2.1", { code: 201, content: "yes", requestId }));
    assertEquals(await asked, "yes");
  });

  it("is answered up to there, and an answer or a broadcast above is an error here and nothing there", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { protocol: "1.2.1" }, (server) => {
      server.route(UPPER, ({ data }) => "x".repeat(Number(data)));
    });
    await using raw = await Raw.connect(world, served.address, "1.2.1");
    await served.events.next("connect");
    await raw.connection.write(encode("1.2.1", { code: 201, content: "962" }, { code: 201, content: "963" }));
    assertEquals((await raw.frame())!.content.length, 962);
    const [error] = await served.events.next("error");
    assertEquals([error instanceof PayloadError, error.code], [true, "payload-too-large"]);
    assertEquals(served.server.broadcast(DATA, new Uint8Array(963)).sent, 0);
    assertEquals(served.server.broadcast(DATA, new Uint8Array(962)).sent, 1);
    assertEquals((await raw.frame())!.content.length, 962);
  });
});

for (const release of ["1.2.1", "1.3.0", "1.6.0", "1.6.3"]) {
  describe(`release ${release}, which carries timestamps,`, () => {
    const times = [0, 1, 1767225600123, 4 * 2 ** 32 + 3, 2 ** 53 - 1];

    it("gets the timestamp of its PING back with our PONG, whatever it is, from a server and from a client", async () => {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: release });
      await using asked = await Raw.connect(world, served.address, release);
      await using met = await face(world, release);
      for (const raw of [asked, met.raw]) {
        await raw.connection.write(encode(release, ...times.map((sentAt) => ({ code: SystemCode.PING, sentAt }))));
        for (const sentAt of times) {
          const pong = (await raw.frame())!;
          assertEquals([pong.code, pong.requestId, pong.sentAt], [SystemCode.PONG, idle(release), sentAt]);
        }
      }
    });

    it("has its messages taken whatever timestamp they carry", async () => {
      const world = memoryWorld();
      const got: unknown[] = [];
      await using served = await serve(world, { protocol: release }, (server) => {
        server.route(UPPER, ({ data, sentAt }) => (got.push(sentAt), data.toUpperCase()));
      });
      await using raw = await Raw.connect(world, served.address, release);
      const wild = encode(release, { code: 201, content: "a", sentAt: 0 });
      wild.fill(0xff, raw.protocol.layout.timestamp, raw.protocol.layout.timestamp + 8);
      const ping = encode(release, { code: SystemCode.PING, sentAt: 0 });
      ping.fill(0xff, raw.protocol.layout.timestamp, raw.protocol.layout.timestamp + 8);
      await raw.connection.write(join(encode(release, { code: 201, content: "b", sentAt: 5 }), wild, ping));
      const answers = [await raw.frame(), await raw.frame(), await raw.frame()];
      assertEquals(answers.map((frame) => frame!.code), [201, 201, SystemCode.PONG]);
      assertEquals([got, served.events.of("error")], [[5, 2 ** 64], []]);
    });
  });
}

for (const release of RELEASES) {
  describe(`a peer of release ${release}`, () => {
    it("may send HEARTBEAT, ERROR, INVALID_REQUEST and other system codes: counted, ignored, never handed out", async () => {
      const world = memoryWorld();
      const codes = [2, 3, 4, 5, 6, 10, 11, 20, 21, 199];
      const stray = encode(release, ...codes.map((code) => ({ code, content: "?" })), { content: "end" });
      const got: unknown[] = [];
      await using served = await serve(world, { protocol: release }, (server) => {
        server.route(NOTE, ({ data }) => void got.push(data));
        server.on("message", ({ type }) => void got.push(type.code));
      });
      await using asked = await Raw.connect(world, served.address, release);
      await using met = await face(world, release);
      met.client.route(NOTE, ({ data }) => void got.push(data));
      for (const raw of [asked, met.raw]) await raw.connection.write(stray);
      await until(() => got.length === 2);
      assertEquals(got, ["end", "end"]);
      for (const { framesIgnored } of [served.server.clients[0].stats(), met.client.stats()]) {
        assertEquals(framesIgnored, codes.length);
      }
      assertEquals([met.events.of("error"), served.events.of("error"), met.client.state], [[], [], "connected"]);
    });

    it("is sent no system code but PING and PONG, whatever happens to requests and connections", async () => {
      const world = memoryWorld();
      const seen: number[] = [];
      const watch = async (raw: Raw): Promise<void> => {
        for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) seen.push(frame.code);
        await raw.connection.closeWrite();
      };
      await using served = await serve(world, { protocol: release }, (server) => {
        server.route(UPPER, () => Promise.reject(new Error("no")));
      });
      await using asked = await Raw.connect(world, served.address, release);
      await using met = await face(world, release, {}, { heartbeat: { idle: 1_000, timeout: 5_000 } });
      const watched = [watch(asked), watch(met.raw)];
      await asked.connection.write(encode(release, { code: 201 }, { code: 333 }, { code: SystemCode.PING }));
      await met.raw.connection.write(encode(release, { code: 333 }, { code: SystemCode.PING }));
      await served.events.next("error");
      const late = assertRejects(() => met.client.request(UPPER, "x", { timeout: 1_500 }), TimeoutError);
      const given = new AbortController();
      const up = assertRejects(() => met.client.request(UPPER, "x", { signal: given.signal }));
      given.abort();
      await advanceUntil(world.clock, Promise.all([late, up]));
      await advanceUntil(world.clock, Promise.all([met.client.close(), served.server.close(), ...watched]));
      assertEquals([...new Set(seen)].sort((a, b) => a - b), [SystemCode.PING, SystemCode.PONG, 201]);
    });

    it("is shown by stats, by the connect event and in the log, and no more once it is gone", async () => {
      const world = memoryWorld();
      const log: string[] = [];
      const logger = { warn: () => {}, error: () => {}, info: (line: string) => void log.push(line) };
      const server = await RawServer.listen(world);
      const spoken = protocol(release).handshake === "none" ? { protocol: release } : {};
      const client = new Client({ ...server.address, transport: world.transport, logger, ...spoken });
      const events = new Recorder(client, ["connect"]);
      assertEquals(client.stats().protocol, undefined);
      const connecting = client.connect();
      assertEquals([client.state, client.stats().protocol], ["connecting", undefined]);
      const raw = await server.welcome(release);
      await connecting;
      assertEquals([client.stats().protocol, client.state], [release, "connected"]);
      assertEquals(events.of("connect"), [[{ protocol: release, attempt: 0 }]]);
      assertEquals(log, [`Connected to 127.0.0.1:${server.address.port}: ${release}`]);
      await client.close({ drain: 0 });
      assertEquals([client.stats().protocol, client.state], [undefined, "disconnected"]);
      await raw[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });
  });
}

describe("a HELLO of ours", () => {
  it("has a fresh id for each connection", async () => {
    for (const release of ["1.6.0", "1.6.3", "1.7.5"]) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: release });
      const ids = new Set<number | string>();
      for (let i = 0; i < 8; i++) {
        await using raw = new Raw(await world.transport.connect(served.address), release);
        const hello = (await raw.frame())!;
        assertEquals([hello.code, helloVersion(hello.content)], [SystemCode.HELLO, release]);
        ids.add(hello.requestId);
      }
      assertEquals(ids.size, 8);
    }
  });

  it("is followed by nothing before HELLO_ACK, and HELLO_ACK by what waited, frames of its own segment included", async () => {
    for (const release of ["1.6.0", "1.6.3", "1.6.10", "1.7.5"]) {
      const world = memoryWorld();
      const order: string[] = [];
      await using served = await serve(world, { protocol: release }, (server) => {
        server.on("connect", (client) => {
          order.push("connect");
          client.send(NOTE, "welcome");
        });
        server.route(NOTE, ({ data }) => void order.push(data));
      });
      await using raw = new Raw(await world.transport.connect(served.address), release);
      const { requestId } = (await raw.frame())!;
      assertEquals(served.server.broadcast(NOTE, "too early").sent, 0);
      assertEquals([served.server.clients.length, served.server.stats().connections], [0, 0]);
      await raw.connection.write(join(
        helloFrame(raw.protocol, SystemCode.HELLO_ACK, requestId, 0, release),
        encode(release, { content: "one" }, { content: "two" }),
      ));
      assertEquals(new TextDecoder().decode((await raw.frame())!.content), "welcome");
      await until(() => order.length === 3);
      assertEquals(order, ["connect", "one", "two"]);
    }
  });

  it("is not answered by a frame, by an id of another or by words: handshake-failed, and nobody else is harmed", async () => {
    const world = memoryWorld();
    const release = "1.7.5";
    await using served = await serve(world, { protocol: release });
    await using good = await Raw.connect(world, served.address, release);
    const bad: ((id: number | string) => Uint8Array)[] = [
      () => encode(release, { content: "early" }),
      () => encode(release, { code: SystemCode.PING }),
      () => helloFrame(good.protocol, SystemCode.HELLO_ACK, 5, 0, release),
      (id) => helloFrame(good.protocol, SystemCode.HELLO, id, 0, release),
      (id) => helloFrame(good.protocol, SystemCode.HELLO_ACK, id, 0, "1.7.5b1"),
      (id) => helloFrame(good.protocol, SystemCode.HELLO_ACK, id, 0, "latest"),
    ];
    for (const answer of bad) {
      await using raw = new Raw(await world.transport.connect(served.address), release);
      const { requestId } = (await raw.frame())!;
      await raw.connection.write(answer(requestId));
      assertEquals(await raw.end(), "fin");
      const [{ reason, error }] = await served.events.next("rejected");
      assertEquals([reason, error.code], ["handshake-failed", "handshake-failed"]);
    }
    await good.connection.write(encode(release, { code: SystemCode.PING }));
    assertEquals((await good.frame())!.code, SystemCode.PONG);
  });
});

describe("a client", () => {
  it("sends nothing before HELLO_ACK, and what was queued behind it", async () => {
    for (const release of ["1.6.0", "1.6.3", "1.6.10", "1.7.5"]) {
      const world = memoryWorld();
      await using server = await RawServer.listen(world);
      const client = new Client({ ...server.address, transport: world.transport, queueWhileDown: true });
      client.on("connect", () => void client.send(NOTE, "at once"));
      const connecting = client.connect();
      client.send(NOTE, "queued");
      const raw = await server.accept(release);
      let spoke = false;
      const first = raw.frame().then((frame) => (spoke = true, frame!));
      await turn();
      await turn();
      assertEquals(spoke, false);
      const id = raw.protocol.ids === "uuid" ? UUID : 5;
      await raw.connection.write(helloFrame(raw.protocol, SystemCode.HELLO, id, 0, release));
      assertEquals([(await first).code, (await first).requestId], [SystemCode.HELLO_ACK, id]);
      await connecting;
      const said = [await raw.frame(), await raw.frame()].map((frame) => new TextDecoder().decode(frame!.content));
      assertEquals(said, ["at once", "queued"]);
      await client.close({ drain: 0 });
      await raw[Symbol.asyncDispose]();
    }
  });

  it("takes frames that come in the same segment as the last message of a handshake, after its connect event", async () => {
    for (const release of ["1.6.3", "1.7.5", "1.9.0", "2.0.0"]) {
      const world = memoryWorld();
      await using server = await RawServer.listen(world);
      const client = new Client({ ...server.address, transport: world.transport });
      const order: string[] = [];
      client.on("connect", () => void order.push("connect"));
      client.route(NOTE, ({ data }) => void order.push(data));
      const connecting = client.connect();
      const raw = await server.accept(release);
      const next = encode(release, { content: "one" }, { content: "two" }, { content: "three" });
      let last = helloFrame(protocol("1.6.3"), SystemCode.HELLO, 5, 0, release);
      if (raw.protocol.handshake === "json") {
        await raw.connection.write(message({ v: release, meta: { id_window: 30_000 } }));
        await raw.message();
        last = message({ result: "ok" });
      } else last = helloFrame(raw.protocol, SystemCode.HELLO, 5, 0, release);
      await raw.connection.write(join(last, next.subarray(0, next.length - 3)));
      await raw.connection.write(next.subarray(next.length - 3));
      await connecting;
      await until(() => order.length === 4);
      assertEquals(order, ["connect", "one", "two", "three"]);
      await client.close({ drain: 0 });
      await raw[Symbol.asyncDispose]();
    }
  });

  it("answers message 1 without waiting for anything: a Python server stands still until then", async () => {
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: world.transport });
    const connecting = client.connect();
    const raw = await server.accept("2.0.0");
    const greeting = message({ v: "2.0.0", meta: { id_window: 30_000 } });
    for (const byte of greeting) await raw.connection.write(new Uint8Array([byte]));
    assertEquals(await raw.message(), { v: "2.0.0", meta: {} });
    assertEquals(world.clock.now(), 0);
    await raw.connection.write(message({ result: "ok" }));
    await connecting;
    await client.close({ drain: 0 });
    await raw[Symbol.asyncDispose]();
  });

  it("that a Python server refuses by closing says so, and one that it is full by a word knows it", async () => {
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    const refused = async (greet: (raw: Raw) => Promise<void>): Promise<unknown> => {
      const client = new Client({ ...server.address, transport: world.transport });
      const connecting = client.connect().then(() => undefined, (error) => error);
      const raw = await server.accept("2.0.0");
      await greet(raw);
      await raw.connection.closeWrite();
      const error = await connecting;
      await raw[Symbol.asyncDispose]();
      return error;
    };
    const closed = await refused(async (raw) => {
      await raw.connection.write(message({ v: "2.0.0", meta: { id_window: 30_000 } }));
      await raw.message();
    });
    assertInstanceOf(closed, ConnectionError);
    assertEquals(closed.code, "closed");
    assertStringIncludes(closed.message, 'it greeted as release "2.0.0": Python servers refuse a client by closing');
    const full = await refused((raw) => raw.connection.write(message({ error: "server_full" })));
    assertInstanceOf(full, HandshakeError);
    assertEquals([full.code, full.refusal?.code], ["too-many-connections", "server_full"]);
  });
});

describe("a PING", () => {
  it("with the id of a request that waits is answered, and the request waits on", async () => {
    for (const release of ["1.3.0", "1.6.3", "1.9.0", "2.0.0"]) {
      await using met = await face(memoryWorld(), release);
      const asked = met.client.request(UPPER, "x");
      const { requestId } = (await met.raw.frame())!;
      await met.raw.connection.write(encode(release, { code: SystemCode.PING, requestId }));
      const pong = (await met.raw.frame())!;
      assertEquals([pong.code, pong.requestId], [SystemCode.PONG, requestId]);
      assertEquals(met.client.stats().pendingRequests, 1);
      await met.raw.connection.write(encode(release, { code: 201, content: "X", requestId }));
      assertEquals(await asked, "X");
    }
  });
});

describe("a reply", () => {
  it("is sent exactly once for each id, whatever a handler does", async () => {
    for (const release of ["1.3.0", "1.6.3", "1.9.0", "2.0.0"]) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: release }, (server) => {
        server.route(UPPER, (message) => {
          message.reply("early");
          if (message.data === "twice") message.reply("again");
          if (message.data === "throw") throw new Error("after the reply");
          return "late";
        });
        server.on("message", (message) => {
          message.reply(utf8("first listener"));
        });
        server.on("message", (message) => {
          message.reply(utf8("second listener"));
        });
      });
      await using raw = await Raw.connect(world, served.address, release);
      const id = (n: number): number | string => protocol(release).ids === "uuid" ? UUID.slice(0, -1) + n : n;
      await raw.connection.write(encode(
        release,
        ...["return", "twice", "throw"].map((content, n) => ({ code: 201, content, requestId: id(n) })),
        { code: 333, requestId: id(3) },
        { code: SystemCode.PING, requestId: id(4) },
      ));
      const replies: unknown[] = [];
      for (let frame = await raw.frame(); frame!.code !== SystemCode.PONG; frame = await raw.frame()) {
        replies.push([frame!.requestId, new TextDecoder().decode(frame!.content)]);
      }
      const expected = [0, 1, 2].map((n) => [id(n), "early"]);
      assertEquals(replies, [...expected, [id(3), "first listener"]], release);
      const errors = served.events.of("error").map(([error]) => error.code ?? error.message);
      assertEquals(errors, ["already-replied", "after the reply", "already-replied"], release);
    }
  });

  it("of one 2.0 client settles nothing of another that has the same id, and is no message either", async () => {
    const world = memoryWorld();
    let routed = 0;
    await using served = await serve(world, {}, (server) => server.route(UPPER, () => (routed++, "?")));
    await using a = await Raw.connect(world, served.address, "2.0.0");
    await using b = await Raw.connect(world, served.address, "2.0.0");
    await until(() => served.server.clients.length === 2);
    const [first, second] = served.server.clients;
    const asked = first.request(UPPER, "who?");
    const { requestId } = (await a.frame())!;
    await b.connection.write(encode("2.0.0", { code: 201, content: "ME", requestId }));
    await until(() => second.stats().repliesDropped === 1);
    assertEquals([first.stats().pendingRequests, routed], [1, 0]);
    const other = second.request(UPPER, "and you?");
    assertEquals((await b.frame())!.requestId, requestId, "each connection numbers its own");
    await a.connection.write(encode("2.0.0", { code: 201, content: "A", requestId }));
    await b.connection.write(encode("2.0.0", { code: 201, content: "B", requestId }));
    assertEquals([await asked, await other], ["A", "B"]);
  });
});

describe("a damaged frame of a release with SHA-256", () => {
  it("is dropped and named, and the connection goes on", async () => {
    for (const release of ["1.2.1", "1.3.0", "1.6.0"]) {
      const world = memoryWorld();
      const got: string[] = [];
      await using served = await serve(world, { protocol: release }, (server) => {
        server.route(NOTE, ({ data }) => void got.push(data));
      });
      await using raw = await Raw.connect(world, served.address, release);
      const bad = encode(release, { content: "spoilt" });
      bad[bad.length - 1] ^= 1;
      await raw.connection.write(join(encode(release, { content: "one" }), bad, encode(release, { content: "two" })));
      const [error] = await served.events.next("error");
      assertEquals([error.code, error.message.includes("type 200")], ["corrupt", true]);
      await until(() => got.length === 2);
      assertEquals([got, served.server.clients[0].stats().framesDropped], [["one", "two"], 1]);
    }
  });
});

describe("an unknown code", () => {
  it("is never looked into for frames, in any framing, on a server and on a client", async () => {
    for (const release of RELEASES) {
      const world = memoryWorld();
      const hidden = encode(release, { content: "smuggled" });
      const spoken = protocol(release);
      const outer = encodeFrame(spoken, { code: 9_999, content: hidden, requestId: idle(release), flags: 0 });
      const got: string[] = [];
      await using served = await serve(world, { protocol: release }, (server) => {
        server.route(NOTE, ({ data }) => void got.push(data));
      });
      await using asked = await Raw.connect(world, served.address, release);
      await using met = await face(world, release);
      met.client.route(NOTE, ({ data }) => void got.push(data));
      for (const raw of [asked, met.raw]) {
        await raw.connection.write(join(outer, encode(release, { content: "next" })));
      }
      await until(() => got.length === 2);
      assertEquals(got, ["next", "next"]);
      assertEquals([served.events.of("unhandled").length, met.events.of("unhandled").length], [1, 1]);
      assert(new FrameDecoder(spoken).push(hidden).length === 1, "it would have been one");
    }
  });
});
