/**
 * Whoever waits for `connect()` or `retry()` hears of it, whatever others gave up, stopped or closed meanwhile.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type ClientConfig, ConnectionError, type DisconnectState, messageType, text } from "../mod.ts";
import {
  advanceUntil,
  deferred,
  memoryWorld,
  message,
  microtasks,
  RawServer,
  Recorder,
  serve,
  type World,
} from "./session_support.ts";

const NOTE = messageType(200, "note", text);
const SURE = { delay: 1_000, maxDelay: 8_000, jitter: false } as const;

/** Sockets that take as long to make as it wants: how many there were, and what lets them through. */
function slow(): World & { connects: number; through(): void } {
  const world = memoryWorld();
  const gate = deferred();
  const slow = {
    ...world,
    connects: 0,
    through: gate.resolve,
    transport: {
      ...world.transport,
      connect: async (...args: Parameters<typeof world.transport.connect>) => {
        slow.connects++;
        // Gives up late, as a socket does that has to be closed.
        await gate.promise;
        args[1]?.signal?.throwIfAborted();
        return await world.transport.connect(...args);
      },
    },
  };
  return slow;
}

/** A client whose only caller has given up a moment ago. */
// deno-lint-ignore explicit-function-return-type
async function givenUp(config: ClientConfig = {}) {
  const world = slow();
  const served = await serve(world);
  const client = new Client({ ...served.address, transport: world.transport, ...config });
  const events = new Recorder(client, ["connecting", "connect", "disconnect"]);
  const stop = new AbortController();
  const first = client.connect({ signal: stop.signal }).catch((error) => error);
  await microtasks(20);
  stop.abort("enough");
  return { world, client, events, first, served, [Symbol.asyncDispose]: () => served.server.close({ drain: 0 }) };
}

/** A client that waits to reconnect to a server that is gone. */
// deno-lint-ignore explicit-function-return-type
async function down(config: ClientConfig = {}) {
  const world = memoryWorld();
  const server = await RawServer.listen(world);
  const client = new Client({ ...server.address, transport: world.transport, reconnect: SURE, ...config });
  const events = new Recorder(client, ["connecting", "connect", "disconnect"]);
  const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
  raw.connection.abort();
  await server[Symbol.asyncDispose]();
  await events.next("disconnect");
  return { world, client, events, address: server.address };
}

describe("connect() that is given up", () => {
  for (const reason of [0, "", false, null, "enough", new Error("enough")]) {
    it(`rejects with its signal's reason, also if that is ${typeof reason} "${reason}"`, async () => {
      const world = memoryWorld();
      await using server = await RawServer.listen(world);
      await using client = new Client({ ...server.address, transport: world.transport });
      const stop = new AbortController();
      const connecting = client.connect({ signal: stop.signal }).then(() => "connected", (error) => error);
      const silent = await server.accept("native");
      stop.abort(reason);
      assertEquals(await connecting, reason);
      assertEquals(client.state, "disconnected");
      silent.connection.abort();
    });

    it(`does so in the very moment in which it is reached, with ${typeof reason} "${reason}"`, async () => {
      const world = memoryWorld();
      const stop = new AbortController();
      const { connect } = world.transport;
      const transport = {
        ...world.transport,
        connect: async (...args: Parameters<typeof connect>) => {
          const connection = await connect(...args);
          stop.abort(reason);
          return connection;
        },
      };
      await using served = await serve(world);
      await using client = new Client({ ...served.address, transport });
      assertEquals(await client.connect({ signal: stop.signal }).catch((error) => error), reason);
      assertEquals(client.state, "disconnected");
    });
  }
});

