/**
 * Reconnecting: one state, attempts within their limits, delays of the policy, and nothing left when it is over.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import {
  Client,
  type ClientConfig,
  type ClientState,
  ConnectionError,
  type DisconnectState,
  HandshakeError,
  messageType,
  Server,
  text,
} from "../mod.ts";
import { freePort } from "./processes/free_port.ts";
import { delayBefore, reconnectOf, worthRetrying } from "../src/client/reconnect.ts";
import {
  advanceUntil,
  HOST,
  Lines,
  memoryWorld,
  pass,
  Raw,
  RawServer,
  Recorder,
  serve,
  until,
  WORLDS,
} from "./session_support.ts";

const ECHO = messageType(200, "echo", text, text);
const EVENTS = ["connecting", "connect", "disconnect", "reconnecting", "error"] as const;

/** Waits that are always the longest, so that a test knows them. */
const SURE = { delay: 1_000, maxDelay: 8_000, jitter: false } as const;

describe("the delay before an attempt", () => {
  it("doubles up to maxDelay, is drawn from 0 up to that, and is never below what a full server asks for", () => {
    const policy = reconnectOf("reconnect", { delay: 100, maxDelay: 1_000 })!;
    const longest = [1, 2, 3, 4, 5, 60, 5_000].map((attempt) => delayBefore(policy, attempt, undefined, 1));
    assertEquals(longest, [100, 200, 400, 800, 1_000, 1_000, 1_000]);
    assertEquals([0, 0.25, 0.5].map((random) => delayBefore(policy, 3, undefined, random)), [0, 100, 200]);
    const refusal = { code: "too-many-connections", message: "full", retryAfter: 700 };
    const full = new HandshakeError("too-many-connections", "full", { refusal });
    assertEquals([0, 1].map((random) => delayBefore(policy, 1, full, random)), [700, 800]);
    const silly = new HandshakeError("too-many-connections", "full", { refusal: { ...refusal, retryAfter: 2 ** 52 } });
    assertEquals(delayBefore(policy, 1, silly, 0), 24 * 3_600_000);
    assertEquals(delayBefore(reconnectOf("reconnect", { ...SURE })!, 2, undefined, 0.1), 2_000);
  });

  it("spreads a thousand clients: after the first second no slot of 100 ms holds 5 % of the attempts", () => {
    // A server that is away for 20 s, and the policy of `reconnect: true`. A fixed sequence of random numbers.
    let seed = 42;
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
    const slots = new Map<number, number>();
    let attempts = 0;
    for (let client = 0; client < 1_000; client++) {
      let at = 0;
      for (let attempt = 1; at < 20_000; attempt++) {
        at += delayBefore(reconnectOf("reconnect", true)!, attempt, undefined, random());
        attempts++;
        slots.set(Math.floor(at / 100), (slots.get(Math.floor(at / 100)) ?? 0) + 1);
      }
    }
    const later = [...slots].filter(([slot]) => slot >= 10).map(([, count]) => count / attempts);
    assert(Math.max(...later) < 0.05, `${Math.max(...later)}`);
  });

  it("takes no options that make no sense", () => {
    for (
      const wrong of [
        { attempts: -1 },
        { attempts: 1.5 },
        { delay: -1 },
        { delay: 2_000, maxDelay: 1_000 },
        { maxDelay: NaN },
      ]
    ) assertThrows(() => new Client({ reconnect: wrong }), RangeError, Object.keys(wrong).at(-1));
    assertThrows(() => new Client({ reconnect: { jitter: 1 as unknown as boolean } }), TypeError, "reconnect.jitter");
    assertThrows(() => new Client({ reconnect: { retries: 3 } as never }), TypeError, 'Unknown option "retries"');
    assertEquals([reconnectOf("reconnect", undefined), reconnectOf("reconnect", false)], [undefined, undefined]);
    assertEquals(reconnectOf("reconnect", { delay: 60_000 })!.maxDelay, 60_000);
  });

  it("is not waited for where another attempt can't go better", () => {
    const handshake = (code: HandshakeError["code"]): HandshakeError => new HandshakeError(code, "x");
    const errors = [
      handshake("unauthorized"),
      handshake("version-mismatch"),
      handshake("native-required"),
      handshake("too-many-connections"),
      handshake("handshake-timeout"),
      new ConnectionError("refused", "x"),
    ];
    assertEquals(errors.map((error) => worthRetrying(error, false)), [false, false, false, true, true, true]);
    assertEquals(errors.map((error) => worthRetrying(error, true)), [false, true, true, true, true, true]);
  });
});

