/** How many may come in: what a full server says, to whom, and what it costs. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, HandshakeError, messageType, Server, type ServerConfig, text } from "../mod.ts";
import { ConnectionLimits } from "../src/server/connection_limits.ts";
import type { Connection, Listener, Transport } from "../src/transport.ts";
import {
  deferred,
  HOST,
  Lines,
  memoryWorld,
  message,
  pass,
  Raw,
  serve,
  soon,
  turn,
  until,
  WORLDS,
} from "./session_support.ts";

const SLOW = messageType(201, "slow", text, text);
const FULL = { result: "error", code: "too-many-connections", retryAfter: 1_000, error: "server_full" };

/** What a peer by hand that says nothing is told before FIN. */
async function lastWord(raw: Raw): Promise<Record<string, unknown>> {
  const said = await raw.message() as Record<string, unknown>;
  assertEquals(await raw.end(), "fin");
  await raw[Symbol.asyncDispose]();
  return said;
}

/** A transport that keeps what is accepted. */
function watchedServer(transport: Transport, accepted: Connection[]): Transport {
  return {
    ...transport,
    async listen(at, options): Promise<Listener> {
      const listener = await transport.listen(at, options);
      return {
        address: listener.address,
        close: () => listener.close(),
        unref: () => listener.unref(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
          for await (const connection of listener) {
            accepted.push(connection);
            yield connection;
          }
        },
        [Symbol.asyncDispose]: () => listener.close(),
      };
    },
  };
}

