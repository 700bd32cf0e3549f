/** Routes with `batch`: what an array holds, in which order it is handed out, and that no message is lost or held back. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Client,
  type ConnectedClient,
  definePlugin,
  implement,
  json,
  type Message,
  messageType,
  messageTypes,
  type RouteOptions,
  type Server,
  type ServerConfig,
  streamType,
  text,
} from "@veltix/core";
import type { Connection, Listener, Transport } from "../src/transport.ts";
import * as kit from "@veltix/core/testing";
import {
  deferred,
  face,
  memoryWorld,
  Raw,
  type RawFrame,
  serve,
  SPOKEN,
  until,
  type World,
} from "./session_support.ts";
import { Random } from "./wire_support.ts";

const MANY = messageType(200, "many", text);
const ONE = messageType(201, "one", text);
const ECHO = messageType(202, "echo", text, text);
const PARSED = messageType(203, "parsed", json<number>());
const MORE = messageType(204, "more", text);
const FEED = streamType(210, "feed", { head: text, up: false, down: false, result: text });

const REQUEST = 1;
const many = (...contents: string[]): RawFrame[] => contents.map((content) => ({ code: 200, content }));
const one = (content: string): RawFrame => ({ code: 201, content });

/** What an array is in a log. */
const shown = (messages: readonly Message<unknown>[]): string => `[${messages.map(({ data }) => data).join(" ")}]`;

interface Met extends AsyncDisposable {
  readonly world: World;
  readonly server: Server;
  readonly raw: Raw;
  readonly log: string[];
}

