/** Promise 3: what send takes, refuses and promises. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType, Server, text } from "../mod.ts";
import { BackpressureError, ConnectionError, PayloadError } from "../src/errors.ts";
import type { FakeClock } from "../src/adapters/fake_clock.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import {
  counting,
  face,
  HOST,
  Lines,
  memoryWorld,
  Raw,
  RawServer,
  serve,
  turn,
  until,
  watching,
  WORLDS,
} from "./session_support.ts";

const DATA = messageType(200, "data", bytes);
const TEXT = messageType(201, "text", text);
const ECHO = messageType(202, "echo", bytes, bytes);
const KIB = 1024;

/**
 * Lets the time run until a connection is given up. The limit counts from when its socket takes nothing any more, and that
 * moment is the machine's; nothing else here has a limit that the time could overtake.
 */
async function timeOut<Value>(clock: FakeClock, ended: Promise<Value>): Promise<Value> {
  let over = false;
  void ended.then(() => over = true);
  while (!over) {
    await clock.advance(100);
    await turn();
  }
  return await ended;
}

for (const { name, make } of WORLDS) {
  describe(`send(), ${name},`, () => {
    it("returns false above the mark, ready() settles below half of it, and everything arrives in order", async () => {
      await using met = await face(await make(), "native", {}, { highWaterMark: 64 * KIB, maxBufferedBytes: 2 ** 30 });
      await met.client.ready();
      let falses = 0;
      let readies = 0;
      const sending = (async () => {
        for (let i = 0; i < 3_000; i++) {
          const content = new Uint8Array(i % 7 === 0 ? 40_000 : 1_000);
          new DataView(content.buffer).setUint32(0, i);
          const more = met.client.send(DATA, content);
          const { bufferedBytes = 0 } = met.client.stats();
          assertEquals(more, bufferedBytes <= 64 * KIB);
          if (more) continue;
          falses++;
          await met.client.ready();
          readies++;
          assert(met.client.stats().bufferedBytes! <= 32 * KIB);
        }
      })();
      const receiving = (async () => {
        for (let i = 0; i < 3_000; i++) {
          const { content } = (await met.raw.frame())!;
          assertEquals(new DataView(content.buffer, content.byteOffset).getUint32(0), i);
        }
      })();
      await Promise.all([sending, receiving]);
      assert(falses > 10 && falses === readies);
    });

    it("throws BackpressureError when the peer does not read, takes nothing then, and goes on when it does", async () => {
      await using met = await face(await make(), "native", {}, {
        maxBufferedBytes: 300 * KIB,
        highWaterMark: 100 * KIB,
      });
      let taken = 0;
      let refused: BackpressureError | undefined;
      while (refused === undefined) {
        try {
          met.client.send(DATA, new Uint8Array(10_000));
          taken++;
          if (taken % 20 === 0) await turn();
        } catch (error) {
          refused = error as BackpressureError;
        }
      }
      assertEquals(refused.code, "buffer-full");
      const { bufferedBytes, framesSent } = met.client.stats();
      assertThrows(() => met.client.send(DATA, new Uint8Array(10_000)), BackpressureError);
      await assertRejects(() => met.client.request(ECHO, new Uint8Array(10_000)), BackpressureError);
      const now = met.client.stats();
      assertEquals([now.bufferedBytes, now.framesSent, now.pendingRequests], [bufferedBytes, framesSent, 0]);
      for (let i = 0; i < taken; i++) assertEquals((await met.raw.frame())!.content.length, 10_000);
      await met.client.ready();
      met.client.send(TEXT, "again");
      assertEquals((await met.raw.frame())!.code, 201);
    });

    it("takes one message up to the peer's limit when nothing waits, and PayloadError above it", async () => {
      await using met = await face(await make(), "native", { maxMessageSize: 5_000_000 }, {
        maxBufferedBytes: 1 * KIB,
        highWaterMark: 512,
      });
      met.client.send(DATA, new Uint8Array(5_000_000 - 16));
      assertThrows(() => met.client.send(TEXT, "x".repeat(1_100)), BackpressureError);
      assertEquals((await met.raw.frame())!.content.length, 5_000_000 - 16);
      await until(() => met.client.stats().bufferedBytes === 0);
      for (
        const send of [
          () => met.client.send(DATA, new Uint8Array(5_000_000 - 15)),
          () => met.client.send(TEXT, "x".repeat(5_000_000)),
        ]
      ) assertEquals((assertThrows(send, PayloadError) as PayloadError).code, "payload-too-large");
      await assertRejects(() => met.client.request(ECHO, new Uint8Array(5_000_000)), PayloadError);
      assertEquals([met.client.stats().bufferedBytes, met.client.stats().pendingRequests], [0, 0]);
    });

    it("writes at once when idle, and what the same turn sends goes with one write more", async () => {
      const made = await make();
      const writes: number[] = [];
      await using met = await face({ ...made, transport: counting(made.transport, writes) }, "native");
      const handshake = writes.length;
      met.client.send(TEXT, "one");
      assertEquals(writes.slice(handshake), [19]);
      for (let i = 0; i < 50; i++) met.client.send(TEXT, "more");
      for (let i = 0; i < 51; i++) await met.raw.frame();
      assertEquals(writes.slice(handshake), [19, 50 * 20]);
      await until(() => met.client.stats().bufferedBytes === 0);
      await turn();
      met.client.send(TEXT, "later");
      assertEquals(writes.length, handshake + 3);
      await met.raw.frame();
    });

    it("closes slow-consumer a peer that takes nothing for writeTimeout, and leaves nothing behind", async () => {
      const made = await make();
      await using met = await face(made, "native", {}, {
        highWaterMark: 1024 * KIB,
        maxBufferedBytes: 64 * KIB * KIB,
        heartbeat: false,
      });
      for (let i = 0; i < 200; i++) met.client.send(DATA, new Uint8Array(100_000));
      const waiting = met.client.ready();
      const began = made.clock.now();
      const [{ reason, error }] = await timeOut(made.clock, met.events.next("disconnect"));
      assertEquals([reason, error.code], ["slow-consumer", "timed-out"]);
      const took = made.clock.now() - began;
      // Real sockets may take something for some time first.
      assert(took >= 10_000 && (took <= 10_200 || name !== "over memory"), `${took} ms`);
      await waiting;
      assertEquals(
        (assertThrows(() => met.client.send(TEXT, "x"), ConnectionError) as ConnectionError).code,
        "not-connected",
      );
      assertEquals(made.clock.pending, 0);
    });

    it("keeps a slow peer that goes on taking something", async () => {
      const made = await make();
      await using met = await face(made, "native", {}, {
        highWaterMark: 64 * KIB,
        maxBufferedBytes: 2 ** 30,
        heartbeat: false,
      });
      for (let i = 0; i < 300; i++) met.client.send(DATA, new Uint8Array(100_000));
      const buffered = (): number | undefined => met.client.stats().bufferedBytes;
      let waits = 0;
      for (let left = 300; left > 0; waits++) {
        // A real socket tells of progress only when about a third of its buffer is free again.
        for (const before = buffered(); left > 0 && buffered() === before; left--) {
          await met.raw.frame();
          await turn();
        }
        // All is taken, and the socket says so soon: no time may pass before.
        if (left === 0) await until(() => !buffered());
        await made.clock.advance(9_000);
      }
      assert(waits > 3, `${waits}`);
      assertEquals([met.events.of("disconnect"), met.client.state], [[], "connected"]);
    });

    it("closes slow-consumer a peer that asks and never reads its answers, in bounded memory", async () => {
      const made = await make();
      for (const code of [202, 0]) {
        let most = 0;
        await using served = await serve(made, { maxBufferedBytes: 256 * KIB, heartbeat: false }, (server) => {
          server.route(ECHO, ({ content }) => {
            most = Math.max(most, server.stats().bufferedBytes);
            return content;
          });
        });
        await using raw = await Raw.connect(made, served.address, "native");
        const content = new Uint8Array(code === 0 ? 64 : 20_000);
        let requestId = 1;
        const flood = (async () => {
          for (;;) {
            const frames = Array.from({ length: 50 }, () => ({ code, content, requestId: requestId++, flags: 1 }));
            await raw.send(...frames);
          }
        })();
        const failed = assertRejects(() => flood);
        const ended = served.events.next("disconnect");
        // Answers of handlers wait for the peer, PONGs do not.
        const [, { reason }] = code === 0 ? await ended : await timeOut(made.clock, ended);
        assertEquals(reason, "slow-consumer");
        assert(most <= 256 * KIB, `${most}`);
        assertEquals(served.server.stats().bufferedBytes, 0);
        raw.connection.abort();
        await failed;
      }
    });
  });

  describe(`broadcast(), ${name},`, () => {
    it("reaches native, 2.0 and 1.6.3 clients of one server, encoded once for each protocol", async () => {
      const made = await make();
      const log = new Lines();
      const large = new Set<ArrayBufferLike>();
      const server = new Server({
        transport: watching(made.transport, (bytes) => void (bytes.length > 40_000 && large.add(bytes.buffer))),
        logger: log,
        listen: [{ hostname: HOST, port: 0 }, { hostname: HOST, port: 0, protocol: "1.6.3" }],
      });
      await server.start();
      const [a, b] = server.addresses as TcpEndpoint[];
      const raws: Raw[] = [];
      for (let i = 0; i < 3; i++) {
        raws.push(
          await Raw.connect(made, a, "native"),
          await Raw.connect(made, a, "2.0.0"),
          await Raw.connect(made, b, "1.6.3"),
        );
      }
      await until(() => server.clients.length === 9);
      assertEquals(server.clients.map(({ protocol }) => protocol).sort(), [
        ...Array(3).fill("1.6.3"),
        ...Array(3).fill("2.0.0"),
        ...Array(3).fill("native"),
      ]);
      let encodings = 0;
      const counted = messageType(300, "counted", {
        encode: (value: string) => (encodings++, value),
        decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
      });
      for (const content of ["héllo", "x".repeat(50_000)]) {
        assertEquals(server.broadcast(counted, content), { sent: 9, dropped: 0, closed: 0 });
        for (const raw of raws) {
          const frame = (await raw.frame())!;
          assertEquals([frame.code, new TextDecoder().decode(frame.content)], [300, content]);
        }
      }
      assertEquals([encodings, large.size], [2, 3], "one buffer for each protocol, shared by its clients");
      const natives = server.clients.filter(({ protocol }) => protocol === "native");
      assertEquals(server.broadcast(counted, "to", { to: natives }).sent, 3);
      assertEquals(server.broadcast(counted, "except", { except: natives }).sent, 6);
      assertEquals(server.broadcast(counted, "both", { to: [...natives, natives[0]], except: [natives[0]] }).sent, 2);
      for (const raw of raws) {
        const words = raw.protocol.name === "native" ? ["to"] : ["except"];
        if (raw === raws[3] || raw === raws[6]) words.push("both");
        for (const word of words) assertEquals(new TextDecoder().decode((await raw.frame())!.content), word);
      }
      const gone = natives[0];
      raws[0].connection.abort();
      await until(() => server.clients.length === 8);
      assertEquals(server.broadcast(counted, "x", { to: [gone] }), { sent: 0, dropped: 0, closed: 0 });
      const closing = server.close({ drain: 0 });
      for (const raw of raws) await raw[Symbol.asyncDispose]();
      await closing;
      assertEquals([made.clock.pending, log.lines], [0, []]);
    });

    it("skips or closes a client whose buffer is full, leaves out one that takes less, and says so", async () => {
      const made = await make();
      await using served = await serve(made, { maxBufferedBytes: 100 * KIB, highWaterMark: 50 * KIB });
      await using reading = await Raw.connect(made, served.address, "native");
      await using stuck = await Raw.connect(made, served.address, "native");
      await using small = await Raw.connect(made, served.address, "native", { maxMessageSize: 1_000 });
      await until(() => served.server.clients.length === 3);
      const second = served.server.clients[1];
      let full = false;
      while (!full) {
        try {
          for (let i = 0; i < 20; i++) second.send(DATA, new Uint8Array(20_000));
          await turn();
        } catch (error) {
          full = error instanceof BackpressureError;
        }
      }
      const content = new Uint8Array(30_000);
      assertEquals(served.server.broadcast(DATA, content), { sent: 1, dropped: 2, closed: 0 });
      assertEquals(served.server.broadcast(DATA, content, { onFull: "close" }), { sent: 1, dropped: 1, closed: 1 });
      const [gone, { reason }] = await served.events.next("disconnect");
      assertEquals([gone.id, reason, served.server.clients.length], [2, "slow-consumer", 2]);
      const { accepted, slowConsumers } = served.server.stats();
      assertEquals([accepted, slowConsumers], [3, 1]);
      for (let i = 0; i < 2; i++) assertEquals((await reading.frame())!.content.length, 30_000);
      void stuck, small;
    });
  });
}