for (const { name, make } of WORLDS) {
  describe(`a full server, ${name},`, () => {
    it("tells a client so, with a time to try again, and lets it in when somebody has left", async () => {
      const made = await make();
      await using served = await serve(made, { maxConnections: 2 });
      const connect = async (): Promise<Client> => {
        const client = new Client({ ...served.address, transport: made.transport });
        await client.connect();
        return client;
      };
      const first = await connect();
      assertEquals(served.server.isFull, false);
      const second = await connect();
      assertEquals(served.server.isFull, true);
      for (let i = 0; i < 3; i++) {
        const error = await assertRejects(connect, HandshakeError) as HandshakeError;
        assertEquals(error.code, "too-many-connections");
        const message = "The server has too many connections open";
        assertEquals(error.refusal, { code: "too-many-connections", message, retryAfter: 1_000 });
        const [{ reason, error: ours }] = await served.events.next("rejected");
        assertEquals([reason, ours.code, ours.refusal], [
          "too-many-connections",
          "too-many-connections",
          error.refusal,
        ]);
      }
      assertEquals([served.server.stats().connections, served.server.stats().rejected], [2, 3]);
      await first.close();
      await served.events.next("disconnect");
      assertEquals(served.server.isFull, false);
      const third = await connect();
      await assertRejects(connect, HandshakeError);
      assertEquals(served.server.isFull, true);
      await served.server.close();
      assertEquals(served.server.isFull, false);
      await Promise.all([second.close(), third.close()]);
    });

    it("refuses 200 at once in place of its greeting, each with words and FIN and none with a reset", async () => {
      const made = await make();
      await using served = await serve(made, { maxConnections: 1 });
      await using _first = await Raw.connect(made, served.address, "native");
      await until(() => served.server.clients.length === 1);
      const told = await Promise.all(Array.from({ length: 200 }, async () => {
        const raw = new Raw(await made.transport.connect(served.address), "native");
        // Unread input is what turns a close into a reset.
        await raw.connection.write(new Uint8Array(1_000));
        return await lastWord(raw);
      }));
      for (const { message, ...said } of told) assertEquals([said, typeof message], [FULL, "string"]);
      assertEquals(served.server.clients.length, 1);
    });

    it("decides once more when a handshake is done: of ten at once, the first two come in", async () => {
      const made = await make();
      await using served = await serve(made, { maxConnections: 2 });
      const raws: Raw[] = [];
      for (let i = 0; i < 10; i++) raws.push(new Raw(await made.transport.connect(served.address), "2.0.0"));
      for (const raw of raws) await raw.message();
      const answers = await Promise.all(raws.map(async (raw) => {
        await raw.connection.write(message({ v: "2.0.0", meta: {} }));
        return await raw.message() as { result: string };
      }));
      assertEquals(answers.map(({ result }) => result).sort(), [...Array(8).fill("error"), "ok", "ok"]);
      await until(() => served.server.stats().rejected === 8);
      assertEquals([served.server.clients.length, served.events.of("connect").length], [2, 2]);
      for (const raw of raws) await raw[Symbol.asyncDispose]();
    });

    it("has no words for the releases without a handshake: it closes", async () => {
      const made = await make();
      await using served = await serve(made, { protocol: "1.3", maxConnections: 1 });
      const first = await made.transport.connect(served.address);
      await until(() => served.server.clients.length === 1);
      const second = await made.transport.connect(served.address);
      assertEquals(await second.read(), null);
      assertEquals((await served.events.next("rejected"))[0].reason, "too-many-connections");
      for (const connection of [first, second]) connection.abort();
      await served.events.next("disconnect");
    });

    it("has no words for the HELLO releases: it closes", async () => {
      const made = await make();
      await using served = await serve(made, { protocol: "1.6.3", maxConnections: 1 });
      await using _first = await Raw.connect(made, served.address, "1.6.3");
      await until(() => served.server.clients.length === 1);
      await using second = new Raw(await made.transport.connect(served.address), "1.6.3");
      assertEquals(await second.frame(), null);
      const [{ reason }] = await served.events.next("rejected");
      assertEquals(reason, "too-many-connections");
    });

    it("counts a connection until it is over: one that still works after its FIN takes a place", async () => {
      const made = await make();
      const hold = deferred();
      await using served = await serve(made, { maxConnections: 1 }, (server) => {
        server.route(SLOW, () => hold.promise.then(() => "done"));
      });
      const raw = await Raw.connect(made, served.address, "native");
      await raw.send({ code: 201, requestId: 1, flags: 1 });
      await raw.connection.closeWrite();
      await until(() => served.server.clients.length === 0 && served.events.of("connect").length === 1);
      await lastWord(new Raw(await made.transport.connect(served.address), "native"));
      hold.resolve();
      await served.events.next("disconnect");
      await using next = await Raw.connect(made, served.address, "native");
      assertEquals(next.protocol.name, "native");
      await raw[Symbol.asyncDispose]();
    });

    it("bounds the ones it has refused, and who is in a handshake does not have to go for them", async () => {
      const made = await make();
      const accepted: Connection[] = [];
      const transport = watchedServer(made.transport, accepted);
      const config = { transport, maxConnections: 1, maxPendingHandshakes: 5 };
      await using served = await serve(made, config);
      await using shaking = new Raw(await made.transport.connect(served.address), "2.0.0");
      await shaking.message();
      await using _first = await Raw.connect(made, served.address, "native");
      await until(() => served.server.clients.length === 1);
      // They get their refusal, and then stay.
      const raws: Raw[] = [];
      for (let i = 0; i < 30; i++) raws.push(new Raw(await made.transport.connect(served.address), "native"));
      await until(() => served.server.stats().rejected === 30);
      let open = accepted.length;
      const alone = deferred();
      for (const connection of accepted) {
        connection.closed.then(() => --open === 1 && alone.resolve());
      }
      await soon(() => open <= 6);
      await turn();
      assertEquals([accepted.length, open], [32, 6], "the client, the handshake, and four that were refused");
      assertEquals(served.server.stats().pendingHandshakes, 1);
      // Who was in the handshake all the time is told so where message 3 would stand.
      await shaking.connection.write(message({ v: "2.0.0", meta: {} }));
      assertEquals((await shaking.message() as { code: string }).code, "too-many-connections");
      await until(() => served.server.stats().rejected === 31);
      await made.clock.advance(990);
      await turn();
      assert(open > 1, "a refused peer has a second");
      await pass(made.clock, 30, alone.promise);
      for (const raw of raws) await raw[Symbol.asyncDispose]();
    });
  });

  describe(`too many handshakes, ${name},`, () => {
    it("cost a peer that was refused its farewell before they cost anybody a handshake", async () => {
      const made = await make();
      await using served = await serve(made, { maxPendingHandshakes: 2 });
      const open = async (): Promise<Raw> => {
        const raw = new Raw(await made.transport.connect(served.address), "2.0.0");
        await raw.message();
        return raw;
      };
      const silent = await open();
      const wrong = await open();
      await wrong.connection.write(message({ v: "9.9.9" }));
      assertEquals((await wrong.message() as { code: string }).code, "version-mismatch");
      await until(() => served.server.stats().rejected === 1);
      const late = await open();
      for (const raw of [silent, late]) {
        await raw.connection.write(message({ v: "2.0.0", meta: {} }));
        assertEquals(await raw.message(), { result: "ok" });
      }
      for (const raw of [silent, wrong, late]) await raw[Symbol.asyncDispose]();
    });
  });

  describe(`maxConnectionsPerAddress, ${name},`, () => {
    it("counts open connections and handshakes of one address, and forgets those that are over", async () => {
      const made = await make();
      await using served = await serve(made, { maxConnectionsPerAddress: 2 });
      const strange = async (): Promise<Raw> => new Raw(await made.transport.connect(served.address), "native");
      const refused = async (): Promise<void> => {
        const { message: said, ...rest } = await lastWord(await strange());
        assertEquals([said, rest], ["The server has too many connections from this address", FULL]);
        assertEquals((await served.events.next("rejected"))[0].reason, "too-many-connections");
      };
      for (let i = 0; i < 3; i++) {
        const open = await Raw.connect(made, served.address, "native");
        const silent = await strange();
        await silent.message();
        await refused();
        await silent[Symbol.asyncDispose]();
        await served.events.next("rejected");
        const another = await Raw.connect(made, served.address, "native");
        await until(() => served.server.clients.length === 2);
        await refused();
        for (const raw of [open, another]) {
          await raw[Symbol.asyncDispose]();
          await served.events.next("disconnect");
        }
      }
    });
  });
}

