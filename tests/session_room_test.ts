/** How much a connection, and all of a server together, may hold: answers, running handlers, and who gives way. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { BackpressureError, bytes, messageType, type Server, type ServerConfig } from "../mod.ts";
import { deferred, memoryWorld, Raw, serve, until, type World } from "./session_support.ts";

const KIB = 1024;
const GET = messageType(200, "get", bytes, bytes);
const CAST = messageType(201, "cast", bytes);
const WORK = messageType(202, "work", bytes, bytes);
const NOTE = messageType(203, "note", bytes);
const REQUEST = 1;
const PING = 0;
const CREDIT = 5;

/** Small limits: a share of 16 KiB, 64 KiB a connection, 256 KiB in all. */
const LIMITS: ServerConfig = {
  highWaterMark: 16 * KIB,
  maxBufferedBytes: 64 * KIB,
  maxTotalBufferedBytes: 256 * KIB,
  writeTimeout: 10_000,
  heartbeat: false,
};

/** A world whose pipes are narrow: what a peer does not read waits in the server. */
function narrow(): World {
  return memoryWorld({ pipeSize: 1 * KIB });
}

/** A server, and what it holds. */
// deno-lint-ignore explicit-function-return-type
async function make(set: (server: Server) => void, config: ServerConfig = {}) {
  const world = narrow();
  const served = await serve(world, { ...LIMITS, ...config }, set);
  const join = async (): Promise<Raw> => {
    const raw = await Raw.connect(world, served.address, "native");
    await until(() => served.server.clients.length > 0);
    return raw;
  };
  const ask = (raw: Raw, code: number, ...ids: number[]): Promise<void> =>
    raw.send(...ids.map((requestId) => ({ code, requestId, flags: REQUEST })));
  return { ...served, world, join, ask, [Symbol.asyncDispose]: () => served.server.close({ drain: 0 }) };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Reads `count` frames and returns their ids. */
async function ids(raw: Raw, count: number): Promise<number[]> {
  const read: number[] = [];
  while (read.length < count) read.push((await raw.frame())!.requestId as number);
  return read;
}

describe("answers that nobody reads", () => {
  it("of asynchronous handlers stay below the limit of a connection, and all of them arrive in the end", async () => {
    let running = 0;
    let most = 0;
    await using made = await make((server) => {
      server.route(GET, async () => {
        most = Math.max(most, ++running);
        await Promise.resolve();
        running--;
        return new Uint8Array(20 * KIB);
      });
    });
    const raw = await made.join();
    // The first answer shows how large they are.
    await made.ask(raw, 200, 1);
    assertEquals(await ids(raw, 1), [1]);
    most = 0;
    await made.ask(raw, 200, ...range(2, 60));
    await made.world.clock.settle();
    const { bufferedBytes, queuedMessages } = made.server.clients[0].stats();
    assert(bufferedBytes <= 64 * KIB, `${bufferedBytes} bytes`);
    assert(bufferedBytes > 16 * KIB && queuedMessages >= 55, `${bufferedBytes} bytes, ${queuedMessages} wait`);
    assertEquals(most, 3, "as many as fit in 64 KiB");
    assertEquals(await ids(raw, 59), range(2, 60));
    await made.world.clock.settle();
    assertEquals([made.server.stats().bufferedBytes, made.server.clients[0].stats().runningHandlers], [0, 0]);
  });

  it("wait for room where they turn out larger than expected, and go out in the order they were made", async () => {
    let size = 10;
    let gate = Promise.resolve();
    await using made = await make((server) => {
      server.route(GET, async () => {
        await gate;
        return new Uint8Array(size);
      });
    });
    const raw = await made.join();
    await made.ask(raw, 200, 99);
    assertEquals(await ids(raw, 1), [99]);
    const { promise, resolve } = deferred<void>();
    gate = promise;
    await made.ask(raw, 200, ...range(1, 8));
    await made.world.clock.settle();
    size = 50 * KIB;
    resolve();
    await made.world.clock.settle();
    const { bufferedBytes } = made.server.clients[0].stats();
    assert(bufferedBytes > 300 * KIB, "all of them are counted");
    // While they wait, nothing is begun.
    await made.ask(raw, 200, 9);
    await made.world.clock.settle();
    assertEquals(made.server.clients[0].stats().queuedMessages, 1);
    assertEquals(await ids(raw, 9), range(1, 9));
    await made.world.clock.settle();
    assertEquals(made.server.stats().bufferedBytes, 0);
  });

  it("end their connection as slow-consumer after writeTimeout, and leave nothing behind", async () => {
    await using made = await make((server) => {
      server.route(GET, async () => {
        await Promise.resolve();
        return new Uint8Array(60 * KIB);
      });
    });
    const raw = await made.join();
    await made.ask(raw, 200, ...range(1, 8));
    await made.world.clock.advance(9_900);
    assertEquals(made.events.of("disconnect"), []);
    await made.world.clock.advance(200);
    assertEquals(made.events.of("disconnect")[0][1].reason, "slow-consumer");
    assertEquals(made.server.stats().bufferedBytes, 0);
    assertEquals(made.events.of("error"), []);
  });

  it("keep no other connection from its own: a held answer is sent when the room of all is free again", async () => {
    await using made = await make((server) => {
      server.route(GET, () => new Uint8Array(60 * KIB));
    }, { maxTotalBufferedBytes: 100 * KIB });
    const one = await made.join();
    await made.ask(one, 200, 1);
    await made.world.clock.settle();
    const other = await made.join();
    await made.ask(other, 200, 2);
    await made.world.clock.settle();
    // A handler is not started whose answer would have no room.
    assertEquals(made.server.clients.map((client) => client.stats().queuedMessages), [0, 1]);
    assertEquals(await ids(one, 1), [1]);
    assertEquals(await ids(other, 1), [2]);
  });

  for (const more of [true, false]) {
    const then = more ? "and the next request waits" : "and close() flushes them";
    it(`wait without blame for the room that others use by right, ${then}`, async () => {
      let size = 1;
      await using made = await make((server) => {
        server.route(WORK, () => Promise.resolve(new Uint8Array(size)));
        server.route(GET, () => new Uint8Array(1));
      }, { maxTotalBufferedBytes: 100 * KIB });
      const raw = await made.join();
      await made.ask(raw, 202, 1);
      assertEquals(await ids(raw, 1), [1]);
      const others = [];
      for (let i = 0; i < 8; i++) others.push(await made.join());
      await until(() => made.server.clients.length === 9);
      const [client] = made.server.clients;
      made.server.broadcast(CAST, new Uint8Array(12 * KIB), { except: [client] });
      size = 60 * KIB;
      await made.ask(raw, 202, 2);
      await made.world.clock.settle();
      // Its own buffer is empty, and what the library itself answers passes.
      await raw.send({ code: PING, requestId: 3, flags: REQUEST });
      assertEquals(await ids(raw, 1), [3]);
      if (more) await made.ask(raw, 200, 4);
      await made.world.clock.advance(60_000);
      assertEquals([client.connected, client.stats().queuedMessages], [true, more ? 1 : 0]);
      const closing = client.close();
      await made.world.clock.settle();
      for (const other of others) assertEquals((await other.frame())!.code, 201);
      assertEquals(await ids(raw, more ? 2 : 1), more ? [2, 4] : [2]);
      await raw.end();
      await closing;
      assertEquals(made.events.of("error"), []);
    });
  }

  it("that are given by reply() count like those that are returned", async () => {
    await using made = await make((server) => {
      server.route(GET, async (message) => {
        await Promise.resolve();
        return message.reply(new Uint8Array(message.content.length === 0 ? 40 * KIB : 1));
      });
    });
    const raw = await made.join();
    await raw.send({ code: 200, content: "a small one", requestId: 99, flags: REQUEST });
    assertEquals(await ids(raw, 1), [99]);
    await made.ask(raw, 200, ...range(1, 6));
    await made.world.clock.settle();
    const { bufferedBytes, runningHandlers } = made.server.clients[0].stats();
    assert(bufferedBytes > 200 * KIB);
    assertEquals(runningHandlers, 0);
    assertEquals(await ids(raw, 6), range(1, 6));
  });

  it("are flushed by close(), as far as the peer reads them", async () => {
    await using made = await make((server) => {
      server.route(GET, async () => {
        await Promise.resolve();
        return new Uint8Array(60 * KIB);
      });
    });
    const raw = await made.join();
    await made.ask(raw, 200, ...range(1, 8));
    await made.world.clock.settle();
    const closing = made.server.close({ drain: 5_000 });
    assertEquals(await ids(raw, 8), range(1, 8));
    assertEquals(await raw.end(), "fin");
    await closing;
  });
});

describe("a route that has not answered yet", () => {
  it("starts 2 handlers, twice as many with each half second, and all that fit once it has answered", async () => {
    let first: (() => void) | undefined;
    let running = 0;
    await using made = await make((server) => {
      server.route(GET, () => {
        running++;
        const { promise, resolve } = deferred<Uint8Array>();
        first ??= () => resolve(new Uint8Array(1));
        return promise;
      });
    }, { maxConcurrentHandlers: 1_000 });
    const raw = await made.join();
    await made.ask(raw, 200, ...range(1, 100));
    await made.world.clock.settle();
    assertEquals(running, 2);
    await made.world.clock.advance(490);
    assertEquals(running, 2);
    // Those who wait try again four times a second.
    await made.world.clock.advance(290);
    assertEquals(running, 4);
    await made.world.clock.advance(500);
    assertEquals(running, 8);
    await made.world.clock.advance(500);
    assertEquals(running, 16);
    first!();
    await made.world.clock.settle();
    assertEquals(running, 100);
  });

  it("counts over all connections, and handlers that failed are no answer", async () => {
    let running = 0;
    await using made = await make((server) => {
      server.route(GET, ({ content }) => {
        running++;
        return content.length > 0 ? Promise.reject(new Error("no")) : new Promise<Uint8Array>(() => {});
      });
    });
    const raws = [await made.join(), await made.join(), await made.join()];
    await raws[0].send({ code: 200, content: "fail", requestId: 99, flags: REQUEST });
    assertEquals(await ids(raws[0], 1), [99]);
    for (const raw of raws) await made.ask(raw, 200, 1);
    await made.world.clock.settle();
    assertEquals(running, 1 + 2);
  });

  it("does not count the handlers of a connection that is gone", async () => {
    let running = 0;
    await using made = await make((server) => {
      server.route(GET, ({ signal }) => {
        running++;
        return new Promise<Uint8Array>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      });
    });
    const raw = await made.join();
    await made.ask(raw, 200, ...range(1, 3));
    await made.world.clock.settle();
    assertEquals(running, 2);
    raw.connection.abort();
    // Its handlers may go on for a moment.
    await made.world.clock.advance(6_000);
    assertEquals(made.events.of("disconnect").length, 1);
    const other = await made.join();
    await made.ask(other, 200, ...range(1, 3));
    await made.world.clock.settle();
    // The third request of the first one was begun while its connection was being closed.
    assertEquals(running, 3 + 2);
  });
});

describe("when all connections together hold as much as they may", () => {
  it("strangers that ask and do not read give way, and nobody else is ended or misses a broadcast", async () => {
    await using made = await make((server) => {
      server.route(GET, () => new Uint8Array(60 * KIB));
    });
    const good = [await made.join(), await made.join()];
    const bad = [];
    for (let i = 0; i < 12; i++) {
      bad.push(await made.join());
      await made.ask(bad[i], 200, 1);
    }
    await made.world.clock.settle();
    assert(made.server.stats().bufferedBytes <= 256 * KIB, `${made.server.stats().bufferedBytes} bytes`);
    for (const raw of good) await raw.send({ code: PING, requestId: 5, flags: REQUEST });
    let sent = 0;
    for (let i = 0; i < 40; i++) {
      sent += made.server.broadcast(CAST, new Uint8Array(100), { to: made.server.clients.slice(0, 2) }).sent;
    }
    assertEquals(sent, 80);
    for (const raw of good) {
      const codes = [];
      for (let i = 0; i < 41; i++) codes.push((await raw.frame())!.code);
      assertEquals(codes.filter((code) => code === 201).length, 40);
    }
    await made.world.clock.advance(60_000);
    assertEquals(made.events.of("disconnect").map(([, { reason }]) => reason), Array(12).fill("slow-consumer"));
    assertEquals(made.server.clients.length, 2);
    assertEquals(made.server.stats().bufferedBytes, 0);
  });

  it("a receiver that grants a trickle of credit gives way, and one that reads gets everything", async () => {
    const world = narrow();
    await using served = await serve(world, LIMITS);
    const connect = (window: number): Promise<Raw> =>
      Raw.connect(world, served.address, "native", { features: { credit: { window, least: 1_000 } } });
    const bad = [];
    for (let i = 0; i < 6; i++) bad.push(await connect(1));
    const good = await connect(1_000_000);
    await until(() => served.server.clients.length === 7);
    let read = 0;
    const reading = (async () => {
      while (await good.frame() !== null) read++;
    })().catch(() => {});
    let casts = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 5; i++, casts++) served.server.broadcast(CAST, new Uint8Array(1_000));
      for (const raw of bad) if (served.events.of("disconnect").length < 6) await raw.send(grant(1)).catch(() => {});
      await world.clock.advance(250);
    }
    assertEquals([read, casts], [200, 200]);
    const gone = served.events.of("disconnect");
    assert(gone.length > 0 && gone.every(([, { reason }]) => reason === "slow-consumer"));
    assert(gone.every(([client]) => client.id <= 6), "the one that reads stays");
    good.connection.abort();
    await reading;
  });

  it("a PONG that finds no room is left out and counted, its connection goes on", async () => {
    await using made = await make(() => {}, { maxTotalBufferedBytes: 70 * KIB });
    const [holder, peer] = [await made.join(), await made.join()];
    await until(() => made.server.clients.length === 2);
    const [one, other] = made.server.clients;
    one.send(CAST, new Uint8Array(60 * KIB));
    // Its share and no more.
    other.send(CAST, new Uint8Array(16 * KIB - 16));
    await peer.send({ code: PING, requestId: 1, flags: REQUEST });
    await made.world.clock.settle();
    assertEquals([other.stats().repliesLeftOut, other.connected], [1, true]);
    assertEquals((await peer.frame())!.code, 201);
    await peer.send({ code: PING, requestId: 2, flags: REQUEST });
    assertEquals((await peer.frame())!.requestId, 2);
    void holder;
  });

  it("messages are refused by name, and taken again when there is room", async () => {
    await using made = await make(() => {}, { maxTotalBufferedBytes: 70 * KIB });
    const [holder, peer] = [await made.join(), await made.join()];
    await until(() => made.server.clients.length === 2);
    const [one, other] = made.server.clients;
    one.send(CAST, new Uint8Array(60 * KIB));
    const large = new Uint8Array(30 * KIB);
    const error = assertThrows(() => other.send(CAST, large), BackpressureError) as BackpressureError;
    assertEquals(error.code, "total-buffer-full");
    let ready = false;
    const waiting = other.ready().then(() => ready = true);
    await made.world.clock.advance(500);
    assertEquals(ready, false);
    // A smaller one fits beside what others hold.
    other.send(CAST, new Uint8Array(1_000));
    assertEquals((await holder.frame())!.code, 201);
    await waiting;
    other.send(CAST, large);
    assertEquals((await peer.frame())!.content.length, 1_000);
    assertEquals((await peer.frame())!.content.length, 30 * KIB);
  });
});