/** A server that logs what its handlers get, and a peer by hand. Without `handler`, the arrays are handled at once. */
async function meet(
  config: ServerConfig = {},
  handler?: (messages: Message<string>[], client: ConnectedClient) => unknown,
  options: Pick<RouteOptions, "ordered" | "timeout"> = {},
  release = "native",
): Promise<Met> {
  const world = memoryWorld();
  const log: string[] = [];
  const served = await serve(world, config, (server) => {
    server.route(MANY, (messages, client) => {
      log.push(shown(messages));
      return handler?.(messages, client);
    }, { ...options, batch: true });
    server.route(ONE, ({ data }) => void log.push(data));
    server.route(ECHO, ({ data }) => (log.push(data), data));
    server.on("error", (error) => log.push((error as { code?: string }).code ?? (error as Error).message));
  });
  const raw = await Raw.connect(world, served.address, release);
  await until(() => served.server.clients.length === 1);
  return {
    world,
    server: served.server,
    raw,
    log,
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

for (const { release, server: protocol } of SPOKEN) {
  describe(`a route with batch, with a peer that speaks ${release},`, () => {
    it("gets the messages that come one after the other, before what comes after them", async () => {
      await using met = await meet({ protocol }, undefined, {}, release);
      const echo = { code: 202, content: "echo", ...(release === "native" ? { flags: REQUEST, requestId: 1 } : {}) };
      await met.raw.send(...many("1", "2", "3"), one("b"), ...many("4"), echo, ...many("5", "6"));
      await met.world.clock.settle();
      assertEquals(met.log, ["[1 2 3]", "b", "[4]", "echo", "[5 6]"]);
    });

    it("gets each message as soon as it is there, wherever the bytes are cut", async () => {
      const frames = [...many("1", "2"), one("b"), ...many("3")];
      const names = ["1", "2", "b", "3"];
      await using met = await meet({ protocol }, undefined, {}, release);
      const ends = frames.map((_, i) => met.raw.encode(...frames.slice(0, i + 1)).length);
      const all = met.raw.encode(...frames);
      for (let at = 1; at < all.length; at++) {
        met.log.length = 0;
        const handled = (): string[] =>
          met.log.join(" ").replace(/[[\]]/g, "").split(" ").filter((name) => name !== "");
        await met.raw.connection.write(all.slice(0, at));
        await met.world.clock.settle();
        assertEquals(handled(), names.filter((_, i) => ends[i] <= at), `cut at ${at}`);
        await met.raw.connection.write(all.slice(at));
        await met.world.clock.settle();
        assertEquals(handled(), names, `cut at ${at}`);
      }
    });

    it("gets all messages in order, whatever the limits and however long it takes", async () => {
      const limits: readonly ServerConfig[] = [
        {},
        { maxConcurrentHandlers: 1 },
        { maxConcurrentHandlers: 2, maxQueuedMessages: 5 },
        { maxQueuedMessages: 1 },
        { maxConcurrentHandlers: 3, maxHandlerBytes: 3_000 },
      ];
      for (const [i, config] of limits.entries()) {
        for (const ordered of [false, true]) {
          const random = new Random(i + 1);
          const begun: string[] = [];
          let running = 0;
          let most = 0;
          const world = memoryWorld();
          const later = async (): Promise<void> => {
            most = Math.max(most, ++running);
            const turns = random.below(4);
            for (let n = 0; n < turns; n++) await new Promise<void>((done) => world.transport.eventLoop!.yield(done));
            running--;
          };
          await using served = await serve(world, { protocol, ...config }, (server) => {
            let inOrdered = 0;
            server.route(MANY, (messages) => {
              begun.push(...messages.map(({ data }) => data));
              assert(!ordered || inOrdered === 0, "two at once");
              inOrdered++;
              return later().then(() => void inOrdered--);
            }, { batch: true, ordered });
            server.route(MORE, (messages) => void begun.push(...messages.map(({ data }) => data)), { batch: true });
            server.route(ONE, ({ data }) => (begun.push(data), later()));
          });
          await using raw = await Raw.connect(world, served.address, release);
          const frames = Array.from({ length: 600 }, (_, n): RawFrame => {
            const content = `${n}`.padEnd(random.pick([4, 50, 700]));
            return { code: random.pick([200, 200, 200, 200, 201, 204]), content };
          });
          for (let at = 0; at < frames.length; at += 100) await raw.send(...frames.slice(at, at + 100));
          await until(() => begun.length === frames.length && running === 0);
          assertEquals(begun, frames.map(({ content }) => content as string), JSON.stringify({ config, ordered }));
          assert(most <= (config.maxConcurrentHandlers ?? 100), `${most} at once`);
          assertEquals(served.events.of("error"), []);
        }
      }
    });
  });
}

describe("a route with batch", () => {
  it("gets what has waited for its last call as the next array, if it is ordered", async () => {
    const gates = [deferred(), deferred(), deferred()];
    let calls = 0;
    await using met = await meet({}, () => gates[calls++].promise, { ordered: true });
    await met.raw.send(...many("1"));
    await met.world.clock.settle();
    for (const content of ["2", "3"]) await met.raw.send(...many(content));
    await met.raw.send(one("b"), ...many("4"));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]"]);
    gates[0].resolve();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "[2 3]", "b"]);
    gates[1].resolve();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "[2 3]", "b", "[4]"]);
    gates[2].resolve();
  });

  it("counts as one of the handlers that may run at once", async () => {
    const gate = deferred();
    await using met = await meet({ maxConcurrentHandlers: 2 }, () => gate.promise);
    await met.raw.send(...many("1", "2", "3"));
    await met.raw.send(...many("4", "5", "6"));
    await met.raw.send(...many("7"), one("b"));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1 2 3]", "[4 5 6]"]);
    gate.resolve();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1 2 3]", "[4 5 6]", "[7]", "b"]);
  });

  it("gets no more bytes at once than handlers may have, and counts with all of them while it runs", async () => {
    const gate = deferred();
    let wait = false;
    await using met = await meet({ maxHandlerBytes: 1_100 }, () => wait ? gate.promise : undefined);
    const names = ["1", "2", "3", "4", "5"].map((name) => name.repeat(500));
    met.log.length = 0;
    await met.raw.send(...many(...names));
    await met.world.clock.settle();
    assertEquals(met.log.map((line) => line.split(" ").length), [2, 2, 1]);
    wait = true;
    met.log.length = 0;
    await met.raw.send(...many(...names));
    await met.world.clock.settle();
    assertEquals(met.log.map((line) => line.split(" ").length), [2]);
    await met.raw.send(...many("x".repeat(5_000)));
    gate.resolve();
    await met.world.clock.settle();
    assertEquals(met.log.map((line) => line.split(" ").length), [2, 2, 1, 1]);
  });

  it("gets what the rate limit lets through, and the rest when it may come", async () => {
    for (const action of ["throttle", "reject"] as const) {
      await using met = await meet({ rateLimit: { messages: 3, action } });
      await met.raw.send(...many("1", "2", "3", "4", "5"));
      await met.world.clock.settle();
      assertEquals(met.log, ["[1 2 3]"]);
      await met.world.clock.advance(1_000);
      assertEquals(met.log.slice(1).join(" "), action === "throttle" ? "[4] [5]" : "");
    }
  });

  it("gets what came before the peer is closed for its rate", async () => {
    await using met = await meet({ rateLimit: { messages: 3, action: "close" } });
    met.server.on("disconnect", () => met.log.push("gone"));
    await met.raw.send(...many("1", "2", "3", "4", "5"));
    await met.raw.end();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1 2 3]", "gone"]);
  });

  it("gives the peer its credit back", async () => {
    await using served = await kit.serve({}, (server) => {
      server.route(MANY, (messages) => void (got += messages.length), { batch: true });
    });
    let got = 0;
    await using connected = await kit.connect(served);
    const { client } = connected;
    const content = "x".repeat(10_000);
    for (let i = 0; i < 2_000; i++) if (!client.send(MANY, content)) await client.ready();
    await until(() => got === 2_000);
  });

  it("is told of once when it fails, with the first of its messages, and gets the next ones", async () => {
    for (const how of ["throws", "rejects"]) {
      const failed: unknown[] = [];
      await using met = await meet({}, ([{ data }]) => {
        if (data !== "1") return undefined;
        if (how === "throws") throw new Error("no");
        return Promise.reject(new Error("no"));
      });
      met.server.on("error", (error, _, message) => failed.push([(error as Error).message, message?.data]));
      await met.raw.send(...many("1", "2"));
      await met.world.clock.settle();
      await met.raw.send(...many("3"));
      await met.world.clock.settle();
      assertEquals([failed, met.log], [[["no", "1"]], ["[1 2]", "no", "[3]"]], how);
    }
  });

  it("is given up after its timeout, which aborts the signals of its messages", async () => {
    const signals: AbortSignal[] = [];
    const never = deferred();
    await using met = await meet({ maxConcurrentHandlers: 1 }, (messages) => {
      if (messages[0].data !== "1") return undefined;
      signals.push(...messages.splice(0).map(({ signal }) => signal));
      return never.promise;
    }, { timeout: 500 });
    await met.raw.send(...many("1", "2"));
    await met.raw.send(...many("3"));
    await met.world.clock.advance(400);
    assertEquals([met.log, signals.map(({ aborted }) => aborted)], [["[1 2]"], [false, false]]);
    await met.world.clock.advance(1_000);
    assertEquals(met.log, ["[1 2]", "timeout", "[3]"]);
    assertEquals(signals.map(({ reason }) => reason.code), ["timeout", "timeout"]);
    never.resolve();
    await met.world.clock.settle();
    // It is not counted as running a second time.
    const gate = deferred();
    met.server.route(MORE, () => (met.log.push("more"), gate.promise), { batch: true });
    await met.raw.send({ code: 204 });
    await met.raw.send({ code: 204 });
    await met.world.clock.settle();
    assertEquals(met.log.slice(3), ["more"]);
    gate.resolve();
    await met.world.clock.settle();
    assertEquals(met.log.slice(3), ["more", "more"]);
  });

  it("gets at most 1,024 messages, also of a connection that is read without a pause", async () => {
    const world = memoryWorld();
    const { transport } = world;
    const pressing: Transport = {
      ...transport,
      async listen(at, options): Promise<Listener> {
        const listener = await transport.listen(at, options);
        const iterate = listener[Symbol.asyncIterator].bind(listener);
        const all = (): AsyncIterable<Connection> => ({ [Symbol.asyncIterator]: iterate });
        return Object.assign(listener, {
          async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
            for await (const connection of all()) {
              yield Object.defineProperty(connection, "pressing", { value: true });
            }
          },
        });
      },
    };
    const sizes: number[] = [];
    await using served = await serve({ clock: world.clock, transport: pressing }, {}, (server) => {
      server.route(MANY, (messages) => void sizes.push(messages.length), { batch: true });
    });
    await using raw = await Raw.connect(world, served.address, "native");
    await raw.send(...many(...Array(2_500).fill("x")));
    await until(() => sizes.reduce((sum, size) => sum + size, 0) === 2_500);
    assertEquals(sizes.slice(0, 2), [1_024, 1_024]);
  });

  it("has signals that the end of the connection aborts, with a timeout and without", async () => {
    for (const options of [{}, { timeout: 500 }]) {
      const signals: AbortSignal[] = [];
      const never = deferred();
      await using met = await meet({}, (messages) => {
        signals.push(...messages.map(({ signal }) => signal));
        return never.promise;
      }, options);
      met.server.use([MANY], (message, _, next) => (void (message as Message).signal, next()));
      await met.raw.send(...many("1", "2"));
      await met.world.clock.settle();
      assertEquals(signals.map(({ aborted }) => aborted), [false, false]);
      void met.server.clients[0].close("manual", { drain: 0 });
      await met.raw.end();
      await met.world.clock.settle();
      assertEquals(signals.map(({ aborted }) => aborted), [true, true]);
      never.resolve();
    }
  });

  it("does not get payloads that cannot be decoded, each of which is reported", async () => {
    const log: unknown[] = [];
    await using met = await meet();
    met.server.route(PARSED, (messages) => void log.push(shown(messages)), { batch: true });
    met.server.on("error", (_, __, message) => log.push(message!.text));
    const parsed = (...contents: string[]): RawFrame[] => contents.map((content) => ({ code: 203, content }));
    await met.raw.send(...parsed("x", "1", "y", "2"));
    await met.world.clock.settle();
    assertEquals(log, ["x", "y", "[1 2]"]);
    await met.raw.send(...parsed("z"), one("b"));
    await met.world.clock.settle();
    assertEquals([log.slice(3), met.log.at(-1)], [["z"], "b"]);
  });

  it("gets nothing that came after it has closed the connection", async () => {
    await using met = await meet({}, (_, client) => void client.close("manual", { drain: 0 }));
    await met.raw.send(...many("1", "2"), one("b"), ...many("3"));
    await met.raw.end();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1 2]"]);
  });

  it("gets what was gathered when a listener closes the connection meanwhile", async () => {
    await using met = await meet();
    const log: string[] = [];
    met.server.route(PARSED, (messages) => void log.push(shown(messages)), { batch: true });
    met.server.on("error", (_, client) => void client?.close("manual", { drain: 0 }));
    await met.raw.send({ code: 203, content: "1" }, { code: 203, content: "x" }, { code: 203, content: "2" }, one("b"));
    await met.raw.end();
    await met.world.clock.settle();
    assertEquals([log, met.log.length], [["[1]"], 1]);
  });

  it("is waited for when a listener closes the connection before it is called", async () => {
    await using met = await meet();
    const gate = deferred();
    const log: string[] = [];
    met.server.route(PARSED, () => gate.promise.then(() => void log.push("done")), { batch: true });
    met.server.on("error", (_, client) => void client?.close().then(() => log.push("closed")));
    await met.raw.send({ code: 203, content: "1" }, { code: 203, content: "x" });
    await met.world.clock.settle();
    assertEquals(log, []);
    gate.resolve();
    await met.raw.end();
    await met.world.clock.settle();
    assertEquals(log, ["done", "closed"]);
  });

  it("may await the end of its own connection", async () => {
    const log: string[] = [];
    await using met = await meet({}, async (_, client) => {
      await client.close("manual", { drain: 120_000 });
      log.push("closed");
    });
    await met.raw.send(...many("1", "2"));
    await met.raw.end();
    await met.world.clock.settle();
    assertEquals([met.log, log], [["[1 2]"], ["closed"]]);
  });

  it("gets what a peer has sent that closes at once, or breaks the protocol after that", async () => {
    for (const how of ["fin", "garbage", "request twice"]) {
      await using met = await meet();
      met.server.on("disconnect", () => met.log.push("gone"));
      met.server.route(MORE, ({ signal }) => new Promise((_, reject) => signal.onabort = () => reject(signal.reason)));
      const request = { code: 204, flags: REQUEST, requestId: 7 };
      const wrong = how === "garbage" ? new Uint8Array(64).fill(255) : met.raw.encode(request, request);
      const sent = met.raw.encode(...many("1", "2"));
      await met.raw.connection.write(how === "fin" ? sent : new Uint8Array([...sent, ...wrong]));
      await met.raw.connection.closeWrite();
      await met.raw.end();
      await until(() => met.log.includes("gone"));
      assertEquals(met.log[0], "[1 2]", how);
      assertEquals(met.log.slice(1), how === "fin" ? ["gone"] : [met.log[1], "gone"], how);
    }
  });

  it("gets what came before damaged bytes before these are reported", async () => {
    await using met = await meet({ protocol: "2.0" }, undefined, {}, "2.0.0");
    const [before, damaged, after] = ["1", "2", "3"].map((name) => met.raw.encode(...many(name)));
    damaged[damaged.length - 1] ^= 1;
    await met.raw.connection.write(new Uint8Array([...before, ...damaged, ...after]));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "corrupt", "[3]"]);
  });

  it("gets what came before a CANCEL before the request is aborted", async () => {
    await using met = await meet();
    const WAIT = messageType(205, "wait", text, text);
    met.server.route(WAIT, ({ signal }) =>
      new Promise<string>((resolve) => {
        signal.addEventListener("abort", () => (met.log.push("aborted"), resolve("")));
      }));
    await met.raw.send({ code: 205, flags: REQUEST, requestId: 1 });
    await met.world.clock.settle();
    await met.raw.send(...many("1"), { code: 3, requestId: 1 }, ...many("2"));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "aborted", "[2]"]);
  });

  it("gets a request that comes anyway, which is answered with the error of a type without a reply", async () => {
    await using met = await meet();
    await met.raw.send(...many("1"), { code: 200, flags: REQUEST, requestId: 5, content: "2" }, ...many("3"));
    const answer = await met.raw.frame();
    assertEquals([answer!.flags, answer!.requestId], [6, 5]);
    assertEquals(JSON.parse(new TextDecoder().decode(answer!.content)).code, "no-reply-codec");
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "[2 3]"]);
  });

  it("gets messages between streams in order", async () => {
    const log: string[] = [];
    await using served = await kit.serve({}, (server) => {
      server.route(MANY, (messages) => void log.push(...messages.map(({ data }) => data)), { batch: true });
      server.stream(FEED, ({ head }) => (log.push(head), head));
    });
    await using connected = await kit.connect(served);
    const { client } = connected;
    client.send(MANY, "1");
    client.send(MANY, "2");
    const feed = client.open(FEED, "a");
    client.send(MANY, "3");
    client.send(MANY, "4");
    const other = client.open(FEED, "b");
    client.send(MANY, "5");
    await Promise.all([feed.result, other.result]);
    await until(() => log.length === 7);
    assertEquals(log, ["1", "2", "a", "3", "4", "b", "5"]);
  });

  it("gets messages with metadata, and compressed ones, together with others", async () => {
    const got: string[] = [];
    const gate = deferred();
    await using served = await kit.serve({ compression: true }, (server) => {
      server.route(MANY, (messages) => {
        got.push(messages.map(({ data, meta }) => `${meta.n ?? ""}${data.length}`).join(" "));
        return gate.promise;
      }, { batch: true, ordered: true });
    });
    await using connected = await kit.connect(served, { compression: true });
    const { client } = connected;
    client.send(MANY, "");
    await until(() => got.length === 1);
    client.send(MANY, "x", { meta: { n: "a" } });
    client.send(MANY, "x".repeat(5_000));
    client.send(MANY, "xx");
    client.send(MANY, "x".repeat(5_001), { meta: { n: "b" } });
    await client.ping();
    gate.resolve();
    await until(() => got.length === 2);
    assertEquals(got, ["0", "a1 5000 2 b5001"]);
  });

  it("gets what metadata says, and what was compressed, where nothing has to wait", async () => {
    const got: string[] = [];
    await using served = await kit.serve({ compression: true }, (server) => {
      const seen = ({ data, meta }: Message<string>): string => `${meta.n ?? ""}${data.length}`;
      server.route(MANY, (messages) => void got.push(...messages.map(seen)), { batch: true });
    });
    await using connected = await kit.connect(served, { compression: true });
    const { client } = connected;
    client.send(MANY, "");
    for (let i = 1; i <= 5; i++) {
      client.send(MANY, "x".repeat(i));
      client.send(MANY, "x", { meta: { n: `${i}-` } });
      client.send(MANY, "x".repeat(5_000 + i));
    }
    await until(() => got.length === 16);
    const expected = [1, 2, 3, 4, 5].flatMap((i) => [`${i}`, `${i}-1`, `${5_000 + i}`]);
    assertEquals(got, ["0", ...expected]);
  });

  it("works on a client, and with messages without a codec", async () => {
    const log: string[] = [];
    const RAW = messageType(220, "raw");
    await using faced = await face(memoryWorld(), "native");
    faced.client.route(RAW, (messages, client) => {
      log.push(messages.map(({ data }) => data.length).join(" "), String(client === faced.client));
    }, { batch: true });
    await faced.raw.send({ code: 220, content: "a" }, { code: 220, content: "bc" });
    await until(() => log.length === 2);
    assertEquals(log, ["1 2", "true"]);
  });

  it("leaves each array to its handler, which may keep it", async () => {
    const kept: Message<string>[][] = [];
    await using met = await meet({}, (messages) => void kept.push(messages));
    await met.raw.send(...many("1", "2"), one("b"), ...many("3"));
    await met.raw.send(...many("4"));
    await met.world.clock.settle();
    assertEquals(kept.map(shown), ["[1 2]", "[3]", "[4]"]);
  });

  it("is left when it is removed between two messages", async () => {
    await using met = await meet();
    const log: string[] = [];
    met.server.route(PARSED, (messages) => void log.push(shown(messages)), { batch: true });
    met.server.on("error", () => void met.server.unroute(PARSED));
    met.server.on("message", ({ text }) => void log.push(text));
    await met.raw.send(...["1", "x", "2"].map((content) => ({ code: 203, content })));
    await met.world.clock.settle();
    assertEquals(log, ["[1]", "2"]);
  });

  it("has each message observed", async () => {
    await using met = await meet();
    const sizes: number[] = [];
    met.server.on("routed", ({ size }) => sizes.push(size));
    await met.raw.send(...many("1", "22", "333"));
    await met.world.clock.settle();
    assertEquals([sizes, met.log], [[1, 2, 3], ["[1 22 333]"]]);
  });
});