describe("the gate", () => {
  const at = (hostname: string): { hostname: string; port: number } => ({ hostname, port: 1 });

  it("counts each address on its own, IPv4 in either notation, and none on a unix socket", () => {
    const gate = new ConnectionLimits(Infinity, 2);
    const passes = ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "::1", "::1"].map((ip) => gate.enter(at(ip)));
    for (const ip of ["10.0.0.1", "::FFFF:10.0.0.1", "::1"]) {
      assertThrows(() => gate.enter(at(ip)), HandshakeError, "maxConnectionsPerAddress allows");
    }
    for (let i = 0; i < 10; i++) {
      gate.enter({ path: "/tmp/x" }).open();
      // Node does not know the address of a peer that is gone already.
      gate.enter(at(""));
    }
    passes[0].leave();
    passes[0].leave();
    gate.enter(at("10.0.0.1"));
    assertThrows(() => gate.enter(at("10.0.0.1")), HandshakeError);
  });

  it("has as many places as it says, whoever leaves how often", () => {
    const gate = new ConnectionLimits(2, Infinity);
    const passes = [1, 2, 3, 4].map(() => gate.enter(at("::1")));
    passes[0].open();
    passes[0].open();
    passes[1].open();
    assertThrows(() => passes[2].open(), HandshakeError);
    assertThrows(() => gate.enter(at("::1")), HandshakeError);
    passes[3].leave();
    assertThrows(() => passes[2].open(), HandshakeError);
    passes[0].leave();
    passes[0].leave();
    passes[3].open();
    passes[2].open();
    assertThrows(() => gate.enter(at("::1")), HandshakeError);
  });
});

