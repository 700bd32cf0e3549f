/** How streams share a connection: with each other, with messages that have credit or none, and within limits. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { BackpressureError, json, messageType, streamType, text } from "../mod.ts";
import { BatchBudget } from "../src/link/batch_budget.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { put32 } from "../src/wire/integers.ts";
import { advanceUntil, memoryWorld, until } from "./session_support.ts";
import { collect, settled, type StreamPeers, streamPeers } from "./streams_support.ts";
import { faceClient, REPLY, sync, TERMS } from "./streams_raw.ts";

const BOTH = streamType(300, "both");
const COUNTED = streamType(301, "counted", { down: false, result: json<number>() });
const NOTE = messageType(310, "note", text, text);
const KIB = 1024;
const MIB = 1024 * 1024;

function creditOf(bytes: number): { code: number; content: Uint8Array } {
  const content = new Uint8Array(4);
  put32(content, 0, bytes);
  return { code: SystemCode.CREDIT, content };
}

describe("streams beside each other", () => {
  it("100 that nobody reads hold their windows, and harm neither 50 that flow nor messages", async () => {
    await using peers = await streamPeers({ maxStreams: 200, streamWindow: 16 * KIB });
    peers.server.route(NOTE, ({ data }) => data);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    peers.server.stream(BOTH, async () => {
      await gate;
    });
    peers.server.stream(COUNTED, async ({ readable }) => (await collect(readable)).length);
    const written: number[] = Array(100).fill(0);
    const unread = written.map((_, i) => {
      const stream = peers.client.open(BOTH);
      const writer = stream.writable.getWriter();
      const writing = (async () => {
        for (;; written[i] += KIB) await writer.write(new Uint8Array(KIB));
      })();
      writing.catch(() => {});
      return stream;
    });
    await peers.client.ping();
    const flowing = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      const stream = peers.client.open(COUNTED);
      const writer = stream.writable.getWriter();
      for (let k = 0; k < 20; k++) await writer.write(new Uint8Array(10 * KIB));
      assertEquals(await peers.client.request(NOTE, `${i}`), `${i}`);
      await writer.close();
      return await stream.result;
    }));
    assertEquals(flowing, Array(50).fill(200 * KIB));
    assertEquals(written, Array(100).fill(16 * KIB));
    open();
    for (const { result } of unread) await result;
    assertEquals(peers.errors, []);
  });

  it("messages, answers and PINGs pass pieces that wait, at most 256 KiB of which are in the buffer", async () => {
    await using faced = await faceClient({}, { streams: { window: 100 * MIB, max: 10, least: 0 } });
    const { client, raw } = faced;
    const stream = client.open(BOTH);
    void stream.writable.getWriter().write(new Uint8Array(50 * MIB)).catch(() => {});
    await until(() => (client.stats().bufferedBytes ?? 0) > 0);
    for (let i = 0; i < 5; i++) await client.ready();
    // The network holds as much again.
    client.send(NOTE, "now");
    assert((client.stats().bufferedBytes ?? 0) <= 256 * KIB + 70_000, `${(client.stats().bufferedBytes ?? 0)}`);
    let pieces = 0;
    for (let frame = await raw.frame(); frame!.code !== 310; frame = await raw.frame()) pieces += frame!.content.length;
    assert(pieces <= 256 * KIB * 2 + 3 * 65_536, `${pieces} bytes came before the message`);
    stream.abort();
  });

  it("take turns of a piece", async () => {
    await using faced = await faceClient({}, { streams: { window: 100 * MIB, max: 10, least: 0 } });
    const streams = [1, 2, 3].map(() => faced.client.open(BOTH));
    for (const { writable } of streams) void writable.getWriter().write(new Uint8Array(MIB)).catch(() => {});
    const order: number[] = [];
    while (order.length < 48) {
      const frame = await faced.raw.frame();
      if ((frame!.flags & 1) === 0) order.push(frame!.requestId as number);
    }
    const turns = [1, 2, 3].map((id) => order.slice(0, 30).filter((other) => other === id).length);
    // The first one had the buffer for itself for a moment.
    for (const turn of turns) assert(turn >= 7, turns.join());
    assertEquals([1, 2, 3].map((id) => order.filter((other) => other === id).length), [16, 16, 16]);
    for (const stream of streams) stream.abort();
  });
});

describe("streams beside messages without credit", () => {
  it("an opening that waits for credit comes before its pieces and its CANCEL, those of other streams pass", async () => {
    const features = { ...TERMS, credit: { window: 300, least: 0 } };
    await using faced = await faceClient({}, features);
    const { client, raw } = faced;
    const first = client.open(BOTH);
    client.send(NOTE, "x".repeat(400));
    client.send(NOTE, "held");
    const second = client.open(BOTH);
    const third = client.open(BOTH);
    const [one, two] = [first, second].map(({ writable }) => writable.getWriter());
    void two.write(new Uint8Array([98])).catch(() => {});
    third.abort("never mind");
    const late = settled(second.readable.cancel("not read"));
    await one.write(new Uint8Array([97]));
    assertEquals(await sync(raw), ["300 41 1", "310 0 0 400 bytes", "300 40 1 a"]);
    await raw.send(creditOf(1));
    assertEquals(await sync(raw), []);
    await raw.send(creditOf(500));
    const frames = await sync(raw);
    const at = (start: string): number => frames.findIndex((frame) => frame.startsWith(start));
    assertEquals(frames.length, 6, frames.join());
    assertEquals(frames[0], "310 0 0 held");
    assert(at("300 41 2") < at("300 40 2 b") && at("300 41 2") < at("STOP 0 2"), frames.join());
    assert(at("300 41 3") >= 0 && at("300 41 3") < at("CANCEL 0 3"), frames.join());
    await late;
    first.abort();
    second.abort();
  });

  it("no deadlock: a handler of messages waits for a stream, and one of a stream for a message", async () => {
    await using peers = await streamPeers({ maxConcurrentHandlers: 1, maxQueuedMessages: 2, maxQueuedBytes: 2_000 });
    // The only handler of messages waits for a stream that its client opens only then.
    const { promise: streamed, resolve } = Promise.withResolvers<number>();
    peers.server.route(NOTE, async ({ data }) => `${data} ${await streamed}`);
    peers.server.stream(COUNTED, async ({ readable }) => {
      const { length } = await collect(readable);
      resolve(length);
      return length;
    });
    const asked = Array.from({ length: 5 }, (_, i) => peers.client.request(NOTE, `${i}`.padEnd(900)));
    const stream = peers.client.open(COUNTED);
    const writer = stream.writable.getWriter();
    // Its opening waits for credit behind the requests, which wait for it: the handler must be fed by another way.
    const info = settled(peers.info.ping());
    assertEquals(await info, "done");
    resolve(7);
    await writer.write(new Uint8Array(5));
    await writer.close();
    assertEquals(await stream.result, 5);
    assertEquals((await Promise.all(asked)).map((answer) => answer.trim().at(-1)), Array(5).fill("7"));
    // The reverse: the handler of a stream asks its opener, whose handler writes to the stream.
    peers.client.route(NOTE, async ({ data }) => {
      await later.write(new Uint8Array(100_000));
      return data;
    });
    peers.server.unroute(COUNTED);
    peers.server.stream(COUNTED, async ({ readable }, client) => {
      const [, { length }] = await Promise.all([client.request(NOTE, "more"), collect(readable)]);
      return length;
    });
    const other = peers.client.open(COUNTED);
    const later = other.writable.getWriter();
    await advanceUntil(peers.world.clock, peers.client.ping(), 1);
    await until(() => peers.client.stats()!.runningHandlers === 0);
    await later.close();
    assertEquals(await other.result, 100_000);
  });
});

/** Reads a stream down as fast as it comes, over a way of 25 ms; returns how much came in each round trip. */
async function download(peers: StreamPeers, trips: number): Promise<number[]> {
  peers.server.stream(BOTH, async ({ writable }) => {
    const writer = writable.getWriter();
    for (;;) await writer.write(new Uint8Array(65_536));
  });
  const stream = peers.client.open(BOTH);
  let got = 0;
  const reader = stream.readable.getReader();
  const reading = (async () => {
    for (;;) got += (await reader.read()).value!.length;
  })();
  reading.catch(() => {});
  const figures: number[] = [];
  for (let i = 0, before = 0; i < trips; before = got, i++) {
    await peers.world.clock.advance(50);
    figures.push(got - before);
  }
  stream.abort();
  await stream.result.catch(() => {});
  return figures;
}

