/**
 * What a receiver does with bad input: every line of section 6 of the protocol page, over memory and over real sockets, for
 * the native protocol and for two of Python's.
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType, type ServerConfig } from "../mod.ts";
import { HandshakeError, ProtocolError } from "../src/errors.ts";
import { helloFrame } from "../src/wire/python/hello_frames.ts";
import { SystemCode } from "../src/wire/frame.ts";
import {
  advanceUntil,
  deferred,
  Lines,
  memoryWorld,
  message,
  pass,
  Raw,
  RawServer,
  Recorder,
  type Release,
  serve,
  SPOKEN,
  until,
  watched,
  withTime,
  type World,
  WORLDS,
} from "./session_support.ts";
import { cutEvery, cutRandomly, join, Random, utf8 } from "./wire_support.ts";

const DATA = messageType(200, "data", bytes);
const ECHO = messageType(201, "echo", bytes, bytes);

/** A server with what the tests need, and a peer by hand. */
// deno-lint-ignore explicit-function-return-type
async function meet(world: World, release: Release, config: ServerConfig = {}) {
  const { server: spoken } = SPOKEN.find((one) => one.release === release)!;
  const got: string[] = [];
  const served = await serve(world, { protocol: spoken, ...config }, (server) => {
    server.route(DATA, ({ content }) => void got.push(new TextDecoder().decode(content.subarray(0, 40))));
    server.route(ECHO, ({ content }) => content);
  });
  const raw = await Raw.connect(world, served.address, release, { maxMessageSize: 100_000 });
  await served.events.next("connect");
  return {
    ...served,
    raw,
    got,
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

for (const world of WORLDS) {
  for (const { release } of SPOKEN) {
    const native = release === "native";
    const sizeAt = { native: 4, "2.0.0": 5, "1.6.3": 2 }[release];

    describe(`a server that speaks ${release}, ${world.name}`, () => {
      it("closes message-too-large as soon as it sees the header, and hands out what came before", async () => {
        await using met = await meet(await world.make(), release, { maxMessageSize: 1_000 });
        const good = met.raw.encode({ code: 200, content: "before" });
        const large = met.raw.encode({ code: 200, content: new Uint8Array(1_001 - met.raw.protocol.headerSize) });
        await met.raw.connection.write(join(good, large.subarray(0, met.raw.protocol.headerSize)));
        assertEquals(await met.raw.end(), "fin");
        const [, { reason, error }] = await met.events.next("disconnect");
        assertEquals([reason, error.code, met.got], ["message-too-large", "message-too-large", ["before"]]);
        assertInstanceOf((await met.events.next("error"))[0], ProtocolError);
      });

      it("takes a message of exactly maxMessageSize", async () => {
        await using met = await meet(await world.make(), release, { maxMessageSize: 1_000 });
        const content = new Uint8Array(1_000 - met.raw.protocol.headerSize).fill(120);
        await met.raw.send({ code: 200, content });
        await until(() => met.got.length === 1);
        assertEquals(met.events.of("error"), []);
      });

      it("closes on a header that can't be one: protocol-error, native corrupt", async () => {
        for (const at of native ? [0, 1, 2, sizeAt + 3, 8] : release === "2.0.0" ? [0, 1, 2] : []) {
          await using met = await meet(await world.make(), release);
          const frame = met.raw.encode({ code: 200, content: "x" });
          frame[at] ^= 0x40;
          await met.raw.connection.write(frame.subarray(0, 12));
          assertEquals(await met.raw.end(), "fin");
          const expected = native ? "corrupt" : "protocol-error";
          const [, { reason }] = await met.events.next("disconnect");
          assertEquals([reason, met.events.of("error")[0][0].code], [expected, expected], `byte ${at}`);
        }
      });

      it("drops a frame whose checksum fails, names it and goes on; native closes corrupt", async () => {
        await using met = await meet(await world.make(), release);
        const bad = met.raw.encode({ code: 200, content: "spoilt" });
        bad[bad.length - 2] ^= 1;
        await met.raw.connection.write(
          join(met.raw.encode({ code: 200, content: "one" }), bad, met.raw.encode({ code: 200, content: "two" })),
        );
        const [error, client] = await met.events.next("error");
        assertInstanceOf(error, ProtocolError);
        assertEquals([error.code, client.id], ["corrupt", 1]);
        assertStringIncludes(error.message, "type 200");
        if (native) {
          assertEquals(await met.raw.end(), "fin");
          const [, { reason }] = await met.events.next("disconnect");
          assertEquals([reason, met.got], ["corrupt", ["one"]]);
        } else {
          await until(() => met.got.length === 2);
          assertEquals(met.got, ["one", "two"]);
          assertEquals(met.server.clients[0].stats().framesDropped, 1);
          await met.raw.send({ code: 201, content: "still here", requestId: 5 });
          const reply = (await met.raw.frame())!;
          assertEquals([reply.code, reply.requestId], [201, 5]);
        }
      });

      it("gives an unknown code to unhandled, or to the catch-all, and never looks for frames inside it", async () => {
        await using met = await meet(await world.make(), release);
        const inner = met.raw.encode({ code: 200, content: "smuggled" });
        const hidden = join(utf8("xx"), inner, utf8("yy"));
        await met.raw.send({ code: 9_999, content: hidden }, { code: 200, content: "next" });
        const [info, client] = await met.events.next("unhandled");
        assertEquals([info, client.id], [{ code: 9_999, size: hidden.length }, 1]);
        await until(() => met.got.length === 1);
        assertEquals(met.got, ["next"]);

        const caught: unknown[] = [];
        met.server.on(
          "message",
          ({ type, content, data }, { id }) => caught.push(type.code, type.name, content, data, id),
        );
        await met.raw.send({ code: 9_999, content: hidden }, { code: 200, content: "last" });
        await until(() => met.got.length === 2);
        assertEquals(caught, [9_999, "type-9999", hidden, hidden, 1]);
        assertEquals([met.got, met.events.of("unhandled").length], [["next", "last"], 1]);
      });

      it("counts and ignores system codes that mean nothing here", async () => {
        await using met = await meet(await world.make(), release);
        await met.raw.send(...[2, 4, 5, 6, 9, 10, 11, 20, 21, 199].map((code) => ({ code, content: "?" })));
        await met.raw.send({ code: 200, content: "x" });
        await until(() => met.got.length === 1);
        assertEquals(met.server.clients[0].stats().framesIgnored, 10);
      });

      it("closes heartbeat where a frame was begun and does not move on", async () => {
        const made = await world.make();
        await using met = await meet(made, release);
        const frame = met.raw.encode({ code: 200, content: new Uint8Array(50_000) });
        for (const part of [frame.subarray(0, 3), frame.subarray(3, 9_000)]) {
          const before = met.server.clients[0].stats().bytesReceived;
          await met.raw.connection.write(part);
          await until(() => met.server.clients[0].stats().bytesReceived >= before + part.length);
          await made.clock.advance(4_900);
        }
        assertEquals(met.events.of("disconnect"), []);
        const [, { reason, error }] = await pass(made.clock, 2_700, met.events.next("disconnect"));
        assertEquals([reason, error.code], ["heartbeat", "timed-out"]);
      });

      it("keeps a connection whose frame comes slowly but fast enough", async () => {
        const made = await world.make();
        await using met = await meet(made, release, { heartbeat: false });
        const frame = met.raw.encode({ code: 200, content: new Uint8Array(90_000).fill(120) });
        for (let at = 0; at < frame.length; at += 2_000) {
          const before = met.server.clients[0].stats().bytesReceived;
          await met.raw.connection.write(frame.subarray(at, at + 2_000));
          await until(() => (met.server.clients[0]?.stats().bytesReceived ?? Infinity) > before);
          await made.clock.advance(1_000);
        }
        await until(() => met.got.length === 1);
        assertEquals(met.events.of("disconnect"), []);
        await made.clock.advance(60_000);
        assertEquals(met.events.of("disconnect"), [], "an idle connection has no frame under way");
      });

      it("closes heartbeat where a frame came fast and then slows down: what counts is the last 10 s", async () => {
        const made = await world.make();
        await using met = await meet(made, release, { maxMessageSize: 1_000_000, heartbeat: false });
        const frame = met.raw.encode({ code: 200, content: new Uint8Array(900_000) });
        let at = 0;
        const send = async (size: number): Promise<void> => {
          const { bytesReceived } = met.server.clients[0].stats();
          await met.raw.connection.write(frame.subarray(at, at += size));
          await until(() => (met.server.clients[0]?.stats().bytesReceived ?? Infinity) >= bytesReceived + size);
          await made.clock.advance(1_000);
        };
        // On average since its beginning it would be fast enough for some ten minutes.
        await send(600_000);
        for (let second = 0; second < 20; second++) await send(1_500);
        assertEquals(met.events.of("disconnect"), []);
        const slow = made.clock.now();
        while (met.events.of("disconnect").length === 0 && made.clock.now() < slow + 60_000) await send(500);
        assertEquals(met.events.of("disconnect").length, 1, `still there at ${made.clock.now()} ms`);
        const [, { reason, error }] = await met.events.next("disconnect");
        assertEquals([reason, error.code], ["heartbeat", "timed-out"]);
        assert(made.clock.now() - slow < 17_000, `${made.clock.now() - slow} ms`);
      });

      it("refuses a peer that is silent, drips, says too much or says nonsense, and delays no other", async () => {
        const made = await world.make();
        const { server: spoken } = SPOKEN.find((one) => one.release === release)!;
        await using served = await serve(made, { protocol: spoken }, (server) => {
          server.route(ECHO, ({ content }) => content);
        });
        const raws: Raw[] = [];
        const knock = async (): Promise<Raw> => {
          const raw = new Raw(await made.transport.connect(served.address), release);
          raws.push(raw);
          return raw;
        };
        const silent = await knock();
        const dripping = await knock();
        await until(() => served.server.stats().pendingHandshakes === 2);
        await using good = await Raw.connect(made, served.address, release);
        await good.send({ code: 201, content: "hi", requestId: 3, flags: native ? 1 : 0 });
        assertEquals(new TextDecoder().decode((await good.frame())!.content), "hi");

        const answer = spoken === "1.6.3"
          ? helloFrame(good.protocol, SystemCode.HELLO_ACK, 1, 0, "1.6.3")
          : message({ v: "2.0.0", meta: {} });
        for (let i = 0; i < 4; i++) {
          await dripping.connection.write(answer.subarray(i, i + 1));
          await made.clock.advance(1_000);
        }
        assertEquals(served.events.of("rejected"), []);
        await pass(made.clock, 1_030, Promise.all([silent.end(), dripping.end()]));
        for (let i = 0; i < 2; i++) {
          const [{ reason, error, address }] = await served.events.next("rejected");
          assertInstanceOf(error, HandshakeError);
          assertEquals([reason, error.code], ["handshake-timeout", "handshake-timeout"]);
          assert("port" in address && address.port > 0);
        }

        const nonsense = spoken === "1.6.3"
          ? [
            helloFrame(good.protocol, SystemCode.HELLO_ACK, 1, 0, "1.6.3"), // another id
            good.encode({ code: 200, content: "early" }),
            good.encode({ code: SystemCode.HELLO_ACK, content: new Uint8Array(65) }), // too large
          ]
          : [
            new Uint8Array([0x40, 1, 0x7b]), // 16,385 bytes announced
            new Uint8Array([0, 4, 0x5b, 0x5b, 0x5d, 0x5d]), // no object
            message({ v: 5 }),
            message({ v: "2.0.0", meta: { native: { versions: "all" } } }),
            message({ v: "1.6.3", meta: {} }),
            utf8("GET / HTTP/1.1\r\n\r\n"),
          ];
        for (const said of nonsense) {
          const raw = await knock();
          await raw.connection.write(said);
          assertEquals(await raw.end(), "fin");
          const [{ reason, error }] = await served.events.next("rejected");
          assertEquals(reason, "handshake-failed", String(error));
        }
        assertEquals([served.server.clients.length, served.server.stats().pendingHandshakes], [1, 0]);
        assertEquals(served.server.stats().rejected, 2 + nonsense.length);
        for (const raw of raws) await raw[Symbol.asyncDispose]();
      });

      it("hands out the same whether bytes come in one piece, one by one, or cut anywhere", async () => {
        const made = await world.make();
        const pieces: ((bytes: Uint8Array) => Iterable<Uint8Array>)[] = [
          (bytes) => cutEvery(bytes, bytes.length),
          (bytes) => cutEvery(bytes, 1),
          ...[1, 2, 3].map((seed) => (bytes: Uint8Array) => cutRandomly(bytes, new Random(seed), 40)),
        ];
        for (const cut of pieces) {
          await using met = await meet(made, release, { maxMessageSize: 500 });
          const stream = join(
            met.raw.encode({ code: 200, content: "one" }, { code: 200 }, { code: 777, content: "who?" }),
            met.raw.encode({ code: 201, content: "echo", requestId: 9, flags: native ? 1 : 0 }),
            met.raw.encode({ code: 200, content: "x".repeat(300) }),
            met.raw.encode({ code: 200, content: "x".repeat(600) }).subarray(0, met.raw.protocol.headerSize),
          );
          for (const piece of cut(stream)) await met.raw.connection.write(piece);
          const reply = (await met.raw.frame())!;
          assertEquals([reply.code, reply.requestId, new TextDecoder().decode(reply.content)], [201, 9, "echo"]);
          assertEquals(await met.raw.end(), "fin");
          const [, { reason }] = await met.events.next("disconnect");
          assertEquals([reason, met.got], ["message-too-large", ["one", "", "x".repeat(40)]]);
          assertEquals(met.events.of("unhandled").length, 1);
        }
      });
    });
  }
}

describe("a native connection", () => {
  const illegal: [what: string, frame: { code: number; flags: number; requestId: number }][] = [
    ["REQUEST with REPLY", { code: 200, flags: 3, requestId: 1 }],
    ["ERROR without REPLY", { code: 200, flags: 4, requestId: 0 }],
    ["REQUEST without an id", { code: 200, flags: 1, requestId: 0 }],
    ["REPLY without an id", { code: 200, flags: 2, requestId: 0 }],
    ["an id without REQUEST or REPLY", { code: 200, flags: 0, requestId: 4 }],
    ...[0x08, 0x10, 0x20, 0x40, 0x80].map((flags) =>
      [`the flag 0x${flags.toString(16)}`, { code: 200, flags, requestId: 0 }] as [string, {
        code: number;
        flags: number;
        requestId: number;
      }]
    ),
  ];
  for (const [what, { code, flags, requestId }] of illegal) {
    it(`closes protocol-error on ${what}`, async () => {
      await using met = await meet(memoryWorld(), "native");
      const { sealFrame } = await import("../src/wire/encoder.ts");
      const frame = new Uint8Array(16);
      sealFrame(met.raw.protocol, new DataView(frame.buffer), 0, code, flags, requestId, 0, 0);
      await met.raw.connection.write(frame);
      assertEquals(await met.raw.end(), "fin");
      const [, { reason }] = await met.events.next("disconnect");
      assertEquals(reason, "protocol-error");
    });
  }

  it("reports the error once, even if the peer stays until it is cut", async () => {
    const world = memoryWorld();
    await using met = await meet(world, "native");
    await met.raw.connection.write(new Uint8Array(16).fill(0xff));
    await met.raw.connection.write(new Uint8Array(1_000));
    await met.events.next("error");
    await world.clock.advance(5_000);
    const [, { reason }] = await met.events.next("disconnect");
    await world.clock.advance(5_000);
    assertEquals([reason, met.events.of("error").length], ["corrupt", 1]);
  });

  it("sends what was taken before the bad frame, and throws away what comes after it", async () => {
    await using met = await meet(memoryWorld(), "native");
    const bad = met.raw.encode({ code: 200, content: "x" });
    bad[15] ^= 1;
    await met.raw.connection.write(join(
      met.raw.encode({ code: 201, content: "answer me", requestId: 1, flags: 1 }),
      bad,
      met.raw.encode({ code: 200, content: "after" }),
    ));
    assertEquals(new TextDecoder().decode((await met.raw.frame())!.content), "answer me");
    await met.raw.send({ code: 200, content: "after" });
    assertEquals(await met.raw.end(), "fin");
    await met.events.next("disconnect");
    assertEquals([met.got, met.events.of("error").length], [[], 1]);
  });

  it("does not read for long what a broken peer goes on sending", async () => {
    const world = memoryWorld();
    await using met = await meet(world, "native");
    await met.raw.connection.write(new Uint8Array(16));
    const flood = (async () => {
      for (;;) await met.raw.connection.write(new Uint8Array(65_536));
    })();
    await assertRejects(() => flood);
    await met.events.next("disconnect");
    assertEquals(world.clock.now(), 0, "cut by the amount, before the time was up");
  });

  it("does not hold a stall of our own event loop against a peer whose frame is under way", async () => {
    const { clock, transport } = memoryWorld();
    let stood = 0;
    const late = {
      now: () => clock.now() + stood,
      setTimeout: (fn: () => void, ms: number) => clock.setTimeout(fn, ms),
      clearTimeout: (timer: unknown) => clock.clearTimeout(timer),
      unref: () => {},
    };
    await using met = await meet({ clock, transport: withTime(transport, late) }, "native");
    const frame = met.raw.encode({ code: 200, content: "x".repeat(5_000) });
    await met.raw.connection.write(frame.subarray(0, 3_000));
    await clock.advance(9_000);
    stood = 60_000;
    await clock.advance(1_500);
    assertEquals(met.events.of("disconnect"), []);
    await met.raw.connection.write(frame.subarray(3_000));
    await until(() => met.got.length === 1);

    await met.raw.connection.write(frame.subarray(0, 3_000));
    await advanceUntil(clock, met.events.next("disconnect"));
    assert(clock.now() < 22_500, "a peer that stalls afterwards is found as ever");
  });

  it("sees a frame that ends in the middle of FIN as a broken connection", async () => {
    await using met = await meet(memoryWorld(), "native");
    await met.raw.connection.write(met.raw.encode({ code: 200, content: "x" }).subarray(0, 16));
    await met.raw.connection.closeWrite();
    const [, { reason, error }] = await met.events.next("disconnect");
    assertEquals(reason, "network-error");
    assertStringIncludes(error.message, "16 bytes into a frame");
  });
});

for (const world of WORLDS) {
  describe(`a client, ${world.name},`, () => {
    it("refuses a server that greets with nonsense, too much, or nothing, and leaves no socket and timer", async () => {
      const made = await world.make();
      await using server = await RawServer.listen(made);
      const greetings: [bytes: Uint8Array, code: string][] = [
        [utf8("HTTP/1.1 400 Bad Request\r\n\r\n"), "handshake-failed"],
        [utf8("SSH-2.0-OpenSSH_9.6\r\n"), "handshake-failed"],
        [new Uint8Array([0x20, 0, 0x7b]), "handshake-failed"],
        [message({ v: "3.0.0", meta: {} }), "version-mismatch"],
        [message({ v: "2.0.0", meta: {} }), "handshake-failed"],
        [message({ v: "2.0.0", meta: { id_window: 65_535 } }), "handshake-failed"],
        [message({ result: "error", code: "full", message: "Come back later" }), "refused-by-peer"],
        [new Uint8Array(0), "handshake-timeout"],
        [new Uint8Array([0]), "handshake-timeout"],
      ];
      for (const [greeting, code] of greetings) {
        const { address } = server;
        const seen = watched(made.transport);
        const client = new Client({ ...address, transport: seen.transport, logger: new Lines() });
        const connecting = assertRejects(() => client.connect(), HandshakeError);
        const raw = await server.accept("native");
        if (greeting.length > 0) await raw.connection.write(greeting);
        await until(() => seen.opened.length === 1 && seen.bytesRead === greeting.length);
        const ended = raw.end();
        const error = await pass(made.clock, code === "handshake-timeout" ? 10_030 : 0, connecting);
        assertEquals((error as HandshakeError).code, code);
        assertEquals(client.state, "disconnected");
        await client.closed;
        await raw[Symbol.asyncDispose]();
        await ended;
        assertEquals(made.clock.pending, 0, code);
      }
    });

    it("closes on bad frames as a server does", async () => {
      const made = await world.make();
      await using server = await RawServer.listen(made);
      for (const { release } of SPOKEN) {
        for (const spoil of ["checksum", "header", "size"] as const) {
          const lines = new Lines();
          const client = new Client({ ...server.address, transport: made.transport, logger: lines });
          const events = new Recorder(client, ["disconnect", "error"]);
          const got = deferred();
          client.route(DATA, () => got.resolve());
          const [raw] = await Promise.all([server.welcome(release), client.connect()]);
          const frame = raw.encode({ code: 200, content: "x" });
          if (spoil === "checksum") frame[frame.length - 1] ^= 1;
          else if (spoil === "header") frame[0] ^= 1;
          else frame.set([1, 0, 0, 0], { native: 4, "2.0.0": 5, "1.6.3": 2 }[release]);
          if (spoil === "header" && release === "1.6.3") {
            await raw[Symbol.asyncDispose]();
            await events.next("disconnect");
            continue;
          }
          await raw.connection.write(frame);
          const [error] = await events.next("error");
          if (spoil === "checksum" && release !== "native") {
            assertEquals(error.code, "corrupt");
            await raw.send({ code: 200, content: "x" });
            await got.promise;
            await raw[Symbol.asyncDispose]();
            await events.next("disconnect");
          } else {
            const expected = release === "native"
              ? "corrupt"
              : spoil === "size"
              ? "message-too-large"
              : "protocol-error";
            assertEquals(await raw.end(), "fin");
            const [{ reason, permanent }] = await events.next("disconnect");
            assertEquals([reason, error.code, permanent], [expected, expected, true], `${release} ${spoil}`);
            await raw[Symbol.asyncDispose]();
          }
          assertEquals([client.state, lines.lines], ["disconnected", []]);
        }
      }
      assertEquals(made.clock.pending, 0);
    });
  });
}
