/**
 * What once went wrong under attack, over real sockets.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, fail } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import {
  bytes,
  Client,
  HandshakeError,
  type Message,
  messageType,
  RemoteError,
  Server,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { FakeClock } from "../src/adapters/fake_clock.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import { Timeout, TimerWheel } from "../src/base/timer_wheel.ts";
import type { Connection, Transport } from "../src/transport.ts";
import { Flag } from "../src/wire/frame.ts";
import {
  advanceUntil,
  memoryWorld,
  microtasks,
  pass,
  Raw,
  realWorld,
  Recorder,
  serve,
  turn,
  until,
} from "./session_support.ts";

const LARGE = messageType(200, "large");
const SLOW = messageType(201, "slow");
const GET = messageType(202, "get", bytes, bytes);
const ASK = messageType(203, "ask", text, text);
/** For requests that wait for many others. */
const PATIENT = { timeout: 50_000 } as const;

async function listening<P>(server: Server<P>): Promise<TcpEndpoint> {
  await server.start();
  return server.addresses[0] as TcpEndpoint;
}

describe("a standstill of our own event loop", () => {
  it("is not held against requests whose answer lies in the socket already", async () => {
    const counts = new Int32Array(new SharedArrayBuffer(12));
    const worker = new Worker(new URL("./echo_worker.ts", import.meta.url), { workerData: { counts } });
    const [address] = await once(worker, "message") as [TcpEndpoint];
    await using client = new Client({ ...address });
    await client.connect();
    for (let i = 1; i <= 5; i++) {
      const answer = client.request(ASK, "x", { timeout: 500 });
      while (Atomics.load(counts, 0) < i) await turn();
      // The answer comes while nobody here reads, however long it takes, and then it is late.
      assert(Atomics.wait(counts, 1, i - 1, 50_000) !== "timed-out");
      Atomics.wait(counts, 2, 0, 700);
      assertEquals(await answer, "x");
      // A loop that stood still all the time would be late for good.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await client.close();
    await worker.terminate();
  });
});

describe("a server", () => {
  it("goes on accepting after peers that reset their connection before they are accepted", async () => {
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    const address = await listening(server);
    const done = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL("./reset_worker.ts", import.meta.url), {
      workerData: { port: address.port, count: 20, done },
    });
    // The server must not get a turn before they are all gone. A worker's start takes as long as the machine makes it.
    Atomics.wait(done, 0, 0, 50_000);
    assertEquals(Atomics.load(done, 0), 1);
    await worker.terminate();
    await using client = new Client({ ...address });
    await client.connect();
    assert(await client.ping() >= 0);
  });

  it("gets all that a client sent before it closed, also when it sends to that client all the while", async () => {
    const transport = memoryTransport();
    const ended = Promise.withResolvers<string>();
    let received = 0;
    await using server = new Server({ port: 1, hostname: "test", transport, maxQueuedMessages: 1 });
    server.route(SLOW, async () => {
      received++;
      await new Promise((resolve) => setTimeout(resolve));
    }, { ordered: true });
    server.on("disconnect", (_, { reason }) => ended.resolve(reason));
    server.on("connect", async (peer) => {
      while (peer.connected) {
        peer.send(LARGE, new Uint8Array(30_000));
        await new Promise((resolve) => setTimeout(resolve));
      }
    });
    await server.start();
    const client = new Client({ port: 1, hostname: "test", transport });
    client.route(LARGE, () => {});
    await client.connect();
    for (let i = 0; i < 60; i++) client.send(SLOW, new Uint8Array(10_000));
    await client.close();
    assertEquals([await ended.promise, received], ["going-away", 60]);
  });

  it("answers pipelined requests whose answers are larger than maxBufferedBytes, one at a time", async () => {
    await using server = new Server({ port: 0, hostname: "127.0.0.1", maxBufferedBytes: 256 * 1024 });
    let most = 0;
    server.route(GET, () => {
      most = Math.max(most, server.stats().bufferedBytes);
      return new Uint8Array(200_000);
    });
    await using client = new Client(await listening(server));
    await client.connect();
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => client.request(GET, new Uint8Array(1), PATIENT)),
    );
    assertEquals(answers.filter(({ length }) => length === 200_000).length, 100);
    // A request waits while more than the high-water mark, half of maxBufferedBytes, is unsent.
    assert(most <= 128 * 1024, `${most} bytes were unsent when a request was handed out`);
    server.unroute(GET);
    server.route(GET, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return new Uint8Array(200_000);
    });
    const later = await Promise.all(Array.from({ length: 50 }, () => client.request(GET, new Uint8Array(1), PATIENT)));
    assertEquals(later.filter(({ length }) => length === 200_000).length, 50);
  });

  it("waits for the handler that closes the connection before it first awaits", async () => {
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    server.route(ASK, async (_, peer) => {
      void peer.close();
      await new Promise((resolve) => setTimeout(resolve, 20));
      return "bye";
    });
    await using client = new Client(await listening(server));
    await client.connect();
    assertEquals(await client.request(ASK, ""), "bye");
  });

  it("answers with an error whatever a handler throws, in a frame that the peer takes", async () => {
    const thrown: unknown[] = [
      new Error("x".repeat(5_000)),
      Object.defineProperty({}, "message", {
        get(): never {
          throw new Error("no");
        },
      }),
      undefined,
    ];
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    server.on("error", () => {});
    server.route(ASK, () => {
      throw thrown.shift();
    });
    await using client = new Client({ ...await listening(server), maxMessageSize: 256 });
    await client.connect();
    for (let i = 0; i < 3; i++) {
      const error = await assertRejects(() => client.request(ASK, ""), RemoteError);
      assertEquals((error as RemoteError).code, "handler-failed");
    }
  });

  it("closes within the shortest drain that any close asked for", async () => {
    const clock = new FakeClock();
    const transport = memoryTransport({ clock });
    const begun = Promise.withResolvers<void>();
    const server = new Server({ port: 1, hostname: "test", transport });
    server.route(ASK, () => {
      begun.resolve();
      return new Promise<string>(() => {});
    });
    await server.start();
    const client = new Client({ port: 1, hostname: "test", transport });
    await client.connect();
    const asked = assertRejects(() => client.request(ASK, ""));
    await begun.promise;
    const [peer] = server.clients;
    // The first call begins the end; of the others the shortest counts, wherever it stands.
    const closing = [5_000, 100, 4_000].map((drain) => peer.close("manual", { drain }));
    await clock.advance(200);
    assertEquals(server.stats().connections, 0);
    await Promise.race([
      Promise.all(closing),
      clock.advance(1_000).then(() => fail("the shortest drain was not kept")),
    ]);
    await server.close({ drain: 100 });
    await asked;
    await client.close();
    assertEquals(clock.pending, 0);
  });

  it("closes a native peer that does not read that its requests are above the rate", async () => {
    await using served = await serve(await realWorld(), {
      rateLimit: { messages: 1, action: "reject" },
      maxBufferedBytes: 256 * 1024,
    });
    const { server, events, address } = served;
    const world = await realWorld();
    await using raw = await Raw.connect(world, address, "native", { features: { credit: {}, goaway: {} } });
    const ended = events.next("disconnect");
    let most = 0;
    let over = false;
    void ended.then(() => over = true);
    for (let id = 1; !over && id < 2_000_000; id += 1_000) {
      const asked = Array.from({ length: 1_000 }, (_, i) => ({ code: 203, requestId: id + i, flags: Flag.REQUEST }));
      await Promise.race([raw.send(...asked).catch(() => {}), ended]);
      most = Math.max(most, server.stats().bufferedBytes);
      await turn();
    }
    const [, { reason }] = await ended;
    assertEquals(reason, "slow-consumer");
    assert(most <= 256 * 1024, `${most} bytes were unsent`);
  });

  it("survives what a handler or authenticate throws when it can't be looked at", async () => {
    const { proxy: odd, revoke } = Proxy.revocable({}, {});
    revoke();
    let known = false;
    await using server = new Server({
      port: 0,
      hostname: "127.0.0.1",
      authenticate: async () => {
        await turn();
        if (known) return true;
        throw odd;
      },
    });
    const events = new Recorder(server, ["rejected", "error"]);
    const begun = Promise.withResolvers<void>();
    server.route(ASK, async ({ data, signal }) => {
      if (data !== "odd") return data;
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw odd;
    });
    await using client = new Client(await listening(server));
    await assertRejects(() => client.connect(), HandshakeError);
    assertEquals((await events.next("rejected"))[0].reason, "unauthorized");
    known = true;
    await client.connect();
    const stop = new AbortController();
    const asked = assertRejects(() => client.request(ASK, "odd", { signal: stop.signal }), Error, "enough");
    await begun.promise;
    stop.abort(new Error("enough"));
    await asked;
    await events.next("error");
    assertEquals([await client.request(ASK, "even"), server.stats().connections], ["even", 1]);
    assertEquals(server.clients[0].stats().runningHandlers, 0);
  });

  it("keeps nothing of messages whose signal is looked at when their handler is done", async () => {
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    const done: Message[] = [];
    server.route(ASK, (message) => {
      done.push(message);
      return message.data;
    });
    await using client = new Client(await listening(server));
    await client.connect();
    await Promise.all([client.request(ASK, "a"), client.request(ASK, "b")]);
    // Nobody cancels them any more: the connection's own signal will do.
    const [signal, other] = done.map(({ signal }) => signal);
    assert(signal === other && !signal.aborted);
    await client.close();
    await server.close();
    assert(signal.aborted);
  });

  it("may be started again by a listener to close", async () => {
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    const again = new Promise<void>((resolve, reject) => {
      server.on("close", () => void server.start().then(resolve, reject), { once: true });
    });
    await server.start();
    await server.close();
    await again;
    assertEquals(server.addresses.length, 1);
  });
});

