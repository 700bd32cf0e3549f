/** Deadlines: how long the sender of a request waits, at the receiver, and what is asked on a message's behalf. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type Message, messageType, type RequestScope, Server, type TcpEndpoint, text } from "../mod.ts";
import type { FakeClock } from "../src/adapters/fake_clock.ts";
import { RemoteError, TimeoutError } from "../src/errors.ts";
import { join, utf8 } from "./wire_support.ts";
import {
  deferred,
  face,
  Lines,
  memoryWorld,
  Raw,
  type RawFrame,
  type Recorder,
  serve,
  turn,
  until,
  type World,
} from "./session_support.ts";

const WORK = messageType(201, "work", text, text);
const NOTE = messageType(200, "note", text);
const [REQUEST, REPLY, ERROR, META] = [0x01, 0x02, 0x04, 0x20];

/** A request with a deadline, by hand. */
function work(requestId: number, deadline: number | undefined, payload = `${requestId}`): RawFrame {
  if (deadline === undefined) return { code: 201, flags: REQUEST, requestId, content: payload };
  const json = utf8(`{"deadline":"${deadline}"}`);
  return {
    code: 201,
    flags: REQUEST | META,
    requestId,
    content: join(Uint8Array.of(0, json.length), json, utf8(payload)),
  };
}

/** The next answer: its id, and the payload or the code of the error. */
async function answer(raw: Raw): Promise<[id: unknown, what: string]> {
  for (;;) {
    const frame = (await raw.frame())!;
    if ((frame.flags & REPLY) === 0) continue;
    const words = new TextDecoder().decode(frame.content);
    return [frame.requestId, (frame.flags & ERROR) === 0 ? words : `error ${JSON.parse(words).code}`];
  }
}

interface Facing extends AsyncDisposable {
  readonly server: Server;
  readonly events: Recorder;
  readonly log: Lines;
  readonly raw: Raw;
  readonly clock: FakeClock;
}

/** A server, and a peer by hand that has metadata. */
async function facing(config: object = {}): Promise<Facing> {
  const world = memoryWorld();
  const served = await serve(world, config);
  const raw = await Raw.connect(world, served.address, "native", { features: { meta: {} } });
  return {
    ...served,
    raw,
    clock: world.clock,
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served.server.close({ drain: 0 });
    },
  };
}

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then((value) => value, (error) => `${error.name} ${error.code ?? error.message}`);

