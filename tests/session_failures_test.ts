/** Promise 8: what handlers, listeners, codecs and loggers throw ends nothing and is never left unhandled. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, type Log, messageType, Server } from "../mod.ts";
import { Events } from "../src/app/events.ts";
import { deferred, HOST, Lines, memoryWorld, Raw, serve, turn, until } from "./session_support.ts";

const DATA = messageType(200, "data", bytes);
const ASK = messageType(201, "ask", bytes, bytes);

/** Ways to fail. */
const FAILURES: [string, () => unknown][] = [
  ["throws", () => {
    throw new Error("thrown");
  }],
  ["rejects", () => Promise.reject(new Error("rejected"))],
  ["throws undefined", () => {
    // deno-lint-ignore no-throw-literal
    throw undefined;
  }],
  ["throws an object without a text", () => {
    throw Object.create(null);
  }],
  ["rejects later", async () => {
    await undefined;
    throw new Error("later");
  }],
  ["returns a thenable that throws", () => ({
    then(): never {
      throw new Error("then");
    },
  })],
  [
    "returns a thenable that rejects",
    () => ({ then: (_: unknown, no: (error: Error) => void) => no(new Error("no")) }),
  ],
  ["returns what throws when it is looked at", () => ({
    get then(): never {
      throw new Error("getter");
    },
  })],
];

describe("failures", () => {
  for (const [how, fail] of FAILURES) {
    it(`of a handler that ${how} become the error event, and the connection goes on`, async () => {
      const world = memoryWorld();
      await using served = await serve(world, {}, (server) => {
        server.route(DATA, fail);
        server.route(ASK, ({ content }) => content);
      });
      await using raw = await Raw.connect(world, served.address, "native");
      await raw.send({ code: 200 }, { code: 200 }, { code: 201, requestId: 1, flags: 1 });
      await raw.frame();
      await served.events.next("error");
      await served.events.next("error");
      assertEquals([served.events.of("disconnect"), served.log.lines], [[], []]);
    });

    it(`of listeners to every event, error too, that ${how} end nothing`, async () => {
      const world = memoryWorld();
      const log = new Lines();
      const server = new Server({ hostname: HOST, port: 0, transport: world.transport, logger: log });
      for (const event of ["listening", "connect", "disconnect", "unhandled", "error", "rejected", "close"] as const) {
        server.on(event, fail);
      }
      await server.start();
      const stranger = await world.transport.connect(server.addresses[0]);
      await stranger.write(new Uint8Array(20));
      const client = new Client({
        ...server.addresses[0] as { port: number },
        transport: world.transport,
        logger: log,
      });
      for (const event of ["connect", "disconnect", "unhandled", "error"] as const) client.on(event, fail);
      client.route(DATA, fail);
      server.route(DATA, fail);
      server.route(ASK, ({ content }) => content);
      await client.connect();
      client.send(DATA, new Uint8Array(1));
      client.send(messageType(999), new Uint8Array(1));
      const [info] = server.clients;
      info.send(DATA, new Uint8Array(1));
      info.send(messageType(999), new Uint8Array(1));
      assertEquals(await client.request(ASK, new Uint8Array(3)), new Uint8Array(3));
      assertEquals(await info.ping(), 0);
      server.on("message", fail);
      client.on("message", fail);
      client.send(messageType(999), new Uint8Array(1));
      info.send(messageType(999), new Uint8Array(1));
      await client.ping();
      await info.ping();
      stranger.abort();
      await client.close();
      await server.close();
      await turn();
      assert(log.lines.length > 0, "the failures of error listeners go to the log");
      assertEquals(world.clock.pending, 0);
    });

    it(`of a logger that ${how} end nothing either`, async () => {
      const world = memoryWorld();
      const logger = { warn: fail, error: fail } as unknown as Log;
      const server = new Server({ hostname: HOST, port: 0, transport: world.transport, logger });
      await server.start();
      for (const [, other] of FAILURES) {
        server.route(DATA, other);
        const raw = await Raw.connect(world, server.addresses[0], "native");
        await raw.send({ code: 200 }, { code: 0, requestId: 1, flags: 1 });
        assertEquals((await raw.frame())!.code, 1);
        await raw[Symbol.asyncDispose]();
        server.unroute(DATA);
      }
      const stranger = await world.transport.connect(server.addresses[0]);
      await stranger.write(new Uint8Array(20));
      await stranger.closeWrite();
      await until(() => server.stats().rejected === 1);
      await server.close();
      stranger.abort();
    });
  }

  it("without a listener to error go to the log, with the text of the error first", async () => {
    const world = memoryWorld();
    const log = new Lines();
    const server = new Server({ hostname: HOST, port: 0, transport: world.transport, logger: log });
    const error = new Error("told");
    server.route(DATA, () => {
      throw error;
    });
    await server.start();
    const raw = await Raw.connect(world, server.addresses[0], "native");
    await raw.send({ code: 200 });
    await until(() => log.lines.length > 0);
    assertEquals(log.lines, [["error", "told", error]]);
    await raw[Symbol.asyncDispose]();
    await server.close();
  });
});

describe("events", () => {
  const make = (errors: unknown[] = []) =>
    new Events<{ a: [number]; error: [unknown] }>(["a", "error"], {
      failed: (error) => errors.push(error),
      lost: (error) => errors.push(["last", error]),
      watched: () => {},
    });

  it("call listeners in the order they came, as often as they were added, and say whether there was one", () => {
    const events = make();
    const order: string[] = [];
    const twice = (n: number): void => void order.push(`twice ${n}`);
    assertEquals([events.emit("a", 0), events.has("a")], [false, false]);
    events.on("a", twice);
    events.on("a", (n) => order.push(`between ${n}`));
    events.on("a", twice);
    assertEquals([events.emit("a", 1), events.has("a")], [true, true]);
    assertEquals(order, ["twice 1", "between 1", "twice 1"]);
  });

  it("stop at once, by once and by signal, and never start with an aborted one", () => {
    const events = make();
    const heard: string[] = [];
    const controller = new AbortController();
    events.on("a", () => heard.push("once"), { once: true });
    events.on("a", () => (heard.push("signal"), controller.abort()), { signal: controller.signal });
    events.on("a", () => heard.push("too late"), { signal: controller.signal });
    events.on("a", () => heard.push("never"), { signal: AbortSignal.abort() });
    events.emit("a", 1);
    events.emit("a", 2);
    assertEquals(heard, ["once", "signal"]);
  });

  it("leave nothing at a signal that outlives its listeners", () => {
    const events = make();
    let listening = 0;
    const signal = {
      aborted: false,
      addEventListener: () => listening++,
      removeEventListener: () => listening--,
    } as unknown as AbortSignal;
    for (let i = 0; i < 10; i++) {
      events.on("a", () => {}, { once: true, signal });
      events.emit("a", i);
    }
    assertEquals(listening, 0);
  });

  it("take a listener that is called again by what it does", async () => {
    const errors: unknown[] = [];
    const events = make(errors);
    let depth = 0;
    const done = deferred();
    events.on("a", (n) => {
      depth++;
      if (n < 3) events.emit("a", n + 1);
      else done.resolve();
      throw n;
    });
    events.emit("a", 0);
    await done.promise;
    assertEquals([depth, errors], [4, [3, 2, 1, 0]]);
  });
});