describe("connect() in the moment in which another was given up", () => {
  it("connects, although the sockets were not even loaded, and although one was being made", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const early = new Client({ ...served.address, transport: world.transport });
    const stop = new AbortController();
    const first = early.connect({ signal: stop.signal }).catch((error) => error);
    stop.abort("enough");
    await early.connect();
    assertEquals([await first, early.state], ["enough", "connected"]);
    await early.close();

    await using met = await givenUp();
    const second = met.client.connect();
    met.world.through();
    await second;
    assertEquals([await met.first, met.client.state, met.world.connects], ["enough", "connected", 2]);
    assertEquals(met.events.of("disconnect"), []);
    await met.client.close();
    await met.served.server.close();
    assertEquals(met.world.clock.pending, 0);
  });

  it("shares what follows with others: it is one connection", async () => {
    await using met = await givenUp();
    const all = [met.client.connect(), met.client.retry(), met.client.connect()];
    met.world.through();
    await Promise.all(all);
    assertEquals([met.client.state, met.world.connects, met.events.of("connect").length], ["connected", 2, 1]);
    await met.client.close();
  });

  it("may be given up as well, and then nothing follows, but the next one connects", async () => {
    await using met = await givenUp();
    const stop = new AbortController();
    const second = met.client.connect({ signal: stop.signal }).catch((error) => error);
    const third = met.client.connect({ signal: stop.signal }).catch((error) => error);
    const closed = met.client.closed;
    stop.abort("me too");
    assertEquals([await second, await third], ["me too", "me too"]);
    met.world.through();
    await closed;
    assertEquals([await met.first, met.client.state, met.world.connects], ["enough", "disconnected", 1]);
    await met.client.connect();
    assertEquals(met.client.state, "connected");
    await met.client.close();
  });

  it("goes on for those who stay when one gives up", async () => {
    await using met = await givenUp();
    const stop = new AbortController();
    const second = met.client.connect({ signal: stop.signal }).catch((error) => error);
    const third = met.client.connect();
    stop.abort("me too");
    assertEquals(await second, "me too");
    met.world.through();
    await third;
    assertEquals(met.client.state, "connected");
    await met.client.close();
  });

  it("is given up once it goes on, as any other", async () => {
    await using met = await givenUp();
    const stop = new AbortController();
    const second = met.client.connect({ signal: stop.signal }).catch((error) => error);
    const begun = met.events.next("connecting").then(() => met.events.next("connecting"));
    met.world.through();
    await begun;
    stop.abort("me too");
    assertEquals([await second, met.client.state], ["me too", "disconnected"]);
  });

  it("rejects when the client is closed, and close() leaves nothing behind", async () => {
    await using met = await givenUp();
    const second = assertRejects(() => met.client.connect(), ConnectionError, "the client was closed");
    const closing = met.client.close();
    assertEquals(met.client.state, "closing");
    const late = assertRejects(() => met.client.connect(), ConnectionError, "is being closed");
    met.world.through();
    await Promise.all([second, closing, late, met.client.closed]);
    assertEquals([await met.first, met.client.state, met.world.connects], ["enough", "disconnected", 1]);
    assertEquals(met.world.clock.pending, 0);
  });

  it("reconnects as configured, unless stopRetry() says otherwise", async () => {
    for (const stopped of [false, true]) {
      await using met = await givenUp({ reconnect: SURE });
      const second = met.client.connect();
      if (stopped) met.client.stopRetry();
      met.world.through();
      await second;
      await met.served.server.close({ drain: 0 });
      const [{ permanent, retryMax }] = await met.events.next("disconnect");
      assertEquals([permanent, retryMax], stopped ? [true, 0] : [false, Infinity]);
      await met.client.close();
    }
  });
});

describe("what waits for a connection", () => {
  it("has it although its signal fires as it comes, and the connection stays", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const client = new Client({ ...served.address, transport: world.transport });
    const stop = new AbortController();
    let inside: Promise<void> | undefined;
    client.on("connect", () => {
      inside = client.connect({ signal: stop.signal });
      stop.abort();
    });
    await client.connect({ signal: stop.signal });
    await inside;
    const late = new AbortController();
    const connected = client.connect({ signal: late.signal });
    late.abort();
    await connected;
    assertEquals([client.state, await client.ping() >= 0], ["connected", true]);
    await served.server.close({ drain: 0 });
    await client.closed;
    assertEquals(world.clock.pending, 0);
  });

  it("may leave a client that reconnects, which goes on by itself", async () => {
    const { world, client, events, address } = await down();
    const stop = new AbortController();
    const waiting = client.connect({ signal: stop.signal }).catch((error) => error);
    stop.abort("enough");
    assertEquals([await waiting, client.state], ["enough", "reconnecting"]);
    await using served = await serve(world, address);
    await world.clock.advance(1_000);
    assertEquals([client.state, events.of("connect").length], ["connected", 2]);
    await client.close();
    await served.server.close();
    assertEquals(world.clock.pending, 0);
  });

  it("comes in the moment in which the last connection is put away, and gets the next one", async () => {
    let moments = 0;
    for (let count = 0; count < 20; count++) {
      const world = memoryWorld();
      const server = await RawServer.listen(world);
      const client = new Client({ ...server.address, transport: world.transport });
      const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
      const lost = assertRejects(() => client.ping());
      raw.connection.abort();
      await lost;
      await microtasks(count);
      if (client.state === "closing") {
        // Before the moment it is refused.
        let refused = false;
        const connecting = client.connect().catch(() => refused = true);
        await microtasks(2);
        if (!refused) {
          moments++;
          const [again] = await Promise.all([server.welcome("native"), connecting]);
          again.connection.abort();
          await client.closed;
        }
      }
      await client.close();
      await server[Symbol.asyncDispose]();
    }
    assert(moments > 0, "the moment is more than twenty microtasks away");
  });

  it("hears of the end although another signal fired as the server left", async () => {
    const world = memoryWorld();
    const server = await RawServer.listen(world);
    const client = new Client({
      ...server.address,
      transport: world.transport,
      reconnect: { ...SURE, attempts: 1 },
    });
    const stop = new AbortController();
    const waiting = deferred<unknown>();
    // All in one turn: connected, left, given up. Then somebody waits for the next connection.
    client.on("received", ({ code }) => {
      if (code !== 3) return;
      stop.abort();
      waiting.resolve(client.connect().catch((error) => error));
    });
    const first = client.connect({ signal: stop.signal }).then(() => "connected", (error) => error);
    const raw = await server.accept("native");
    await raw.connection.write(message({
      v: "2.0.0",
      meta: { native: { versions: [1], features: { goaway: {} }, maxMessageSize: 1_000, nonce: "n" } },
    }));
    await raw.message();
    const agreed = message({ result: "ok", native: { version: 1, features: { goaway: {} } } });
    const left = raw.encode({ code: 4, content: '{"code":"manual"}' }, { code: 3, requestId: 1 });
    await raw.connection.write(new Uint8Array([...agreed, ...left]));
    const outcome = await first;
    await server[Symbol.asyncDispose]();
    raw.connection.abort();
    const error = await advanceUntil(world.clock, waiting.promise) as ConnectionError;
    assertEquals([outcome, error.code, client.state], ["connected", "refused", "disconnected"]);
    assertEquals(world.clock.pending, 0);
  });
});

