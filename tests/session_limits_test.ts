/** What a peer and a handler may take: rates, time limits of routes, and how eagerly is written. */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type ClientConfig, messageType, type ServerConfig, text } from "../mod.ts";
import { Channel } from "../src/link/channel.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { RemoteError, TimeoutError } from "../src/errors.ts";
import { FrameWriter } from "../src/link/frame_writer.ts";
import { readTuning, TUNING_OPTIONS } from "../src/app/tuning.ts";
import { readOptions } from "../src/base/checks.ts";
import { TokenBuckets } from "../src/app/token_buckets.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  deferred,
  face,
  Lines,
  memoryWorld,
  microtasks,
  Raw,
  type RawFrame,
  Recorder,
  scripted,
  serve,
  SPOKEN,
  turn,
  until,
  WORLDS,
} from "./session_support.ts";
import { Random } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const REQUEST = 1;
const REPLY = 2;

// deno-lint-ignore explicit-function-return-type
async function attach(port: number, config: ClientConfig) {
  const client = new Client({ port, logger: new Lines(), ...config });
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.close({ drain: 0 }) };
}

describe("rateLimit", () => {
  for (const { release, server: spoken } of SPOKEN) {
    const native = release === "native";
    it(`throttles: all messages of ${release} are handled, in order, none sooner than the rate allows`, async () => {
      for (const rateLimit of [{ messages: 10 }, { bytes: 1_000 }, { messages: 10, bytes: 1_000_000, burst: 1 }]) {
        const world = memoryWorld();
        const seen: { word: string; at: number }[] = [];
        await using served = await serve(world, { protocol: spoken, rateLimit, maxQueuedMessages: 8 }, (server) => {
          server.route(NOTE, ({ data }) => void seen.push({ word: data, at: world.clock.now() }));
        });
        const limited = new Recorder(served.server, ["limited"]);
        await using raw = await Raw.connect(world, served.address, release);
        const all = Array.from({ length: 40 }, (_, i) => `${i}`.padStart(100));
        await raw.send(...all.map((content) => ({ code: 200, content })));
        for (let i = 0; i < 60; i++) await world.clock.advance(100);
        assertEquals(seen.map(({ word }) => word), all);
        for (const [i, { at }] of seen.entries()) {
          // Bytes are paid off afterwards: the message that empties the bucket comes early.
          const [soonest, latest] = [Math.max(0, i - 10) * 100, Math.max(0, i - 9) * 100 + 150];
          assert(at >= soonest && at <= latest, `${i} at ${at} ms`);
        }
        assert(limited.of("limited").length > 0);
        assertEquals(limited.of("limited")[0][0], { action: "throttled", code: 200 });
        assertEquals([served.events.of("disconnect"), served.events.of("error")], [[], []]);
      }
    });

    it(`rejects: what ${release} sends above the rate is left out, and what comes later is taken`, async () => {
      const world = memoryWorld();
      const seen: string[] = [];
      await using served = await serve(
        world,
        { protocol: spoken, rateLimit: { messages: 3, action: "reject" } },
        (server) => {
          server.route(NOTE, ({ data }) => void seen.push(data));
          server.route(WORK, ({ data }) => data);
        },
      );
      const limited = new Recorder(served.server, ["limited"]);
      await using raw = await Raw.connect(world, served.address, release);
      const flags = native ? REQUEST : 0;
      await raw.send(
        ...["1", "2", "3", "4", "5"].map((content) => ({ code: 200, content })),
        { code: 201, content: "x", requestId: 7, flags },
        { code: 0, requestId: 8, flags },
      );
      await until(() => served.server.clients[0]?.stats().framesReceived === 7);
      await world.clock.advance(1_000);
      await raw.send({ code: 200, content: "6" }, { code: 0, requestId: 9, flags });
      const first = (await raw.frame())!;
      if (native) {
        assertEquals([first.code, first.requestId, first.flags], [201, 7, 6]);
        assertEquals(JSON.parse(new TextDecoder().decode(first.content)).code, "rate-limited");
      }
      const last = native ? (await raw.frame())! : first;
      assertEquals([last.code, last.requestId], [1, 9], "a PING above the rate is not answered, a later one is");
      assertEquals(seen, ["1", "2", "3", "6"]);
      assertEquals(limited.of("limited").map(([{ action, code }]) => `${action} ${code}`), [
        "rejected 200",
        "rejected 200",
        "rejected 201",
        "rejected 0",
      ]);
      assertEquals(served.events.of("error"), []);
    });

    it(`closes ${release} that sends too much, or pings too much, reason rate-limited`, async () => {
      for (const code of [200, 0]) {
        const world = memoryWorld();
        await using served = await serve(
          world,
          { protocol: spoken, rateLimit: { messages: 3, action: "close" } },
          (server) => {
            server.route(NOTE, () => {});
          },
        );
        await using raw = await Raw.connect(world, served.address, release);
        const flags = native && code === 0 ? REQUEST : 0;
        const requestId = flags === 0 ? undefined : 5;
        await raw.send(...Array(3).fill({ code, flags, requestId }));
        await until(() => served.server.clients[0]?.stats().framesReceived === 3);
        await turn();
        assertEquals(served.events.of("disconnect"), []);
        await raw.send({ code, flags, requestId });
        assertEquals(await raw.end(), "fin");
        const [, { reason }] = await served.events.next("disconnect");
        assertEquals(reason, "rate-limited");
      }
    });

    it(`holds a frame of ${release} that was begun against nobody while what came before it is throttled`, async () => {
      const world = memoryWorld();
      let seen = 0;
      const config: ServerConfig = { protocol: spoken, rateLimit: { messages: 2 }, maxQueuedMessages: 2 };
      await using served = await serve(world, config, (server) => server.route(NOTE, () => void seen++));
      await using raw = await Raw.connect(world, served.address, release);
      const whole = raw.encode(...Array(102).fill({ code: 200, content: "x".repeat(20) }));
      const size = whole.length / 102;
      await raw.connection.write(whole.slice(0, size / 2));
      await world.clock.advance(1_000);
      await raw.connection.write(whole.slice(size / 2, size * 101.5));
      await world.clock.advance(40_000);
      assertEquals([served.events.of("disconnect"), seen > 70], [[], true]);
      await world.clock.advance(10_000);
      await raw.connection.write(whole.slice(size * 101.5));
      await world.clock.advance(1_000);
      assertEquals([served.events.of("disconnect"), seen], [[], 102]);
    });

    it(`never closes ${release} that is throttled and needs no more than it may`, async () => {
      const world = memoryWorld();
      let seen = 0;
      const config: ServerConfig = { protocol: spoken, rateLimit: { messages: 2 }, maxQueuedMessages: 2 };
      await using served = await serve(world, config, (server) => server.route(NOTE, () => void seen++));
      await using raw = await Raw.connect(world, served.address, release);
      void (async () => {
        for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
          if (frame.code === 0) {
            await raw.send({ code: 1, requestId: frame.requestId as number, flags: native ? REPLY : 0 });
          }
        }
      })().catch(() => {});
      // A burst that takes minutes, then as much as is allowed.
      await raw.send(...Array(300).fill({ code: 200 }));
      await world.clock.advance(160_000);
      assertEquals(seen, 300);
      for (let i = 0; i < 100; i++) {
        await raw.send({ code: 200 });
        await world.clock.advance(500);
        assertEquals(seen, 301 + i);
      }
      assertEquals(served.events.of("disconnect"), []);
    });
  }

  it("exempts answers", async () => {
    for (const action of ["throttle", "reject", "close"] as const) {
      const world = memoryWorld();
      await using served = await serve(world, { rateLimit: { messages: 1, bytes: 1, action } });
      await using met = await attach(served.address.port, { transport: world.transport });
      met.client.route(WORK, ({ data }) => `${data}!`);
      const [info] = await served.events.next("connect");
      const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => info.request(WORK, `${i}`)));
      assertEquals([answers.length, world.clock.now()], [50, 0], action);
    }
  });

  it("saves up no more than a burst while nothing comes", async () => {
    for (const rate of [{ messages: 10, bytes: Infinity }, { messages: Infinity, bytes: 10 }]) {
      const clock = new FakeClock();
      const limit = new TokenBuckets({ ...rate, burst: 2, action: "throttle" }, clock);
      await clock.advance(3_600_000);
      for (let i = 0; i < 20; i++) {
        assertEquals(limit.wait(), 0);
        limit.spend(1);
      }
      assertEquals(limit.wait(), 100);
    }
  });

  it("lets a message larger than the bucket through, and the next when it is paid off", () => {
    const clock = new FakeClock();
    const limit = new TokenBuckets({ messages: Infinity, bytes: 100, burst: 1, action: "throttle" }, clock);
    assertEquals(limit.wait(), 0);
    limit.spend(1_000);
    assertEquals(limit.wait(), 9_010);
  });

  it("lets through what burst and rate allow, to within one message, and never makes wait who keeps to the rate", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed);
      const clock = new FakeClock();
      const messages = random.pick([Infinity, 1, 7, 1_000]);
      const bytes = messages === Infinity ? 500 : random.pick([Infinity, 500, 100_000]);
      const burst = random.pick([0.1, 1, 5]);
      const limit = new TokenBuckets({ messages, bytes, burst, action: "throttle" }, clock);
      let count = 0;
      let sum = 0;
      for (let i = 0; i < 400; i++) {
        await clock.advance(random.below(50));
        const wait = limit.wait();
        assert(Number.isInteger(wait) && wait >= 0, `seed ${seed}: ${wait}`);
        if (wait > 0) {
          await clock.advance(wait);
          assertEquals(limit.wait(), 0, `seed ${seed}: the wait was too short`);
        }
        const size = random.below(300);
        limit.spend(size);
        count++;
        sum += size;
        const seconds = clock.now() / 1_000;
        assert(count <= Math.max(1, messages * burst) + messages * seconds + 1, `seed ${seed}`);
        assert(sum <= Math.max(1, bytes * burst) + bytes * seconds + 300, `seed ${seed}`);
      }
    }
    const clock = new FakeClock();
    const limit = new TokenBuckets({ messages: 10, bytes: 1_000, burst: 0.5, action: "throttle" }, clock);
    for (let i = 0; i < 100; i++) {
      assertEquals(limit.wait(), 0);
      limit.spend(100);
      await clock.advance(100);
    }
  });

  it("leaves no timer behind when a throttled connection ends", async () => {
    const world = memoryWorld();
    const served = await serve(world, { rateLimit: { messages: 1 } }, (server) => server.route(NOTE, () => {}));
    const raw = await Raw.connect(world, served.address, "native");
    await raw.send(...Array(50).fill({ code: 200 }));
    await until(() => served.server.clients[0]?.stats().queuedMessages === 49);
    await served.server.close({ drain: 0 });
    await raw[Symbol.asyncDispose]();
    assertEquals(world.clock.pending, 0);
  });
});