for (const { name, make } of WORLDS) {
  describe(`a client that reconnects, ${name},`, () => {
    it("comes back by itself, with its routes and listeners, and says so by one state", async () => {
      const made = await make();
      const served = await serve(made, {}, (server) => server.route(ECHO, ({ data }) => data));
      const client = new Client({ ...served.address, transport: made.transport, reconnect: SURE });
      const heard = new Recorder(client, EVENTS);
      const states: ClientState[] = [];
      for (const event of EVENTS) client.on(event, () => states.push(client.state));
      client.route(messageType(201, "name", text, text), () => "me");
      await client.connect();
      await served.server.close();
      await heard.next("disconnect");
      assertEquals(client.state, "reconnecting");
      assertThrows(() => client.send(ECHO, "x"), ConnectionError);
      await assertRejects(() => client.request(ECHO, "x"), ConnectionError);

      const again = new Server({ ...served.address, transport: made.transport });
      again.route(ECHO, ({ data }) => `${data} again`);
      const asked = new Promise((resolve) =>
        again.on("connect", (peer) => resolve(peer.request(messageType(201, "name", text, text), "who?")))
      );
      await again.start();
      await pass(made.clock, 1_000, client.connect());
      assertEquals([await client.request(ECHO, "here"), await asked], ["here again", "me"]);
      const [state] = heard.of("disconnect")[0] as [DisconnectState];
      const { reason, permanent, attempt, retryMax, nextDelay } = state;
      assertEquals([reason, permanent, attempt, retryMax, nextDelay], ["going-away", false, 0, Infinity, 1_000]);
      assertEquals(heard.all.map(([event]) => event), [
        "connecting",
        "connect",
        "disconnect",
        "reconnecting",
        "connecting",
        "connect",
      ]);
      assertEquals(states, ["connecting", "connected", "reconnecting", "reconnecting", "reconnecting", "connected"]);
      assertEquals([heard.of("connect")[1][0].attempt, heard.of("reconnecting")[0][0]], [
        1,
        { attempt: 1, retryMax: Infinity, delay: 1_000 },
      ]);
      await client.close();
      await again.close();
      assertEquals([client.state, made.clock.pending], ["disconnected", 0]);
    });

    it("tries on the first connect, too, and rejects with the last error when the attempts are used up", async () => {
      const made = await make();
      const free = await RawServer.listen(made);
      const { address } = free;
      await free[Symbol.asyncDispose]();
      const client = new Client({ ...address, transport: made.transport, reconnect: { ...SURE, attempts: 3 } });
      const heard = new Recorder(client, EVENTS);
      const connecting = assertRejects(() => client.connect(), ConnectionError);
      for (const delay of [1_000, 2_000, 4_000]) {
        assertEquals((await heard.next("reconnecting"))[0].delay, delay);
        await made.clock.advance(delay);
      }
      const error = await connecting as ConnectionError;
      assertEquals([error.code, client.state, made.clock.pending], ["refused", "disconnected", 0]);
      const told = heard.of("disconnect").map(([state]) => [state.permanent, state.attempt, state.nextDelay]);
      assertEquals(told, [[false, 0, 1_000], [false, 1, 2_000], [false, 2, 4_000], [true, 3, undefined]]);
      assertEquals(heard.of("connecting").length, 4);
      await client.closed;

      // retry() begins anew, with its own limit.
      const retried = assertRejects(() => client.retry(1), ConnectionError);
      await retried;
      assertEquals(heard.of("connecting").length, 5);
      const served = new Server({ ...address, transport: made.transport });
      await served.start();
      await client.retry();
      assertEquals(client.state, "connected");
      await client.close();
      await served.close();
      assertEquals(made.clock.pending, 0);
    });
  });
}