function mean(figures: readonly number[]): number {
  return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
}

/** Peers 50 ms apart. */
function far(config: Parameters<typeof streamPeers>[0] = {}): Promise<StreamPeers> {
  const world = memoryWorld({ faults: () => ({ delay: 25 }), pipeSize: 64 * MIB });
  return advanceUntil(world.clock, streamPeers(config, world), 25);
}

async function leave(peers: StreamPeers): Promise<void> {
  await advanceUntil(peers.world.clock, Promise.resolve(peers[Symbol.asyncDispose]()), 25);
}

describe("a window", () => {
  it("grows with what is read, so that 1 Gbit/s over 50 ms is filled within some round trips", async () => {
    const peers = await far();
    const figures = await download(peers, 25);
    const filled = figures.findIndex((bytes) => bytes >= 6_250_000);
    assert(filled > 0 && filled <= 10, figures.join());
    // It never shrinks, and half of `maxStreamBytes` is left to other streams. What comes at the end of a round trip may be
    // read in the next one.
    const full = figures.slice(filled);
    assert(full.every((bytes) => bytes >= 6_250_000 - 2 * 65_536 && bytes <= 8 * MIB + 65_536), figures.join());
    assert(mean(full) >= 6_250_000, figures.join());
    await leave(peers);
  });

  it("does not grow where nobody reads, and not above `maxStreamWindow`", async () => {
    let peers = await far();
    peers.server.stream(COUNTED, () => new Promise<never>(() => {}));
    const stream = peers.client.open(COUNTED);
    const writer = stream.writable.getWriter();
    let written = 0;
    (async () => {
      for (;; written += 4_096) await writer.write(new Uint8Array(4_096));
    })().catch(() => {});
    await peers.world.clock.advance(2_000);
    assertEquals(written, 65_536);
    stream.abort();
    await leave(peers);
    peers = await far({ maxStreamWindow: 200_000 });
    const figures = await download(peers, 20);
    assert(figures.every((bytes) => bytes <= 200_000 + 65_536), figures.join());
    assert(figures.at(-1)! >= 100_000, figures.join());
    await leave(peers);
  });

  it("grows as far as its budgets go, and gives all of it back", async () => {
    for (const limit of ["maxStreamBytes", "maxTotalStreamBytes"] as const) {
      const peers = await far({ [limit]: 4 * 65_536 });
      const figures = await download(peers, 20);
      assert(figures.every((bytes) => bytes <= 2 * 65_536 + 65_536), figures.join());
      assert(figures.at(-1)! >= 65_536, figures.join());
      await advanceUntil(peers.world.clock, peers.client.ping(), 25);
      const open = [1, 2, 3, 4].map(() => peers.client.open(BOTH));
      for (const { result } of open) result.catch(() => {});
      assertThrows(
        () => peers.client.open(BOTH),
        BackpressureError,
        "windows of all open streams",
      );
      await leave(peers);
    }
  });
});

