/** CANCEL: who gives up a request tells the peer, whose handler may stop, and nobody answers. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type Message, messageType, replied, type ServerConfig, text } from "../mod.ts";
import { ConnectionError, TimeoutError } from "../src/errors.ts";
import {
  deferred,
  face,
  Lines,
  memoryWorld,
  Raw,
  type RawFrame,
  serve,
  SPOKEN,
  turn,
  until,
  WORLDS,
} from "./session_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const REQUEST = 1;
const REPLY = 2;

const cancel = (requestId: number): RawFrame => ({ code: 3, requestId });
const work = (requestId: number, content = `${requestId}`): RawFrame => ({
  code: 201,
  content,
  requestId,
  flags: REQUEST,
});

describe("a request that is given up", () => {
  for (const { release } of SPOKEN) {
    it(`by its signal or by timeout ${release === "native" ? "sends CANCEL" : "says nothing"} on ${release}`, async () => {
      const world = memoryWorld();
      await using met = await face(world, release);
      const stop = new AbortController();
      const reason = new Error("enough");
      const first = assertRejects(() => met.client.request(WORK, "a", { signal: stop.signal }), Error, "enough");
      const second = assertRejects(() => met.client.request(WORK, "b", { timeout: 1_000 }), TimeoutError);
      const ids = [(await met.raw.frame())!.requestId, (await met.raw.frame())!.requestId];
      stop.abort(reason);
      await first;
      await world.clock.advance(1_020);
      await second;
      met.client.send(NOTE, "last");
      const seen = [];
      do seen.push((await met.raw.frame())!); while (seen.at(-1)!.code !== 200);
      assertEquals(
        seen.slice(0, -1).map(({ code, requestId, flags, content }) => [code, requestId, flags, content.length]),
        release === "native" ? ids.map((id) => [3, id, 0, 0]) : [],
      );
      assertEquals(met.client.stats().pendingRequests, 0);
    });
  }

  it("while it is held for credit sends its CANCEL behind it, and past nothing else", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 1 } } });
    const stop = new AbortController();
    met.client.send(NOTE, "1");
    const asked = met.client.request(WORK, "2", { signal: stop.signal }).catch((error) => error.name);
    met.client.send(NOTE, "3");
    stop.abort();
    assertEquals(await asked, "AbortError");
    const pinged = met.client.ping();
    const codes = async (count: number): Promise<number[]> => {
      const all = [];
      for (let i = 0; i < count; i++) all.push((await met.raw.frame())!.code);
      return all;
    };
    assertEquals(await codes(2), [200, 0]);
    await met.raw.send({ code: 5, content: new Uint8Array([0, 1, 0, 0]) }, { code: 1, requestId: 2, flags: REPLY });
    await pinged;
    assertEquals(await codes(3), [201, 200, 3]);
  });

  it("that was written goes past what is held", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { features: { credit: { window: 1 } } });
    const stop = new AbortController();
    const asked = met.client.request(WORK, "1", { signal: stop.signal }).catch((error) => error.name);
    met.client.send(NOTE, "held");
    assertEquals((await met.raw.frame())!.code, 201);
    stop.abort();
    assertEquals(await asked, "AbortError");
    assertEquals((await met.raw.frame())!.code, 3);
  });

  it("within the event that tells of it is given up all the same", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    const stop = new AbortController();
    met.client.on("sent", ({ kind }) => kind === "request" && stop.abort(new Error("enough")));
    await assertRejects(() => met.client.request(WORK, "1", { signal: stop.signal }), Error, "enough");
    const asked = (await met.raw.frame())!;
    const cancelled = (await met.raw.frame())!;
    assertEquals([asked.code, cancelled.code, cancelled.requestId], [201, 3, asked.requestId]);
    assertEquals(met.client.stats().pendingRequests, 0);
  });

  it("sends no CANCEL where the answer came, the connection was lost, or the signal fired before", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    const stop = new AbortController();
    const answered = met.client.request(WORK, "1", { signal: stop.signal });
    const { requestId } = (await met.raw.frame())!;
    await met.raw.send({ code: 201, content: "ok", requestId: requestId as number, flags: REPLY });
    assertEquals(await answered, "ok");
    stop.abort();
    await assertRejects(() => met.client.request(WORK, "2", { signal: stop.signal }));
    met.client.send(NOTE, "last");
    assertEquals((await met.raw.frame())!.code, 200);
    const other = new AbortController();
    const lost = assertRejects(() => met.client.request(WORK, "3", { signal: other.signal }), ConnectionError);
    await met.raw.frame();
    met.raw.connection.abort();
    await lost;
    other.abort();
    await turn();
    assertEquals([met.log.lines, met.events.of("error")], [[], []]);
  });

  it("rejects although whoever watches it being sent closes the connection", async () => {
    for (const event of ["sent", "pressure"] as const) {
      const world = memoryWorld();
      await using met = await face(world, "native", {}, { highWaterMark: 0 });
      met.client.on(event, () => void met.client.close({ drain: 0 }));
      await assertRejects(() => met.client.request(WORK, "x", { timeout: 60_000 }), ConnectionError, "closed");
      await met.client.closed;
      assertEquals(world.clock.pending, 0, event);
    }
  });
});

describe("a receiver of CANCEL", () => {
  // deno-lint-ignore explicit-function-return-type
  async function meet(handle: (message: Message<string, string>) => unknown, config: ServerConfig = {}) {
    const world = memoryWorld();
    const served = await serve(world, config, (server) => {
      server.route(WORK, handle as never);
      server.route(NOTE, () => {});
    });
    const raw = await Raw.connect(world, served.address, "native");
    /** All answers so far, by id. */
    const answers = async (): Promise<[id: unknown, text: string][]> => {
      await raw.send({ code: 0, requestId: 999, flags: REQUEST });
      const all: [unknown, string][] = [];
      for (;;) {
        const { code, requestId, content } = (await raw.frame())!;
        if (code === 1) return all;
        all.push([requestId, new TextDecoder().decode(content)]);
      }
    };
    return {
      ...served,
      raw,
      answers,
      async [Symbol.asyncDispose](): Promise<void> {
        await raw[Symbol.asyncDispose]();
        await served[Symbol.asyncDispose]();
        assertEquals(world.clock.pending, 0);
      },
    };
  }

  it("skips a request that waits: its handler is never called, and it is not answered", async () => {
    const gate = deferred();
    const called: string[] = [];
    await using met = await meet(async ({ data }) => {
      called.push(data);
      await gate.promise;
      return data;
    }, { maxConcurrentHandlers: 1 });
    await met.raw.send(work(1), work(2), work(3), cancel(2));
    await until(() => met.server.clients[0].stats().framesReceived === 4);
    gate.resolve();
    await until(() =>
      met.server.clients[0].stats().runningHandlers + met.server.clients[0].stats().queuedMessages === 0
    );
    assertEquals([called, await met.answers()], [["1", "3"], [[1, "1"], [3, "3"]]]);
    assertEquals(met.events.of("error"), []);
  });

  it("aborts the signal of a running handler with an AbortError, and sends no answer of any kind", async () => {
    const ends: [how: string, end: (message: Message<string, string>) => unknown, errors: number][] = [
      ["returns", () => "too late", 0],
      ["replies", (message) => message.reply("too late"), 0],
      ["replies and returns", (message) => (assertEquals(message.reply("x"), replied), "too late"), 0],
      ["throws the reason", ({ signal }) => signal.throwIfAborted(), 0],
      ["throws another AbortError", () => {
        throw new DOMException("stopped", "AbortError");
      }, 0],
      ["throws something else", () => {
        throw new Error("broken");
      }, 1],
      ["throws nothing", () => Promise.reject(undefined), 1],
    ];
    for (const [how, end, errors] of ends) {
      const signals: AbortSignal[] = [];
      const over = deferred();
      await using met = await meet(async (message) => {
        if (message.data === "plain") return "fine";
        signals.push(message.signal);
        await new Promise((resolve) => message.signal.addEventListener("abort", resolve));
        queueMicrotask(over.resolve);
        return end(message);
      });
      await met.raw.send(work(1));
      await until(() => signals.length === 1);
      await met.raw.send(cancel(1), cancel(1));
      await over.promise;
      await turn();
      assertEquals([signals[0].reason.name, await met.answers()], ["AbortError", []], how);
      assertEquals(met.events.of("error").length, errors, how);
      assertEquals(met.server.clients[0].stats().runningHandlers, 0, how);
      await met.raw.send(work(2, "plain"));
      await until(() => met.server.clients[0].stats().framesReceived === 5);
      assertEquals(await met.answers(), [[2, "fine"]], how);
    }
  });

  it("shows a signal that is aborted already to a handler that looks late", async () => {
    const gate = deferred();
    const seen: unknown[] = [];
    await using met = await meet(async (message) => {
      await gate.promise;
      seen.push(message.signal.aborted, message.signal.reason.name);
      return "x";
    });
    await met.raw.send(work(1), cancel(1));
    await until(() => met.server.clients[0]?.stats().framesReceived === 2);
    gate.resolve();
    await until(() => seen.length === 2);
    assertEquals([seen, await met.answers()], [[true, "AbortError"], []]);
  });

  it("lets a peer use the id of a cancelled request again while its handler still runs", async () => {
    const world = memoryWorld();
    const holds: ((answer: string) => void)[] = [];
    await using served = await serve(world, {}, (server) => {
      server.route(WORK, ({ data }) => new Promise<string>((resolve) => holds.push((end) => resolve(data + end))));
    });
    await using raw = await Raw.connect(world, served.address, "native");
    await raw.send(work(1, "first"), cancel(1), work(1, "second"));
    await until(() => holds.length === 2);
    for (const end of holds) end("!");
    assertEquals(new TextDecoder().decode((await raw.frame())!.content), "second!");
    // An id that is still waited for ends the connection.
    await raw.send(work(2), work(2));
    const [[, { reason }]] = await Promise.all([served.events.next("disconnect"), raw.end()]);
    assertEquals(reason, "protocol-error");
  });

  it("counts what cancels nothing: unknown, answered and plain ids", async () => {
    await using met = await meet(({ data }) => data);
    await met.raw.send(work(1), { code: 200 }, cancel(1), cancel(2), cancel(0), { ...cancel(4), content: "payload" });
    assertEquals(await met.answers(), [[1, "1"]]);
    assertEquals([met.server.clients[0].stats().framesIgnored, met.events.of("error")], [4, []]);
  });

  it("does not answer what was cancelled in the same chunk, and lets its id be used again when its handler is done", async () => {
    const gates = [deferred(), deferred()];
    let called = 0;
    await using met = await meet(async ({ data }) => {
      await gates[called++].promise;
      return data;
    });
    await met.raw.send(work(1, "first"), cancel(1));
    assertEquals(await met.answers(), []);
    gates[0].resolve();
    await until(() => met.server.clients[0].stats().runningHandlers === 0);
    await met.raw.send(work(1, "second"));
    await until(() => called === 2);
    gates[1].resolve();
    await until(() => met.server.clients[0].stats().runningHandlers === 0);
    assertEquals(await met.answers(), [[1, "second"]]);
  });

  it("frees the turn of an ordered route, and its place among the workers, only when the handler is done", async () => {
    const gate = deferred();
    const called: string[] = [];
    await using met = await meet(async ({ data }) => {
      called.push(data);
      if (data === "1") await gate.promise;
      return data;
    }, { maxConcurrentHandlers: 1 });
    await met.raw.send(work(1), work(2), cancel(1));
    assertEquals([await met.answers(), called], [[], ["1"]]);
    gate.resolve();
    await until(() => called.length === 2);
    assertEquals(await met.answers(), [[2, "2"]]);
  });

  it("emits no error for a handler that stops because the connection is gone", async () => {
    for (const flags of [REQUEST, 0]) {
      const stopped = deferred();
      const begun = deferred();
      await using met = await meet(async ({ signal }) => {
        begun.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        queueMicrotask(stopped.resolve);
        signal.throwIfAborted();
      });
      await met.raw.send({ ...work(flags), flags });
      await begun.promise;
      met.raw.connection.abort();
      await met.server.close({ drain: 0 });
      await stopped.promise;
      await turn();
      assertEquals([met.events.of("error"), met.log.lines], [[], []]);
    }
  });
});