/** A client of a server by hand that is gone again. */
// deno-lint-ignore explicit-function-return-type
async function down(config: ClientConfig = {}) {
  const world = memoryWorld();
  const server = await RawServer.listen(world);
  const log = new Lines();
  const client = new Client({
    ...server.address,
    transport: world.transport,
    logger: log,
    reconnect: SURE,
    ...config,
  });
  const heard = new Recorder(client, EVENTS);
  const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
  raw.connection.abort();
  await server[Symbol.asyncDispose]();
  await heard.next("disconnect");
  return { world, client, heard, address: server.address };
}

describe("reconnecting", () => {
  it("is off by default: one disconnect, permanent, and send() throws", async () => {
    const { client, heard, world } = await down({ reconnect: undefined });
    const [[state]] = heard.of("disconnect");
    assertEquals([state.permanent, state.attempt, state.retryMax, state.nextDelay], [true, 0, 0, undefined]);
    assertEquals([client.state, world.clock.pending, "messages" in state], ["disconnected", 0, false]);
  });

  it("begins a new row of attempts only after a connection that lasted", async () => {
    const world = memoryWorld();
    const server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: world.transport, reconnect: SURE });
    const heard = new Recorder(client, EVENTS);
    const delays: number[] = [];
    let connected = client.connect();
    for (const lasts of [0, 0, 0, 5_000, 0]) {
      const raw = await advanceUntil(world.clock, server.welcome("native"));
      await advanceUntil(world.clock, connected);
      await world.clock.advance(lasts);
      raw.connection.abort();
      const [{ nextDelay }] = await heard.next("disconnect");
      delays.push(nextDelay);
      connected = client.connect();
    }
    // A server that lets in and closes at once is not asked ever faster.
    assertEquals(delays, [1_000, 2_000, 4_000, 1_000, 2_000]);
    await client.close();
    await assertRejects(() => connected, ConnectionError, "the client was closed");
    await server[Symbol.asyncDispose]();
    assertEquals(world.clock.pending, 0);
  });

  it("ends at once by close(), wherever it is, with one permanent disconnect", async () => {
    for (const when of ["waiting", "connecting", "shaking hands"]) {
      const { client, heard, world, address } = await down();
      const server = when === "shaking hands" ? await world.transport.listen(address) : undefined;
      const waiting = assertRejects(() => client.connect(), ConnectionError, "the client was closed");
      if (when !== "waiting") {
        const shake = server?.[Symbol.asyncIterator]().next();
        await world.clock.advance(1_000);
        await shake;
      }
      const closing = client.close();
      assertEquals(client.state, "closing");
      await client.close();
      await Promise.all([closing, waiting, client.closed, client.ready()]);
      const [last] = heard.of("disconnect").at(-1) as [DisconnectState];
      assertEquals([last.permanent, last.reason, client.state], [true, "manual", "disconnected"], when);
      await server?.close();
      assertEquals(world.clock.pending, 0, when);
    }
  });

  it("ends at once by stopRetry(), which leaves an open connection alone", async () => {
    const { client, heard, world, address } = await down();
    const waiting = assertRejects(() => client.connect(), ConnectionError);
    client.stopRetry();
    await waiting;
    const [last] = heard.of("disconnect").at(-1) as [DisconnectState];
    assertEquals([last.permanent, last.reason, last.retryMax, client.state], [
      true,
      "peer-closed",
      0,
      "disconnected",
    ]);

    const served = new Server({ ...address, transport: world.transport });
    await served.start();
    await client.retry();
    client.stopRetry();
    assertEquals([client.state, await client.ping() >= 0], ["connected", true]);
    await served.close();
    await client.closed;
    assertEquals((heard.of("disconnect").at(-1) as [DisconnectState])[0].permanent, true);
    assertEquals(world.clock.pending, 0);
  });

  it("may be stopped, begun and closed from inside its own events", async () => {
    for (const inside of ["disconnect", "reconnecting", "connecting"] as const) {
      for (const act of ["close", "stopRetry", "connect"] as const) {
        const { client, world, heard } = await down();
        client.on(inside, () => {
          if (act === "connect") void client.connect().catch(() => {});
          else void client[act]();
        }, { once: true });
        await world.clock.advance(1_000);
        await world.clock.advance(1_000);
        await client.close();
        assertEquals([client.state, world.clock.pending], ["disconnected", 0], `${act} in ${inside}`);
        assertEquals(heard.of("disconnect").filter(([{ permanent }]) => permanent).length, 1, `${act} in ${inside}`);
      }
    }
  });

  it("lets a listener to the last disconnect connect again at once, also during close()", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    const again = new Promise<void>((resolve, reject) => {
      client.on("disconnect", () => client.connect().then(resolve, reject), { once: true });
    });
    await client.close();
    await again;
    assertEquals(client.state, "connected");
    await client.close();
  });

  it("does not fall back below native where it has seen native", async () => {
    const world = memoryWorld();
    const server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: world.transport, reconnect: SURE });
    const heard = new Recorder(client, EVENTS);
    const [first] = await Promise.all([server.welcome("native"), client.connect()]);
    first.connection.abort();
    await heard.next("disconnect");
    // Somebody in between strips the native member.
    const stripped = server.welcome("2.0.0").catch(() => {});
    await world.clock.advance(1_000);
    const [{ error, permanent }] = await advanceUntil(world.clock, heard.next("disconnect"));
    assertEquals([(error as HandshakeError).code, permanent], ["native-required", false]);
    await client.close();
    await stripped;
    await server[Symbol.asyncDispose]();
  });

  it("gives up for good where it is not let in, and waits as long as a full server asks for", async () => {
    const world = memoryWorld();
    const served = await serve(world, { maxConnections: 1 });
    await using other = await Raw.connect(world, served.address, "native");
    const client = new Client({ ...served.address, transport: world.transport, reconnect: { ...SURE, delay: 0 } });
    const heard = new Recorder(client, EVENTS);
    const connected = client.connect();
    const [{ reason, nextDelay }] = await heard.next("disconnect");
    assertEquals([reason, nextDelay], ["too-many-connections", 1_000]);
    other.connection.abort();
    await until(() => served.server.clients.length === 0);
    await advanceUntil(world.clock, connected);
    await client.close();
    await served.server.close();

    await using closed = await serve(world, { authenticate: () => false });
    const stranger = new Client({ ...closed.address, transport: world.transport, reconnect: true });
    const error = await assertRejects(() => stranger.connect(), HandshakeError) as HandshakeError;
    assertEquals([error.code, stranger.state], ["unauthorized", "disconnected"]);
  });

  it("keeps its credentials to itself where the protocol has no place for them", () => {
    assertThrows(
      () => new Client({ credentials: "x", protocol: "1.6.3" }),
      Error,
      "credentials need the native protocol",
    );
    assertThrows(() => new Client({ hostname: HOST, credentials: Symbol("x") }), TypeError);
  });
});

