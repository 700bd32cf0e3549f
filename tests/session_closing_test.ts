/** Promise 7: how connections, clients and servers end. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import {
  bytes,
  Client,
  type ClientConfig,
  type CloseReason,
  messageType,
  Server,
  type ServerConfig,
  text,
} from "../mod.ts";
import { ConnectionError } from "../src/errors.ts";
import type { Listener, Transport } from "../src/transport.ts";
import {
  advanceUntil,
  deferred,
  HOST,
  Lines,
  memoryWorld,
  microtasks,
  pass,
  Raw,
  RawServer,
  Recorder,
  serve,
  turn,
  until,
  type World,
  WORLDS,
} from "./session_support.ts";

const WORK = messageType(200, "work", text, text);
const DATA = messageType(201, "data", bytes);

/** A server and a client of it; `hold` keeps the handler of WORK busy. */
// deno-lint-ignore explicit-function-return-type
async function pair(world: World, config: ServerConfig = {}, clientConfig: ClientConfig = {}) {
  const hold = deferred();
  const working = deferred();
  const served = await serve(world, config, (server) => {
    server.route(WORK, async ({ data }) => {
      working.resolve();
      await hold.promise;
      return data.toUpperCase();
    });
  });
  const log = new Lines();
  const client = new Client({ ...served.address, transport: world.transport, logger: log, ...clientConfig });
  const heard = new Recorder(client, ["connect", "disconnect", "error"]);
  await client.connect();
  const [info] = await served.events.next("connect");
  return {
    ...served,
    client,
    info,
    heard,
    hold,
    working,
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await served.server.close({ drain: 0 });
      assertEquals(world.clock.pending, 0, "a timer was left");
      assertEquals([served.log.lines, log.lines], [[], []]);
    },
  };
}

