/** Flow control of native connections: who may send how much, in which order what is held goes out, and who gives back. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType, type ServerConfig, text } from "../mod.ts";
import { Channel } from "../src/link/channel.ts";
import { ConnectionError } from "../src/errors.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { CreditMeter, creditOffer, creditTerms } from "../src/session/features/credit.ts";
import {
  CONTROL,
  MESSAGE,
  ORDERED_CONTROL,
  type Priority,
  REPLY as ANSWER_PRIORITY,
} from "../src/link/send_scheduler.ts";
import { FrameWriter } from "../src/link/frame_writer.ts";
import type { Connection } from "../src/transport.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  deferred,
  face,
  Lines,
  memoryWorld,
  Raw,
  type RawFrame,
  scripted,
  serve,
  SPOKEN,
  turn,
  until,
  WORLDS,
} from "./session_support.ts";
import { join, Random } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const ASK = messageType(201, "ask", text, text);
const DATA = messageType(202, "data", bytes);
const REQUEST = 1;
const REPLY = 2;
const HEADER = 16;

/** A CREDIT frame. */
const credit = (size: number): RawFrame => {
  const content = new Uint8Array(4);
  new DataView(content.buffer).setUint32(0, size);
  return { code: 5, content };
};

/** The amount of a CREDIT frame, in whatever byte order the peer took {@linkcode credit} in. */
const amount = (content: Uint8Array): number => new DataView(content.buffer, content.byteOffset).getUint32(0);

const words = async (raw: Raw, count: number): Promise<string[]> => {
  const all: string[] = [];
  for (let i = 0; i < count; i++) {
    const { code, content } = (await raw.frame())!;
    all.push(code < 200 ? `system ${code}` : new TextDecoder().decode(content));
  }
  return all;
};

