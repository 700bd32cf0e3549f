/** Traces and metrics of servers and clients, in memory: spans, contexts, what is never lost, and what is counted. */

import {
  baggageEntryMetadataFromString,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { AlwaysOffSampler, ParentBasedSampler } from "@opentelemetry/sdk-trace";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { Client, errorOf, json, messageType, messageTypes, RemoteError, Server, streamType, text } from "../mod.ts";
import { instrument, type InstrumentOptions, type SpanSubject } from "../src/opentelemetry/mod.ts";
import { listenToDiag, Memory, register } from "./opentelemetry_support.ts";
import { deferred, memoryWorld, serve, turn, until } from "./session_support.ts";
import { type StreamPeers, streamPeers } from "./streams_support.ts";

const UPPER = messageType(200, "upper", text, text);
const NOTE = messageType(201, "note", text);
const COUNT = streamType(202, "count", { head: json<number>(), up: false, down: json<number>(), result: text });
const ASK = messageType(203, "ask", text, text);
const { find: FIND } = messageTypes({
  find: { code: 204, payload: json<number>(), reply: text, errors: ["not-found"] },
});
const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Two connected sides with telemetry, and where it goes. */
interface Traced extends StreamPeers {
  readonly memory: Memory;
}

async function traced(options: InstrumentOptions<unknown> = {}, memory = new Memory()): Promise<Traced> {
  const peers = await streamPeers();
  const ends = [peers.server, peers.client].map((end) => instrument(end, { ...memory.options, ...options }));
  return {
    ...peers,
    memory,
    async [Symbol.asyncDispose](): Promise<void> {
      for (const end of ends) end.stop();
      await peers[Symbol.asyncDispose]();
      await memory[Symbol.asyncDispose]();
    },
  };
}

/** Waits until so many spans have ended. Fails, and does not wait for ever, if some of them never do. */
async function ended(memory: Memory, count: number): Promise<void> {
  for (let turns = 0; memory.spans.length < count; turns++) {
    assert(turns < 1_000, `${memory.spans.length} of ${count} spans have ended`);
    await turn();
  }
}

describe("instrument()", () => {
  let unregister: () => void;
  beforeAll(() => {
    unregister = register();
  });
  afterAll(() => unregister());

  it("joins the spans of a request on both sides, and those that its handler makes", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    const tracer = memory.tracerProvider.getTracer("program");
    server.route(UPPER, async ({ data }) => {
      await Promise.resolve();
      tracer.startSpan("inner").end();
      return data.toUpperCase();
    });
    await tracer.startActiveSpan("outer", async (span) => {
      assertEquals(await client.request(UPPER, "x"), "X");
      span.end();
    });
    const asked = memory.span("upper", SpanKind.CLIENT);
    const handled = memory.span("upper", SpanKind.SERVER);
    const inner = memory.span("inner", SpanKind.INTERNAL);
    const outer = memory.span("outer", SpanKind.INTERNAL);
    assertEquals([asked, handled, inner].map(({ parentSpanContext }) => parentSpanContext?.spanId), [
      outer.spanContext().spanId,
      asked.spanContext().spanId,
      handled.spanContext().spanId,
    ]);
    assertEquals(new Set(memory.spans.map((span) => span.spanContext().traceId)).size, 1);
    assertEquals(handled.parentSpanContext?.isRemote, true);
    const { port } = server.addresses[0] as { port: number };
    const { port: from } = peers.info;
    assertEquals(asked.attributes, {
      "rpc.system.name": "veltix",
      "rpc.method": "upper",
      "rpc.status_code": "ok",
      "server.address": "127.0.0.1",
      "server.port": port,
      "network.peer.address": "127.0.0.1",
      "network.peer.port": port,
      "network.transport": "tcp",
    });
    assertEquals(handled.attributes, {
      "rpc.system.name": "veltix",
      "rpc.method": "upper",
      "rpc.status_code": "ok",
      "server.address": "127.0.0.1",
      "server.port": port,
      "client.address": "127.0.0.1",
      "client.port": from,
      "network.peer.address": "127.0.0.1",
      "network.peer.port": from,
      "network.transport": "tcp",
    });
    assertEquals(asked.instrumentationScope.schemaUrl, "https://opentelemetry.io/schemas/1.45.0");
  });

  it("makes one tree of a request whose handler asks another client", async () => {
    await using peers = await traced();
    const { client, memory, server, world } = peers;
    const { hostname, port } = server.addresses[0] as { hostname: string; port: number };
    await using other = new Client({ hostname, port, transport: world.transport });
    using _other = instrument(other, memory.options);
    other.route(ASK, ({ data }) => `${data}?`);
    await other.connect();
    server.route(UPPER, async ({ data }) => {
      await Promise.resolve();
      const [, second] = server.clients;
      return await second.request(ASK, data);
    });
    assertEquals(await client.request(UPPER, "x"), "x?");
    const chain = [
      memory.span("upper", SpanKind.CLIENT),
      memory.span("upper", SpanKind.SERVER),
      memory.span("ask", SpanKind.CLIENT),
      memory.span("ask", SpanKind.SERVER),
    ];
    assertEquals(
      chain.map(({ parentSpanContext }) => parentSpanContext?.spanId),
      [undefined, ...chain.slice(0, 3).map((span) => span.spanContext().spanId)],
    );
  });

  it("joins messages and broadcasts, which are propagated once", async () => {
    await using peers = await traced();
    const { client, info, memory, server } = peers;
    const got: string[] = [];
    for (const end of [client, server as unknown as Client]) end.route(NOTE, ({ data }) => void got.push(data));
    client.send(NOTE, "up");
    info.send(NOTE, "down");
    assertEquals(server.broadcast(NOTE, "all").sent, 1);
    await until(() => got.length === 3 && memory.spans.length === 6);
    const processed = memory.spans.filter(({ kind }) => kind === SpanKind.CONSUMER);
    const sent = memory.spans.filter(({ kind }) => kind === SpanKind.PRODUCER);
    assertEquals(sent.map(({ name }) => name), ["send note", "send note", "broadcast note"]);
    assertEquals(processed.map(({ name }) => name), Array(3).fill("process note"));
    assertEquals(
      processed.map(({ parentSpanContext }) => parentSpanContext?.spanId).sort(),
      sent.map((span) => span.spanContext().spanId).sort(),
    );
    assertEquals(sent[2].attributes, {
      "messaging.system.name": "veltix",
      "messaging.operation.name": "broadcast",
      "messaging.operation.type": "send",
      "messaging.destination.name": "note",
      "messaging.batch.message_count": 1,
      "veltix.broadcast.dropped": 0,
    });
    assertEquals(processed[0].attributes["messaging.operation.type"], "process");
  });

  it("follows a stream to its end, and its generator and what it waits for are in its context", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    const active: unknown[] = [];
    const see = (): void => void active.push(trace.getActiveSpan()?.spanContext().spanId);
    server.stream(COUNT, async function* ({ head }): AsyncGenerator<number, string> {
      for (let i = 0; i < head; i++) {
        see();
        await Promise.resolve();
        see();
        yield i;
      }
      see();
      return "done";
    });
    const stream = client.open(COUNT, 2);
    const items: number[] = [];
    for await (const item of stream) items.push(item);
    assertEquals([items, await stream.result], [[0, 1], "done"]);
    await until(() => memory.spans.length === 2);
    const handled = memory.span("count", SpanKind.SERVER);
    const opened = memory.span("count", SpanKind.CLIENT);
    assertEquals(active, Array(5).fill(handled.spanContext().spanId));
    assertEquals(handled.parentSpanContext?.spanId, opened.spanContext().spanId);
    assertEquals([handled.attributes["veltix.stream.items"], handled.attributes["rpc.status_code"]], [2, "ok"]);
  });

  it("follows streams that are functions, ReadableStreams, that fail, and that are left", async () => {
    await using peers = await traced();
    const { client, errors, memory, server } = peers;
    const kinds: Record<number, () => unknown> = {
      0: () => "at once",
      1: () => Promise.resolve("later"),
      2: () => new ReadableStream({ start: (end) => (end.enqueue(1), end.enqueue(2), end.close()) }),
      3: async function* (): AsyncGenerator<number> {
        yield 1;
        await Promise.reject(Object.assign(new Error("broken"), { code: "broken" }));
      },
      4: async function* (): AsyncGenerator<number> {
        for (let i = 0;; i++) yield i;
      },
      5: () => new ReadableStream({ pull: () => Promise.reject(new TypeError("no source")) }),
    };
    server.stream(COUNT, (({ head }: { head: number }) => kinds[head]()) as never);
    assertEquals(await client.open(COUNT, 0).result, "at once");
    assertEquals(await client.open(COUNT, 1).result, "later");
    for (const head of [2, 3, 5]) {
      const stream = client.open(COUNT, head);
      await Array.fromAsync(stream).catch(() => {});
      await stream.result.catch(() => {});
    }
    for await (const _item of client.open(COUNT, 4)) break;
    await until(() => memory.spans.length === 12);
    const handled = memory.seen.filter(({ kind }) => kind === "SERVER")
      .map(({ status, attributes }) => [status, attributes["rpc.status_code"], attributes["error.type"]]);
    assertEquals(handled, [
      ["UNSET", "ok", undefined],
      ["UNSET", "ok", undefined],
      ["UNSET", "ok", undefined],
      ["ERROR", "broken", "broken"],
      ["ERROR", "handler-failed", "TypeError"],
      ["UNSET", "ok", undefined],
    ]);
    assertEquals(errors.map((error) => (error as Error).message).filter((one) => one !== undefined).length >= 2, true);
  });

  it("records errors: of handlers with the exception, declared ones as answers, and at the asker", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    server.route(UPPER, ({ data }) => {
      if (data === "sync") throw new RangeError("too high");
      return Promise.reject(Object.assign(new Error("no rows"), { code: "ENOROWS" }));
    });
    server.route(FIND, () => {
      throw errorOf(FIND, "not-found", "nobody");
    });
    await assertRejects(() => client.request(UPPER, "sync"), RemoteError, "too high");
    await assertRejects(() => client.request(UPPER, "later"), RemoteError, "no rows");
    await assertRejects(() => client.request(FIND, 7), RemoteError, "nobody");
    await assertRejects(() => client.request(ASK, "?"), RemoteError);
    await until(() => memory.spans.length === 8);
    const seen = (kind: string): unknown[] =>
      memory.seen.filter((span) => span.kind === kind)
        .map((
          { name, status, attributes: a },
        ) => [name, status, a["rpc.status_code"], a["error.type"], a["rpc.method"]]);
    assertEquals(seen("SERVER"), [
      ["upper", "ERROR", "handler-failed", "RangeError", "upper"],
      ["upper", "ERROR", "ENOROWS", "ENOROWS", "upper"],
      ["find", "UNSET", "not-found", undefined, "find"],
      ["veltix", "ERROR", "no-route", "no-route", "_OTHER"],
    ]);
    assertEquals(seen("CLIENT"), [
      ["upper", "ERROR", "handler-failed", "handler-failed", "upper"],
      ["upper", "ERROR", "ENOROWS", "ENOROWS", "upper"],
      ["find", "ERROR", "not-found", "not-found", "find"],
      ["ask", "ERROR", "no-route", "no-route", "ask"],
    ]);
    const [first] = memory.spans.filter(({ kind }) => kind === SpanKind.SERVER);
    assertEquals(first.status.message, "too high");
    assertEquals(first.events.map(({ name, attributes }) => [name, attributes?.["exception.type"]]), [
      ["exception", "RangeError"],
    ]);
  });

  it("says that a handler went on for nobody, or took too long", async () => {
    await using peers = await traced();
    const { client, memory, server, world } = peers;
    const begun = deferred<void>();
    server.route(UPPER, ({ signal }) => {
      begun.resolve();
      return new Promise<string>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    server.route(ASK, ({ signal }) => {
      return new Promise<string>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }, { timeout: 50 });
    const controller = new AbortController();
    const given = client.request(UPPER, "x", { signal: controller.signal });
    await begun.promise;
    controller.abort(new DOMException("enough", "AbortError"));
    await assertRejects(() => given, DOMException);
    await until(() => memory.spans.length === 2);
    const slow = client.request(ASK, "x").catch(({ code }) => code);
    await until(() => server.clients[0].stats().runningHandlers === 1);
    await world.clock.advance(60);
    assertEquals(await slow, "timeout");
    await until(() => memory.spans.length === 4);
    const seen = memory.seen.map(({ kind, status, attributes }) => [kind, status, attributes["rpc.status_code"]]);
    assertEquals(seen.slice(0, 2).sort(), [["CLIENT", "ERROR", "AbortError"], ["SERVER", "UNSET", "cancelled"]]);
    assertEquals(seen.slice(2).sort(), [["CLIENT", "ERROR", "timeout"], ["SERVER", "ERROR", "timeout"]]);
  });

  it("leaves a context of the program as it is, and links to it", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    const got = deferred<unknown>();
    server.route(NOTE, ({ meta }) => got.resolve({ ...meta }));
    client.send(NOTE, "x", { meta: { traceparent: PARENT, a: "1" } });
    assertEquals(await got.promise, { traceparent: PARENT, a: "1" });
    await until(() => memory.spans.length === 2);
    const sent = memory.span("send note", SpanKind.PRODUCER);
    assertEquals(sent.links.map((link) => link.context.spanId), ["b7ad6b7169203331"]);
    assertEquals(memory.span("process note", SpanKind.CONSUMER).spanContext().traceId, PARENT.slice(3, 35));
  });

  it("only links to the contexts of peers that are not trusted, and takes none of their baggage", async () => {
    const asked: unknown[] = [];
    await using peers = await traced({ trust: (peer) => (asked.push(peer), false) });
    const { client, info, memory, server } = peers;
    const baggage = deferred<unknown>();
    server.route(NOTE, () => baggage.resolve(propagation.getActiveBaggage()));
    const within = propagation.setBaggage(
      context.active(),
      propagation.createBaggage({ user: { value: "ada", metadata: baggageEntryMetadataFromString("") } }),
    );
    context.with(within, () => client.send(NOTE, "x"));
    assertEquals(await baggage.promise, undefined);
    await until(() => memory.spans.length === 2);
    const sent = memory.span("send note", SpanKind.PRODUCER).spanContext();
    const { links, parentSpanContext } = memory.span("process note", SpanKind.CONSUMER);
    assertEquals(parentSpanContext, undefined);
    assertEquals(links.map((link) => link.context.spanId), [sent.spanId]);
    assertEquals(asked, [info]);
  });

  it("trusts only if the function says true, not if it returns a promise or anything else, and says so once", async () => {
    const answers: [unknown, number][] = [
      [true, 0],
      [false, 0],
      [() => Promise.resolve(true), 1],
      [() => Promise.reject(new Error("trust is broken")), 1],
      [() => 1, 1],
      [() => undefined, 1],
      [() => {
        throw new Error("trust is broken");
      }, 1],
    ];
    for (const [answer, reports] of answers) {
      using diagnosed = listenToDiag();
      const trust = (typeof answer === "function" ? answer : () => answer) as () => boolean;
      await using peers = await traced({ trust });
      const { client, memory, server } = peers;
      server.route(UPPER, ({ data }) => data);
      const meta = { traceparent: PARENT };
      for (let i = 0; i < 2; i++) assertEquals(await client.request(UPPER, "x", { meta }), "x");
      await until(() => memory.spans.length === 4);
      const handled = memory.spans.filter(({ kind }) => kind === SpanKind.SERVER);
      assertEquals(
        handled.map(({ parentSpanContext, links }) => [parentSpanContext?.traceId, links.length]),
        Array(2).fill(answer === true ? [PARENT.slice(3, 35), 0] : [undefined, 1]),
      );
      assertEquals(diagnosed.lines.length, reports);
    }
  });

  it("ignores attributes that come as a promise, also as one that rejects, and says so once for each side", async () => {
    for (const give of [() => Promise.resolve({ a: 1 }), () => Promise.reject(new Error("attributes are broken"))]) {
      using diagnosed = listenToDiag();
      await using peers = await traced({ attributes: give as never });
      const { client, memory, server } = peers;
      server.route(UPPER, ({ data }) => data);
      for (let i = 0; i < 2; i++) assertEquals(await client.request(UPPER, "x"), "x");
      await until(() => memory.spans.length === 4);
      assert(memory.seen.every(({ attributes }) => !("a" in attributes)));
      assertEquals(diagnosed.lines.length, 2);
      assert((diagnosed.lines[0][1] as Error).message.includes("at once"));
    }
  });

  it("takes a context from peers only if it is one", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    const bad = [
      "",
      "x",
      PARENT.slice(1),
      `${PARENT}-more`,
      `ff${PARENT.slice(2)}`,
      PARENT.replace(/[1-9a-f]/g, "0"),
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "-".repeat(5_000),
    ];
    let handled = 0;
    server.route(NOTE, () => void handled++);
    client.useOutgoing((_call, next) => next());
    for (const traceparent of bad) client.send(NOTE, "x", { meta: { traceparent, tracestate: "=,=,".repeat(300) } });
    await until(() => handled === bad.length);
    const received = memory.spans.filter(({ kind }) => kind === SpanKind.CONSUMER);
    assertEquals(
      received.map(({ parentSpanContext, links }) => [parentSpanContext, links]),
      bad.map(() => [undefined, []]),
    );
  });

  it("sends no metadata to peers that take none, and loses no message for it", async () => {
    const world = memoryWorld();
    await using memory = new Memory();
    await using served = await serve(world, { protocol: "1.6.3" });
    const { server } = served;
    const { hostname, port } = served.address;
    await using client = new Client({ hostname, port, transport: world.transport, protocol: "1.6.3" });
    using _server = instrument(server, memory.options);
    using _client = instrument(client, memory.options);
    const got: unknown[] = [];
    server.route(UPPER, ({ data, meta }) => (got.push({ ...meta }), data.toUpperCase()));
    client.route(NOTE, ({ data, meta }) => void got.push([data, { ...meta }]));
    await client.connect();
    assertEquals(await client.request(UPPER, "x"), "X");
    assertEquals(server.broadcast(NOTE, "hi"), { sent: 1, dropped: 0, closed: 0 });
    await until(() => got.length === 2);
    assertEquals(got, [{}, ["hi", {}]]);
  });

  it("leaves its context out where the metadata of the program leaves no room for it", async () => {
    await using peers = await traced();
    const { client, server } = peers;
    server.route(UPPER, ({ meta }) => `${Object.keys(meta).length} ${meta.traceparent === undefined ? "no" : "yes"}`);
    const names = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, "v"]));
    assertEquals(await client.request(UPPER, "", { meta: names(60) }), "61 yes");
    assertEquals(await client.request(UPPER, "", { meta: names(64) }), "64 no");
    assertEquals(await client.request(UPPER, "", { meta: { a: "x".repeat(7_500) } }), "2 yes");
    assertEquals(await client.request(UPPER, "", { meta: { a: "x".repeat(8_180) } }), "1 no");
    // What the program does wrong, it learns as it would without telemetry.
    await assertRejects(() => client.request(UPPER, "", { meta: names(65) }), RangeError, "65 names");
    await assertRejects(() => client.request(UPPER, "", { meta: { a: 1 } as never }), TypeError, "must be a string");
  });

  it("sends the context without its baggage where both together are too much", async () => {
    await using peers = await traced();
    const { client, server } = peers;
    server.route(UPPER, ({ meta }) => Object.keys(meta).sort().join());
    const entries = Object.fromEntries(Array.from({ length: 2 }, (_, i) => [`k${i}`, { value: "x".repeat(4_000) }]));
    const within = propagation.setBaggage(context.active(), propagation.createBaggage(entries));
    assertEquals(await context.with(within, () => client.request(UPPER, "")), "baggage,traceparent");
    assertEquals(
      await context.with(within, () => client.request(UPPER, "", { meta: { a: "x".repeat(200) } })),
      "a,traceparent",
    );
  });

  it("propagates nothing if it shall not, and makes only the spans that it shall", async () => {
    await using peers = await traced({ propagate: false, spans: ["message"] });
    const { client, memory, server } = peers;
    server.route(UPPER, ({ meta }) => JSON.stringify(meta));
    server.route(NOTE, () => {});
    assertEquals(await client.request(UPPER, ""), "{}");
    client.send(NOTE, "x");
    await until(() => memory.spans.length === 2);
    assertEquals(memory.spans.map(({ name }) => name).sort(), ["process note", "send note"]);
  });

  it("passes contexts on without spans of its own", async () => {
    await using peers = await traced({ spans: [] });
    const { client, memory, server } = peers;
    const tracer = memory.tracerProvider.getTracer("program");
    server.route(UPPER, async () => {
      await Promise.resolve();
      tracer.startSpan("inner").end();
      return "";
    });
    await tracer.startActiveSpan("outer", async (span) => {
      await client.request(UPPER, "");
      span.end();
    });
    const [inner, outer] = memory.spans;
    assertEquals([inner.name, inner.parentSpanContext?.spanId], ["inner", outer.spanContext().spanId]);
    assertEquals(memory.spans.length, 2);
  });

  it("passes on that a trace is not sampled", async () => {
    const memory = new Memory(new ParentBasedSampler({ root: new AlwaysOffSampler() }));
    await using peers = await traced({}, memory);
    const { client, server } = peers;
    server.route(UPPER, ({ meta }) => meta.traceparent.slice(-2));
    assertEquals(await client.request(UPPER, ""), "00");
    assertEquals(memory.spans, []);
  });

  it("adds the attributes of the program and, if asked, sizes", async () => {
    const subjects: SpanSubject[] = [];
    await using peers = await traced({
      sizes: true,
      attributes: (subject) => {
        subjects.push(subject);
        return { "app.type": subject.type?.name ?? "none", "app.sent": subject.direction === "outgoing" };
      },
    });
    const { client, info, memory, server } = peers;
    server.route(UPPER, ({ data }) => data);
    server.route(NOTE, () => {});
    await client.request(UPPER, "12345");
    client.send(NOTE, "123");
    await until(() => memory.spans.length === 4);
    assertEquals(memory.span("upper", SpanKind.SERVER).attributes["veltix.request.body.size"], 5);
    assertEquals(memory.span("process note", SpanKind.CONSUMER).attributes["messaging.message.body.size"], 3);
    assertEquals(memory.span("upper", SpanKind.CLIENT).attributes["app.sent"], true);
    assertEquals(
      subjects.map((
        { name, direction, type, peer, payload, meta },
      ) => [name, direction, type, peer, payload, Object.keys(meta)]),
      [
        ["request", "outgoing", UPPER, client, "12345", []],
        ["request", "incoming", UPPER, info, "12345", ["traceparent"]],
        ["message", "outgoing", NOTE, client, "123", []],
        ["message", "incoming", NOTE, info, "123", ["traceparent"]],
      ],
    );
  });

  it("lets no message fail if its own functions, a provider or an exporter fail, and says so once", async () => {
    using diagnosed = listenToDiag();
    const fail = (): never => {
      throw new Error("telemetry is broken");
    };
    const broken: InstrumentOptions<unknown>[] = [
      { attributes: fail },
      { trust: fail },
      { tracerProvider: { getTracer: () => ({ startSpan: fail, startActiveSpan: fail }) } },
      { meterProvider: { getMeter: fail } },
    ];
    for (const options of broken) {
      diagnosed.lines.splice(0);
      await using peers = await traced(options);
      const { client, server } = peers;
      server.route(UPPER, ({ data }) => data.toUpperCase());
      const noted: string[] = [];
      server.route(NOTE, ({ data }) => void noted.push(data));
      for (const one of ["a", "b"]) {
        assertEquals(await client.request(UPPER, one), one.toUpperCase());
        client.send(NOTE, one);
      }
      await until(() => noted.length === 2);
      assert(
        diagnosed.lines.length >= 1 && diagnosed.lines.length <= 2,
        `${Object.keys(options)} ${diagnosed.lines.length}`,
      );
      assertEquals(peers.errors, []);
    }
  });

  it("ends a span whose context a propagator cannot write, and sends the message without it", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    server.route(UPPER, ({ meta }) => JSON.stringify(meta));
    propagation.disable();
    propagation.setGlobalPropagator({
      inject(): never {
        throw new Error("inject is broken");
      },
      extract: (context) => context,
      fields: () => [],
    });
    try {
      using diagnosed = listenToDiag();
      for (let i = 0; i < 2; i++) assertEquals(await client.request(UPPER, ""), "{}");
      await ended(memory, 4);
      assertEquals(memory.seen.filter(({ kind }) => kind === "CLIENT").map(({ status }) => status), ["UNSET", "UNSET"]);
      assertEquals(diagnosed.lines.length, 1);
    } finally {
      context.disable();
      propagation.disable();
      unregister = register();
    }
  });

  it("begins a span without a context that a propagator cannot read", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    server.route(UPPER, ({ data }) => data);
    propagation.disable();
    propagation.setGlobalPropagator({
      inject: (_context, carrier, setter) => setter.set(carrier, "traceparent", PARENT),
      extract(): never {
        throw new Error("extract is broken");
      },
      fields: () => [],
    });
    try {
      using diagnosed = listenToDiag();
      assertEquals(await client.request(UPPER, "x"), "x");
      await ended(memory, 2);
      assertEquals(memory.span("upper", SpanKind.SERVER).parentSpanContext, undefined);
      assertEquals(diagnosed.lines.length, 1);
    } finally {
      context.disable();
      propagation.disable();
      unregister = register();
    }
  });

  it("ends the spans of handlers that throw or return what cannot be looked at", async () => {
    await using peers = await traced();
    const { client, errors, memory, server } = peers;
    const fail = (): never => {
      throw new Error("hostile");
    };
    const hostile = new Proxy({}, { get: fail, getPrototypeOf: fail, has: fail });
    const unreadable = Object.defineProperty(new Error(), "message", { get: fail });
    const throwing: Record<string, unknown> = { proxy: hostile, error: unreadable };
    server.route(UPPER, ({ data }) => {
      throw throwing[data];
    });
    server.route(ASK, ({ data }) => Promise.reject(throwing[data]));
    server.route(FIND, () => hostile as never);
    const broken: unknown[] = [hostile, { [Symbol.asyncIterator]: fail }, {
      get [Symbol.asyncIterator]() {
        return fail();
      },
    }];
    server.stream(COUNT, (({ head }: { head: number }) => broken[head]) as never);
    for (const data of ["proxy", "error"]) {
      for (const type of [UPPER, ASK]) await assertRejects(() => client.request(type, data), RemoteError);
    }
    await assertRejects(() => client.request(FIND, 1), RemoteError);
    for (const head of broken.keys()) await assertRejects(() => client.open(COUNT, head).result);
    await ended(memory, 2 * (4 + 1 + broken.length));
    assertEquals(new Set(memory.seen.map(({ status }) => status)), new Set(["ERROR"]));
    assertEquals(errors.length, 4 + 1 + broken.length);
  });

  it("ends the span of a ReadableStream that cannot be sent, and leaves the error to the library", async () => {
    const outcomes: unknown[] = [];
    for (const telemetry of [false, true]) {
      await using peers = telemetry ? await traced() : await streamPeers();
      const { client, server } = peers;
      server.stream(
        COUNT,
        ((ends: { head: number; writable: WritableStream }) => {
          const source = new ReadableStream({ pull: (end) => end.enqueue(1) });
          if (ends.head === 0) source.getReader();
          else ends.writable.getWriter();
          return ends.head < 2 ? source : Promise.resolve(source);
        }) as never,
      );
      const seen: unknown[] = [];
      for (const head of [0, 1, 2]) {
        const error = await client.open(COUNT, head).result.catch((error) => error);
        seen.push([error.code, error.message]);
      }
      outcomes.push(seen);
      if (!telemetry) continue;
      const { memory } = peers as Traced;
      await ended(memory, 6);
      assertEquals(new Set(memory.seen.map(({ status }) => status)), new Set(["ERROR"]));
    }
    assertEquals(outcomes[1], outcomes[0]);
  });

  it("ends the spans of calls whose middleware returns nothing, and leaves the error to the library", async () => {
    await using peers = await traced();
    const { client, info, memory, server } = peers;
    client.useOutgoing(() => undefined);
    server.useOutgoing(() => undefined);
    const cannot = (what: string): string => `Cannot ${what}: a middleware returned undefined in place of`;
    assertThrows(() => server.broadcast(NOTE, "x"), TypeError, cannot('broadcast "note"'));
    assertThrows(() => info.send(NOTE, "x"), TypeError, cannot('send "note"'));
    assertThrows(() => client.open(COUNT, 1), TypeError, cannot('open "count"'));
    await assertRejects(() => client.request(UPPER, "x"), TypeError, cannot('request "upper"'));
    assertEquals(memory.seen.map(({ name, status, attributes }) => [name, status, attributes["error.type"]]), [
      ["broadcast note", "ERROR", "TypeError"],
      ["send note", "ERROR", "TypeError"],
      ["count", "ERROR", "TypeError"],
      ["upper", "ERROR", "TypeError"],
    ]);
  });

  it("keeps what handlers and callers see: results, errors, and thenables that do their work when asked", async () => {
    await using peers = await traced();
    const { client, errors, memory, server } = peers;
    let asked = 0;
    // As query builders do.
    server.route(UPPER, () => ({ then: (done: (value: string) => void) => (asked++, done("lazy")) }) as never);
    assertEquals(await client.request(UPPER, ""), "lazy");
    assertEquals(asked, 1);
    const failure = new Error("mine");
    server.route(ASK, () => Promise.reject(failure));
    await assertRejects(() => client.request(ASK, ""), RemoteError, "mine");
    assertEquals(errors, [failure]);
    await until(() => memory.spans.length === 4);
  });

  it("gives handlers their context where no context manager is registered", async () => {
    context.disable();
    try {
      await using memory = new Memory();
      await using peers = await streamPeers();
      const { client, server } = peers;
      using telemetry = instrument(server, memory.options);
      using _client = instrument(client, memory.options);
      const tracer = memory.tracerProvider.getTracer("program");
      client.route(ASK, ({ data }) => data);
      server.route(UPPER, async (message, from) => {
        tracer.startSpan("inner", {}, telemetry.contextOf(message)).end();
        return await from.request(ASK, message.data, { within: message });
      });
      await client.request(UPPER, "x");
      const handled = memory.span("upper", SpanKind.SERVER).spanContext();
      for (const child of [memory.span("inner", SpanKind.INTERNAL), memory.span("ask", SpanKind.CLIENT)]) {
        assertEquals(child.parentSpanContext?.spanId, handled.spanId);
      }
      assertEquals(telemetry.contextOf({}), ROOT_CONTEXT);
    } finally {
      register();
    }
  });

  it("does not take the context in which a client connected for that of what it receives", async () => {
    await using memory = new Memory();
    const world = memoryWorld();
    await using served = await serve(world);
    const { hostname, port } = served.address;
    await using client = new Client({ hostname, port, transport: world.transport });
    using _client = instrument(client, memory.options);
    client.route(NOTE, () => {});
    await memory.tracerProvider.getTracer("program").startActiveSpan("start", async (span) => {
      await client.connect();
      span.end();
    });
    const [info] = await served.events.next("connect");
    info.send(NOTE, "x");
    await until(() => memory.spans.length === 3);
    assertEquals(memory.span("process note", SpanKind.CONSUMER).parentSpanContext, undefined);
    assertEquals(
      memory.span("connect", SpanKind.CLIENT).parentSpanContext?.spanId,
      memory.span("start", SpanKind.INTERNAL).spanContext().spanId,
    );
  });

  it("traces attempts to connect, those that fail, too", async () => {
    await using memory = new Memory();
    const world = memoryWorld();
    const served = await serve(world);
    const { hostname, port } = served.address;
    await using client = new Client({ hostname, port, transport: world.transport });
    using _client = instrument(client, memory.options);
    await client.connect();
    await client.close();
    await served[Symbol.asyncDispose]();
    const error = await client.connect().catch((error) => error);
    const [good, bad] = memory.spans;
    assertEquals(memory.seen.map(({ name, kind, status }) => [name, kind, status]), [
      ["connect", "CLIENT", "UNSET"],
      ["connect", "CLIENT", "ERROR"],
    ]);
    assertEquals(good.attributes, {
      "network.protocol.name": "veltix",
      "network.transport": "tcp",
      "network.peer.address": hostname,
      "network.peer.port": port,
      "server.address": hostname,
      "server.port": port,
      "veltix.attempt": 0,
      "veltix.protocol": "native",
    });
    assertEquals([bad.attributes["error.type"], bad.status.message], [error.code, error.message]);
    const failures = (await memory.metrics()).get("veltix.connect.failures");
    assertEquals(failures, [{ attributes: { "veltix.role": "client", "error.type": error.code }, value: 1 }]);
  });

  it("measures calls in seconds, in the buckets of the conventions, and counts messages", async () => {
    await using peers = await traced();
    const { client, memory, server, world } = peers;
    server.route(UPPER, ({ data }) => data.toUpperCase());
    server.route(NOTE, () => {});
    server.route(FIND, () => {
      throw Object.assign(new Error("?"), { code: `made up ${Math.PI}` });
    });
    await client.request(UPPER, "x");
    await client.request(UPPER, "y");
    await client.request(FIND, 1).catch(() => {});
    client.send(NOTE, "x");
    server.broadcast(NOTE, "y");
    await until(() => memory.spans.length === 10);
    const metrics = await memory.metrics();
    const { port } = server.addresses[0] as { port: number };
    const call = { "rpc.system.name": "veltix", "rpc.method": "upper", "rpc.status_code": "ok" };
    const to = { "server.address": "127.0.0.1", "server.port": port };
    const [asked, failed] = metrics.get("rpc.client.call.duration")!;
    assertEquals([asked.attributes, asked.value.count], [{ ...call, ...to }, 2]);
    // A peer can make up any number of codes, and each would be a series of its own.
    assertEquals(failed.attributes["error.type"], "_OTHER");
    const [answered] = metrics.get("rpc.server.call.duration")!;
    assertEquals([answered.attributes, answered.value.count], [call, 2]);
    assertEquals(answered.value.buckets.boundaries, [
      0.005,
      0.01,
      0.025,
      0.05,
      0.075,
      0.1,
      0.25,
      0.5,
      0.75,
      1,
      2.5,
      5,
      7.5,
      10,
    ]);
    const note = { "messaging.system.name": "veltix", "messaging.destination.name": "note" };
    assertEquals(metrics.get("messaging.client.sent.messages"), [
      { attributes: { ...note, "messaging.operation.name": "send" }, value: 2 },
    ]);
    const sum = (name: string): number => metrics.get(name)!.reduce((all, { value }) => all + value, 0);
    // The client has no route for the broadcast: a name that a peer has chosen is no series.
    assertEquals(
      metrics.get("messaging.client.consumed.messages")!.map(({ attributes }) =>
        attributes["messaging.destination.name"]
      )
        .sort(),
      ["_OTHER", "find", "note", "upper"],
    );
    assertEquals(sum("messaging.client.consumed.messages"), 5);
    assertEquals(metrics.get("messaging.process.duration")!.length, 2);
    assert(world.clock !== undefined);
  });

  it("makes no series of the codes of a peer, in whichever handler its error comes up", async () => {
    await using peers = await traced();
    const { client, memory, server } = peers;
    let made = 0;
    client.route(ASK, () => {
      throw Object.assign(new Error("?"), { code: `made-up-${made++}` });
    });
    const noted: unknown[] = [];
    server.route(UPPER, async ({ data }, from) => await from.request(ASK, data));
    server.route(NOTE, async ({ data }, from) => {
      await from.request(ASK, data).finally(() => noted.push(data));
    });
    server.stream(COUNT, async function* (_stream, from): AsyncGenerator<number, string> {
      yield 1;
      return await from.request(ASK, "");
    });
    server.route(FIND, () => {
      throw new RemoteError("not-found", "declared");
    });
    for (const data of ["a", "b", "c"]) {
      const error = await client.request(UPPER, data).catch((error) => error);
      // Callers and spans still have it.
      assertEquals(error.code, `made-up-${made - 1}`);
      client.send(NOTE, data);
      await until(() => noted.includes(data));
      const stream = client.open(COUNT, 1);
      await Array.fromAsync(stream).catch(() => {});
      await assertRejects(() => stream.result);
    }
    await client.request(FIND, 1).catch(() => {});
    await until(() => memory.spans.length === 3 * (4 + 4 + 4) + 2);
    assert(memory.seen.some(({ kind, attributes }) => kind === "SERVER" && attributes["error.type"] === "made-up-0"));
    const metrics = await memory.metrics();
    const of = (name: string, method: string): unknown[] =>
      metrics.get(name)!.map((
        { attributes: a, value },
      ) => [a[method], a["rpc.status_code"], a["error.type"], value.count])
        .sort();
    assertEquals(of("rpc.server.call.duration", "rpc.method"), [
      // Handlers of the client, whose own codes these are.
      ...Array.from({ length: 9 }, (_, i) => ["ask", `made-up-${i}`, `made-up-${i}`, 1]),
      ["count", "_OTHER", "_OTHER", 3],
      ["find", "not-found", undefined, 1],
      ["upper", "_OTHER", "_OTHER", 3],
    ]);
    assertEquals(of("messaging.process.duration", "messaging.destination.name"), [["note", undefined, "_OTHER", 3]]);
  });

  it("reads what it can from stats(), and forgets no connection that is over", async () => {
    await using memory = new Memory();
    const world = memoryWorld();
    await using served = await serve(world, { maxConnections: 2 });
    const { server, events } = served;
    const { hostname, port } = served.address;
    using _server = instrument(server, memory.options);
    server.route(UPPER, ({ data }) => data.toUpperCase());
    const clients = [1, 2].map(() => new Client({ hostname, port, transport: world.transport }));
    const value = async (name: string, attributes: Record<string, string>): Promise<unknown> => {
      const points = (await memory.metrics()).get(name) ?? [];
      return points.find((point) => Object.entries(attributes).every(([key, one]) => point.attributes[key] === one))
        ?.value;
    };
    for (const client of clients) {
      await client.connect();
      await client.request(UPPER, "x");
    }
    assertEquals(await value("veltix.connections", { "veltix.connection.state": "open" }), 2);
    const before = await value("veltix.io", { "network.io.direction": "receive" }) as number;
    const expected = clients.reduce((all, client) => all + client.stats().bytesSent!, 0);
    assert(before > 0 && before <= expected, `${before} of ${expected}`);
    const third = new Client({ hostname, port, transport: world.transport });
    await third.connect().catch(() => {});
    assertEquals(await value("veltix.handshakes.refused", { "error.type": "too-many-connections" }), 1);
    await clients[0].close();
    await events.next("disconnect");
    assertEquals(await value("veltix.connections", { "veltix.connection.state": "open" }), 1);
    assertEquals(await value("veltix.disconnects", { "veltix.role": "server" }), 1);
    assert(await value("veltix.io", { "network.io.direction": "receive" }) as number >= before);
    await clients[1].close();
  });

  it("counts reconnects, and adds the bytes of all connections of a client", async () => {
    await using memory = new Memory();
    const world = memoryWorld();
    await using served = await serve(world);
    const { hostname, port } = served.address;
    await using client = new Client({ hostname, port, transport: world.transport, reconnect: { delay: 10 } as never });
    using _client = instrument(client, memory.options);
    const connected = deferred<void>();
    served.server.route(UPPER, ({ data }) => data);
    await client.connect();
    await client.request(UPPER, "x");
    const sent = client.stats().framesSent!;
    const [info] = await served.events.next("connect");
    const gone = deferred<number | undefined>();
    client.on("disconnect", ({ stats }) => gone.resolve(stats?.framesSent), { once: true });
    client.on("connect", () => connected.resolve(), { once: true });
    void info.close("manual", { drain: 0 });
    const last = await gone.promise;
    assert(last !== undefined && last >= sent);
    await world.clock.advance(60_000);
    await connected.promise;
    await client.request(UPPER, "x");
    const metrics = await memory.metrics();
    assertEquals(metrics.get("veltix.reconnects"), [{ attributes: { "veltix.role": "client" }, value: 1 }]);
    const frames = metrics.get("veltix.frames")!
      .find(({ attributes }) => attributes["network.io.direction"] === "transmit");
    assertEquals(frames?.value, last + client.stats().framesSent!);
  });

  it("takes everything off again", async () => {
    await using memory = new Memory();
    await using peers = await streamPeers();
    const { client, server } = peers;
    server.route(UPPER, ({ meta }) => JSON.stringify(meta));
    const telemetry = [instrument(server, memory.options), instrument(client, memory.options)];
    await client.request(UPPER, "");
    assertEquals(memory.spans.length, 2);
    for (const one of telemetry) {
      one.stop();
      one.stop();
    }
    assertEquals(await client.request(UPPER, ""), "{}");
    await peers.info.close("manual", { drain: 0 });
    assertEquals(memory.spans.length, 2);
    const metrics = await memory.metrics();
    assertEquals([metrics.get("veltix.disconnects"), metrics.get("veltix.connections")], [undefined, undefined]);
  });

  it("refuses what is instrumented already, until that is stopped", async () => {
    await using memory = new Memory();
    await using peers = await streamPeers();
    const { client, server } = peers;
    server.route(UPPER, ({ data }) => data);
    for (const end of [server, client]) {
      // A call that fails leaves no mark.
      const getTracer = (): never => {
        throw new Error("no tracer");
      };
      assertThrows(() => instrument(end as Client, { tracerProvider: { getTracer } }), Error, "no tracer");
      using first = instrument(end as Client, memory.options);
      assertThrows(() => instrument(end as Client, memory.options), Error, "instrumented already");
      first.stop();
      const second = instrument(end as Client, memory.options);
      // Stopping the first one again does not take the mark of the second.
      first.stop();
      assertThrows(() => instrument(end as Client), Error, "instrumented already");
      await client.request(UPPER, "x");
      second.stop();
    }
    await until(() => memory.spans.length === 2);
    assertEquals(memory.seen.map(({ kind }) => kind), ["SERVER", "CLIENT"]);
  });

  it("refuses what is no Server or Client, and options that are wrong", () => {
    assertThrows(() => instrument({} as never), TypeError, "a Server or a Client");
    const server = new Server({ listen: [] });
    const wrong: [object, string][] = [
      [{ span: [] }, 'Unknown option "span"'],
      [{ spans: ["all"] }, 'spans has "all"'],
      [{ spans: "request" }, "spans must be a list"],
      [{ trust: 1 }, "trust"],
      [{ metrics: "yes" }, "metrics"],
      [{ attributes: {} }, "attributes"],
      [{ tracerProvider: {} }, "tracerProvider must have the method getTracer"],
      [{ meterProvider: null }, "meterProvider must have the method getMeter"],
    ];
    for (const [options, part] of wrong) assertThrows(() => instrument(server, options as never), TypeError, part);
  });
});
