/** Promise 6: dead peers are found without code of the user, and living ones are never taken for dead. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, messageType, text, TimeoutError } from "../mod.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { Heartbeat } from "../src/link/heartbeat.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import {
  advanceUntil,
  deferred,
  face,
  Lines,
  memoryWorld,
  Raw,
  RawServer,
  Recorder,
  serve,
  SPOKEN,
  turn,
  until,
  withTime,
  type World,
} from "./session_support.ts";
import { Random } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const REQUEST = 1;
const REPLY = 2;

/** Reads to the end, keeping when which frame came; `answer` decides about PINGs. */
function listen(
  { clock }: World,
  raw: Raw,
  answer: (requestId: number) => unknown = () => {},
): { at: number; code: number }[] {
  const seen: { at: number; code: number }[] = [];
  void (async () => {
    for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
      seen.push({ at: clock.now(), code: frame.code });
      if (frame.code === 0) answer(frame.requestId as number);
    }
  })().catch(() => {});
  return seen;
}

const pong = (raw: Raw, requestId: number): Promise<void> =>
  raw.send({ code: 1, requestId, flags: raw.protocol.name === "native" ? REPLY : 0 }).catch(() => {});

for (const { release, server: spoken } of SPOKEN) {
  const native = release === "native";
  const dead = native ? 25_000 : 45_000;

  describe(`a peer that speaks ${release}`, () => {
    it("is asked after 15 s of silence, and again, and closed when it stays silent", async () => {
      for (const side of ["client", "server"] as const) {
        const world = memoryWorld();
        let raw: Raw;
        let events: Recorder;
        let met: AsyncDisposable;
        if (side === "client") {
          const faced = await face(world, release);
          ({ raw, events } = faced);
          met = faced;
        } else {
          const served = await serve(world, { protocol: spoken });
          raw = await Raw.connect(world, served.address, release);
          events = served.events;
          met = served;
        }
        const seen = listen(world, raw);
        await world.clock.advance(14_900);
        assertEquals(seen, [], side);
        await world.clock.advance(200);
        assertEquals(seen.map(({ code }) => code), [0], side);
        await world.clock.advance(dead - 15_200);
        assertEquals(events.of("disconnect"), [], side);
        await world.clock.advance(1_100);
        const { reason, error } = events.of("disconnect")[0].at(-1);
        assertEquals([reason, error.code], ["heartbeat", "timed-out"], side);
        assertEquals(seen.length, native ? 1 : 2);
        await met[Symbol.asyncDispose]();
        await raw[Symbol.asyncDispose]();
        assertEquals(world.clock.pending, 0, "a timer was left");
      }
    });

    it("lives by any byte, though it answers no PING", async () => {
      const world = memoryWorld();
      await using met = await face(world, release);
      met.client.route(NOTE, () => {});
      listen(world, met.raw);
      for (let i = 0; i < 20; i++) {
        await world.clock.advance(24_000);
        await met.raw.send({ code: 200, content: "x" });
      }
      assertEquals([met.client.state, met.events.all], ["connected", []]);
    });

    it("lives when it answers every PING slowly, and is asked once for each silence", async () => {
      const world = memoryWorld();
      await using met = await face(world, release);
      const seen = listen(world, met.raw, (id) => void world.clock.setTimeout(() => void pong(met.raw, id), 9_800));
      await world.clock.advance(600_000);
      assertEquals([met.client.state, met.events.all], ["connected", []]);
      assert(seen.length >= 23 && seen.length <= 40, `${seen.length} PINGs`);
      assertEquals(met.client.stats().repliesDropped, 0);
    });

    it("gets PINGs also while it only receives, and while it only sends", async () => {
      for (const busy of ["sending", "receiving"]) {
        const world = memoryWorld();
        await using met = await face(world, release);
        met.client.route(NOTE, () => {});
        const seen = listen(world, met.raw, (id) => void pong(met.raw, id));
        for (let i = 0; i < 60; i++) {
          if (busy === "sending") await met.raw.send({ code: 200, content: "x" });
          else met.client.send(NOTE, "x");
          await world.clock.advance(1_000);
        }
        const pings = seen.filter(({ code }) => code === 0).map(({ at }) => at);
        assert(pings.length === 3 || pings.length === 4, `${busy}: ${pings}`);
      }
    });

    it(`gets ${native ? "PINGs" : "no PING"} in the middle of a frame of its own`, async () => {
      const world = memoryWorld();
      await using met = await face(world, release, {}, { heartbeat: { idle: 100 } });
      const got: number[] = [];
      met.client.route(NOTE, ({ data }) => void got.push(data.length));
      const seen = listen(world, met.raw);
      const frame = met.raw.encode({ code: 200, content: "x".repeat(100_000) });
      for (let at = 0; at < frame.length; at += 2_000) {
        await met.raw.connection.write(frame.subarray(at, at + 2_000));
        await world.clock.advance(at === 50_000 ? 1_000 : 150);
      }
      assertEquals([got, met.client.state], [[100_000], "connected"]);
      // A native peer has its answer wait until the frame is out.
      if (native) assert(seen.length > 10, `${seen.length}`);
      else assertEquals(seen.filter(({ at }) => at < 8_000), []);
      await world.clock.advance(300);
      assert(seen.some(({ code }) => code === 0), "asked again behind it");
    });

    it("gets none, and is never closed, with heartbeat: false", async () => {
      const world = memoryWorld();
      await using met = await face(world, release, {}, { heartbeat: false });
      const seen = listen(world, met.raw);
      await world.clock.advance(3_600_000);
      assertEquals([seen, met.client.state, world.clock.pending], [[], "connected", 0]);
    });
  });
}