for (const { name, make } of WORLDS) {
  describe(`the reason of an end, ${name},`, () => {
    const ends: [
      how: string,
      server: CloseReason,
      client: CloseReason,
      end: (p: Awaited<ReturnType<typeof pair>>) => void,
    ][] = [
      ["client.close()", "going-away", "manual", ({ client }) => void client.close()],
      ["server.close()", "server-closed", "going-away", ({ server }) => void server.close()],
      ["ConnectedClient.close()", "manual", "going-away", ({ info }) => void info.close()],
      ["ConnectedClient.close(reason)", "rate-limited", "going-away", ({ info }) => void info.close("rate-limited")],
    ];
    for (const [how, onServer, onClient, end] of ends) {
      it(`is ${onServer} at the server and ${onClient} at the client after ${how}`, async () => {
        const made = await make();
        await using met = await pair(made);
        end(met);
        const [, { reason, error }] = await met.events.next("disconnect");
        const [state] = await met.heard.next("disconnect");
        assertEquals([reason, state.reason], [onServer, onClient]);
        // Who was asked to leave is told why, in the other's words.
        const told = [error, state.error].map((error) => error instanceof ConnectionError && error.message);
        const why = onServer === "going-away" ? onClient : onServer;
        const words = `The peer goes away: ${why}`;
        assertEquals(told, onServer === "going-away" ? [words, false] : [false, words]);
        await met.client.closed;
        assertEquals(made.clock.now(), 0, "both ends closed at once");
        assertEquals([met.client.state, met.server.clients, met.info.connected], ["disconnected", [], false]);
      });
    }

    it("is network-error when the peer resets the connection, and the error tells", async () => {
      const made = await make();
      await using served = await serve(made);
      await using raw = await Raw.connect(made, served.address, "native");
      const [client] = await served.events.next("connect");
      // Unread input makes a reset out of an abort.
      for (let i = 0; i < 120; i++) client.send(DATA, new Uint8Array(100_000));
      await until(() => client.stats().bytesSent > 90_000);
      await turn();
      raw.connection.abort();
      const [, { reason, error }] = await served.events.next("disconnect");
      // Deno tells of the reset once, to the write; the read that ends before it looks like FIN.
      assert(reason === "network-error" || reason === "peer-closed" && name !== "over memory", reason);
      assert(error instanceof ConnectionError);
    });

    it("is told once, with rejected in place of disconnect where the handshake was not done", async () => {
      const made = await make();
      await using served = await serve(made);
      const raw = new Raw(await made.transport.connect(served.address), "native");
      await raw.message();
      await raw.connection.closeWrite();
      assertEquals(await raw.end(), "fin");
      const [{ error }] = await served.events.next("rejected");
      assert(error instanceof ConnectionError);
      await raw[Symbol.asyncDispose]();
      assertEquals(served.events.all.map(([event]) => event), ["rejected"]);
    });
  });

  describe(`closing, ${name},`, () => {
    it("lets running handlers answer and own requests finish, on both sides", async () => {
      for (const closer of ["client", "server"] as const) {
        const made = await make();
        await using met = await pair(made);
        const asked = met.client.request(WORK, "abc");
        await met.working.promise;
        const closing = met[closer].close();
        assertEquals(closer === "client" ? met.client.state : "closing", "closing");
        await turn();
        met.hold.resolve();
        if (closer === "client") assertEquals(await asked, "ABC");
        else assertEquals(await asked, "ABC");
        await closing;
        await met.client.closed;
        assertEquals(made.clock.now(), 0);
      }
    });

    it("flushes 8 MiB that send() took", async () => {
      for (const closer of ["client", "server"] as const) {
        const made = await make();
        let got = 0;
        await using met = await pair(made, { maxBufferedBytes: 2 ** 24 });
        (closer === "client" ? met.server : met.client).route(DATA, ({ content }) => void (got += content.length));
        for (let i = 0; i < 128; i++) (closer === "client" ? met.client : met.info).send(DATA, new Uint8Array(65_536));
        await met[closer].close();
        await until(() => got === 8 * 2 ** 20);
      }
    });

    it("cuts a handler that never ends when the drain is over, and aborts its signal", async () => {
      const made = await make();
      const signals: AbortSignal[] = [];
      await using served = await serve(made, {}, (server) => {
        server.route(WORK, (message) => (signals.push(message.signal), new Promise<string>(() => {})));
      });
      await using raw = await Raw.connect(made, served.address, "native");
      await raw.send({ code: 200, content: "x", requestId: 1, flags: 1 });
      await until(() => signals.length === 1);
      const closing = served.server.close({ drain: 3_000 });
      let closed = false;
      closing.then(() => closed = true);
      await made.clock.advance(2_900);
      await turn();
      assertEquals([closed, signals[0].aborted], [false, false]);
      await pass(made.clock, 1_400, closing);
      assertEquals([signals[0].aborted, made.clock.pending], [true, 0]);
      const [, { reason }] = await served.events.next("disconnect");
      assertEquals(reason, "server-closed");
    });

    it("sends running answers after the peer's FIN, and closes then", async () => {
      const made = await make();
      const hold = deferred();
      await using served = await serve(made, {}, (server) => {
        server.route(WORK, async ({ data }) => (await hold.promise, data.toUpperCase()));
      });
      await using raw = await Raw.connect(made, served.address, "native");
      await raw.send(...[1, 2, 3].map((requestId) => ({ code: 200, content: `${requestId}a`, requestId, flags: 1 })));
      await raw.connection.closeWrite();
      await until(() => served.server.clients.length === 0 && served.events.of("connect").length === 1);
      assertEquals(served.events.of("disconnect"), []);
      hold.resolve();
      const replies = [];
      for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
        replies.push(new TextDecoder().decode(frame.content));
      }
      assertEquals(replies, ["1A", "2A", "3A"]);
      const [, { reason }] = await served.events.next("disconnect");
      assertEquals([reason, made.clock.now()], ["peer-closed", 0]);
    });

    it("answers what comes meanwhile with going-away, and calls no handler, where the peer knows no GOAWAY", async () => {
      const made = await make();
      await using met = await pair(made);
      await using raw = await Raw.connect(made, met.address, "native");
      await raw.send({ code: 200, content: "first", requestId: 1, flags: 1 });
      await met.working.promise;
      const closing = met.server.close();
      await raw.send({ code: 200, content: "late", requestId: 2, flags: 1 });
      const late = (await raw.frame())!;
      assertEquals([late.requestId, late.flags], [2, 6]);
      assertEquals(JSON.parse(new TextDecoder().decode(late.content)).code, "going-away");
      met.hold.resolve();
      const first = (await raw.frame())!;
      assertEquals([first.requestId, new TextDecoder().decode(first.content)], [1, "FIRST"]);
      await raw.end();
      await closing;
    });

    it("still hands out and answers what a native peer sent before it knew", async () => {
      for (const closer of ["client", "server"] as const) {
        const made = await make();
        await using met = await pair(made);
        met.client.route(WORK, ({ data }) => data.toUpperCase());
        met.hold.resolve();
        const closing = met[closer].close();
        // In the same turn: the other side cannot know yet.
        const late = closer === "server" ? met.client.request(WORK, "late") : met.info.request(WORK, "late");
        assertEquals(await late, "LATE");
        await closing;
        assertEquals(made.clock.now(), 0);
      }
    });

    it("with drain 0 cuts at once, also while a patient close is under way", async () => {
      for (const closer of ["client", "server"] as const) {
        for (const before of [false, true]) {
          const made = await make();
          await using met = await pair(made);
          const asked = assertRejects(() => met.client.request(WORK, "x"), ConnectionError);
          await met.working.promise;
          const patient = before ? met[closer].close() : undefined;
          await turn();
          await met[closer].close({ drain: 0 });
          await patient;
          await asked;
          assertEquals(made.clock.now(), 0);
          met.hold.resolve();
          await met.events.next("disconnect");
          await met.heard.next("disconnect");
        }
      }
    });

    it("is idempotent, settles closed and ready(), and the same Client and Server can begin again", async () => {
      const made = await make();
      const listening: unknown[] = [];
      const server = new Server({ hostname: HOST, port: 0, transport: made.transport });
      server.on("listening", (addresses) => listening.push(addresses));
      server.route(WORK, ({ data }) => data);
      await server.start();
      const [address] = server.addresses;
      await server.close();
      const again = new Server({ ...address as { port: number }, transport: made.transport });
      again.route(WORK, ({ data }) => data);
      const client = new Client({ ...address as { port: number }, transport: made.transport });
      for (let i = 0; i < 3; i++) {
        await again.start();
        assertStrictEquals(again.start(), again.start());
        assertEquals(again.addresses, [address]);
        const connecting = client.connect();
        assertStrictEquals(client.connect(), connecting);
        await connecting;
        assertStrictEquals(client.connect(), connecting);
        assertEquals(await client.request(WORK, `${i}`), `${i}`);
        const { closed } = client;
        const closing = client.close();
        assertStrictEquals(client.close(), closing);
        await Promise.all([closing, closed, client.ready(), client.close()]);
        const serverClosed = again.closed;
        const both = again.close();
        assertStrictEquals(again.close(), both);
        await Promise.all([both, serverClosed]);
        assertEquals([again.addresses, again.clients, made.clock.pending], [[], [], 0]);
        await assertRejects(() => client.connect(), ConnectionError);
      }
      assertEquals(listening.length, 1);
    });

    it("lets connect() and start() begin as soon as closed has settled", async () => {
      const made = await make();
      await using met = await pair(made);
      void met.client.close();
      await met.client.closed;
      await met.client.connect();
      void met.server.close({ drain: 0 });
      await met.server.closed;
      await met.server.start();
      await met.client.closed;
      assertEquals(met.client.state, "disconnected");
    });

    it("ends a connect() under way, wherever it is, and leaves nothing", async () => {
      const made = await make();
      await using server = await RawServer.listen(made);
      // A server that takes the connection and says nothing.
      const client = new Client({ ...server.address, transport: made.transport });
      const connecting = assertRejects(() => client.connect(), ConnectionError, "the client was closed");
      const raw = await server.accept("native");
      assertEquals(client.state, "connecting");
      await client.close();
      await connecting;
      assertEquals(await raw.end(), "fin");
      await raw[Symbol.asyncDispose]();
      assertEquals([client.state, made.clock.pending], ["disconnected", 0]);
    });

    it("ends a start() and handshakes under way, and leaves nothing", async () => {
      const made = await make();
      const log = new Lines();
      const server = new Server({ hostname: HOST, port: 0, transport: made.transport, logger: log });
      const rejected: string[] = [];
      server.on("rejected", ({ reason }) => rejected.push(reason));
      const starting = server.start();
      await Promise.all([starting, server.close()]);
      assertEquals(server.addresses, []);
      await server.start();
      const raws: Raw[] = [];
      for (let i = 0; i < 5; i++) raws.push(new Raw(await made.transport.connect(server.addresses[0]), "native"));
      await raws[0].connection.write(new Uint8Array([0, 60, 0x7b]));
      await raws[1].connection.write(new Uint8Array([0, 60, 0x41]));
      await until(() => server.stats().pendingHandshakes + server.stats().rejected === 5);
      await turn();
      await server.close();
      assertEquals([made.clock.pending, server.stats().pendingHandshakes, rejected.length], [0, 0, 5]);
      assert(rejected.every((reason) => reason === "server-closed" || reason === "handshake-failed"), `${rejected}`);
      for (const raw of raws) {
        await raw.end();
        await raw[Symbol.asyncDispose]();
      }
      assertEquals([made.clock.pending, log.lines], [0, []]);
    });

    it("refuses connect() and start() in between", async () => {
      const made = await make();
      await using met = await pair(made);
      const asked = met.client.request(WORK, "x");
      await met.working.promise;
      const closing = met.client.close();
      await assertRejects(() => met.client.connect(), ConnectionError, "is being closed");
      const serverClosing = met.server.close();
      await assertRejects(() => met.server.start(), ConnectionError, "is being closed");
      met.hold.resolve();
      await asked;
      await Promise.all([closing, serverClosing]);
    });

    it("refuses connect() while the connection ends because the peer has finished", async () => {
      const made = await make();
      await using server = await RawServer.listen(made);
      const client = new Client({ ...server.address, transport: made.transport });
      const hold = deferred();
      const working = deferred();
      client.route(WORK, async () => (working.resolve(), await hold.promise, "done"));
      const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
      await raw.send({ code: 200, content: "x", requestId: 1, flags: 1 });
      await working.promise;
      await raw.connection.closeWrite();
      await until(() => client.state === "closing");
      await assertRejects(() => client.connect(), ConnectionError, "the server ends the connection");
      hold.resolve();
      await client.closed;
      await raw[Symbol.asyncDispose]();
    });

    it("leaves no timer when the connection breaks while it is being closed", async () => {
      const made = await make();
      await using server = await RawServer.listen(made);
      const client = new Client({ ...server.address, transport: made.transport });
      client.route(WORK, () => new Promise<string>(() => {}));
      const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
      await raw.send({ code: 200, content: "x", requestId: 1, flags: 1 });
      await until(() => client.stats().framesReceived === 1);
      const closing = client.close();
      await turn();
      // The connection is lost in the middle of closing.
      assertEquals(client.state, "closing");
      raw.connection.abort();
      await turn();
      await pass(made.clock, 5_030, closing);
      await raw[Symbol.asyncDispose]();
      assertEquals(made.clock.pending, 0);
    });
  });
}