describe("a sender", () => {
  it("sends while it has credit, overdraws by one message, holds the rest, and goes on when more is granted", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 100 } } });
    const { client, raw } = met;
    // 60 bytes each: 100, 40, -20.
    for (const word of ["a", "b", "c", "d"]) client.send(NOTE, word.repeat(60 - HEADER));
    const pinged = client.ping();
    assertEquals((await words(raw, 3)).map((word) => word[0] + word.length), ["a44", "b44", "s8"]);
    assertEquals(client.stats().bufferedBytes, 120);
    await raw.send({ code: 1, requestId: 1, flags: REPLY }, credit(20));
    await pinged;
    const second = client.ping();
    assertEquals(await words(raw, 1), ["system 0"], "nothing is left after what was overdrawn is paid");
    await raw.send(credit(1), { code: 1, requestId: 2, flags: REPLY });
    await second;
    assertEquals((await words(raw, 1))[0][0], "c");
    await raw.send(credit(60));
    assertEquals((await words(raw, 1))[0][0], "d");
    assertEquals(met.events.all, []);
  });

  it("charges small messages what the peer asks for at least", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 100, least: 50 } } });
    for (const word of ["a", "b", "c"]) met.client.send(NOTE, word);
    const pinged = met.client.ping();
    assertEquals(await words(met.raw, 3), ["a", "b", "system 0"]);
    await met.raw.send({ code: 1, requestId: 1, flags: REPLY }, credit(1));
    await pinged;
    assertEquals(await words(met.raw, 1), ["c"]);
  });

  it("keeps messages and requests in order, and lets answers and PONGs past those that are held", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 1 } } });
    const { client, raw } = met;
    client.route(ASK, ({ data }) => data.toUpperCase());
    const asked: Promise<string>[] = [];
    client.send(NOTE, "1");
    client.send(NOTE, "2");
    asked.push(client.request(ASK, "3"));
    client.send(NOTE, "4");
    asked.push(client.request(ASK, "5"));
    await raw.send(
      { code: 201, content: "answer", requestId: 9, flags: REQUEST },
      { code: 0, requestId: 10, flags: REQUEST },
    );
    assertEquals(await words(raw, 3), ["1", "ANSWER", "system 1"]);
    for (const expected of ["2", "3", "4", "5"]) {
      await raw.send(credit(17));
      assertEquals(await words(raw, 1), [expected]);
    }
    await raw.send(
      { code: 201, content: "three", requestId: 1, flags: REPLY },
      { code: 201, content: "five", requestId: 2, flags: REPLY },
    );
    assertEquals(await Promise.all(asked), ["three", "five"]);
  });

  it("counts a CREDIT of another length, or one that was not agreed on, and grants nothing for it", async () => {
    for (const features of [{ credit: { window: 1 } }, {}]) {
      const world = memoryWorld();
      await using met = await face(world, "native", { features });
      met.client.send(NOTE, "1");
      met.client.send(NOTE, "2");
      await met.raw.send(
        { code: 5, content: new Uint8Array(3).fill(255) },
        { code: 5, content: new Uint8Array(5).fill(255) },
        { code: 5 },
        { code: 0, requestId: 1, flags: REQUEST },
      );
      const expected = "credit" in features ? ["1", "system 1"] : ["1", "2", "system 1"];
      assertEquals(await words(met.raw, expected.length), expected);
      assertEquals(met.client.stats().framesIgnored, 3);
    }
  });

  it("takes nonsense for the terms as the default, and grants without a limit as they come", async () => {
    assertEquals(creditTerms({ window: 0, least: -1 }), { window: 1024 * 1024, least: 0 });
    assertEquals(creditTerms({ window: "1", least: 1.5 }), { window: 1024 * 1024, least: 0 });
    assertEquals(creditTerms({ window: 2 ** 32 }), { window: 1024 * 1024, least: 0 });
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 1 } } });
    await met.raw.send(...Array(50).fill(credit(0xffffffff)), { code: 0, requestId: 1, flags: REQUEST });
    assertEquals(await words(met.raw, 1), ["system 1"]);
    for (let i = 0; i < 3; i++) met.client.send(NOTE, `${i}`);
    assertEquals(await words(met.raw, 3), ["0", "1", "2"]);
  });

  it("is not kept from ending by what a finished peer will never grant, and loses nothing else", async () => {
    for (const { make } of WORLDS) {
      const world = await make();
      await using met = await face(world, "native", { features: { credit: { window: 1 } } });
      const { client, raw } = met;
      const hold = deferred();
      client.route(ASK, async () => (await hold.promise, "answered"));
      for (const word of ["1", "2", "3"]) client.send(NOTE, word);
      await raw.send({ code: 201, requestId: 1, flags: REQUEST });
      await raw.connection.closeWrite();
      await until(() => client.state === "closing");
      hold.resolve();
      assertEquals(await words(raw, 2), ["1", "answered"]);
      assertEquals(await raw.frame(), null);
      const [{ reason }] = await met.events.next("disconnect");
      assertEquals([reason, world.clock.now(), client.stats().bufferedBytes], ["peer-closed", 0, undefined]);
    }
  });
});