describe("maxHandlerBytes", () => {
  for (const kind of ["requests", "messages", "messages without a route"]) {
    it(`bounds the bytes of ${kind} in running handlers; one of any size always runs`, async () => {
      const ends: (() => void)[] = [];
      const wait = (): Promise<Uint8Array> => new Promise((resolve) => ends.push(() => resolve(new Uint8Array(0))));
      await using made = await make((server) => {
        if (kind === "requests") server.route(WORK, wait);
        else if (kind === "messages") server.route(NOTE, () => wait());
        else server.on("message", () => wait());
      }, { maxHandlerBytes: 25_000, maxQueuedBytes: 1_000_000 });
      const raw = await made.join();
      const request = kind === "requests";
      await raw.send(...[10_000, 10_000, 10_000, 40_000, 1_000].map((size, i) => ({
        code: request ? 202 : 203,
        content: new Uint8Array(size),
        requestId: request ? i + 1 : 0,
        flags: request ? REQUEST : 0,
      })));
      const counts: number[] = [];
      for (let i = 0; i < 5; i++) {
        await made.world.clock.settle();
        counts.push(made.server.clients[0].stats().runningHandlers);
        ends.shift()!();
      }
      await made.world.clock.settle();
      // 10 + 10, 10 + 10, 10, 40, 1: in order, and the large one by itself.
      assertEquals(counts, [2, 2, 1, 1, 1]);
      assertEquals(made.server.clients[0].stats().runningHandlers, 0);
    });
  }
});

function grant(bytes: number): { code: number; content: Uint8Array } {
  const content = new Uint8Array(4);
  new DataView(content.buffer).setUint32(0, bytes);
  return { code: CREDIT, content };
}