describe("the timeout of a route", () => {
  for (const { name, make } of WORLDS) {
    it(`tells the sender and the error event, aborts the signal, and frees the place, ${name}`, async () => {
      for (const ordered of [false, true]) {
        const world = await make();
        const signals: AbortSignal[] = [];
        const ends: PromiseWithResolvers<string>[] = [];
        await using served = await serve(world, ordered ? {} : { maxConcurrentHandlers: 1 }, (server) => {
          server.route(WORK, (message) => {
            signals.push(message.signal);
            ends.push(deferred<string>());
            return message.data === "quick" ? "done" : ends.at(-1)!.promise;
          }, { timeout: 1_000, ordered });
        });
        await using met = await attach(served.address.port, { transport: world.transport });
        const asked = ["1", "2", "quick"].map((word) => met.client.request(WORK, word, { timeout: 60_000 }));
        const settled = Promise.allSettled(asked);
        await until(() => signals.length === 1);
        await turn();
        await world.clock.advance(990);
        assertEquals([signals.length, signals[0].aborted], [1, false]);
        await world.clock.advance(30);
        const [error, info] = await served.events.next("error");
        assertInstanceOf(error, TimeoutError);
        assertEquals([error.code, info.id, signals[0].aborted, signals[0].reason], ["timeout", 1, true, error]);
        await until(() => signals.length === 2);
        // What the first one still does is ignored, and so is how the second one ends.
        ends[0].resolve("late");
        await turn();
        await world.clock.advance(1_020);
        ends[1].reject(new Error("late, too"));
        const [first, second, third] = await settled;
        for (const late of [first, second]) {
          assert(late.status === "rejected");
          assertInstanceOf(late.reason, RemoteError);
          assertEquals(late.reason.code, "timeout");
          assert(!late.reason.message.includes("at "), "a stack");
        }
        assertEquals(third, { status: "fulfilled", value: "done" });
        await turn();
        assertEquals(served.events.of("error").length, 2);
        assertEquals([met.client.stats().repliesDropped, info.stats().runningHandlers], [0, 0]);
      }
    });
  }

  it("is no matter for a handler that ends in time, one that is synchronous, and other routes", async () => {
    const world = memoryWorld();
    const served = await serve(world, {}, (server) => {
      server.route(WORK, ({ data }) => data === "sync" ? data : turn().then(() => data), { timeout: 50 });
    });
    const met = await attach(served.address.port, { transport: world.transport });
    assertEquals(await met.client.request(WORK, "sync"), "sync");
    assertEquals(await met.client.request(WORK, "async"), "async");
    await world.clock.advance(1_000);
    assertEquals(served.events.of("error"), []);
    await met.client.close();
    await served.server.close();
    assertEquals(world.clock.pending, 0);
  });

  it("sends no answer to a Python peer, and none to a message that asks for none", async () => {
    for (const release of ["1.6.3", "native"] as const) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: release === "native" ? "2.0" : release }, (server) => {
        server.route(WORK, () => new Promise<string>(() => {}), { timeout: 100 });
      });
      await using raw = await Raw.connect(world, served.address, release);
      await raw.send({ code: 201, content: "x" });
      await until(() => served.server.clients[0]?.stats().runningHandlers === 1);
      await world.clock.advance(200);
      await served.events.next("error");
      await raw.send({ code: 0, requestId: 3, flags: release === "native" ? REQUEST : 0 });
      assertEquals((await raw.frame())!.code, 1);
    }
  });

  it("and a CANCEL at the same time are told once", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => {
      server.route(
        WORK,
        ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
        { timeout: 100 },
      );
    });
    await using met = await attach(served.address.port, { transport: world.transport });
    const asked = met.client.request(WORK, "x", { timeout: 100 });
    asked.catch(() => {});
    await until(() => served.server.clients[0]?.stats().runningHandlers === 1);
    await world.clock.advance(500);
    await assertRejects(() => asked);
    assertEquals(served.server.clients[0].stats().runningHandlers, 0);
    assert(served.events.of("error").length <= 1);
    assertEquals(await met.client.ping(), 0);
  });
});