describe("the heartbeat", () => {
  it("follows its options, and performanceMode without them", async () => {
    const cases = [
      [{ performanceMode: "low" }, 60_000, 80_000],
      [{ performanceMode: "high" }, 5_000, 10_000],
      [{ performanceMode: "high", heartbeat: { idle: 1_000 } }, 1_000, 6_000],
      [{ heartbeat: { timeout: 1_000 } }, 15_000, 16_000],
      [{ heartbeat: { idle: 100, timeout: 200 } }, 100, 300],
    ] as const;
    for (const [config, idle, over] of cases) {
      const world = memoryWorld();
      await using met = await face(world, "native", {}, config);
      const seen = listen(world, met.raw);
      await world.clock.advance(over - 1);
      assertEquals(met.client.state, "connected");
      await world.clock.advance(1_000);
      assertEquals(met.client.state, "disconnected");
      assert(seen[0].at >= idle && seen[0].at <= idle + 60, `${seen[0].at}`);
    }
  });

  it("stands still while we have stopped reading, and goes on when we read again", async () => {
    for (const release of ["2.0.0", "1.6.3"] as const) {
      const world = memoryWorld();
      await using met = await face(world, release, {}, {
        maxConcurrentHandlers: 1,
        maxQueuedMessages: 2,
        heartbeat: { idle: 1_000, timeout: 1_000 },
      });
      const hold = deferred();
      met.client.route(NOTE, () => hold.promise);
      const seen = listen(world, met.raw);
      await met.raw.send(...Array(4).fill({ code: 200, content: "x" }));
      await world.clock.advance(600_000);
      assertEquals(met.client.state, "connected");
      assert(seen.length > 300, "PINGs go out nevertheless");
      hold.resolve();
      await world.clock.advance(1_500);
      assertEquals(met.client.state, "connected", "the silence counts from when we read again");
      await advanceUntil(world.clock, met.client.closed);
      assert(world.clock.now() <= 603_500, `${world.clock.now()}`);
    }
  });

  it("holds no stall of our own event loop against the peer, and still finds it dead afterwards", async () => {
    for (const release of ["native", "2.0.0"] as const) {
      const base = memoryWorld();
      let skew = 0;
      const clock = { ...methods(base.clock), now: () => base.clock.now() + skew };
      const world = { clock: base.clock, transport: withTime(base.transport, clock) };
      await using met = await face(world, release);
      let alive = true;
      const seen = listen(base, met.raw, (id) => alive && void pong(met.raw, id));
      for (let i = 0; i < 10; i++) {
        await base.clock.advance(3_000);
        // The loop stands still: what comes meanwhile is read after the timers ran.
        skew += 30_000 + i * 7_000;
        await base.clock.advance(1);
      }
      assertEquals([met.client.state, met.events.all], ["connected", []]);
      assert(seen.length > 0);
      alive = false;
      await base.clock.advance(release === "native" ? 41_000 : 61_000);
      assertEquals(met.client.state, "disconnected");
    }
  });

  it("of a page in the background asks late, judges after the peer's time, and lets a living server be", async () => {
    const MINUTE = 60_000;
    const base = memoryWorld();
    // Its timers come once a minute, and its loop runs.
    const clock = {
      ...methods(base.clock),
      now: () => base.clock.now(),
      setTimeout: (fn: () => void, ms: number) => {
        const due = Math.ceil((base.clock.now() + ms) / MINUTE) * MINUTE;
        return base.clock.setTimeout(fn, due - base.clock.now());
      },
    };
    const slow = withTime(base.transport, clock);
    const transport = { ...slow, eventLoop: { ...slow.eventLoop!, throttled: () => true } };
    await using met = await face({ clock: base.clock, transport }, "native");
    let alive = true;
    const seen = listen(base, met.raw, (id) => alive && void pong(met.raw, id));
    const pass = async (minutes: number): Promise<void> => {
      for (let i = 0; i < minutes; i++) {
        await base.clock.advance(MINUTE);
        // Before it judges, it lets the loop turn.
        for (let turns = 0; turns < 10; turns++) await base.clock.settle();
      }
    };
    await pass(60);
    assertEquals([met.client.state, met.events.all], ["connected", []]);
    assert(seen.length >= 50 && seen.every(({ at }) => at % MINUTE === 0), `${seen.length} PINGs`);
    alive = false;
    const from = base.clock.now();
    const request = assertRejects(() => met.client.request(WORK, "", { timeout: 1_000 }), TimeoutError);
    await pass(1);
    await request;
    await pass(1);
    const [{ reason }] = met.events.of("disconnect")[0];
    assertEquals([reason, met.client.state, base.clock.now() - from], ["heartbeat", "disconnected", 2 * MINUTE]);
  });

  it("asks past held messages, and past nothing when the buffer is full", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 1 } } });
    const seen = listen(world, met.raw, (id) => void pong(met.raw, id));
    met.client.send(NOTE, "1");
    met.client.send(NOTE, "2");
    await world.clock.advance(60_000);
    assertEquals(seen.slice(0, 2).map(({ code }) => code), [200, 0]);
    assertEquals([met.client.state, seen.filter(({ code }) => code === 200).length], ["connected", 1]);
  });

  it("finds a black hole, however much waits to be sent", async () => {
    const world = memoryWorld({ pipeSize: 1_000 });
    await using server = await RawServer.listen(world);
    const client = new Client({
      ...server.address,
      transport: world.transport,
      logger: new Lines(),
      writeTimeout: 2 ** 31 - 1,
    });
    const events = new Recorder(client, ["disconnect"]);
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    for (let i = 0; i < 16; i++) client.send(NOTE, "x".repeat(1_000_000));
    const [{ reason }] = await advanceUntil(world.clock, events.next("disconnect"));
    assertEquals(reason, "heartbeat");
    assert(world.clock.now() >= 25_000 && world.clock.now() <= 25_300, `${world.clock.now()}`);
    await raw[Symbol.asyncDispose]();
    await client.closed;
    assertEquals(world.clock.pending, 0);
  });

  it("goes on while a connection is drained", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => server.route(WORK, async () => (await hold.promise, "x")));
    const hold = deferred();
    await using raw = await Raw.connect(world, served.address, "2.0.0");
    await raw.send({ code: 201, content: "x", requestId: 3 });
    await until(() => served.server.clients[0]?.stats().runningHandlers === 1);
    const closing = served.server.close({ drain: 200_000 });
    const seen = listen(world, raw, (id) => void pong(raw, id));
    await world.clock.advance(150_000);
    assertEquals(served.events.of("disconnect"), [], "a peer that answers PINGs is not dead");
    hold.resolve();
    await until(() => seen.some(({ code }) => code === 201));
    await raw.connection.closeWrite();
    await closing;
  });

  it("does not take a peer that has finished sending for dead", async () => {
    const world = memoryWorld();
    const hold = deferred();
    await using served = await serve(world, { heartbeat: { idle: 500, timeout: 500 } }, (server) => {
      server.route(WORK, async () => (await hold.promise, "answer"));
    });
    await using raw = await Raw.connect(world, served.address, "native");
    await raw.send({ code: 201, content: "x", requestId: 3, flags: REQUEST });
    await raw.connection.closeWrite();
    await until(() => served.events.of("connect").length === 1 && served.server.clients.length === 0);
    await world.clock.advance(4_000);
    hold.resolve();
    let frame = await raw.frame();
    while (frame?.code === 0) frame = await raw.frame();
    assertEquals(new TextDecoder().decode(frame!.content), "answer");
    const [, { reason }] = await served.events.next("disconnect");
    assertEquals(reason, "peer-closed");
  });

  it("asks before it gives a peer up, however short its times are beside our own standstills", () => {
    for (const [idle, timeout, stall] of [[200, 300, 450], [200, 300, 120], [50, 50, 90], [1_000, 4_000, 900]]) {
      let now = 0;
      let due: (() => void) | undefined;
      const clock = {
        now: () => now,
        setTimeout: (fn: () => void) => void (due = fn),
        clearTimeout: () => void (due = undefined),
        unref: () => {},
      };
      const wheel = new TimerWheel(clock);
      const asked: number[] = [];
      let died = false;
      const host = {
        lastSent: 0,
        lastReceived: 0,
        paused: false,
        fragile: false,
        sendHeartbeat: () => asked.push(now),
        dead: () => died = true,
      };
      const heartbeat = new Heartbeat(host, { wheel, clock }, { idle, timeout });
      for (let i = 0; i < 200 && !died; i++) {
        // Each look comes late, and in between the peer answers what it was asked.
        now += stall + idle;
        const fire = due;
        due = undefined;
        fire?.();
        if (asked.length > 0) host.lastReceived = Math.max(host.lastReceived, asked.at(-1)!);
      }
      assertEquals([died, asked.length > 10], [false, true], `${idle}, ${timeout}, ${stall}`);
      heartbeat.stop();
      wheel.close();
    }
  });

  it("looks no more after its end, even if that comes while it asks", async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    let asked = 0;
    let died = false;
    const host = {
      lastSent: 0,
      lastReceived: 0,
      paused: false,
      fragile: false,
      sendHeartbeat: () => {
        asked++;
        heartbeat.stop();
      },
      dead: () => died = true,
    };
    const heartbeat: Heartbeat = new Heartbeat(host, { wheel, clock }, { idle: 1_000, timeout: 1_000 });
    await clock.advance(5_000);
    assertEquals([asked, died, wheel.size], [1, false, 0]);
    wheel.close();
  });

  it("keeps two of us alive for a day, and costs a few frames a minute", async () => {
    const world = memoryWorld();
    const served = await serve(world, { heartbeat: { idle: 60_000 } });
    const client = new Client({ ...served.address, transport: world.transport, heartbeat: { idle: 60_000 } });
    await client.connect();
    await world.clock.advance(24 * 60 * 60_000);
    assertEquals(client.state, "connected");
    assert(client.stats().framesSent! <= 2 * 24 * 60 + 10, `${client.stats().framesSent}`);
    await client.close();
    await served.server.close();
    assertEquals(world.clock.pending, 0);
  });

  it("calls dead exactly who was silent for idle + timeout, within a second, whatever was sent and heard when", async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed);
      const clock = new FakeClock();
      const wheel = new TimerWheel(clock);
      const idle = 100 + random.below(20_000);
      const timeout = 100 + random.below(20_000);
      const beats: number[] = [];
      let died = -1;
      const host = {
        lastSent: 0,
        lastReceived: 0,
        paused: false,
        fragile: false,
        sendHeartbeat(): void {
          beats.push(clock.now());
          host.lastSent = clock.now();
        },
        dead: () => void (died = clock.now()),
      };
      const heartbeat = new Heartbeat(host, { wheel, clock }, { idle, timeout });
      for (let i = 0; i < 200 && died < 0; i++) {
        await clock.advance(random.below(idle + timeout + (i > 100 ? 5_000 : -100)));
        if (died >= 0) break;
        if (random.below(3) > 0) host.lastReceived = clock.now();
        if (random.below(2) > 0) host.lastSent = clock.now();
        const silent = clock.now() - host.lastReceived;
        assert(silent <= idle + timeout + 1_000, `seed ${seed}: silent for ${silent}`);
      }
      if (died < 0) await clock.advance(idle + timeout + 1_000);
      const silent = died - host.lastReceived;
      assert(silent >= idle + timeout && silent <= idle + timeout + 1_000, `seed ${seed}: dead after ${silent}`);
      for (let i = 1; i < beats.length; i++) assert(beats[i] - beats[i - 1] >= idle, `seed ${seed}: asked too often`);
      heartbeat.stop();
      wheel.close();
    }
    await turn();
  });
});

/** A clock's methods, bound to it. */
// deno-lint-ignore explicit-function-return-type
function methods(clock: FakeClock) {
  return {
    setTimeout: clock.setTimeout.bind(clock),
    clearTimeout: clock.clearTimeout.bind(clock),
    unref: clock.unref.bind(clock),
  };
}