describe("a client", () => {
  it("may be closed once more by its own events", async () => {
    for (const event of ["closing", "connecting", "connect", "disconnect"] as const) {
      await using server = new Server({ port: 0, hostname: "127.0.0.1" });
      const client = new Client(await listening(server));
      const closing: Promise<void>[] = [];
      client.on(event, () => closing.push(client.close()));
      await client.connect().catch(() => {});
      await client.close();
      await Promise.all(closing);
      assertEquals([closing.length, client.state], [1, "disconnected"], event);
    }
  });

  it("is closed also in the moment in which it gets its connection", async () => {
    for (let ticks = 0; ticks < 12; ticks++) {
      const world = memoryWorld();
      const inner = world.transport;
      await using served = await serve(world);
      let closed: Promise<void> | undefined;
      const connect = async (...to: Parameters<Transport["connect"]>): Promise<Connection> => {
        const connection = await inner.connect(...to);
        let reads = 0;
        const read = async (): Promise<Uint8Array | null> => {
          const chunk = await connection.read();
          // The server's last word.
          if (++reads === 2) void microtasks(ticks).then(() => closed = client.close({ drain: 100 }));
          return chunk;
        };
        return new Proxy(connection, {
          get: (of, name) => {
            if (name === "read") return read;
            const value = of[name as keyof Connection] as unknown;
            return typeof value === "function" ? value.bind(of) : value;
          },
        });
      };
      const client: Client = new Client({ ...served.address, transport: { ...inner, connect } });
      await client.connect().catch(() => {});
      await until(() => closed !== undefined);
      await pass(world.clock, 1_500, closed!);
      assertEquals(client.state, "disconnected", `${ticks} ticks`);
    }
  });

  it("goes on reconnecting when the signal of connect() fires as it is connected", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using client = new Client({ ...served.address, transport: world.transport, reconnect: { delay: 10 } });
    const events = new Recorder(client, ["connect"]);
    const stop = new AbortController();
    client.on("connect", () => stop.abort(), { once: true });
    await client.connect({ signal: stop.signal });
    await events.next("connect");
    void served.server.clients[0].close("manual", { drain: 0 });
    await advanceUntil(world.clock, events.next("connect"));
    assertEquals(client.state, "connected");
    await client.close({ drain: 0 });
  });
});

describe("the timer of an end that somebody awaits", () => {
  it("keeps the process alive while it is held, and not before or after", () => {
    const clock = new FakeClock();
    const alive = new Set<unknown>();
    const wheel = new TimerWheel({
      now: () => clock.now(),
      setTimeout: (fn, ms) => {
        const timer = clock.setTimeout(fn, ms);
        alive.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        alive.delete(timer);
        clock.clearTimeout(timer);
      },
      unref: (timer) => void alive.delete(timer),
    });
    wheel.add(new Timeout(() => {}), 1_000);
    assertEquals(alive.size, 0);
    wheel.hold();
    wheel.add(new Timeout(() => {}), 500);
    assertEquals(alive.size, 1);
    wheel.release();
    assertEquals(alive.size, 0);
    wheel.close();
  });
});