describe("performanceMode", () => {
  it("low gathers what is sent for 5 ms and writes it at once", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", {}, { performanceMode: "low" });
    for (let i = 0; i < 10; i++) {
      met.client.send(NOTE, `${i}`);
      await turn();
    }
    assertEquals(met.client.stats().bytesSent, 0);
    await world.clock.advance(4);
    assertEquals(met.client.stats().bytesSent, 0);
    await world.clock.advance(1);
    assertEquals(met.client.stats().bytesSent, 170);
    assertEquals((await met.raw.connection.read())!.length, 170, "one write");
  });

  it("low answers, flushes on close, and leaves no timer when it is cut", async () => {
    for (const drain of [5_000, 0]) {
      const world = memoryWorld();
      const seen: string[] = [];
      const served = await serve(world, { performanceMode: "low" }, (server) => {
        server.route(NOTE, ({ data }) => void seen.push(data));
        server.route(WORK, ({ data }) => data);
      });
      const met = await attach(served.address.port, { transport: world.transport, performanceMode: "low" });
      const asked = met.client.request(WORK, "x");
      await world.clock.advance(20);
      assertEquals(await asked, "x");
      met.client.send(NOTE, "last");
      const closing = met.client.close({ drain });
      await world.clock.advance(drain === 0 ? 0 : 100);
      await closing;
      if (drain > 0) assertEquals(seen, ["last"]);
      const over = served.server.close({ drain });
      await world.clock.advance(drain === 0 ? 0 : 100);
      await over;
      assertEquals(world.clock.pending, 0, `drain ${drain}`);
    }
  });

  it("balanced gathers what a turn sends behind the first write, high writes on as soon as it can", async () => {
    for (const performanceMode of ["balanced", "high"]) {
      const { eager } = readTuning(readOptions("options", { performanceMode }, TUNING_OPTIONS));
      const { connection, writes, shared } = scripted({ eager });
      const writer = new FrameWriter(new Channel(connection), protocol("native"), shared, {
        failed: () => {},
        stalled: () => {},
        pressure: () => {},
        mayStart: () => {},
      });
      const send = (): number => writer.frame(200, 0, 0, "x", 0, 1_000);
      send();
      send();
      assertEquals(writes.length, 1, "an idle connection writes at once");
      writes[0].resolve();
      await microtasks(10);
      send();
      assertEquals(writes.length, eager ? 2 : 1);
      await turn();
      assertEquals(writes.map(({ bytes }) => bytes.length), eager ? [17, 17] : [17, 34]);
      writes[1].resolve();
      await turn();
      writer.close();
    }
  });
});