describe("a receiver", () => {
  /** A server whose window is 1,000 bytes, and a client by hand that asks for credit. */
  // deno-lint-ignore explicit-function-return-type
  async function meet(config: ServerConfig = {}) {
    const world = memoryWorld();
    const hold = deferred();
    const served = await serve(world, { maxQueuedBytes: 1_000, maxQueuedMessages: 1_000, ...config }, (server) => {
      server.route(DATA, () => hold.promise);
      server.route(ASK, async ({ data }) => (await hold.promise, data));
    });
    const raw = await Raw.connect(world, served.address, "native", { features: { credit: { window: 1_000 } } });
    return {
      ...served,
      raw,
      world,
      hold,
      async [Symbol.asyncDispose](): Promise<void> {
        await raw[Symbol.asyncDispose]();
        await served[Symbol.asyncDispose]();
      },
    };
  }
  const sized = (size: number, code = 202): RawFrame => ({ code, content: new Uint8Array(size - HEADER) });

  it("offers what may wait, and a charge that bounds how many messages do", () => {
    assertEquals(creditOffer({ maxQueuedBytes: 4_194_304, maxQueuedMessages: 1_024 }), {
      window: 4_194_304,
      least: 256,
    });
    assertEquals(creditOffer({ maxQueuedBytes: 1, maxQueuedMessages: 1 }), { window: 1, least: 1 });
    assertEquals(creditOffer({ maxQueuedBytes: 4_000, maxQueuedMessages: 1 }), { window: 4_000, least: 250 });
    assertEquals(creditOffer({ maxQueuedBytes: 4_001, maxQueuedMessages: 1 }), { window: 4_001, least: 251 });
    const random = new Random(3);
    for (let i = 0; i < 1_000; i++) {
      const limits = { maxQueuedBytes: 1 + random.below(1 << 20), maxQueuedMessages: 1 + random.below(3_000) };
      const meter = new CreditMeter(creditTerms(creditOffer(limits)), new FakeClock());
      let most = 0;
      while (meter.received(HEADER)) most++;
      assert(most <= 16 * limits.maxQueuedMessages, `${most} may wait: ${JSON.stringify(limits)}`);
    }
  });

  it("grants what reached handlers, in pieces of half a window, and nothing for what waits", async () => {
    await using met = await meet({ maxConcurrentHandlers: 2 });
    const { raw } = met;
    await raw.send(sized(300));
    await raw.send({ code: 0, requestId: 1, flags: REQUEST });
    assertEquals((await raw.frame())!.code, 1, "300 of 1,000 are not worth a frame");
    await raw.send(sized(300));
    const { code, content, flags, requestId } = (await raw.frame())!;
    assertEquals([code, amount(content), flags, requestId], [5, 600, 0, 0]);
    // Both workers are busy: what comes now waits.
    await raw.send(sized(500), sized(400), { code: 0, requestId: 2, flags: REQUEST });
    assertEquals((await raw.frame())!.code, 1);
    met.hold.resolve();
    assertEquals(amount((await raw.frame())!.content), 500);
  });

  it("lets a peer overdraw by one message, and closes it for the next one: protocol-error", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1 });
    const { raw } = met;
    await raw.send(sized(999));
    assertEquals(amount((await raw.frame())!.content), 999);
    await raw.send(sized(999), sized(5_000));
    await raw.send({ code: 0, requestId: 1, flags: REQUEST });
    assertEquals((await raw.frame())!.code, 1, "1 byte was left, so one message of any size may come");
    await raw.send(sized(17));
    assertEquals(await raw.end(), "fin");
    const [, { reason, error }] = await met.events.next("disconnect");
    assertEquals([reason, error.code], ["protocol-error", "protocol-error"]);
    assert(error.message.includes("beyond the credit"), error.message);
  });

  it("bounds how many small messages wait", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1, maxQueuedMessages: 1 });
    const { raw } = met;
    // Each costs 63 bytes of the window's 1,000, and one is in its handler.
    await raw.send(...Array(16).fill({ code: 202 }), { code: 0, requestId: 1, flags: REQUEST });
    assertEquals((await raw.frame())!.code, 1);
    assertEquals(met.server.clients[0].stats().queuedMessages, 15);
    assertEquals(met.events.of("error"), []);
    await raw.send({ code: 202 });
    assertEquals(await raw.end(), "fin");
    const [, { reason }] = await met.events.next("disconnect");
    assertEquals(reason, "protocol-error");
  });

  it("needs no credit for answers, errors, PINGs and CANCELs, however many", async () => {
    await using met = await meet({ maxConcurrentHandlers: 1 });
    const { raw } = met;
    await raw.send(sized(1_500), sized(600, 201));
    await raw.frame();
    const asked = met.server.clients[0].request(ASK, "x").catch((error) => error.code);
    assertEquals((await raw.frame())!.code, 201);
    await raw.send(
      { code: 202, content: new Uint8Array(5_000), requestId: 77, flags: REPLY },
      ...Array(200).fill({ code: 3, requestId: 5 }),
      { code: 201, content: '{"code":"no"}', requestId: 1, flags: REPLY | 4 },
      ...Array(200).fill({ code: 0, requestId: 3, flags: REQUEST, content: new Uint8Array(64) }),
    );
    assertEquals(await asked, "no");
    for (let i = 0; i < 200; i++) assertEquals((await raw.frame())!.code, 1);
    assertEquals(met.events.of("disconnect"), []);
  });

  it("gives credit back for every message, whatever becomes of it", async () => {
    const kinds: [what: string, frame: RawFrame, config?: ServerConfig, after?: readonly RawFrame[]][] = [
      ["handled", sized(600)],
      ["without a route", sized(600, 999)],
      ["a request without a route", { ...sized(600, 999), requestId: 1, flags: REQUEST }],
      ["undecodable", { code: 200, content: new Uint8Array(600 - HEADER).fill(255) }],
      ["cancelled while it waits", { ...sized(600, 201), requestId: 7, flags: REQUEST }, { maxConcurrentHandlers: 1 }, [
        { code: 3, requestId: 7 },
      ]],
      ["above the rate", sized(600), { rateLimit: { messages: 1, action: "reject" } }],
      ["a request above the rate", { ...sized(600, 201), requestId: 7, flags: REQUEST }, {
        rateLimit: { messages: 1, action: "reject" },
      }],
    ];
    for (const [what, frame, config, after = []] of kinds) {
      await using met = await meet(config);
      met.server.route(NOTE, () => {});
      const { raw } = met;
      // The first message is smaller than what is granted for; it takes the worker and the rate.
      await raw.send({ code: 202 });
      await raw.send(frame, ...after);
      if (what.startsWith("cancelled")) met.hold.resolve();
      let granted: number | undefined;
      while (granted === undefined) {
        const { code, content } = (await raw.frame())!;
        if (code === 5) granted = amount(content);
      }
      assertEquals(granted, 616, what);
    }
  });

  it("gives it back for what comes while it is being closed, too, when that is refused", async () => {
    await using met = await meet();
    const { raw } = met;
    await raw.send({ code: 202 });
    await until(() => met.server.clients[0]?.stats().runningHandlers === 1);
    // This peer knows no GOAWAY: what it sends is refused from here on.
    const closing = met.server.close({ drain: 1_000 });
    for (let i = 1; i <= 4; i++) {
      await raw.send({ ...sized(600, 201), requestId: i, flags: REQUEST });
      const seen: number[] = [];
      while (seen.length < 2) seen.push((await raw.frame())!.code);
      assertEquals(seen.sort(), [201, 5], `${i}`);
    }
    met.hold.resolve();
    await raw.end();
    await closing;
  });

  it("grants nothing for PINGs above the rate: they cost none", async () => {
    await using met = await meet({ rateLimit: { messages: 1, action: "reject" } });
    const { raw } = met;
    await raw.send(
      { code: 202 },
      ...Array(100).fill({ code: 0, requestId: 3, flags: REQUEST, content: new Uint8Array(64) }),
    );
    await until(() => met.server.clients[0]?.stats().framesReceived === 101);
    const pinged = met.server.clients[0].ping();
    const next = (await raw.frame())!;
    assertEquals(next.code, 0, "neither CREDIT nor PONG came before our own PING");
    await raw.send({ code: 1, requestId: next.requestId as number, flags: REPLY });
    await pinged;
  });

  it("grants a peer that has to wait in quarters, and in sixteenths where it waited long: a slow one is not dead", async () => {
    const clock = new FakeClock();
    const meter = new CreditMeter({ window: 1_600, least: 0 }, clock);
    assertEquals([meter.received(1_000), meter.taken(799), meter.taken(1)], [true, 0, 800]);
    assertEquals([meter.received(1_500), meter.taken(399), meter.taken(1), meter.received(1)], [true, 0, 400, true]);
    assertEquals([meter.received(299), meter.received(1), meter.taken(399)], [true, false, 0]);
    await clock.advance(51);
    assertEquals([meter.taken(0), meter.taken(99)], [399, 0]);
    assertEquals([meter.received(1_000), meter.received(1)], [true, false]);
    await clock.advance(50);
    assertEquals(meter.taken(1), 0, "50 ms are not long");
    await clock.advance(1);
    assertEquals(meter.taken(1), 101);
  });

  it("keeps its books: what is left, what waits and what is owed are one window", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const terms = { window: 1 + random.below(5_000), least: random.below(50) };
      const meter = new CreditMeter(terms, new FakeClock());
      const waiting: number[] = [];
      let left = terms.window;
      for (let i = 0; i < 2_000; i++) {
        if (random.below(2) === 0) {
          const size = 16 + random.below(2_000);
          const may = left > 0;
          assertEquals(meter.received(size), may, `seed ${seed}`);
          if (!may) continue;
          left -= Math.max(size, terms.least);
          waiting.push(size);
        } else if (waiting.length > 0) left += meter.taken(waiting.shift()!);
      }
      while (waiting.length > 0) left += meter.taken(waiting.shift()!);
      assert(left > terms.window / 2, `seed ${seed}: a sender could wait for ever`);
      assert(left <= terms.window, `seed ${seed}`);
    }
  });
});