describe("middleware around a route with batch", () => {
  it("is called for each message, can change it or leave it out, and goes on when it is gathered", async () => {
    await using met = await meet();
    const results: unknown[] = [];
    met.server.use([MANY], (message, _, next) => {
      const { data } = message as Message<string>;
      if (data !== "2") results.push(next({ data: `${data}!` }));
    });
    await met.raw.send(...many("1", "2", "3"));
    await met.world.clock.settle();
    assertEquals([met.log, results], [["[1! 3!]"], [undefined, undefined]]);
  });

  it("that goes on later has its message handed out alone, and waits for the handler", async () => {
    const gate = deferred();
    await using met = await meet({}, () => gate.promise);
    const done: string[] = [];
    met.server.use([MANY], async (message, _, next) => {
      await undefined;
      await next();
      done.push((message as Message<string>).data);
    });
    await met.raw.send(...many("1", "2"));
    await met.world.clock.settle();
    assertEquals([met.log, done], [["[1]", "[2]"], []]);
    gate.resolve();
    await met.world.clock.settle();
    assertEquals(done, ["1", "2"]);
  });

  it("that goes on later keeps an ordered route in order", async () => {
    const gates = [deferred(), deferred(), deferred()];
    let calls = 0;
    let running = 0;
    await using met = await meet({}, async () => {
      assertEquals(++running, 1);
      await gates[calls++].promise;
      running--;
    }, { ordered: true });
    const after = deferred();
    // The first goes on at once, and ends later than its array.
    met.server.use([MANY], async (message, _, next) => {
      if ((message as Message<string>).data !== "1") await undefined;
      await next();
      await after.promise;
    });
    await met.raw.send(...many("1", "2", "3"));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]"]);
    after.resolve();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]"]);
    gates[0].resolve();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "[2]"]);
    gates[1].resolve();
    gates[2].resolve();
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "[2]", "[3]"]);
  });

  it("that fails is reported for its message; one that has gone on is handed out all the same", async () => {
    await using met = await meet();
    met.server.use([MANY], (message, _, next) => {
      const { data } = message as Message<string>;
      if (data === "2") throw new Error("before");
      next();
      if (data === "3") throw new Error("after");
    });
    await met.raw.send(...many("1", "2", "3", "4"));
    await met.world.clock.settle();
    assertEquals(met.log, ["before", "after", "[1 3 4]"]);
  });

  it("of a plugin is called for each message", async () => {
    await using met = await meet();
    const seen: unknown[] = [];
    const plugin = definePlugin({
      name: "watch",
      version: "1.0.0",
      permissions: ["messages:read"],
      setup: () => ({ before: (message): undefined => void seen.push(message.data) }),
    });
    await met.server.register(plugin);
    met.server.attach(MANY, plugin, "before");
    await met.raw.send(...many("1", "2"));
    await met.world.clock.settle();
    assertEquals([seen, met.log], [["1", "2"], ["[1 2]"]]);
  });
});