describe("retry()", () => {
  it("in the wait begins at once, and a new row of attempts", async () => {
    const { client, heard, world } = await down({ reconnect: { delay: 60_000, jitter: false, maxDelay: 60_000 } });
    const tries = (): number => heard.of("connecting").length;
    assertEquals(tries(), 1);
    const failing = assertRejects(() => client.retry(3), ConnectionError);
    await until(() => tries() === 2);
    for (let i = 0; i < 3; i++) await world.clock.advance(60_000);
    await failing;
    assertEquals([tries(), client.state, world.clock.pending], [4, "disconnected", 0]);
  });

  it("within the events that tell of the wait begins at once, too", async () => {
    for (const event of ["disconnect", "reconnecting"] as const) {
      const { client, world } = await down();
      const heard = new Recorder(client, ["connecting"]);
      let once = false;
      let failing: Promise<unknown> | undefined;
      client.on(event, () => {
        if (once) return;
        once = true;
        failing = client.retry(1).catch((error) => error);
      });
      // The attempt that it waits for fails, and is told of.
      await world.clock.advance(1_000);
      await until(() => failing !== undefined);
      assertEquals((await failing as ConnectionError).code, "refused");
      assertEquals([heard.of("connecting").length, client.state, world.clock.pending], [2, "disconnected", 0]);
    }
  });

  it("in an attempt begins a new row of attempts with it, and cuts no later wait short", async () => {
    const { client, heard, world } = await down();
    await world.clock.advance(1_000);
    await world.clock.advance(2_000);
    await heard.next("disconnect");
    await heard.next("disconnect");
    client.on("connecting", () => void client.retry(), { once: true });
    await world.clock.advance(4_000);
    const [{ attempt, nextDelay }] = await heard.next("disconnect");
    assertEquals([attempt, nextDelay], [1, 2_000]);
    const tries = heard.of("connecting").length;
    await world.clock.advance(1_999);
    assertEquals(heard.of("connecting").length, tries);
    await world.clock.advance(1);
    assertEquals(heard.of("connecting").length, tries + 1);
    await client.close();
    assertEquals(world.clock.pending, 0);
  });

  it("lasts, as stopRetry() does, until the next connect()", async () => {
    const { client, world, address, heard } = await down();
    client.stopRetry();
    await client.closed;
    const server = await RawServer.listen(world, address);
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    raw.connection.abort();
    await until(() => client.state === "reconnecting");
    const [state] = heard.of("disconnect").at(-1) as [DisconnectState];
    assertEquals([state.permanent, state.retryMax], [false, Infinity]);
    await client.close();
    await server[Symbol.asyncDispose]();
  });
});