describe("releases without credit", () => {
  for (const { release, server: spoken } of SPOKEN) {
    if (release === "native") continue;
    it(`know no CREDIT and hold nothing: ${release}`, async () => {
      const world = memoryWorld();
      let got = 0;
      await using served = await serve(world, { protocol: spoken, maxQueuedBytes: 100 }, (server) => {
        server.route(DATA, () => void got++);
      });
      await using raw = await Raw.connect(world, served.address, release);
      for (let i = 0; i < 50; i++) await raw.send({ code: 202, content: new Uint8Array(500) });
      await raw.send({ code: 0, requestId: 3 });
      assertEquals([(await raw.frame())!.code, got], [1, 50]);
      const [client] = served.server.clients;
      for (let i = 0; i < 50; i++) client.send(DATA, new Uint8Array(500));
      for (let i = 0; i < 50; i++) assertEquals((await raw.frame())!.code, 202);
    });
  }
});

for (const { name, make } of WORLDS) {
  describe(`credit between a client and a server, ${name},`, () => {
    it("brings everything, in order, through a small window and slow handlers, and answers get past", async () => {
      const world = await make();
      const gate = deferred();
      const seen: number[] = [];
      await using served = await serve(
        world,
        { maxQueuedBytes: 2_000, maxQueuedMessages: 64, maxConcurrentHandlers: 3 },
        (server) => {
          server.route(DATA, async ({ content }) => {
            seen.push(content[0] * 256 + content[1]);
            await gate.promise;
          });
        },
      );
      const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
      client.route(ASK, ({ data }) => data.toUpperCase());
      await client.connect();
      const [info] = await served.events.next("connect");
      const random = new Random(1);
      for (let i = 0; i < 1_000; i++) {
        const content = random.bytes(2 + random.below(1_000));
        content.set([i >> 8, i & 255]);
        client.send(DATA, content);
      }
      assertEquals(await info.request(ASK, "past it"), "PAST IT");
      await client.ping();
      assert(client.stats().bufferedBytes! > 400_000, "most of it is held");
      assert(info.stats().queuedMessages * 32 <= 2_000 + 1_018, "what waits is bounded");
      gate.resolve();
      await client.close();
      assertEquals(seen, [...Array(1_000).keys()]);
      assertEquals(world.clock.now(), 0);
    });

    it("that is never granted keeps neither requests from timing out nor close() from its limit", async () => {
      const world = await make();
      await using met = await face(world, "native", { features: { credit: { window: 1 } } });
      met.client.send(NOTE, "1");
      met.client.send(NOTE, "2");
      const asked = met.client.request(ASK, "3", { timeout: 60_000 }).catch((error) => error);
      const closing = met.client.close({ drain: 1_000 });
      await world.clock.advance(1_500);
      await turn();
      met.raw.connection.abort();
      await world.clock.advance(1_500);
      await closing;
      assert(await asked instanceof ConnectionError);
      assertEquals([met.client.state, world.clock.pending], ["disconnected", 0]);
    });
  });
}