describe("the end of a connection", () => {
  it("may come from inside any handler or listener, with drain 0 or without", async () => {
    for (const drain of [0, 5_000]) {
      for (const where of ["connect", "message", "handler", "error", "server connect", "server handler"]) {
        const world = memoryWorld();
        const served = await serve(world, {}, (server) => {
          server.on("connect", (client) => {
            if (where === "server connect") void client.close("manual", { drain });
            else if (where !== "connect") {
              client.send(messageType(300), new Uint8Array(1));
              client.send(WORK, "x");
            }
          });
          server.route(DATA, (_, client) => {
            if (where === "server handler") void server.close({ drain });
            void client;
          });
        });
        const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
        const close = (): void => void client.close({ drain });
        const over = deferred<string>();
        client.on("disconnect", ({ reason }) => over.resolve(reason));
        if (where === "connect") client.on("connect", close);
        if (where === "message") client.on("message", close);
        if (where === "handler" || where === "error") {
          client.route(WORK, () => {
            if (where === "handler") close();
            throw new Error("x");
          });
        }
        if (where === "error") client.on("error", close);
        await client.connect();
        if (where === "server handler") client.send(DATA, new Uint8Array(1));
        assert(["manual", "going-away", "peer-closed"].includes(await over.promise), where);
        await client.close();
        await served.server.close();
        assertEquals([client.state, world.clock.pending], ["disconnected", 0], `${where} ${drain}`);
      }
    }
  });

  it("is clean at whatever moment of connecting close() or an abort comes", async () => {
    for (const how of ["close", "close 0", "abort"]) {
      for (let count = 0; count < 120; count += 1) {
        const world = memoryWorld();
        await using served = await serve(world);
        const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
        const events = new Recorder(client, ["connect", "disconnect"]);
        const controller = new AbortController();
        const reason = new Error("enough");
        const connecting = client.connect({ signal: controller.signal }).then(() => "connected", (error) => error);
        // Turns first, then single microtasks within one.
        for (let i = 0; i < Math.floor(count / 12); i++) {
          await new Promise<void>((resolve) => world.transport.eventLoop!.yield(resolve));
        }
        await microtasks(count % 12);
        const was = client.state;
        if (how === "abort") controller.abort(reason);
        else await client.close({ drain: how === "close" ? 5_000 : 0 });
        const outcome = await connecting;
        assertEquals(outcome === "connected", was === "connected", `${how} ${count}`);
        if (how === "abort" && outcome === "connected") await client.close();
        else if (how === "abort") assertEquals(outcome, reason);
        else if (outcome !== "connected") assert(outcome instanceof ConnectionError, String(outcome));
        assertEquals(events.of("connect").length, outcome === "connected" ? 1 : 0, `${how} ${count}`);
        assertEquals(events.of("disconnect").length, events.of("connect").length, `${how} ${count}`);
        assertEquals([client.state, client.stats().bufferedBytes], ["disconnected", undefined], `${how} ${count}`);
        await client.closed;
        await served.server.close();
        assertEquals(world.clock.pending, 0, `${how} ${count}`);
      }
    }
  });

  it("is clean at whatever moment of a handshake a server closes", async () => {
    for (let count = 0; count < 120; count++) {
      const world = memoryWorld();
      await using served = await serve(world);
      const raw = Raw.connect(world, served.address, "native").catch(() => undefined);
      for (let i = 0; i < Math.floor(count / 12); i++) {
        await new Promise<void>((resolve) => world.transport.eventLoop!.yield(resolve));
      }
      await microtasks(count % 12);
      await served.server.close({ drain: 0 });
      const { connections, pendingHandshakes } = served.server.stats();
      assertEquals([connections, pendingHandshakes, world.clock.pending], [0, 0, 0], `${count}`);
      assertEquals(served.events.of("connect").length, served.events.of("disconnect").length);
      assertEquals(served.events.all.at(-1)?.[0], "close", `${count}`);
      await (await raw)?.[Symbol.asyncDispose]();
    }
  });

  it("of a server that can't listen leaves no listener, settles closed, and start() may be tried again", async () => {
    const world = memoryWorld();
    const first = new Server({ hostname: HOST, port: 9_000, transport: world.transport });
    await first.start();
    const places = [{ hostname: HOST, port: 9_001 }, { hostname: HOST, port: 9_000 }];
    const second = new Server({ listen: places, transport: world.transport });
    const { closed } = second;
    const error = await assertRejects(() => second.start(), ConnectionError) as ConnectionError;
    assertEquals([error.code, second.addresses], ["address-in-use", []]);
    await closed;
    await first.close();
    await second.start();
    assertEquals(second.addresses, places);
    await second.close();
    const third = await world.transport.listen(places[0]);
    await third.close();
  });

  it("of accepting is an error event, and the server's connections live on", async () => {
    const world = memoryWorld();
    const broken = deferred<never>();
    const transport: Transport = {
      ...world.transport,
      async listen(at, options): Promise<Listener> {
        const listener = await world.transport.listen(at, options);
        const connections = listener[Symbol.asyncIterator]();
        return Object.assign(listener, {
          [Symbol.asyncIterator]: () => ({ next: () => Promise.race([connections.next(), broken.promise]) }),
        });
      },
    };
    await using served = await serve({ ...world, transport }, {}, (server) => server.route(WORK, ({ data }) => data));
    await using raw = await Raw.connect(world, served.address, "native");
    await served.events.next("connect");
    broken.reject(new Error("no more file descriptors"));
    const [error] = await served.events.next("error");
    assertEquals(error.message, "no more file descriptors");
    await raw.send({ code: 200, content: "alive", requestId: 1, flags: 1 });
    assertEquals(new TextDecoder().decode((await raw.frame())!.content), "alive");
  });

  it("waits for own requests and unsent bytes only as long as the drain, with a peer that is dead", async () => {
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: world.transport });
    const [raw] = await Promise.all([server.welcome("native"), client.connect()]);
    const asked = assertRejects(() => client.request(WORK, "x", { timeout: 60_000 }), ConnectionError);
    for (let i = 0; i < 100; i++) client.send(DATA, new Uint8Array(100_000));
    await advanceUntil(world.clock, client.close({ drain: 2_000 }));
    await asked;
    assert(world.clock.now() >= 2_000 && world.clock.now() <= 2_200, `${world.clock.now()} ms`);
    assertEquals(world.clock.pending, 0);
    await raw[Symbol.asyncDispose]();
  });

  it("comes by disposal, too", async () => {
    const world = memoryWorld();
    const over: string[] = [];
    {
      await using server = new Server({ hostname: HOST, port: 0, transport: world.transport });
      server.on("disconnect", (_, { reason }) => over.push(`server ${reason}`));
      await server.start();
      await using client = new Client({ ...server.addresses[0] as { port: number }, transport: world.transport });
      client.on("disconnect", ({ reason }) => over.push(`client ${reason}`));
      await client.connect();
    }
    assertEquals([over.sort(), world.clock.pending], [["client manual", "server going-away"], 0]);
  });

  it("is not waited for by a process whose Server and Client are unref'd", async () => {
    const program = `
      import { Client, Server } from ${JSON.stringify(new URL("../mod.ts", import.meta.url).href)};
      const server = new Server({ hostname: "127.0.0.1", port: 0 });
      await server.start();
      const client = new Client({ ...server.addresses[0] });
      await client.connect();
      server.unref();
      client.unref();
      console.log("done");
    `;
    const args = "Deno" in globalThis
      ? ["eval", "--no-check", program]
      : ["Bun" in globalThis ? "-e" : "--input-type=module", ...("Bun" in globalThis ? [program] : ["-e", program])];
    const child = spawn((globalThis as { Deno?: { execPath(): string } }).Deno?.execPath() ?? process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output: Uint8Array[] = [];
    child.stdout.on("data", (chunk: Uint8Array) => output.push(chunk));
    child.stderr.on("data", (chunk: Uint8Array) => output.push(chunk));
    const code = await new Promise((resolve) => child.on("close", resolve));
    assertEquals([code, output.map((chunk) => new TextDecoder().decode(chunk)).join("").trim()], [0, "done"]);
  });
});
