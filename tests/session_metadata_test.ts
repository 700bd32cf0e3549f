/** Metadata beside payloads: where it goes, where it may not be, and peers that take none. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type Message, messageType, type Metadata, replied, type Server, text } from "../mod.ts";
import { MessageTypeError, PayloadError, RemoteError } from "../src/errors.ts";
import { FeatureSet } from "../src/session/feature.ts";
import { hex, join, utf8 } from "./wire_support.ts";
import {
  deferred,
  face,
  Lines,
  memoryWorld,
  Raw,
  RawServer,
  serve,
  until,
  type World,
  WORLDS,
} from "./session_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const TRACE = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
};
const [REQUEST, REPLY, ERROR, META] = [0x01, 0x02, 0x04, 0x20];
const WITH_META = { features: { meta: {} } };

/** A content that begins with metadata. */
function content(json: string, payload = ""): Uint8Array {
  const bytes = utf8(json);
  return join(Uint8Array.of(bytes.length >> 8, bytes.length), bytes, utf8(payload));
}

/** A server and a client of it. */
async function pair(world: World): Promise<{ server: Server; client: Client } & AsyncDisposable> {
  const served = await serve(world);
  const { transport } = world;
  const client = new Client({ ...served.address, transport, logger: new Lines() });
  await client.connect();
  return {
    server: served.server,
    client,
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await served.server.close({ drain: 0 });
    },
  };
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "none", (error) => error.code);

for (const { name, make } of WORLDS) {
  describe(`metadata, ${name}`, () => {
    it("comes with messages, requests, answers and errors, both ways, and traces pass untouched", async () => {
      await using met = await pair(await make());
      const { client, server } = met;
      const seen: [string, Metadata][] = [];
      const note = deferred<Message<string>>();
      server.route(NOTE, (message) => note.resolve(message));
      server.route(WORK, ({ data, meta, setReplyMeta, reply }) => {
        seen.push([data, meta]);
        if (data !== "plain") setReplyMeta({ for: data });
        if (data === "fail") throw Object.assign(new Error("no"), { code: "failed" });
        return data === "reply" ? reply("by reply") : data === "later" ? Promise.resolve("later") : data;
      });
      server.on("error", () => {});
      client.route(WORK, ({ data, meta, setReplyMeta }) => {
        setReplyMeta({ ...meta, more: "c" });
        return data;
      });
      client.send(NOTE, "hi", { meta: TRACE });
      const message = await note.promise;
      assertEquals([message.data, message.text, message.content.length, { ...message.meta }], ["hi", "hi", 2, TRACE]);
      assertEquals([Object.isFrozen(message.meta), Object.getPrototypeOf(message.meta)], [true, null]);
      assertEquals(message.timeLeft, undefined);

      assertEquals(await client.request(WORK, "now", { meta: TRACE }), "now");
      for (const data of ["now", "later", "reply"]) {
        const answer = await client.exchange(WORK, data, { meta: { asked: data } });
        assertEquals([answer.data, { ...answer.meta }], [data === "reply" ? "by reply" : data, { for: data }]);
        assert(answer.latency >= 0 && Object.isFrozen(answer.meta));
      }
      const bare = await client.exchange(WORK, "plain");
      assertEquals([bare.data, Object.keys(bare.meta), Object.isFrozen(bare.meta)], ["plain", [], true]);
      for (const ask of [client.request(WORK, "fail"), client.exchange(WORK, "fail")]) {
        const error = await assertRejects(() => ask, RemoteError);
        assertEquals([error.code, error.meta.for], ["failed", "fail"]);
      }
      assertEquals(seen.map(([data, meta]) => [data, { ...meta }]).slice(0, 2), [["now", TRACE], ["now", {
        asked: "now",
      }]]);
      assertEquals({ ...seen.find(([data]) => data === "plain")![1] }, {});

      const back = await server.clients[0].exchange(WORK, "up", { meta: { a: "b" } });
      assertEquals([back.data, { ...back.meta }], ["up", { a: "b", more: "c" }]);
      assertEquals(new RemoteError("x", "y").meta, Object.create(null));
    });

    it("reaches all of a broadcast that take it, encoded once", async () => {
      const world = await make();
      await using served = await serve(world);
      const heard: [string, Metadata][] = [];
      const clients = [0, 1].map(() =>
        new Client({ ...served.address, transport: world.transport, logger: new Lines() })
      );
      for (const client of clients) {
        client.route(NOTE, ({ data, meta }) => void heard.push([data, { ...meta }]));
        await client.connect();
      }
      await using old = await Raw.connect(world, served.address, "native");
      await using python = await Raw.connect(world, served.address, "2.0.0");
      await until(() => served.server.clients.length === 4);
      assertEquals(served.server.broadcast(NOTE, "all", { meta: TRACE }), { sent: 2, dropped: 2, closed: 0 });
      assertEquals(served.server.broadcast(NOTE, "bare", { meta: {} }), { sent: 4, dropped: 0, closed: 0 });
      assertThrows(
        () => served.server.broadcast(NOTE, "x", { meta: { a: 1 } as never }),
        TypeError,
        'send "note": meta.a',
      );
      await until(() => heard.length === 4);
      const of = (data: string) => heard.filter(([first]) => first === data);
      assertEquals([of("all"), of("bare")], [[["all", TRACE], ["all", TRACE]], [["bare", {}], ["bare", {}]]]);
      assertEquals([(await old.frame())!.content, (await python.frame())!.content], [utf8("bare"), utf8("bare")]);
      for (const client of clients) await client.close({ drain: 0 });
    });
  });
}