for (const { name, make } of WORLDS) {
  it(`cancelling reaches from client to server and back, many at once, ${name}`, async () => {
    const world = await make();
    const stops: string[] = [];
    const handler = ({ data, signal }: Message<string, string>): Promise<string> =>
      new Promise((resolve) => {
        if (Number(data) % 2 === 1) resolve(`${data}!`);
        else signal.addEventListener("abort", () => stops.push(data));
      });
    await using served = await serve(world, { maxConcurrentHandlers: 1_000 }, (server) => server.route(WORK, handler));
    const client = new Client({
      ...served.address,
      transport: world.transport,
      logger: new Lines(),
      maxConcurrentHandlers: 1_000,
    });
    client.route(WORK, handler);
    await client.connect();
    const [info] = await served.events.next("connect");
    for (const side of [client, info] as Client[]) {
      stops.length = 0;
      const stop = new AbortController();
      const asked = Array.from({ length: 200 }, (_, i) => side.request(WORK, `${i}`, { signal: stop.signal }));
      const settled = Promise.allSettled(asked);
      await asked[199];
      stop.abort();
      const outcomes = (await settled).map(({ status }) => status);
      assert(outcomes.every((status, i) => status === (i % 2 === 1 ? "fulfilled" : "rejected")));
      await until(() => stops.length === 100);
      assertEquals([client.stats().repliesDropped, info.stats().repliesDropped], [0, 0]);
    }
    await client.close({ drain: 0 });
    assertEquals(served.events.of("error"), []);
  });
}