describe("the deadline of a request", () => {
  it("that is over at its arrival is answered without calling the handler", async () => {
    await using met = await facing();
    const called: string[] = [];
    met.server.route(WORK, ({ data }) => (called.push(data), data));
    await met.raw.send(work(1, 0), work(2, 1), work(3, undefined));
    assertEquals([await answer(met.raw), await answer(met.raw), await answer(met.raw)], [
      [1, "error deadline-exceeded"],
      [2, "2"],
      [3, "3"],
    ]);
    assertEquals([called, met.events.of("error"), met.log.lines], [["2", "3"], [], []]);
  });

  it("aborts the message of a running handler, answers, and reports nothing; the handler counts on", async () => {
    await using met = await facing({ maxConcurrentHandlers: 1 });
    const gate = deferred();
    const messages: Message<string, string>[] = [];
    met.server.route(WORK, async (message) => {
      messages.push(message);
      await gate.promise;
      // What comes too late is nobody's error.
      message.reply("late");
      return "ignored";
    });
    await met.raw.send(work(1, 1_000), work(2, undefined));
    await met.clock.advance(400);
    assertEquals([messages.length, messages[0].timeLeft, messages[0].signal.aborted], [1, 600, false]);
    await met.clock.advance(590);
    assertEquals([messages[0].timeLeft, messages[0].signal.aborted], [10, false]);
    await met.clock.advance(30);
    assertEquals(await answer(met.raw), [1, "error deadline-exceeded"]);
    const reason = messages[0].signal.reason;
    assert(reason instanceof TimeoutError && reason.code === "deadline-exceeded");
    assertEquals([messages[0].timeLeft, Object.keys(messages[0].meta)], [0, []]);
    // The peer chose the time: it must not start more handlers than may run.
    assertEquals([messages.length, met.server.clients[0].stats().runningHandlers], [1, 1]);
    gate.resolve();
    assertEquals(await answer(met.raw), [2, "late"]);
    assertEquals([messages.length, met.events.of("error"), met.log.lines], [2, [], []]);
    assertEquals(met.server.clients[0].stats().runningHandlers, 0);
  });

  it("ends a handler that gives up by the signal quietly, and one that fails otherwise is reported", async () => {
    await using met = await facing();
    const own = deferred();
    met.server.route(WORK, ({ data, signal }) => {
      const { promise, reject } = deferred<string>();
      signal.addEventListener(
        "abort",
        () => data === "own" ? own.promise.then(() => reject(new Error("own"))) : reject(signal.reason),
      );
      return promise;
    });
    await met.raw.send(work(1, 100, "signal"), work(2, 100, "own"));
    await met.clock.advance(120);
    const answers = [await answer(met.raw), await answer(met.raw)].sort();
    assertEquals(answers, [[1, "error deadline-exceeded"], [2, "error deadline-exceeded"]]);
    own.resolve();
    const [error] = await met.events.next("error");
    assertEquals([error.message, met.events.of("error").length], ["own", 1]);
  });

  it("that passes while the message waits is answered at once, and the handler is never called", async () => {
    await using met = await facing({ maxConcurrentHandlers: 1 });
    const gate = deferred();
    const called: string[] = [];
    met.server.route(WORK, async ({ data }) => {
      called.push(data);
      await gate.promise;
      return data;
    });
    await met.raw.send(work(1, undefined), work(2, 500), work(3, 5_000), work(4, 500));
    await until(() => met.server.clients[0].stats().queuedMessages === 3);
    await met.clock.advance(520);
    const early = [await answer(met.raw), await answer(met.raw)].sort();
    assertEquals(early, [[2, "error deadline-exceeded"], [4, "error deadline-exceeded"]]);
    // An id that was answered may be used again.
    await met.raw.send(work(2, 5_000, "again"));
    gate.resolve();
    assertEquals([await answer(met.raw), await answer(met.raw), await answer(met.raw)], [[1, "1"], [3, "3"], [
      2,
      "again",
    ]]);
    assertEquals([called, met.events.of("error")], [["1", "3", "again"], []]);
    assertEquals(met.server.clients[0].stats().queuedMessages, 0);
  });

  it("is exact where the timer is not: a message that gets its turn between the two is not handled", async () => {
    await using met = await facing({ maxConcurrentHandlers: 1 });
    const gate = deferred();
    const called: string[] = [];
    met.server.route(WORK, ({ data }) => (called.push(data), data === "1" ? gate.promise.then(() => data) : data));
    await met.raw.send(work(1, undefined), work(2, 501));
    await until(() => met.server.clients[0].stats().queuedMessages === 1);
    // The timers have steps of 10 ms.
    await met.clock.advance(501);
    gate.resolve();
    assertEquals([await answer(met.raw), await answer(met.raw)], [[1, "1"], [2, "error deadline-exceeded"]]);
    assertEquals(called, ["1"]);
  });

  it("means nothing after the answer: work that goes on is left alone, and no timer stays", async () => {
    await using met = await facing();
    const gate = deferred();
    const seen: Message[] = [];
    met.server.route(WORK, async (message) => {
      seen.push(message);
      const done = message.reply("early");
      await gate.promise;
      return done;
    });
    await met.raw.send(work(1, 300));
    assertEquals(await answer(met.raw), [1, "early"]);
    const { signal } = seen[0];
    await met.clock.advance(400);
    assertEquals([signal.aborted, met.events.of("error")], [false, []]);
    gate.resolve();
    await turn();
    await met.raw.send(work(2, 0x7fffffff));
    assertEquals(await answer(met.raw), [2, "early"]);
    // All connections of a server share their timers, so one that stays would outlive this one.
    met.raw.connection.abort();
    await met.clock.advance(10_000);
    await met.events.next("disconnect");
    assertEquals(met.clock.pending, 0);
  });

  it("crosses CANCEL without harm, whichever comes first", async () => {
    await using met = await facing({ maxConcurrentHandlers: 1 });
    const gate = deferred();
    const reasons: string[] = [];
    met.server.route(WORK, async ({ signal }) => {
      await gate.promise;
      reasons.push((signal.reason as Error).name);
      signal.throwIfAborted();
      return "never";
    });
    await met.raw.send(work(1, 100), work(2, 100), { code: 3, requestId: 2 });
    await met.clock.advance(130);
    assertEquals(await answer(met.raw), [1, "error deadline-exceeded"]);
    await met.raw.send({ code: 3, requestId: 1 }, { code: 0, flags: REQUEST, requestId: 5 });
    assertEquals((await met.raw.frame())!.code, 1);
    gate.resolve();
    await until(() => met.server.clients[0].stats().runningHandlers === 0);
    assertEquals([reasons, met.events.of("error"), met.server.clients.length], [["TimeoutError"], [], 1]);
  });

  it("ends with the connection: no timer is left, in the queue or in a handler", async () => {
    await using met = await facing({ maxConcurrentHandlers: 1 });
    const gate = deferred();
    met.server.route(WORK, () => gate.promise.then(() => "x"));
    await met.raw.send(work(1, 0x7fffffff), work(2, 0x7fffffff), work(3, 1_000));
    await until(() => met.server.clients[0]?.stats().queuedMessages === 2);
    met.raw.connection.abort();
    await met.clock.advance(10_000);
    await met.events.next("disconnect");
    assertEquals([met.events.of("error"), met.clock.pending], [[], 0]);
    gate.resolve();
  });

  it("is nothing on a message that is no request, and goes over to the handler of another route", async () => {
    await using met = await facing({ maxConcurrentHandlers: 1 });
    const gate = deferred();
    const lefts: unknown[] = [];
    met.server.route(NOTE, ({ timeLeft, meta }) => void lefts.push([timeLeft, { ...meta }]));
    const json = utf8('{"a":"b","deadline":"0"}');
    await met.raw.send({ code: 200, flags: META, content: join(Uint8Array.of(0, json.length), json) });
    await until(() => lefts.length === 1);
    assertEquals(lefts, [[undefined, { a: "b" }]]);
    met.server.route(WORK, () => gate.promise.then(() => "x"));
    await met.raw.send(work(1, undefined), work(2, 1_000), work(3, 200));
    await until(() => met.server.clients[0].stats().queuedMessages === 2);
    met.server.unroute(WORK);
    const other = deferred<Message<string, string>>();
    met.server.route(WORK, (message) => (other.resolve(message), new Promise<never>(() => {})));
    await met.clock.advance(300);
    assertEquals(await answer(met.raw), [3, "error deadline-exceeded"]);
    gate.resolve();
    assertEquals(await answer(met.raw), [1, "x"]);
    assertEquals((await other.promise).timeLeft, 700);
    await met.clock.advance(720);
    assertEquals(await answer(met.raw), [2, "error deadline-exceeded"]);
    assertEquals((await other.promise).signal.aborted, true);
  });

  it("reaches listeners to what has no route as well", async () => {
    await using met = await facing();
    const reasons: unknown[] = [];
    const { promise: heard, resolve: hear } = deferred();
    met.server.on("message", (message) => {
      message.signal.addEventListener("abort", () => reasons.push((message.signal.reason as TimeoutError).code));
      hear();
      return new Promise(() => {});
    });
    await met.raw.send(work(1, 100));
    await heard;
    await met.clock.advance(120);
    assertEquals([await answer(met.raw), reasons], [[1, "error deadline-exceeded"], ["deadline-exceeded"]]);
  });
});