describe("a rate limit", () => {
  for (const action of ["throttle", "reject", "close"] as const) {
    it(`that says "${action}" delays WINDOWs by the bytes of pieces, drops none, and leaves messages alone`, async () => {
      const world = memoryWorld();
      const rateLimit = { messages: 1_000, bytes: 100_000, burst: 1, action };
      await using limited = await streamPeers({ rateLimit, maxStreamWindow: 65_536 }, world);
      limited.server.route(NOTE, ({ data }) => data);
      limited.server.stream(COUNTED, async ({ readable }) => (await collect(readable)).length);
      const from = world.clock.now();
      const stream = limited.client.open(COUNTED);
      const writing = (async () => {
        const writer = stream.writable.getWriter();
        for (let i = 0; i < 20; i++) {
          await writer.write(new Uint8Array(50_000));
          assertEquals(await limited.client.request(NOTE, `${i}`, { timeout: 60_000 }), `${i}`);
        }
        await writer.close();
      })();
      assertEquals(await advanceUntil(world.clock, Promise.all([stream.result, writing]), 50), [1_000_000, undefined]);
      const seconds = (world.clock.now() - from) / 1_000;
      // A second's bytes may come at once, and the first and the last window are not waited for.
      assert(seconds >= (1_000_000 - 100_000 - 2 * 65_536) / 100_000 - 0.1 && seconds < 12, `${seconds} s`);
      assertEquals(limited.client.state, "connected");
      assertEquals(limited.errors, []);
    });
  }

  it("counts the rest of each stream, for which nothing is granted any more", async () => {
    const world = memoryWorld();
    const rateLimit = { messages: 1_000, bytes: 100_000, burst: 1 };
    await using limited = await streamPeers({ rateLimit, maxStreamWindow: 65_536 }, world);
    limited.server.stream(COUNTED, async ({ readable }) => (await collect(readable)).length);
    const from = world.clock.now();
    const all = (async () => {
      for (let i = 0; i < 20; i++) {
        const stream = limited.client.open(COUNTED);
        const writer = stream.writable.getWriter();
        await writer.write(new Uint8Array(90_000));
        await writer.close();
        assertEquals(await stream.result, 90_000);
      }
    })();
    await advanceUntil(world.clock, all, 50);
    const seconds = (world.clock.now() - from) / 1_000;
    // As above: a second's bytes may come at once, and the first and the last window are not waited for.
    assert(seconds >= (1_800_000 - 100_000 - 2 * 65_536) / 100_000 - 0.1 && seconds < 20, `${seconds} s`);
    assertEquals([limited.client.state, limited.errors], ["connected", []]);
  });

  it("counts openings: above it they are refused, or the connection is closed", async () => {
    for (const action of ["reject", "close"] as const) {
      await using peers = await streamPeers({ rateLimit: { messages: 3, bytes: 1e6, burst: 1, action } });
      peers.server.stream(COUNTED, async ({ readable }) => (await collect(readable)).length);
      const ends = Array.from({ length: 5 }, () => {
        const stream = peers.client.open(COUNTED);
        void stream.writable.close().catch(() => {});
        return settled(stream.result);
      });
      const outcomes = await Promise.all(ends);
      assertEquals(
        outcomes.filter((outcome) => outcome === "done").length,
        action === "reject" ? 3 : 0,
        outcomes.join(),
      );
      if (action === "reject") assertEquals(peers.client.state, "connected");
    }
  });

  it("does not count the PINGs that measure the way of what the peer reads", async () => {
    const peers = await far({ rateLimit: { messages: 3, bytes: 2 ** 30, burst: 1, action: "close" } });
    const figures = await download(peers, 25);
    assert(mean(figures.slice(-10)) >= 6_250_000, figures.join());
    assertEquals(peers.client.state, "connected");
    assertEquals(peers.errors, []);
    await leave(peers);
  });

  it("counts WINDOWs beyond what the peer has got", async () => {
    await using faced = await faceClient({ rateLimit: { messages: 5, bytes: 1e6, burst: 1, action: "close" } });
    const stream = faced.client.open(BOTH);
    stream.result.catch(() => {});
    const one = { ...creditOf(1), code: SystemCode.WINDOW, flags: REPLY, requestId: 1 };
    await faced.raw.send(...Array.from({ length: 50 }, () => one));
    await assertRejects(() => stream.result);
    void faced.raw.end();
    const [{ reason }] = await faced.events.next("disconnect");
    assertEquals(reason, "rate-limited");
  });
});

describe("the turns of connections", () => {
  it("count what openings and pieces cost after they were handed out, and nothing for messages", async () => {
    const costs: number[] = [];
    const { postpone } = BatchBudget.prototype;
    BatchBudget.prototype.postpone = function (ms): void {
      costs.push(ms);
      postpone.call(this, ms);
    };
    try {
      await using peers = await streamPeers();
      peers.server.route(NOTE, ({ data }) => data);
      peers.server.stream(COUNTED, async ({ readable }) => (await collect(readable)).length);
      await peers.client.request(NOTE, "x");
      assertEquals(costs, []);
      const stream = peers.client.open(COUNTED);
      await advanceUntil(peers.world.clock, settled(peers.client.ping()), 1);
      assertEquals(costs.length, 1, "the opening");
      const writer = stream.writable.getWriter();
      await writer.write(new Uint8Array(65_536));
      await writer.close();
      assertEquals(await stream.result, 65_536);
      const [opening, ...pieces] = costs;
      const sum = pieces.reduce((sum, ms) => sum + ms, 0);
      assert(opening > 0.1 && sum > 0.2 && sum < 0.3, costs.join());
    } finally {
      BatchBudget.prototype.postpone = postpone;
    }
  });
});