describe("rateLimit and frames that are no messages", () => {
  const ping = (requestId: number): RawFrame => ({ code: 0, requestId, flags: REQUEST });
  const CREDIT = { credit: { window: 1_000_000, least: 0 } };

  for (const { release, server: spoken } of SPOKEN) {
    it(`throttles PINGs of ${release}: each is answered, none sooner than the rate allows`, async () => {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: spoken, rateLimit: { messages: 10 } });
      const limited = new Recorder(served.server, ["limited"]);
      await using raw = await Raw.connect(world, served.address, release);
      const answered: { id: number; at: number }[] = [];
      void (async () => {
        for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
          if (frame.code === 1) answered.push({ id: frame.requestId as number, at: world.clock.now() });
        }
      })().catch(() => {});
      const flags = release === "native" ? REQUEST : 0;
      await raw.send(...Array.from({ length: 40 }, (_, i) => ({ code: 0, requestId: 20 + i, flags })));
      for (let i = 0; i < 60; i++) await world.clock.advance(100);
      assertEquals(answered.map(({ id }) => id), Array.from({ length: 40 }, (_, i) => 20 + i));
      for (const [i, { at }] of answered.entries()) {
        const [soonest, latest] = [Math.max(0, i - 11) * 100, Math.max(0, i - 9) * 100 + 150];
        assert(at >= soonest && at <= latest, `${i} at ${at} ms`);
      }
      assertEquals(limited.of("limited")[0][0], { action: "throttled", code: 0 });
      assertEquals([served.events.of("disconnect"), served.events.of("error")], [[], []]);
    });
  }

  it("answers a PING at once although messages wait for the rate, and they go on at theirs", async () => {
    const world = memoryWorld();
    const seen: number[] = [];
    await using served = await serve(world, { rateLimit: { messages: 1 } }, (server) => {
      server.route(NOTE, () => void seen.push(world.clock.now()));
    });
    await using raw = await Raw.connect(world, served.address, "native", { features: CREDIT });
    await raw.send(...Array(100).fill({ code: 200 }));
    for (let i = 0; i < 90; i++) {
      await raw.send(ping(i + 1));
      assertEquals((await raw.frame())!.requestId, i + 1);
      await world.clock.advance(1_000);
    }
    assert(seen.length >= 89 && seen.length <= 92, `${seen.length}`);
    assertEquals([served.events.of("disconnect"), world.clock.now()], [[], 90_000]);
  });

  it("reads nothing while frames that came too early are paid off, by number and by bytes, and holds that against nobody", async () => {
    for (
      const [rateLimit, content] of [[{ messages: 5 }, ""], [{ bytes: 5_000 }, "x".repeat(1_000)]] as const
    ) {
      const world = memoryWorld();
      await using served = await serve(world, { rateLimit, heartbeat: { idle: 1_000, timeout: 2_000 } });
      await using raw = await Raw.connect(world, served.address, "native");
      const [info] = await served.events.next("connect");
      // In chunks, so that what is not read stays with the socket.
      const written = (async () => {
        for (let i = 0; i < 10; i++) await raw.send(...Array(10).fill({ code: 199, content }));
      })();
      await world.clock.advance(10_000);
      const { framesIgnored } = info.stats();
      assert(framesIgnored >= 50 && framesIgnored <= 60, `${framesIgnored} in 10 s`);
      await world.clock.advance(10_500);
      await written;
      assertEquals([info.stats().framesIgnored, served.events.of("disconnect")], [100, []]);
    }
  });

  for (const action of ["reject", "close"] as const) {
    it(`${action}s what means nothing above the rate: CANCEL, unknown codes, answers that nobody waits for`, async () => {
      const frames: RawFrame[] = [
        { code: 3, requestId: 7 },
        { code: 199 },
        { code: 201, requestId: 9, flags: REPLY },
        { code: 5, content: "?" },
        { code: 4 },
      ];
      for (const frame of frames) {
        const world = memoryWorld();
        await using served = await serve(world, { rateLimit: { messages: 3, action } });
        const limited = new Recorder(served.server, ["limited"]);
        await using raw = await Raw.connect(world, served.address, "native", { features: CREDIT });
        await raw.send(...Array(3).fill(frame));
        await until(() => served.server.clients[0]?.stats().framesReceived === 3);
        await turn();
        assertEquals([limited.of("limited"), served.events.of("disconnect")], [[], []]);
        await raw.send(frame);
        if (action === "close") {
          assertEquals(await raw.end(), "fin");
          assertEquals((await served.events.next("disconnect"))[1].reason, "rate-limited");
        } else await until(() => served.server.clients[0].stats().framesReceived === 4);
        assertEquals(limited.of("limited").map(([info]) => info), [{ action: "rejected", code: frame.code }]);
      }
    });
  }

  it("counts no CANCEL that cancels, and no CREDIT for what was sent to the peer", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { rateLimit: { messages: 20, action: "close" } }, (server) => {
      server.route(WORK, () => new Promise<string>(() => {}));
    });
    await using raw = await Raw.connect(world, served.address, "native", { features: CREDIT });
    const [info] = await served.events.next("connect");
    const ids = Array.from({ length: 20 }, (_, i) => i + 1);
    await raw.send(...ids.map((requestId) => ({ code: 201, requestId, flags: REQUEST })));
    await raw.send(...ids.map((requestId) => ({ code: 3, requestId })));
    for (let i = 0; i < 100; i++) info.send(NOTE, "x");
    for (let i = 0; i < 100; i++) await raw.frame();
    await raw.send(...Array(100).fill({ code: 5, content: new Uint8Array([0, 0, 0, 17]) }));
    await until(() => info.stats().framesReceived === 140);
    await turn();
    assertEquals(served.events.of("disconnect"), []);
    // What nothing was sent for counts; the requests have used up the rate.
    await raw.send({ code: 5, content: new Uint8Array([0, 0, 0, 17]) });
    assertEquals(await raw.end(), "fin");
    assertEquals((await served.events.next("disconnect"))[1].reason, "rate-limited");
  });

  it("neither serves nor answers a peer any more that is to be closed, tells it why, and says FIN at once", async () => {
    const world = memoryWorld();
    const seen: string[] = [];
    const gate = deferred<string>();
    await using served = await serve(world, { rateLimit: { messages: 3, action: "close" } }, (server) => {
      server.route(WORK, ({ data }) => {
        seen.push(data);
        return data === "2" ? gate.promise : data;
      });
    });
    await using raw = await Raw.connect(world, served.address, "native", { features: { goaway: {} } });
    const [info] = await served.events.next("connect");
    const ask = (id: number): RawFrame => ({ code: 201, requestId: id, flags: REQUEST, content: `${id}` });
    await raw.send(...Array.from({ length: 200 }, (_, i) => ask(i + 1)), ping(999));
    const heard: unknown[] = [];
    for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
      heard.push([frame.code, frame.requestId, new TextDecoder().decode(frame.content)]);
    }
    gate.resolve("late");
    assertEquals([seen, heard, world.clock.now()], [
      ["1", "2", "3"],
      [[201, 1, "1"], [201, 3, "3"], [4, 0, '{"code":"rate-limited","drain":1000}']],
      0,
    ]);
    // What comes meanwhile is thrown away.
    await raw.send(...Array.from({ length: 200 }, (_, i) => ask(i + 300)));
    await turn();
    assertEquals([seen.length, info.stats().framesReceived], [3, 4]);
    await raw.end();
    assertEquals((await served.events.next("disconnect"))[1].reason, "rate-limited");
  });
});