describe("metadata on the wire", () => {
  it("is the frame of docs/protocol.md", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", WITH_META);
    met.client.send(NOTE, "hi", { meta: { a: "b" } });
    const golden = "312000c80000000d000000000474904400097b2261223a2262227d6869";
    assertEquals(hex(await met.raw.bytes(29)), golden);
    const { readFileSync } = await import("node:fs");
    const page = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8");
    assert(page.replaceAll(/\s/g, "").includes(golden), "docs/protocol.md does not show the frame");
  });

  it("is offered, and sent only where there is some: a plain request or a ping has none, a timeout is a deadline", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", WITH_META);
    const frame = async () => {
      const { flags, content } = (await met.raw.frame())!;
      return [flags, new TextDecoder().decode(content)];
    };
    const asked = [
      met.client.request(WORK, "a"),
      met.client.exchange(WORK, "b"),
      met.client.request(WORK, "c", { meta: {} }),
      met.client.request(WORK, "d", { timeout: 70 }),
      met.client.request(WORK, "e", { meta: { x: "y" } }),
      met.client.request(WORK, "f", { meta: { x: "y" }, timeout: 70 }),
      met.client.ping({ timeout: 70 }),
    ].map(codeOf);
    const deadline = '{"deadline":"70"}';
    assertEquals(await frame(), [REQUEST, "a"]);
    assertEquals(await frame(), [REQUEST, "b"]);
    assertEquals(await frame(), [REQUEST, "c"]);
    assertEquals(await frame(), [REQUEST | META, `\0\x11${deadline}d`]);
    assertEquals(await frame(), [REQUEST | META, '\0\x09{"x":"y"}e']);
    assertEquals(await frame(), [REQUEST | META, '\0\x19{"x":"y","deadline":"70"}f']);
    assertEquals(await frame(), [REQUEST, ""]);
    await met.client.close({ drain: 0 });
    assertEquals(new Set(await Promise.all(asked)), new Set(["closed"]));
  });

  it("is a protocol-error where it does not belong, and where it is malformed", async () => {
    const good = content("{}");
    const wrong: [string, number, number, number, Uint8Array][] = [
      ["a PING", 0, REQUEST | META, 9, good],
      ["a PONG", 1, REPLY | META, 9, good],
      ["CANCEL", 3, META, 9, good],
      ["GOAWAY", 4, META, 0, good],
      ["CREDIT", 5, META, 0, good],
      ["a code of nobody", 150, META, 0, good],
      ["a piece of a stream", 201, 0x40 | META, 9, good],
      ["a piece of a stream, back", 201, 0x42 | META, 9, good],
      ["a last piece", 201, 0x48 | META, 9, good],
      ["an opening without streams", 201, 0x41 | META, 9, good],
      ["REQUEST and REPLY", 201, REQUEST | REPLY | META, 9, good],
      ["an id of no request", 201, META, 9, good],
      ["ERROR alone", 201, ERROR | META, 0, good],
      ["no size", 200, META, 0, new Uint8Array(0)],
      ["half a size", 200, META, 0, new Uint8Array(1)],
      ["too little", 200, META, 0, content("{}").slice(0, 3)],
      ["no object", 200, META, 0, content("[]")],
      ["no object in a request", 201, REQUEST | META, 9, content('{"a":1}')],
      ["no object in an answer", 201, REPLY | META, 9, content('{"a":1}')],
      ["no object in an error", 201, REPLY | ERROR | META, 9, content("null")],
      ["a deadline that is none", 201, REQUEST | META, 9, content('{"deadline":"soon"}')],
    ];
    for (const [what, code, flags, requestId, bytes] of wrong) {
      const world = memoryWorld();
      await using served = await serve(world);
      let handled = 0;
      served.server.route(NOTE, () => void handled++);
      served.server.route(WORK, ({ data }) => (handled++, data));
      await using raw = await Raw.connect(world, served.address, "native", WITH_META);
      await raw.send({ code, flags, requestId, content: bytes });
      await raw.connection.closeWrite();
      const [, { reason }] = await served.events.next("disconnect");
      assertEquals([what, reason, handled], [what, "protocol-error", 0]);
    }
  });

  it("is a protocol-error where it was not agreed", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using raw = await Raw.connect(world, served.address, "native");
    await raw.send({ code: 200, flags: META, content: content("{}") });
    await raw.connection.closeWrite();
    const [, { reason }] = await served.events.next("disconnect");
    assertEquals(reason, "protocol-error");
  });

  it("is seen by its own feature also where another one allows the frame", () => {
    const limits = { maxMessageSize: 1, maxQueuedBytes: 1, maxQueuedMessages: 1, maxStreams: 1, streamWindow: 1 };
    const terms = { limits, contract: undefined };
    const feature = (name: string, verdict: string | true | undefined) => ({
      name,
      offer: () => ({}),
      check: () => verdict,
    });
    for (const verdicts of [[true, "no"], ["no", true], [undefined, "no"]] as const) {
      const list = verdicts.map((verdict, i) => feature(`${i}`, verdict));
      const agreed = new FeatureSet(list, terms).agreed({ features: new Map([["0", {}], ["1", {}]]) } as never);
      assertEquals(agreed.check?.(0, 0, 0), "no");
    }
  });

  it("counts towards limits and credit like a payload, and an answer of which only the metadata is too long is shortened", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native", { ...WITH_META, maxMessageSize: 100 });
    const meta = { a: "x".repeat(80) };
    const error = assertThrows(() => met.client.send(NOTE, "", { meta }), PayloadError);
    assertEquals(error.code, "payload-too-large");
    assertEquals(await codeOf(met.client.request(WORK, "", { meta })), "payload-too-large");
    met.client.route(WORK, ({ setReplyMeta }) => {
      setReplyMeta(meta);
      return "x";
    });
    await met.raw.send({ code: 201, flags: REQUEST, requestId: 1 });
    const answer = (await met.raw.frame())!;
    assertEquals([answer.flags, JSON.parse(new TextDecoder().decode(answer.content)).code], [
      REPLY | ERROR,
      "handler-failed",
    ]);
    assertEquals((met.events.of("error")[0][0] as PayloadError).code, "payload-too-large");
  });

  it("is kept while its message waits for a handler, and is handed to that of another route", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { maxConcurrentHandlers: 1 });
    const gate = deferred();
    const seen: unknown[] = [];
    served.server.route(WORK, ({ data, meta }) => (seen.push([data, { ...meta }]), gate.promise.then(() => data)));
    served.server.route(NOTE, () => {});
    await using client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
    await client.connect();
    const first = client.request(WORK, "1", { meta: { n: "1" } });
    const second = client.request(WORK, "2", { meta: { n: "2" } });
    for (const n of ["3", "4"]) client.send(NOTE, n, { meta: { n } });
    client.send(NOTE, "5");
    await until(() => served.server.clients[0].stats().queuedMessages === 4);
    for (const type of [NOTE, WORK]) served.server.unroute(type);
    const other = ({ data, meta }: Message<string>) => (seen.push([data, { ...meta }]), data);
    served.server.route(WORK, other);
    served.server.route(NOTE, other);
    gate.resolve();
    assertEquals(await Promise.all([first, second]), ["1", "2"]);
    await until(() => seen.length === 5);
    assertEquals(seen, [1, 2, 3, 4, 5].map((n) => [`${n}`, n === 5 ? {} : { n: `${n}` }]));
  });

  it("is kept while the connection is down, with the deadline of the moment when it is sent", async () => {
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    await using client = new Client({
      ...server.address,
      transport: world.transport,
      logger: new Lines(),
      queueWhileDown: true,
    });
    const connected = client.connect();
    client.send(NOTE, "note", { meta: { a: "b" } });
    const plain = client.request(WORK, "plain", { meta: { c: "d" } });
    const timed = client.exchange(WORK, "timed", { timeout: 10_000 });
    assertThrows(() => client.send(NOTE, "", { meta: { a: 1 } as never }), TypeError);
    await assertRejects(() => client.request(WORK, "", { meta: { a: 1 } as never }), TypeError);
    await assertRejects(() => client.request(WORK, "", { within: {} as never }), TypeError, "within must be a message");
    const raw = await server.accept("native");
    await world.clock.advance(1_500);
    await raw.agreeAsServer(WITH_META);
    await connected;
    const texts = [];
    for (let i = 0; i < 3; i++) texts.push(new TextDecoder().decode((await raw.frame())!.content));
    assertEquals(texts, ['\0\x09{"a":"b"}note', '\0\x09{"c":"d"}plain', '\0\x13{"deadline":"8500"}timed']);
    await world.clock.advance(30);
    await raw.send({ code: 201, flags: REPLY, requestId: 1, content: "1" });
    await raw.send({ code: 201, flags: REPLY | META, requestId: 2, content: content('{"x":"y"}', "2") });
    assertEquals(await plain, "1");
    const answer = await timed;
    assertEquals([answer.data, { ...answer.meta }, answer.latency], ["2", { x: "y" }, 30]);
    await client.close({ drain: 0 });
    await raw[Symbol.asyncDispose]();
  });
});

