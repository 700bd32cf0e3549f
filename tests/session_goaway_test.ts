/** GOAWAY and the orderly end: what was sent before the peer knew is handed out and answered, on both sides. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type ConnectedClient, messageType, type ServerConfig, text } from "../mod.ts";
import { ConnectionError } from "../src/errors.ts";
import {
  advanceUntil,
  deferred,
  face,
  Lines,
  memoryWorld,
  pass,
  Raw,
  Recorder,
  serve,
  turn,
  until,
  type World,
  WORLDS,
} from "./session_support.ts";
import { Random, utf8 } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const REQUEST = 1;
const REPLY = 2;
const POLITE = { goaway: {} };

const goAway = (content: Uint8Array | string = '{"code":"manual"}') => ({ code: 4, content });
const words = (content: Uint8Array): string => new TextDecoder().decode(content);

describe("who closes", () => {
  it("says GOAWAY behind its messages, answers and waits on, and says FIN after the peer's", async () => {
    for (const { make } of WORLDS) {
      const world = await make();
      await using met = await face(world, "native", { features: POLITE });
      const { client, raw } = met;
      client.route(WORK, ({ data }) => data.toUpperCase());
      const asked = client.request(WORK, "mine");
      client.send(NOTE, "last");
      const closing = client.close();
      assertThrows(() => client.send(NOTE, "too late"), ConnectionError);
      assertEquals([(await raw.frame())!.code, (await raw.frame())!.code], [201, 200]);
      const told = (await raw.frame())!;
      assertEquals([told.code, told.flags, told.requestId, words(told.content)], [
        4,
        0,
        0,
        '{"code":"manual","drain":5000}',
      ]);
      // This peer sent these before it knew.
      await raw.send(
        { code: 201, content: "yours", requestId: 7, flags: REQUEST },
        { code: 201, content: "answer", requestId: 1, flags: REPLY },
      );
      assertEquals(await asked, "answer");
      assertEquals(words((await raw.frame())!.content), "YOURS");
      await raw.connection.closeWrite();
      assertEquals(await raw.frame(), null);
      await closing;
      assertEquals([world.clock.now(), world.clock.pending], [0, 0]);
      const [{ reason, error }] = await met.events.next("disconnect");
      assertEquals([reason, error], ["manual", undefined]);
    }
  });

  it("does not say it to a peer that does not know it, and counts it from one", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    await met.raw.send(goAway());
    await until(() => met.client.stats().framesIgnored === 1);
    assertEquals(met.client.state, "connected");
    const closing = met.client.close();
    assertEquals(await met.raw.frame(), null);
    await met.raw.connection.closeWrite();
    await closing;
  });

  it("ends at its limit when the peer never finishes, whether it reads or not", async () => {
    for (const reads of [true, false]) {
      const world = memoryWorld();
      await using met = await face(world, "native", { features: POLITE });
      if (!reads) { for (let i = 0; i < 100; i++) met.client.send(NOTE, "x".repeat(10_000)); }
      const closing = met.client.close({ drain: 3_000 });
      const ended = reads ? met.raw.end() : undefined;
      await advanceUntil(world.clock, closing);
      assert(world.clock.now() >= 3_000 && world.clock.now() <= 4_300, `${world.clock.now()} ms`);
      assertEquals([met.client.state, world.clock.pending], ["disconnected", 0]);
      met.raw.connection.abort();
      await ended;
    }
  });

  it("can, whatever tiny frames the peer takes", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using raw = await Raw.connect(world, served.address, "native", {
      maxMessageSize: 16,
      features: { ...POLITE, credit: { window: 10 } },
    });
    await until(() => served.server.clients.length === 1);
    const closing = served.server.close();
    assertEquals((await raw.frame())!.code, 4);
    await raw.connection.closeWrite();
    assertEquals(await raw.end(), "fin");
    await closing;
    assertEquals([served.events.of("error"), world.clock.now()], [[], 0]);
  });

  it("lets a handler run on behind the peer's FIN, for as long as the drain allows", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => {
      server.route(NOTE, async ({ signal }) => {
        await hold.promise;
        outcome = signal.aborted ? "cut" : "done";
      });
    });
    const hold = deferred();
    let outcome = "";
    await using raw = await Raw.connect(world, served.address, "native", { features: POLITE });
    await raw.send({ code: 200, content: "long work" });
    await until(() => served.server.clients[0]?.stats().runningHandlers === 1);
    const closing = served.server.close({ drain: 120_000 });
    assertEquals((await raw.frame())!.code, 4);
    await raw.connection.closeWrite();
    // Nothing can be heard from here on: that is no sign of death.
    await world.clock.advance(100_000);
    assertEquals(served.events.of("disconnect"), []);
    hold.resolve();
    assertEquals(await raw.frame(), null);
    await closing;
    assertEquals(outcome, "done");
  });
});

describe("who is told to go", () => {
  it("starts nothing new, waits for its answers, gives its own, and says FIN then", async () => {
    for (const { make } of WORLDS) {
      const world = await make();
      await using met = await face(world, "native", { features: POLITE });
      const { client, raw } = met;
      const hold = deferred();
      client.route(WORK, async ({ data }) => (await hold.promise, data.toUpperCase()));
      const asked = client.request(WORK, "mine");
      await raw.frame();
      await raw.send({ code: 201, content: "yours", requestId: 7, flags: REQUEST }, goAway());
      await until(() => client.state === "closing");
      assertThrows(() => client.send(NOTE, "x"), ConnectionError);
      await raw.send({ code: 201, content: "answer", requestId: 1, flags: REPLY });
      assertEquals(await asked, "answer");
      hold.resolve();
      assertEquals(words((await raw.frame())!.content), "YOURS");
      assertEquals(await raw.frame(), null);
      await raw.connection.closeWrite();
      const [{ reason, error }] = await met.events.next("disconnect");
      assertEquals([reason, error.message, world.clock.now()], ["going-away", "The peer goes away: manual", 0]);
    }
  });

  it("takes any content for it, and tells only what can be told", async () => {
    const contents: [Uint8Array | string, string][] = [
      ["", "no reason given"],
      ["{", "no reason given"],
      ["null", "no reason given"],
      ["[]", "no reason given"],
      ['"text"', "no reason given"],
      ['{"code":7}', "no reason given"],
      ['{"__proto__":{"code":"x"}}', "no reason given"],
      [new Uint8Array([0xff, 0xfe]), "no reason given"],
      ['{"code":"\\u001b[31m\\nred"}', ""],
      [`{"code":"${"x".repeat(100_000)}"}`, ""],
    ];
    for (const [content, told] of contents) {
      const world = memoryWorld();
      await using met = await face(world, "native", { features: POLITE });
      await met.raw.send(goAway(content));
      assertEquals(await met.raw.frame(), null);
      await met.raw.connection.closeWrite();
      const [{ reason, error }] = await met.events.next("disconnect");
      assertEquals(reason, "going-away");
      if (told !== "") assertEquals(error.message, `The peer goes away: ${told}`);
      // deno-lint-ignore no-control-regex
      assert(error.message.length < 1_000 && !/[\x00-\x1f]/.test(error.message), "long or not printable");
      assertEquals([met.events.of("error"), met.log.lines], [[], []]);
    }
  });

  it("may be told twice, also after it has said the same", async () => {
    for (const closes of [false, true]) {
      const world = memoryWorld();
      await using met = await face(world, "native", { features: POLITE });
      const hold = deferred();
      met.client.route(WORK, async ({ data }) => (await hold.promise, data));
      await met.raw.send({ code: 201, content: "x", requestId: 7, flags: REQUEST });
      await until(() => met.client.stats().runningHandlers === 1);
      const closing = closes ? met.client.close() : undefined;
      await met.raw.send(goAway(), goAway('{"code":"other"}'), goAway(utf8("{")));
      await until(() => met.client.stats().framesReceived === 4);
      hold.resolve();
      const codes = [];
      for (let frame = await met.raw.frame(); frame !== null; frame = await met.raw.frame()) codes.push(frame.code);
      // Where both say it the client goes first.
      assertEquals(codes, closes ? [4, 201] : [201]);
      await met.raw.connection.closeWrite();
      await closing;
      const [{ reason }] = await met.events.next("disconnect");
      assertEquals([reason, met.events.of("error"), world.clock.now()], [closes ? "manual" : "going-away", [], 0]);
    }
  });

  it("writes nothing behind its FIN, whatever the peer still sends", async () => {
    for (const { make } of WORLDS) {
      const world = await make();
      await using met = await face(world, "native", { features: { ...POLITE, credit: { window: 1_000 } } }, {
        maxQueuedBytes: 40,
      });
      met.client.route(WORK, ({ data }) => data);
      met.client.route(NOTE, () => {});
      await met.raw.send(goAway('{"code":"manual","drain":60000}'));
      assertEquals(await met.raw.frame(), null);
      for (let i = 1; i <= 5; i++) {
        await met.raw.send(
          { code: 0, requestId: i, flags: REQUEST },
          { code: 3, requestId: i },
          { code: 201, requestId: 50 + i, flags: REPLY },
          { code: 5, content: new Uint8Array(4) },
        );
        await until(() => met.client.stats().framesReceived === 1 + 4 * i);
        await world.clock.advance(4_000);
      }
      assertEquals(met.events.of("disconnect"), []);
      await met.raw.connection.closeWrite();
      const [{ reason, error }] = await met.events.next("disconnect");
      assertEquals([reason, error.message], ["going-away", "The peer goes away: manual"]);
      assertEquals([met.events.of("error"), met.log.lines], [[], []]);
    }
  });

  it("is not kept by a handler that never ends once the peer is gone", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: POLITE }, { heartbeat: false });
    met.client.route(WORK, () => new Promise<string>(() => {}));
    await met.raw.send({ code: 201, content: "x", requestId: 7, flags: REQUEST }, goAway());
    await until(() => met.client.state === "closing");
    await met.raw.connection.closeWrite();
    await advanceUntil(world.clock, met.client.closed);
    assert(world.clock.now() >= 5_000 && world.clock.now() <= 5_300, `${world.clock.now()} ms`);
    assertEquals(world.clock.pending, 0);
  });

  it("notices that the peer is gone without a FIN", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: POLITE });
    await met.raw.send(goAway('{"drain":60000}'));
    await until(() => met.client.state === "closing");
    await advanceUntil(world.clock, met.client.closed);
    assert(world.clock.now() >= 25_000 && world.clock.now() <= 25_300, `${world.clock.now()} ms`);
    assertEquals(world.clock.pending, 0);
  });

  it("waits as long as the peer says, and maxDrain allows, and cuts it two seconds later", async () => {
    const waits: [said: string, maxDrain: number, ms: number][] = [
      ["{}", 60_000, 5_000],
      ['{"drain":1}', 60_000, 1],
      ['{"drain":20000}', 60_000, 20_000],
      ['{"drain":20000}', 700, 700],
      ['{"drain":2147483647}', 60_000, 60_000],
      ['{"drain":0}', 60_000, 5_000],
      ['{"drain":"long"}', 60_000, 5_000],
      ["{", 3_000, 3_000],
    ];
    for (const [said, maxDrain, ms] of waits) {
      const world = memoryWorld();
      await using met = await face(world, "native", { features: POLITE }, { heartbeat: false, maxDrain });
      let signal: AbortSignal | undefined;
      met.client.route(WORK, (message) => (signal = message.signal, new Promise<string>(() => {})));
      const asked = met.client.request(WORK, "mine", { timeout: 1_000_000 }).catch((error) => error);
      await met.raw.send({ code: 201, content: "yours", requestId: 7, flags: REQUEST }, goAway(said));
      await until(() => met.client.state === "closing");
      await advanceUntil(world.clock, met.client.closed);
      const took = world.clock.now();
      assert(took >= ms + 2_000 && took <= ms + 2_600, `${said}, ${maxDrain}: ${took} ms`);
      assertEquals([(await asked).code, signal!.aborted, world.clock.pending], ["closed", true, 0]);
      const [{ reason }] = await met.events.next("disconnect");
      assertEquals(reason, "going-away");
    }
  });

  it("still answers what takes as long as the drain of the peer allows", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
    const hold = deferred();
    client.route(WORK, async ({ data }) => (await hold.promise, data.toUpperCase()));
    await client.connect();
    const [info] = await served.events.next("connect");
    const asked = info.request(WORK, "long work", { timeout: 100_000 });
    await until(() => client.stats().runningHandlers === 1);
    const closing = served.server.close({ drain: 50_000 });
    await world.clock.advance(45_000);
    assertEquals(client.state, "closing");
    hold.resolve();
    assertEquals(await asked, "LONG WORK");
    await Promise.all([closing, client.closed]);
  });

  it("takes a message or a request behind it for a break of the protocol, whoever said it first", async () => {
    for (const flags of [0, REQUEST]) {
      for (const closes of [false, true]) {
        const world = memoryWorld();
        await using met = await face(world, "native", { features: POLITE });
        const got: string[] = [];
        met.client.route(NOTE, ({ data }) => void got.push(data));
        met.client.route(WORK, ({ data }) => (got.push(data), data));
        // Something to stay for.
        const asked = met.client.request(WORK, "mine", { timeout: 100_000 }).catch((error) => error);
        const closing = closes ? met.client.close() : undefined;
        await met.raw.send(
          { code: 200, content: "before" },
          goAway(),
          { code: flags === 0 ? 200 : 201, content: "behind", requestId: flags === 0 ? 0 : 8, flags },
          { code: 200, content: "and more" },
        );
        const [error] = await met.events.next("error");
        assertEquals(
          [error.code, error.message],
          ["protocol-error", "The peer sent a message after it said that it goes away"],
        );
        await advanceUntil(world.clock, met.client.closed);
        assert(world.clock.now() <= 2_300, `${world.clock.now()} ms`);
        await closing;
        assertEquals([got, (await asked).code, world.clock.pending], [["before"], "closed", 0]);
      }
    }
  });

  it("may be closed sooner by its own side", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: POLITE });
    met.client.route(WORK, () => new Promise<string>(() => {}));
    await met.raw.send({ code: 201, content: "x", requestId: 7, flags: REQUEST }, goAway());
    await until(() => met.client.state === "closing");
    await advanceUntil(world.clock, met.client.close({ drain: 1_000 }));
    assert(world.clock.now() >= 1_000 && world.clock.now() <= 1_300, `${world.clock.now()} ms`);
    assertEquals(world.clock.pending, 0);
  });

  it("is left at once when the peer breaks the protocol meanwhile", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: POLITE });
    met.client.route(WORK, () => new Promise<string>(() => {}));
    await met.raw.send({ code: 201, content: "x", requestId: 7, flags: REQUEST }, goAway());
    await until(() => met.client.state === "closing");
    await met.raw.connection.write(new Uint8Array(40).fill(255));
    const [error] = await met.events.next("error");
    assertEquals(error.code, "corrupt");
    await advanceUntil(world.clock, met.client.closed);
    assert(world.clock.now() <= 2_300, `${world.clock.now()} ms`);
    assertEquals(world.clock.pending, 0);
  });
});

describe("a client of a server that says GOAWAY and stays", () => {
  const leave = async (made: World, config: ServerConfig = {}) => {
    const served = await serve(made, { heartbeat: false, ...config }, (server) => {
      server.on("connect", (client) => client.addTag("room", "lobby"));
      server.route(WORK, () => new Promise<string>(() => {}));
    });
    const raw = await Raw.connect(made, served.address, "native", { features: POLITE });
    const [info] = await served.events.next("connect");
    await raw.send({ code: 201, requestId: 7, flags: REQUEST }, goAway());
    await until(() => info.leaving);
    const over = async (): Promise<void> => {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    };
    return { ...served, raw, info: info as ConnectedClient, [Symbol.asyncDispose]: over };
  };

  it("is seen until it is gone, is sent nothing, and is found by no tag", async () => {
    for (const { make } of WORLDS) {
      const made = await make();
      await using met = await leave(made);
      const { server, info, events } = met;
      const { connections, closing } = server.stats();
      assertEquals([connections, closing, server.clients, info.connected], [1, 0, [info], false]);
      assertEquals(server.broadcast(NOTE, "to all"), { sent: 0, dropped: 0, closed: 0 });
      assertEquals(server.broadcast(NOTE, "to it", { to: [info] }).sent, 0);
      assertEquals(server.broadcast(NOTE, "to some", { to: { tag: "room" } }).sent, 0);
      assert(info.addTag("late") && info.removeTag("room"));
      assertEquals([server.clientsByTag("room"), server.clientsByTag("late")], [[], []]);
      assertThrows(() => info.send(NOTE, "x"), ConnectionError);
      assertEquals(events.of("disconnect"), []);
      const [gone, { reason }] = await pass(made.clock, 61_100, events.next("disconnect"));
      assertEquals([gone, reason, gone.leaving], [info, "going-away", false]);
      assertEquals([server.clients, server.stats().connections, [...info.tags.keys()]], [[], 0, ["late"]]);
    }
  });

  it("takes a place, which can be freed at once", async () => {
    for (const { make } of WORLDS) {
      const made = await make();
      await using met = await leave(made, { maxConnections: 1, maxDrain: 3_600_000 });
      const { server, address } = met;
      const knock = async (): Promise<unknown> => {
        const client = new Client({ ...address, transport: made.transport });
        const outcome = await client.connect().then(() => "in", (error) => error.code);
        await client.close({ drain: 0 });
        return outcome;
      };
      assertEquals(await knock(), "too-many-connections");
      for (const client of server.clients) if (client.leaving) await client.close("manual", { drain: 0 });
      assertEquals([await knock(), made.clock.now()], ["in", 0]);
    }
  });

  it("is no longer listed, and still counted, where the server closes it or it has finished sending", async () => {
    for (const finishes of [false, true]) {
      const made = memoryWorld();
      await using served = await serve(made, {}, (server) => server.route(WORK, () => new Promise<string>(() => {})));
      const { server } = served;
      await using raw = await Raw.connect(made, served.address, "native", { features: POLITE });
      await raw.send({ code: 201, requestId: 7, flags: REQUEST });
      const [info] = await served.events.next("connect");
      await until(() => info.stats().runningHandlers === 1);
      if (finishes) await raw.connection.closeWrite();
      else void info.close();
      await until(() => server.stats().closing === 1);
      // What it says now changes nothing.
      if (!finishes) await raw.send(goAway());
      await turn();
      const { connections, closing } = server.stats();
      assertEquals([connections, closing, server.clients, info.leaving], [0, 1, [], false]);
      await advanceUntil(made.clock, served.events.next("disconnect"));
      assertEquals(server.stats().closing, 0);
    }
  });
});

for (const { name, make } of WORLDS) {
  it(`whoever closes when, nothing that was sent is lost and every request is answered, ${name}`, async () => {
    for (let seed = 1; seed <= (name === "over memory" ? 40 : 10); seed++) {
      const random = new Random(seed);
      const world = await make();
      const pause = (): Promise<void> => name === "over memory" ? world.clock.settle() : turn();
      const got = { client: 0, server: 0 };
      const config = {
        maxQueuedBytes: random.pick([400, 4_000_000]),
        maxConcurrentHandlers: random.pick([1, 5, 100]),
        performanceMode: random.pick(["balanced", "high"] as const),
      };
      const answer = async (data: string): Promise<string> => {
        if (random.below(3) > 0) await pause();
        return `${data}!`;
      };
      const served = await serve(world, config, (server) => {
        server.route(NOTE, () => void got.server++);
        server.route(WORK, ({ data }) => random.below(2) === 0 ? answer(data) : `${data}!`);
      });
      const log = new Lines();
      const client = new Client({ ...served.address, transport: world.transport, logger: log, ...config });
      const heard = new Recorder(client, ["disconnect", "error"]);
      client.route(NOTE, () => void got.client++);
      client.route(WORK, ({ data }) => answer(data));
      await client.connect();
      const [info] = await served.events.next("connect");
      const sent = { client: 0, server: 0 };
      const asked: Promise<unknown>[] = [];
      const closings: Promise<void>[] = [];
      const sides = [["client", client], ["server", info]] as const;
      for (let i = 0; i < 60; i++) {
        const [side, end] = random.pick(sides);
        const open = side === "client" ? client.state === "connected" : (info as ConnectedClient).connected;
        const action = random.below(20);
        if (action === 0 && i > 10) closings.push(side === "client" ? client.close() : served.server.close());
        else if (action < 3) await pause();
        else if (!open) continue;
        else if (action < 12) {
          end.send(NOTE, "x".repeat(random.below(500)));
          sent[side]++;
        } else asked.push(end.request(WORK, "y".repeat(random.below(500))));
      }
      closings.push(client.close(), served.server.close());
      const outcomes = await Promise.allSettled(asked);
      await Promise.all([...closings, client.closed]);
      const failed = outcomes.filter(({ status }) => status === "rejected");
      assertEquals([failed, got.server, got.client], [[], sent.client, sent.server], `seed ${seed}`);
      assertEquals([world.clock.now(), world.clock.pending], [0, 0], `seed ${seed}`);
      assertEquals([heard.of("error"), served.events.of("error"), log.lines], [[], [], []], `seed ${seed}`);
    }
  });
}