interface Chain extends AsyncDisposable {
  readonly client: Client;
  readonly middle: Client;
  readonly server: Server;
  readonly log: Lines;
  readonly address: TcpEndpoint;
}

/** A chain: a client asks a server, whose handler asks another server through a client of its own. */
async function chain(world: World, last: (message: Message<string, string>) => unknown): Promise<Chain> {
  const { transport } = world;
  const end = new Server({ hostname: "127.0.0.1", port: 0, transport, logger: new Lines() });
  end.route(WORK, last as never);
  await end.start();
  const middle = new Client({ ...end.addresses[0] as { port: number }, transport, logger: new Lines() });
  await middle.connect();
  const first = await serve(world);
  const client = new Client({ ...first.address, transport, logger: new Lines() });
  await client.connect();
  const all = [client, first.server, middle, end];
  return {
    client,
    middle,
    server: first.server,
    log: first.log,
    address: first.address,
    async [Symbol.asyncDispose](): Promise<void> {
      for (const one of all) await one.close({ drain: 0 });
    },
  };
}

describe("what is asked within a message", () => {
  it("gets no more time than it has left, over three peers, and says so", async () => {
    const world = memoryWorld();
    const lefts: unknown[] = [];
    const gone: unknown[] = [];
    await using met = await chain(world, ({ timeLeft, signal }) => {
      lefts.push(timeLeft);
      signal.addEventListener("abort", () => gone.push((signal.reason as TimeoutError).code ?? signal.reason.name));
      return new Promise(() => {});
    });
    const inner: unknown[] = [];
    const asked = deferred();
    met.server.route(WORK, async (message) => {
      await met.middle.request(WORK, "own timeout", { within: message, timeout: 100 }).catch((error) =>
        inner.push(error.code)
      );
      const second = met.middle.request(WORK, "second", { within: message });
      asked.resolve();
      await second.catch((error) => inner.push(`${error.name} ${error.code}`));
      return "gave up in time?";
    });
    // By hand: a client gives up at the same time, and its CANCEL may come first.
    await using raw = await Raw.connect(world, met.address, "native", { features: { meta: {} } });
    await raw.send(work(1, 1_000));
    await world.clock.advance(120);
    await asked.promise;
    await world.clock.advance(1_000);
    assertEquals(await answer(raw), [1, "error deadline-exceeded"]);
    assertEquals(lefts[0], 100);
    assert((lefts[1] as number) >= 880 && (lefts[1] as number) <= 900, `${lefts}`);
    assertEquals(inner, ["timeout", "TimeoutError deadline-exceeded"]);
    assertEquals(gone.length, 2);
    assertEquals(met.log.lines, []);
  });

  it("is given up with it, also where the message has no deadline, on client and server objects alike", async () => {
    const world = memoryWorld();
    const gone: string[] = [];
    const waiting = ({ data, signal }: Message<string, string>): Promise<string> => {
      signal.addEventListener("abort", () => gone.push(data));
      return new Promise(() => {});
    };
    await using met = await chain(world, waiting);
    met.client.route(WORK, waiting as never);
    const inner: string[] = [];
    met.server.route(WORK, async (message, client) => {
      assertEquals(message.timeLeft, undefined);
      const asks = [
        met.middle.request(WORK, "up", { within: message }),
        met.middle.exchange(WORK, "up, whole", { within: message, timeout: 60_000 }),
        client.request(WORK, "back", { within: message }),
        client.exchange(WORK, "back, with a signal", { within: message, signal: new AbortController().signal }),
      ];
      for (const ask of asks) inner.push(await ask.then(() => "answered", (error) => error.name));
      return "x";
    });
    const stop = new AbortController();
    const answered = outcome(met.client.request(WORK, "x", { signal: stop.signal }));
    await until(() => met.middle.stats().pendingRequests === 2 && met.server.clients[0].stats().pendingRequests === 2);
    stop.abort();
    assertEquals(await answered, "AbortError 20");
    await until(() => gone.length === 4 && inner.length === 4);
    assertEquals(gone.sort(), ["back", "back, with a signal", "up", "up, whole"]);
    assertEquals(inner, Array(4).fill("AbortError"));
  });

  it("ends as a TimeoutError also where the peer is first to say so; without a deadline that is the peer's word", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { meta: {} } });
    const within = { signal: new AbortController().signal, timeLeft: 1_000 };
    const asked = [{}, { timeout: 1_000 }, { timeout: 500, within }, { within }, { timeout: 1_000 }].map((options) =>
      met.client.request(WORK, "x", options).catch((error) => error)
    );
    for (let id = 1; id <= 5; id++) {
      const content = `{"code":"${id < 5 ? "deadline-exceeded" : "failed"}","message":"over"}`;
      await met.raw.send({ code: 201, flags: REPLY | ERROR, requestId: id, content });
    }
    const errors = await Promise.all(asked);
    assertEquals(errors.map(({ name, code, message }) => `${name} ${code}: ${message}`), [
      "RemoteError deadline-exceeded: over",
      'TimeoutError timeout: No answer to "work" within 1000 ms',
      'TimeoutError timeout: No answer to "work" within 500 ms',
      'TimeoutError deadline-exceeded: No answer to "work": the time of the request is over',
      "RemoteError failed: over",
    ]);
    assertEquals(errors.slice(1, 4).map(({ cause }) => cause.code), Array(3).fill("deadline-exceeded"));
  });

  it("is not sent where no time is left, or where it is aborted; its own signal and answers count as ever", async () => {
    const world = memoryWorld();
    let asked = 0;
    await using met = await chain(world, ({ data }) => {
      asked++;
      if (data === "fail") throw Object.assign(new Error("no"), { code: "failed" });
      return data;
    });
    const request = (within: RequestScope, data = "x", more = {}) =>
      met.middle.request(WORK, data, { within, ...more });
    const signal = new AbortController().signal;
    const over = await assertRejects(() => request({ signal, timeLeft: 0 }), TimeoutError);
    assertEquals([over.code, over.message], [
      "deadline-exceeded",
      'Cannot request "work": the time of the request is over',
    ]);
    const reason = new Error("gone");
    assertEquals(await request({ signal: AbortSignal.abort(reason) }).catch((error) => error), reason);
    assertEquals(await request({ signal }, "x", { signal: AbortSignal.abort(reason) }).catch((error) => error), reason);
    assertEquals(asked, 0);
    assertEquals(await request({ signal, timeLeft: 1_000 }), "x");
    assertEquals((await assertRejects(() => request({ signal, timeLeft: 1 }, "fail"), RemoteError)).code, "failed");
    for (const wrong of [1, "x", null, {}, { signal: 1 }, { signal, timeLeft: "1" }, { signal, timeLeft: NaN }]) {
      await assertRejects(() => request(wrong as never), TypeError, 'Cannot request "work": within must be a message');
    }
    await assertRejects(() => request({ signal }, "x", { timeout: 0 }), RangeError);
  });

  it("waits for a connection no longer than the message has time, and sends what is left", async () => {
    const world = memoryWorld();
    const { transport } = world;
    const { signal } = new AbortController();
    await using server = new Server({ hostname: "127.0.0.1", port: 4_000, transport, logger: new Lines() });
    const lefts: unknown[] = [];
    server.route(WORK, ({ data, timeLeft }) => (lefts.push(timeLeft), data));
    await using client = new Client({
      port: 4_000,
      transport,
      logger: new Lines(),
      queueWhileDown: true,
      reconnect: { delay: 1_000, jitter: false },
    });
    const connected = client.connect();
    const short = outcome(client.request(WORK, "short", { within: { signal, timeLeft: 500 } }));
    const long = client.exchange(WORK, "long", { within: { signal, timeLeft: 5_000 } });
    await world.clock.advance(520);
    assertEquals(await short, "TimeoutError deadline-exceeded");
    await server.start();
    await world.clock.advance(1_500);
    await connected;
    assertEquals((await long).data, "long");
    assert((lefts[0] as number) > 2_900 && (lefts[0] as number) < 4_500, `${lefts}`);
  });
});