describe("the log", () => {
  it("says once that the server is full, and again after somebody came in", async () => {
    const world = memoryWorld();
    const log = new Lines();
    const config = { hostname: HOST, port: 0, transport: world.transport, logger: log, maxConnections: 1 };
    await using server = new Server(config);
    await server.start();
    for (const lines of [1, 2]) {
      const first = await Raw.connect(world, server.addresses[0], "native");
      await until(() => server.clients.length === 1);
      for (let i = 0; i < 5; i++) await lastWord(new Raw(await world.transport.connect(server.addresses[0]), "native"));
      await until(() => server.stats().rejected === 5 * lines);
      assertEquals(
        log.lines.map(([level, text]) => [level, text]),
        Array(lines).fill(0).map(() => [
          "warn",
          "Cannot let the peer in: as many are open as maxConnections allows, 1",
        ]),
      );
      await first[Symbol.asyncDispose]();
      await until(() => server.clients.length === 0);
      await turn();
    }
  });

  it("says at the start when there may be more connections than files and sockets, and only where that is known", async () => {
    const world = memoryWorld();
    const logged = async (descriptors: Transport["descriptors"], config: ServerConfig): Promise<string[]> => {
      const lines: string[] = [];
      const keep = (level: string) => (line: string) => void lines.push(`${level}: ${line}`);
      const logger = { debug: keep("debug"), warn: keep("warn"), error: keep("error") };
      const transport = { ...world.transport, descriptors };
      await using server = new Server({ hostname: HOST, port: 0, transport, logger, ...config });
      await server.start();
      return lines;
    };
    const known = () => Promise.resolve(1_000);
    assertEquals(await logged(known, { maxConnections: 900, maxPendingHandshakes: 101 }), [
      "warn: maxConnections and maxPendingHandshakes allow 1001 connections, but this process may have 1000 files and " +
      "sockets open: raise the limit (ulimit -n) or lower them",
    ]);
    assertEquals(await logged(known, { maxConnections: 900, maxPendingHandshakes: 100 }), []);
    assertEquals(await logged(known, {}), [
      "debug: No limit of connections is set, and this process may have 1000 files and sockets open: set maxConnections " +
      "below it",
    ]);
    assertEquals(await logged(() => Promise.resolve(undefined), { maxConnections: 1_000_000 }), []);
    assertEquals(await logged(undefined, { maxConnections: 1_000_000 }), []);
  });

  it("gets a line for each frame where its level is trace, beside the listeners, and else none", async () => {
    const ASK = messageType(200, "ask", text, text);
    const talk = async (
      level: unknown,
      listen: boolean,
    ): Promise<[server: string[], client: string[], heard: number]> => {
      const world = memoryWorld();
      const lines: [server: string[], client: string[]] = [[], []];
      const [ours, theirs] = lines.map((said) => ({
        trace: (line: string) => void said.push(line),
        warn: () => {},
        error: () => {},
        ...level === undefined ? {} : { level },
      }));
      await using served = await serve(world, { logger: ours });
      served.server.route(ASK, ({ data }) => data);
      let heard = 0;
      if (listen) served.server.on("received", () => heard++);
      const client = new Client({ ...served.address, transport: world.transport, logger: theirs });
      await client.connect();
      assertEquals(await client.request(ASK, "hello"), "hello");
      await client.close({ drain: 0 });
      const plain = (said: string[]): string[] => said.filter((line) => !line.includes("system"));
      return [plain(lines[0]), plain(lines[1]), Math.min(heard, 1)];
    };
    for (const listen of [false, true]) {
      assertEquals(await talk("trace", listen), [
        ["Received from client 1: request 200, 5 bytes, id 1", "Sent to client 1: reply 200, 5 bytes, id 1"],
        ["Sent: request 200, 5 bytes, id 1", "Received: reply 200, 5 bytes, id 1"],
        listen ? 1 : 0,
      ]);
    }
    for (const level of [undefined, "debug", "info", 5]) assertEquals(await talk(level, false), [[], [], 0]);
  });

  it("gets what goes on where it has the methods, never for a message, and the console nothing by default", async () => {
    const world = memoryWorld();
    const lines: unknown[][] = [];
    const logger = Object.fromEntries(
      ["debug", "info", "warn", "error"].map((level) => [level, (...line: unknown[]) => lines.push([level, ...line])]),
    );
    const CHAT = messageType(200, "chat", text);
    const talk = async (config: object): Promise<void> => {
      const server = new Server({ hostname: HOST, port: 5_000, transport: world.transport, ...config });
      server.route(CHAT, () => {});
      await server.start();
      const client = new Client({ port: 5_000, transport: world.transport });
      await client.connect();
      for (let i = 0; i < 10; i++) client.send(CHAT, "x");
      await client.close();
      const scan = await world.transport.connect(server.addresses[0]);
      scan.abort();
      await until(() => server.stats().rejected === 1 && server.stats().connections === 0);
      await server.close();
    };
    const saved = { ...console };
    try {
      for (const level of ["debug", "info", "log", "warn", "error"] as const) {
        console[level] = (...line) => lines.push(line);
      }
      await talk({});
    } finally {
      Object.assign(console, saved);
    }
    assertEquals(lines, []);
    await talk({ logger });
    const port = (line: unknown): string => String(line).replace(/:(?!5000)\d{5}/, ":port");
    const leaves = lines.findIndex(([, line]) => String(line).startsWith("Client 1 disconnected"));
    assert(leaves > 0);
    lines[leaves][1] = String(lines[leaves][1]).replace(/: .*/, "");
    assertEquals(lines.map(([level, line]) => `${level} ${port(line)}`), [
      "info Server listening on 127.0.0.1:5000",
      "debug Client 1 connected from 127.0.0.1:port: native",
      "debug Client 1 disconnected",
      "debug Connection from 127.0.0.1:port rejected: network-error",
      "info Server closed",
    ]);
  });
});