describe("batch of many routes", () => {
  it("is an option of addRoutes", async () => {
    const world = memoryWorld();
    const got: string[] = [];
    const handler = (messages: Message<string>[]): void => void got.push(shown(messages));
    await using served = await serve(world, {}, (server) => {
      server.addRoutes([{ type: MANY, handler: handler as never, options: { batch: true } }]);
    });
    await using raw = await Raw.connect(world, served.address, "native");
    await raw.send(...many("1", "2"));
    await until(() => got.length > 0);
    assertEquals(got, ["[1 2]"]);
  });
});

describe("the option batch", () => {
  it("is refused for a type with a reply", async () => {
    await using met = await meet();
    const ASK = messageType(206, "ask", text, text);
    const error = assertThrows(() => met.server.route(ASK, (() => "") as never, { batch: true }), TypeError);
    assertEquals(
      error.message,
      'Cannot route "ask" with batch: its type has a reply, and only single messages are answered',
    );
    // Nothing was added.
    met.server.route(ASK, () => "");
    assertThrows(() => met.server.route(MORE, () => {}, { batch: 1 as never }), TypeError, "batch must be a boolean");
  });

  it("is unknown to worker routes, streams and routes of plugins", async () => {
    await using met = await meet();
    const { server } = met;
    const options = { batch: true } as never;
    assertThrows(() => server.workerRoute(MORE, "./nothing.ts", options), TypeError, 'Unknown option "batch"');
    assertThrows(() => server.addRoutes([{ type: FEED, handler: () => "", options }]), TypeError, "has no options");
    const plugin = definePlugin({
      name: "router",
      version: "1.0.0",
      permissions: ["routes:add"],
      setup: (host): undefined => void host.route(MORE, () => {}, options),
    });
    const error = await assertRejects(() => server.register(plugin), Error);
    assert(String((error as Error).cause).includes("host.route() has no option batch"));
  });

  it("decides what the handler gets, as the compiler knows", () => {
    const compiled = (_: (server: Server, client: Client) => void): void => {};
    compiled((server, client) => {
      server.route(MANY, (messages, sender) => void [messages[0].data.length, sender.id], { batch: true });
      client.route(MANY, (messages, own) => void [messages[0].data.length, own.state], { batch: true, ordered: true });
      server.route(MANY, (message) => message.data.length, { batch: false });
      (server as Server | Client).route(MANY, (messages: readonly Message<string>[]) => messages.length, {
        batch: true,
      });
      // @ts-expect-error: an array has no data
      server.route(MANY, ({ data }) => data, { batch: true });
      // @ts-expect-error: a type with a reply
      server.route(ECHO, (messages: Message<string, string>[]) => messages[0].data, { batch: true });
      // @ts-expect-error: it must be known whether there is an array
      server.route(MANY, () => {}, { batch: true as boolean });
      const contract = messageTypes({ note: text });
      // @ts-expect-error: a handler of a contract gets one message
      implement(server, contract, { note: ({ data }) => void data.length }, { routes: { note: { batch: true } } });
    });
  });
});