describe("after stopRetry() in the same turn", () => {
  it("connect() connects and reconnects as configured again, behind one permanent disconnect", async () => {
    const { world, client, events, address } = await down();
    const waiting = client.connect().catch((error) => error);
    client.stopRetry();
    const server = await RawServer.listen(world, address);
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    assertEquals((await waiting as Error).message, "Cannot connect: stopRetry() was called");
    const [{ permanent, reason, retryMax }] = await events.next("disconnect") as [DisconnectState];
    assertEquals([permanent, reason, retryMax, client.state], [true, "peer-closed", 0, "connected"]);
    raw.connection.abort();
    const [state] = await events.next("disconnect") as [DisconnectState];
    assertEquals([state.permanent, state.retryMax, state.attempt], [false, Infinity, 0]);
    await client.close();
    await server[Symbol.asyncDispose]();
    assertEquals(world.clock.pending, 0);
  });

  it("retry(1) tries once more, and only once", async () => {
    const { world, client, events } = await down();
    client.stopRetry();
    const error = await advanceUntil(world.clock, assertRejects(() => client.retry(1), ConnectionError));
    assertEquals([(error as ConnectionError).code, client.state], ["refused", "disconnected"]);
    assertEquals(events.of("connecting").map(([{ attempt }]) => attempt), [0, 1]);
    const ends = events.of("disconnect").map(([{ permanent, retryMax }]) => [permanent, retryMax]);
    assertEquals(ends, [[false, Infinity], [true, 0], [true, 1]]);
    assertEquals(world.clock.pending, 0);
  });

  it("retry() and then stopRetry() once more is over", async () => {
    const { world, client, events } = await down();
    client.stopRetry();
    const retried = assertRejects(() => client.retry(1), ConnectionError, "stopRetry() was called");
    client.stopRetry();
    await retried;
    await client.closed;
    assertEquals([client.state, events.of("connecting").length, world.clock.pending], ["disconnected", 1, 0]);
  });

  it("connect() keeps what is sent behind it for the connection", async () => {
    const { world, client, events, address } = await down({ queueWhileDown: true });
    client.send(NOTE, "one");
    client.stopRetry();
    const connecting = client.connect();
    client.send(NOTE, "two");
    const got: string[] = [];
    await using served = await serve(world, address, (server) => {
      server.route(NOTE, ({ data }) => void got.push(data));
    });
    assertEquals(served.address.port, address.port);
    await connecting;
    await client.ping();
    const [{ messages }] = await events.next("disconnect");
    assertEquals([got, messages.lost, messages.queued], [["one", "two"], 0, 2]);
    await client.close();
    assertEquals(client.state, "disconnected");
  });

  it("a loop over messages goes on", async () => {
    const { world, client, address } = await down();
    const messages = client.messages(NOTE);
    client.stopRetry();
    const server = await RawServer.listen(world, address);
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    await raw.send({ code: 200, content: "again" });
    assertEquals((await messages.next()).value?.data, "again");
    await client.close({ drain: 0 });
    assertEquals((await messages.next()).done, true);
    await raw[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
});