describe("a peer without metadata", () => {
  for (
    const [release, why] of [["native", "the peer does not take it"], ["2.0.0", "the protocols of Python have none"], [
      "1.6.3",
      "the protocols of Python have none",
    ]] as const
  ) {
    it(`gets none, and the sender an error: ${release}`, async () => {
      const world = memoryWorld();
      await using met = await face(world, release);
      const error = assertThrows(() => met.client.send(NOTE, "x", { meta: TRACE }), PayloadError);
      assertEquals([error.code, error.message], ["metadata-unsupported", `Cannot send "note" with metadata: ${why}`]);
      assertEquals(await codeOf(met.client.request(WORK, "x", { meta: TRACE })), "metadata-unsupported");
      assertEquals(await codeOf(met.client.exchange(WORK, "x", { meta: TRACE })), "metadata-unsupported");
      met.client.send(NOTE, "empty", { meta: {} });
      assertEquals(new TextDecoder().decode((await met.raw.frame())!.content), "empty");

      // A deadline is the library's own: without metadata there is only CANCEL.
      const asked = met.client.exchange(WORK, "x", { timeout: 1_000 });
      const request = (await met.raw.frame())!;
      assertEquals([request.flags & META, new TextDecoder().decode(request.content)], [0, "x"]);
      await world.clock.advance(25);
      await met.raw.send({
        code: 201,
        flags: release === "native" ? REPLY : 0,
        requestId: request.requestId as number,
        content: "y",
      });
      const answer = await asked;
      assertEquals([answer.data, Object.keys(answer.meta), answer.latency], ["y", [], 25]);
    });
  }

  it("asks as before: its messages have none, and an answer with some fails at its handler", async () => {
    const world = memoryWorld();
    await using met = await face(world, "2.0.0");
    const caught: unknown[] = [];
    met.client.route(WORK, ({ meta, setReplyMeta, timeLeft, data }) => {
      assertEquals([Object.keys(meta), timeLeft], [[], undefined]);
      setReplyMeta({});
      caught.push(assertThrows(() => setReplyMeta({ a: "b" }), PayloadError).code);
      return data;
    });
    await met.raw.send({ code: 201, requestId: 7, content: "x" });
    assertEquals(new TextDecoder().decode((await met.raw.frame())!.content), "x");
    assertEquals([caught, met.log.lines], [["metadata-unsupported"], []]);
  });
});

describe("setReplyMeta()", () => {
  it("is refused where no answer follows, replaces what was set, and checks what it gets", async () => {
    await using met = await pair(memoryWorld());
    const codes: unknown[] = [];
    const note = deferred();
    met.server.route(NOTE, ({ setReplyMeta }) => {
      codes.push(assertThrows(() => setReplyMeta({ a: "b" }), MessageTypeError).code);
      note.resolve();
    });
    met.server.route(WORK, ({ setReplyMeta, reply }) => {
      assertThrows(() => setReplyMeta({ a: 1 } as never), TypeError, 'Cannot reply to "work": meta.a must be');
      setReplyMeta({ a: "1" });
      const meta = { b: "2" };
      setReplyMeta(meta);
      meta.b = "changed afterwards";
      reply("x");
      codes.push(assertThrows(() => setReplyMeta({ c: "3" }), MessageTypeError).code);
      return replied;
    });
    const { meta } = await met.client.exchange(WORK, "x");
    assertEquals({ ...meta }, { b: "2" });
    met.client.send(NOTE, "x");
    await note.promise;
    assertEquals(codes, ["already-replied", "not-requested"]);
  });
});