describe("sending", () => {
  it("throws before connect() and after close()", async () => {
    const world = memoryWorld();
    const idle = new Client({ port: 1, transport: world.transport });
    assertEquals((assertThrows(() => idle.send(TEXT, "x"), ConnectionError) as ConnectionError).code, "not-connected");
    await idle.ready();
    await using met = await face(world, "native");
    const closing = met.client.close();
    assertEquals((assertThrows(() => met.client.send(TEXT, "x"), ConnectionError) as ConnectionError).code, "closed");
    await met.raw.end();
    await closing;
  });

  it("is bounded for all clients of a server together", async () => {
    const world = memoryWorld();
    const limits = { maxTotalBufferedBytes: 1024 * KIB, maxBufferedBytes: 900 * KIB, highWaterMark: 64 * KIB };
    await using served = await serve(world, limits);
    const raws = [];
    for (let i = 0; i < 3; i++) raws.push(await Raw.connect(world, served.address, "native"));
    await until(() => served.server.clients.length === 3);
    const codes = new Set<string>();
    for (const client of served.server.clients) {
      for (let i = 0; i < 20; i++) {
        try {
          client.send(DATA, new Uint8Array(100_000));
        } catch (error) {
          codes.add((error as BackpressureError).code);
        }
      }
    }
    assertEquals([...codes].sort(), ["buffer-full", "total-buffer-full"]);
    // Beyond the limit each connection has its share, which is less than one of these messages.
    assert(served.server.stats().bufferedBytes <= 1024 * KIB + 3 * 64 * KIB);
    for (const raw of raws) await raw[Symbol.asyncDispose]();
    await until(() => served.server.clients.length === 0);
    assertEquals(served.server.stats().bufferedBytes, 0);
  });

  it("gathers the answers to a chunk full of requests into one write", async () => {
    const world = memoryWorld();
    const writes: number[] = [];
    const server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: counting(world.transport, writes) });
    client.route(ECHO, ({ content }) => content);
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    const before = writes.length;
    await raw.send(
      ...Array.from({ length: 200 }, (_, i) => ({ code: 202, content: "abc", requestId: i + 1, flags: 1 })),
    );
    for (let i = 1; i <= 200; i++) assertEquals((await raw.frame())!.requestId, i);
    assertEquals(writes.slice(before), [200 * 19]);
    await client.close({ drain: 0 });
    await raw[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it("counts nothing for a client that was cut in the middle of a chunk of its requests", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => {
      server.route(DATA, (_, client) => void client.close("manual", { drain: 0 }));
      server.route(ECHO, ({ content }) => content);
    });
    for (let i = 0; i < 3; i++) {
      await using raw = await Raw.connect(world, served.address, "native");
      await raw.send(
        { code: 200 },
        ...Array(100).fill(0).map((_, n) => ({ code: n % 2 ? 0 : 202, content: "x", requestId: n + 1, flags: 1 })),
      );
      await raw.end();
      await served.events.next("disconnect");
      assertEquals(served.server.stats().bufferedBytes, 0);
    }
  });
});