describe("a route with batch, met at a bad moment,", () => {
  it("begins a new array when a codec has the others handed out", async () => {
    const world = memoryWorld();
    const log: string[] = [];
    const latest = messageType(209, "latest", text);
    let server: Server | undefined;
    // What it sends fills the buffer and frees it again, which lets the connection go on with what waits.
    const codec = {
      encode: (value: string) => value,
      decode(content: Uint8Array): string {
        const value = new TextDecoder().decode(content);
        if (value === "2") {
          const [client] = server!.clients;
          for (const filling of ["x".repeat(2_000), ""]) {
            for (let key = 0; key < 40; key++) {
              try {
                client.send(latest, filling, { latest: key });
              } catch {
                // It is full.
              }
            }
          }
        }
        return value;
      },
    };
    const [x, y] = [messageType(207, "x", codec), messageType(208, "y", codec)];
    await using served = await serve(world, { highWaterMark: 40_000, maxBufferedBytes: 100_000 }, (made) => {
      server = made;
      for (const type of [x, y]) {
        made.route(type, (messages) => {
          log.push(`${type.name}: ${messages.map((message) => message.type.name + message.data).join(" ")}`);
        }, { batch: true });
      }
    });
    await using raw = await Raw.connect(world, served.address, "native");
    await until(() => served.server.clients.length === 1);
    const [toX, toY] = [207, 208].map((code) => (content: string): RawFrame => ({ code, content }));
    await raw.send(toX("1"), toX("2"), toY("b"));
    await world.clock.settle();
    await raw.send(toY("a"));
    await world.clock.settle();
    assertEquals(log, ["x: x1", "x: x2", "y: yb", "y: ya"]);
  });

  it("runs one call at a time with ordered, even if a middleware is asynchronous only sometimes", async () => {
    const gates: (() => void)[] = [];
    let running = 0;
    let most = 0;
    await using met = await meet({}, async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    }, { ordered: true });
    met.server.use([MANY], (message, _client, next) => {
      return (message as unknown as { data: string }).data === "1" ? next() : Promise.resolve().then(() => next());
    });
    await met.raw.send(...many("1", "2", "3"));
    for (let turn = 0; turn < 6; turn++) {
      await met.world.clock.settle();
      gates.shift()?.();
    }
    assertEquals([most, met.log], [1, ["[1]", "[2]", "[3]"]]);
  });

  it("goes on after the time limit of an ordered call, also with a message whose middleware is asynchronous", async () => {
    await using met = await meet({}, () => new Promise<void>(() => {}), { ordered: true, timeout: 100 });
    met.server.use([MANY], (message, _client, next) => {
      return (message as unknown as { data: string }).data === "1" ? next() : Promise.resolve().then(() => next());
    });
    await met.raw.send(...many("1", "2"));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]"]);
    await met.world.clock.advance(200);
    assertEquals(met.log.filter((entry) => entry !== "timeout"), ["[1]", "[2]"]);
  });

  it("leaves no request open whose route is replaced while it waits behind an array", async () => {
    const gate = deferred();
    let first = true;
    await using met = await meet({}, () => {
      if (!first) return;
      first = false;
      return gate.promise;
    }, { ordered: true });
    const ask = (content: string): RawFrame => ({ code: 202, flags: REQUEST, requestId: 5, content });
    await met.raw.send(...many("1"));
    await met.world.clock.settle();
    await met.raw.send(...many("2"), ask("a"));
    await met.world.clock.settle();
    met.server.unroute(ECHO);
    met.server.route(ECHO, ({ data }) => (met.log.push(`new ${data}`), data));
    gate.resolve();
    await met.world.clock.settle();
    await met.raw.send(ask("b"));
    await met.world.clock.settle();
    assertEquals(met.log, ["[1]", "[2]", "new a", "new b"]);
  });
});