describe("the queues of a frame writer", () => {
  it("hold to credit and order, never cut into a frame, and bring everything, whatever comes when", async () => {
    const native = protocol("native");
    for (let seed = 1; seed <= 15; seed++) {
      const random = new Random(seed);
      const least = random.pick([0, 0, 40, 300]);
      const window = random.pick([1, 50, 3_000]);
      const { connection, writes, shared, clock } = scripted({ eager: random.below(2) === 0 });
      /** What was granted when each write began. */
      const grants: number[] = [];
      let granted = window;
      let passed = 0;
      const watched = {
        write(bytes: Uint8Array): Promise<void> {
          grants.push(granted);
          return connection.write(bytes);
        },
      } as Connection;
      const writer = new FrameWriter(new Channel(watched), native, shared, {
        failed: () => {},
        stalled: () => {},
        pressure: () => {},
        mayStart: () => {},
      });
      writer.scheduler.limit({ window, least });
      let ordered = 0;
      let unordered = 0;
      /** Requests that are not cancelled, with where they end. */
      const open: { id: number; end: number }[] = [];
      const size = (): number => random.pick([0, 3, 70, 900, 5_000, 40_000]);
      const put = (priority: Priority, code: number, id: number, content = new Uint8Array(size())): void => {
        writer.frame(code, code === 202 ? REPLY : code === 3 ? 0 : REQUEST, id, content, 0, 2 ** 24, priority);
      };
      const step = async (): Promise<void> => {
        switch (random.below(9)) {
          case 0:
          case 1:
          case 2: {
            put(MESSAGE, 200, ++ordered);
            open.push({ id: ordered, end: writer.scheduler.taken });
            break;
          }
          case 3:
            put(ORDERED_CONTROL, 201, ++ordered, new Uint8Array(4));
            break;
          case 4:
            put(random.pick([ANSWER_PRIORITY, CONTROL]), 202, ++unordered);
            break;
          case 5: {
            const bytes = random.pick([1, 60, 1_000, 50_000]);
            granted += bytes;
            writer.grant(bytes);
            break;
          }
          case 6: {
            if (open.length === 0) break;
            const [{ id, end }] = open.splice(random.below(open.length), 1);
            // As a sender does it: behind what is held only if the request is.
            put(end > writer.scheduler.released ? ORDERED_CONTROL : CONTROL, 3, id, new Uint8Array(0));
            break;
          }
          case 7:
            if (passed < writes.length) writes[passed++].resolve();
            break;
          default:
            await clock.settle();
        }
      };
      const drain = async (): Promise<void> => {
        do {
          while (passed < writes.length) writes[passed++].resolve();
          await clock.settle();
        } while (passed < writes.length);
      };
      const check = (): ReturnType<FrameDecoder["push"]> => {
        const decoder = new FrameDecoder(native, { maxMessageSize: 2 ** 28 });
        const frames = decoder.push(join(...writes.map(({ bytes }) => bytes)));
        assertEquals([decoder.failure, decoder.partial], [undefined, 0], `seed ${seed}`);
        return frames;
      };
      for (let i = 0; i < 250; i++) await step();
      await drain();
      assertEquals(
        check().filter(({ code }) => code === 202).length,
        unordered,
        `seed ${seed}: urgent frames were held`,
      );
      granted += 2 ** 30;
      writer.grant(2 ** 30);
      await drain();
      const frames = check();
      assertEquals(
        [writer.buffered, shared.total.buffered, writer.scheduler.passed],
        [0, 0, writer.scheduler.taken],
        `seed ${seed}`,
      );

      const inOrder = frames.filter(({ code }) => code === 200 || code === 201).map(({ requestId }) => requestId);
      assertEquals(inOrder, Array.from({ length: ordered }, (_, i) => i + 1), `seed ${seed}`);
      const urgent = frames.filter(({ code }) => code === 202).map(({ requestId }) => requestId);
      assertEquals(urgent, Array.from({ length: unordered }, (_, i) => i + 1), `seed ${seed}`);
      const sent = new Set<unknown>();
      let at = 0;
      let spent = 0;
      let write = 0;
      let writeEnds = writes[0].bytes.length;
      for (const { code, requestId, start, end } of frames) {
        while (at >= writeEnds) writeEnds += writes[++write].bytes.length;
        const whole = HEADER + end - start;
        if (code === 200) {
          sent.add(requestId);
          assert(spent < grants[write], `seed ${seed}: ${spent} of ${grants[write]} were spent`);
          spent += Math.max(whole, least);
        } else if (code === 3) assert(sent.has(requestId), `seed ${seed}: a CANCEL overtook its request`);
        at += whole;
      }
      writer.close();
    }
  });
});