describe("a server that goes away", () => {
  it("says when it is worth trying again, and the client adds its own delay", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const client = new Client({ ...served.address, transport: world.transport, reconnect: SURE });
    const heard = new Recorder(client, EVENTS);
    await client.connect();
    await served.server.close({ retryAfter: 7_000 });
    const [{ nextDelay, reason }] = await heard.next("disconnect");
    assertEquals([nextDelay, reason], [8_000, "going-away"]);
    await client.close();
    assertEquals(world.clock.pending, 0);
  });
});

/** What a program says in which a client finds no server, and how it ends; `"killed"` if it does not. */
async function program(reconnect: string, code: string): Promise<[said: string, end: unknown]> {
  const source = `
    import { Client } from ${JSON.stringify(new URL("../mod.ts", import.meta.url).href)};
    const client = new Client({ port: ${await freePort()}, reconnect: ${reconnect} });
    client.on("reconnecting", ({ attempt }) => console.log("waits", attempt));
    ${code}
    client.connect().catch(({ code }) => console.log(code));
  `;
  const { Bun, Deno } = globalThis as { Bun?: unknown; Deno?: unknown };
  const args = Deno ? ["eval", "--no-check", source] : Bun ? ["-e", source] : ["--input-type=module", "-e", source];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Uint8Array) => said += new TextDecoder().decode(chunk));
  const limit = setTimeout(() => child.kill("SIGKILL"), 50_000);
  const end = await new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ? "killed" : code)));
  clearTimeout(limit);
  return [said.trim().replaceAll(/\s*\n/g, ", "), end];
}

describe("a program with nothing but a client that waits for the next attempt", () => {
  it("goes on", async () => {
    const reconnect = "{ delay: 50, jitter: false, attempts: 2 }";
    assertEquals(await program(reconnect, ""), ["waits 1, waits 2, refused", 0]);
  });

  it("ends where the client is unref'd, before or during the wait", async () => {
    const long = "{ delay: 1_000_000, jitter: false }";
    assertEquals(await program(long, "client.unref();"), ["waits 1", 0]);
    const during = 'client.on("reconnecting", () => setTimeout(() => client.unref(), 1));';
    assertEquals(await program(long, during), ["waits 1", 0]);
  });
});
