/** Promise 2: requests and their answers. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bytes,
  Client,
  type ClientConfig,
  type Codec,
  json,
  type Message,
  messageType,
  replied,
  text,
} from "../mod.ts";
import {
  BackpressureError,
  ConnectionError,
  MessageTypeError,
  PayloadError,
  RemoteError,
  TimeoutError,
} from "../src/errors.ts";
import {
  deferred,
  face,
  Lines,
  memoryWorld,
  Raw,
  Recorder,
  serve,
  SPOKEN,
  until,
  type World,
  WORLDS,
} from "./session_support.ts";
import { utf8 } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const UPPER = messageType(201, "upper", text, text);
const NUMBER = messageType(202, "number", json<number>(), json<number>());

/** A schema by hand: numbers above 0. */
const positive = json({
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value: unknown) =>
      typeof value === "number" && value > 0 ? { value } : { issues: [{ message: "Not above 0", path: ["n"] }] },
  },
});

// deno-lint-ignore explicit-function-return-type
async function attach(world: World, config: ClientConfig & { port: number }) {
  const lines = new Lines();
  const client = new Client({ transport: world.transport, logger: lines, ...config });
  const events = new Recorder(client, ["disconnect", "error", "unhandled"]);
  await client.connect();
  return { client, events, lines, [Symbol.asyncDispose]: () => client.close({ drain: 0 }) };
}

const REQUEST = 1;
const REPLY = 2;
const ERROR = 4;

for (const world of WORLDS) {
  for (const { release, server: spoken } of SPOKEN) {
    const native = release === "native";

    describe(`a server that speaks ${release}, ${world.name},`, () => {
      it("answers each request once, with its code and id, values and promises alike", async () => {
        const made = await world.make();
        await using served = await serve(made, { protocol: spoken }, (server) => {
          server.route(UPPER, ({ data }) => data.length % 2 === 0 ? data.toUpperCase() : Promise.resolve(`${data}?`));
          server.route(NUMBER, ({ data }) => data + 1);
          server.route(NOTE, () => "a value that nobody asked for");
        });
        await using raw = await Raw.connect(made, served.address, release);
        const flags = native ? REQUEST : 0;
        await raw.send(
          { code: 200, content: "x" },
          { code: 201, content: "ab", requestId: 11, flags },
          { code: 202, content: "41", requestId: 12, flags },
          { code: 201, content: "abc", requestId: 13, flags },
          { code: 200, content: "x" },
        );
        const replies = new Map<number, string>();
        for (let i = 0; i < 3; i++) {
          const frame = (await raw.frame())!;
          assertEquals([frame.flags, frame.code], [native ? REPLY : 0, frame.requestId === 12 ? 202 : 201]);
          replies.set(frame.requestId as number, new TextDecoder().decode(frame.content));
        }
        assertEquals([...replies].sort(), [[11, "AB"], [12, "42"], [13, "abc?"]]);
        await raw.send({ code: 0, requestId: 14, flags });
        const pong = (await raw.frame())!;
        assertEquals([pong.code, pong.requestId], [1, 14], "nothing else was sent");
        assertEquals(served.events.of("error"), []);
      });

      it("tells a native peer of a failure by code and message, never by a stack, and emits it as error", async () => {
        const made = await world.make();
        const failures: Record<string, () => unknown> = {
          error: () => {
            throw Object.assign(new Error("No such user"), { code: "no-user", details: { password: "secret" } });
          },
          async: () => Promise.reject(new TypeError("Later")),
          text: () => {
            // deno-lint-ignore no-throw-literal
            throw "a string";
          },
          nothing: () => Promise.reject(undefined),
          bare: () => {
            throw Object.create(null);
          },
          long: () => {
            throw new Error("x".repeat(10_000));
          },
          odd: () => {
            throw Object.defineProperty(new Error("odd"), "code", {
              get(): never {
                throw new Error("a getter that throws");
              },
            });
          },
        };
        await using served = await serve(made, { protocol: spoken }, (server) => {
          server.route(UPPER, ({ data }) => failures[data]() as string);
        });
        await using raw = await Raw.connect(made, served.address, release);
        const expected: Record<string, [string, string] | undefined> = {
          error: ["no-user", "No such user"],
          async: ["handler-failed", "Later"],
          text: ["handler-failed", "The handler failed"],
          nothing: ["handler-failed", "The handler failed"],
          bare: ["handler-failed", "The handler failed"],
          long: ["handler-failed", "x".repeat(2_000)],
        };
        let id = 1;
        for (const [name, answer] of Object.entries(expected)) {
          await raw.send({ code: 201, content: name, requestId: id, flags: native ? REQUEST : 0 });
          const [error, client] = await served.events.next("error");
          assertEquals(client.id, 1);
          if (name === "error") assertInstanceOf(error, Error);
          if (native) {
            const frame = (await raw.frame())!;
            assertEquals([frame.code, frame.requestId, frame.flags], [201, id, REPLY | ERROR]);
            const [code, message] = answer!;
            assertEquals(JSON.parse(new TextDecoder().decode(frame.content)), { code, message });
          }
          id++;
        }
        await raw.send({ code: 201, content: "odd", requestId: id, flags: native ? REQUEST : 0 });
        await served.events.next("error");
        if (native) {
          const { content } = (await raw.frame())!;
          assertEquals(JSON.parse(new TextDecoder().decode(content)).code, "handler-failed");
        }
        await raw.send({ code: 0, requestId: 99, flags: native ? REQUEST : 0 });
        assertEquals((await raw.frame())!.code, 1, "a Python peer gets no answer to a failed request");
        assertEquals(served.log.lines, []);
      });

      it("gives the sender the error of an invalid payload and does not call the handler", async () => {
        const made = await world.make();
        let called = 0;
        const strict = messageType(203, "strict", positive, json<string>());
        const quiet = messageType(204, "quiet", positive);
        await using served = await serve(made, { protocol: spoken }, (server) => {
          server.route(strict, () => (called++, "fine"));
          server.route(quiet, () => void called++);
        });
        await using client = await attach(made, { port: served.address.port });
        const asked = client.client.request(messageType(203, "strict", json<unknown>(), json<string>()), -1, {
          timeout: 50,
        });
        asked.catch(() => {});
        const [failure] = await served.events.next("error");
        assertInstanceOf(failure, PayloadError);
        if (client.client.stats().protocol === "native") {
          const error = await assertRejects(() => asked, RemoteError, "n: Not above 0") as RemoteError;
          assertEquals([error.code, error.details], ["invalid-payload", undefined]);
        } else {
          await made.clock.advance(100);
          await assertRejects(() => asked, TimeoutError);
        }
        client.client.send(messageType(204, "quiet", text), "no JSON");
        assertInstanceOf((await served.events.next("error"))[0], PayloadError);
        assertEquals(called, 0);
      });
    });

    describe(`a client that speaks ${release}, ${world.name},`, () => {
      it("rejects by timeout, drops the late answer, and never hands it to a route", async () => {
        const made = await world.make();
        await using met = await face(made, release);
        let routed = 0;
        met.client.route(UPPER, () => (routed++, "?"));
        const asked = met.client.request(UPPER, "slow", { timeout: 1_000 });
        const failing = assertRejects(() => asked, TimeoutError, 'No answer to "upper" within 1000 ms');
        const question = (await met.raw.frame())!;
        await made.clock.advance(999);
        assertEquals(met.client.stats().pendingRequests, 1);
        await made.clock.advance(21);
        await failing;
        const requestId = question.requestId as number;
        if (native) {
          const cancel = (await met.raw.frame())!;
          assertEquals([cancel.code, cancel.requestId, cancel.flags, cancel.content.length], [3, requestId, 0, 0]);
        }
        await met.raw.send({ code: 201, content: "late", requestId, flags: native ? REPLY : 0 });
        await until(() => met.client.stats().repliesDropped === 1);
        assertEquals([routed, met.client.stats().pendingRequests], [0, 0]);

        const second = met.client.request(UPPER, "again");
        const next = (await met.raw.frame())!;
        assert(next.requestId !== requestId);
        await met.raw.send({
          code: 201,
          content: "YES",
          requestId: next.requestId as number,
          flags: native ? REPLY : 0,
        });
        assertEquals(await second, "YES");
      });

      it("rejects pending requests at once when the connection is lost, with its reason", async () => {
        const made = await world.make();
        await using met = await face(made, release);
        const asked = [met.client.request(UPPER, "a"), met.client.request(UPPER, "b"), met.client.ping()]
          .map((one) => assertRejects(() => one, ConnectionError) as Promise<ConnectionError>);
        for (let i = 0; i < 3; i++) await met.raw.frame();
        met.raw.connection.abort();
        for (const error of await Promise.all(asked)) assertEquals(error.code, "closed");
        assertEquals(made.clock.now(), 0);
      });

      it("answers PING whatever its id, and measures its own", async () => {
        const made = await world.make();
        await using met = await face(made, release);
        const ids = release === "2.0.0" ? [0, 7, 32_768, 32_769, 40_001, 65_534, 65_535] : [1, 0xffffffff];
        for (const requestId of ids) {
          await met.raw.send({ code: 0, requestId, flags: native ? REQUEST : 0, content: "12345678" });
          const pong = (await met.raw.frame())!;
          assertEquals([pong.code, pong.requestId, pong.flags], [1, requestId, native ? REPLY : 0]);
          assertEquals(new TextDecoder().decode(pong.content), native ? "12345678" : "");
        }
        const pinged = met.client.ping();
        const ping = (await met.raw.frame())!;
        assertEquals([ping.code, ping.content.length], [0, 0]);
        await made.clock.advance(30);
        await met.raw.send({ code: 1, requestId: ping.requestId as number, flags: native ? REPLY : 0 });
        assertEquals(await pinged, 30);
      });
    });
  }
}

describe("the answer to a request", () => {
  it("may be given early; what the handler does afterwards is its own affair", async () => {
    const world = memoryWorld();
    const gate = deferred();
    const outcomes: unknown[] = [];
    await using served = await serve(world, {}, (server) => {
      server.route(UPPER, async (message) => {
        assertEquals(message.reply("early"), replied);
        try {
          message.reply("twice");
        } catch (error) {
          outcomes.push((error as MessageTypeError).code);
        }
        await gate.promise;
        if (message.data === "throw") throw new Error("after the answer");
        return "a value that comes too late";
      });
    });
    await using met = await attach(world, { port: served.address.port });
    assertEquals(await met.client.request(UPPER, "x"), "early");
    assertEquals(await met.client.request(UPPER, "throw"), "early");
    assertEquals(outcomes, ["already-replied", "already-replied"]);
    gate.resolve();
    const [error] = await served.events.next("error");
    assertEquals(error.message, "after the answer");
    await met.client.ping();
    assertEquals(met.client.stats().repliesDropped, 0);
  });

  it("may be returned as replied; reply() without a request, or without a codec, throws", async () => {
    const world = memoryWorld();
    const codes: unknown[] = [];
    const attempt = (message: Message<unknown, string>): void => {
      try {
        message.reply("x");
      } catch (error) {
        codes.push((error as MessageTypeError).code);
      }
    };
    await using served = await serve(world, {}, (server) => {
      server.route(UPPER, (message) => message.wantsReply ? message.reply("mine") : (attempt(message), "ignored"));
      server.route(NOTE, (message) => attempt(message as never));
      server.on("message", (message) => attempt(message as never));
    });
    await using met = await attach(world, { port: served.address.port });
    assertEquals(await met.client.request(UPPER, "x"), "mine");
    met.client.send(UPPER, "x");
    met.client.send(NOTE, "x");
    met.client.send(messageType(999), new Uint8Array(1));
    await met.client.ping();
    assertEquals(codes, ["not-requested", "no-reply-codec", "not-requested"]);
    assertEquals([served.events.of("error"), met.events.of("unhandled")], [[], []]);
  });

  it("is an error at once where no route takes the request, a catch-all or not, or its type is not answered", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => server.route(messageType(202, "plain"), () => {}));
    await using met = await attach(world, { port: served.address.port });
    const ask = async (code: number): Promise<string> =>
      (await assertRejects(
        () => met.client.request(messageType(code, "ask", bytes, bytes), new Uint8Array(1)),
        RemoteError,
      ) as RemoteError).code;
    assertEquals([await ask(201), await ask(202)], ["no-route", "no-reply-codec"]);
    assertEquals(served.events.of("unhandled").length, 1);
    served.server.on("message", () => {});
    assertEquals(await ask(201), "no-route", "a catch-all that does not answer");
  });

  it("may come from a catch-all, at once or later, also for a Python peer, whose messages may all be requests", async () => {
    for (const { release, server: spoken } of SPOKEN) {
      const world = memoryWorld();
      const hold = deferred();
      await using served = await serve(world, { protocol: spoken }, (server) => {
        server.on("message", () => {}); // Another one that only looks.
      });
      served.server.on("message", async (message) => {
        if (message.text === "later") await hold.promise;
        if (message.text !== "never") message.reply(new TextEncoder().encode(`${message.text}!`));
      });
      await using raw = await Raw.connect(world, served.address, release);
      const flags = release === "native" ? REQUEST : 0;
      await raw.send(
        ...["later", "now", "never"].map((content, i) => ({ code: 555, content, requestId: i + 1, flags })),
      );
      const got: string[] = [];
      const take = async (): Promise<void> => {
        const { code, requestId, content } = (await raw.frame())!;
        got.push(`${code} ${requestId} ${new TextDecoder().decode(content)}`);
      };
      await take();
      if (release === "native") await take();
      hold.resolve();
      await take();
      const refused = '555 3 {"code":"no-route","message":"No route for code 555"}';
      assertEquals(got, ["555 2 now!", ...release === "native" ? [refused] : [], "555 1 later!"]);
    }
  });

  it("is an error where the handler's value can't be encoded or is larger than the peer takes", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => {
      server.route(NUMBER, ({ data }) => data === 1 ? undefined as never : "x".repeat(90_000) as never);
    });
    await using raw = await Raw.connect(world, served.address, "native", { maxMessageSize: 50_000 });
    for (const [content, code] of [["1", "invalid-payload"], ["2", "payload-too-large"]]) {
      await raw.send({ code: 202, content, requestId: 1, flags: REQUEST });
      const frame = (await raw.frame())!;
      assertEquals([frame.flags, JSON.parse(new TextDecoder().decode(frame.content)).code], [REPLY | ERROR, code]);
      assertInstanceOf((await served.events.next("error"))[0], PayloadError);
    }
    assertEquals(served.events.of("disconnect"), []);
  });

  it("never ends a connection whose peer takes next to nothing", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => server.route(UPPER, ({ data }) => data));
    await using raw = await Raw.connect(world, served.address, "native", { maxMessageSize: 16 });
    await raw.send({ code: 0, content: "12345678", requestId: 1, flags: REQUEST });
    await raw.send({ code: 201, content: "12345678", requestId: 2, flags: REQUEST });
    await raw.send({ code: 777, content: "", requestId: 3, flags: REQUEST });
    await raw.send({ code: 0, content: "", requestId: 4, flags: REQUEST });
    const ids: unknown[] = [];
    while (ids.at(-1) !== 4) ids.push((await raw.frame())!.requestId);
    assertEquals(served.events.of("disconnect"), []);
  });

  it("of one connection settles nothing on another: forged answers are counted and dropped", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using a = await Raw.connect(world, served.address, "native");
    await using b = await Raw.connect(world, served.address, "native");
    await until(() => served.server.clients.length === 2);
    const [first, second] = served.server.clients;
    const asked = first.request(UPPER, "who?");
    const { requestId } = (await a.frame())!;
    await b.send({ code: 201, content: "ME", requestId: requestId as number, flags: REPLY });
    await b.send({ code: 201, content: "ME", requestId: 4711, flags: REPLY | ERROR });
    await until(() => second.stats().repliesDropped === 2);
    assertEquals([first.stats().pendingRequests, first.stats().repliesDropped], [1, 0]);
    await a.send({ code: 201, content: "A", requestId: requestId as number, flags: REPLY });
    await a.send({ code: 201, content: "A again", requestId: requestId as number, flags: REPLY });
    assertEquals(await asked, "A");
    await until(() => first.stats().repliesDropped === 1);
    assertEquals(served.events.of("error"), []);
  });

  it("that can't be decoded rejects the request and nothing else", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    for (
      const [content, flags, type] of [
        ["no JSON", REPLY, PayloadError],
        ["no JSON", REPLY | ERROR, Error],
        ["null", REPLY | ERROR, RemoteError],
        ['{"code":5,"message":{}}', REPLY | ERROR, RemoteError],
      ] as const
    ) {
      const asked = met.client.request(NUMBER, 1);
      const { requestId } = (await met.raw.frame())!;
      await met.raw.send({ code: 202, content, requestId: requestId as number, flags });
      await assertRejects(() => asked, type as typeof Error);
    }
    const asked = met.client.request(NUMBER, 1);
    const { requestId } = (await met.raw.frame())!;
    await met.raw.send({
      code: 202,
      content: JSON.stringify({ code: "c".repeat(1_000), message: "m".repeat(9_000), details: [1], stack: "s" }),
      requestId: requestId as number,
      flags: REPLY | ERROR,
    });
    const error = await assertRejects(() => asked, RemoteError) as RemoteError;
    assertEquals([error.code.length, error.message.length, error.details], [100, 2_000, [1]]);
    assertEquals([met.events.of("error"), met.events.of("disconnect")], [[], []]);
  });
});

describe("a request", () => {
  it("with an id that is still being answered is a protocol-error, queued or at work, and not after its answer", async () => {
    for (const twice of ["at work", "queued", "answered", "answered early"]) {
      const world = memoryWorld();
      const gate = deferred();
      await using served = await serve(world, { maxConcurrentHandlers: 1 }, (server) => {
        server.route(UPPER, async (message) => {
          if (twice === "answered") return "done";
          if (twice === "answered early") message.reply("done");
          await gate.promise;
          return "late";
        });
      });
      await using raw = await Raw.connect(world, served.address, "native");
      const ask = (requestId: number) => ({ code: 201, content: "x", requestId, flags: REQUEST });
      await raw.send(ask(1));
      if (twice.startsWith("answered")) {
        await raw.frame();
        await raw.send(ask(1));
        await until(() =>
          served.events.of("error").length > 0 || served.server.clients[0].stats().framesReceived === 2
        );
        gate.resolve();
        assertEquals((await raw.frame())!.requestId, 1, twice);
        assertEquals(served.events.of("disconnect"), []);
        continue;
      }
      await raw.send(ask(2), ask(twice === "queued" ? 2 : 1));
      const [, { reason, error }] = await Promise.all([served.events.next("disconnect"), raw.end()])
        .then(([args]) => args);
      assertEquals(reason, "protocol-error", twice);
      assertStringIncludes(error.message, "twice");
      gate.resolve();
    }
  });

  it("takes no timeout and no type that make no sense", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    for (const timeout of [0, -1, NaN, Infinity, 2 ** 31, "5" as never, null as never]) {
      await assertRejects(() => met.client.request(UPPER, "x", { timeout }), RangeError, "timeout");
      await assertRejects(() => met.client.ping({ timeout }), RangeError);
    }
    const error = await assertRejects(() => met.client.request(NOTE as never, "x" as never), MessageTypeError);
    assertEquals((error as MessageTypeError).code, "no-reply-codec");
    await assertRejects(() => met.client.request(UPPER, 5 as never), TypeError);
    assertEquals([met.client.stats().pendingRequests, met.client.stats().framesSent], [0, 0]);
  });

  it("is given up by its signal: before, during, and without harm afterwards", async () => {
    const world = memoryWorld();
    await using met = await face(world, "native");
    const reason = new Error("enough");
    await assertRejects(() => met.client.request(UPPER, "x", { signal: AbortSignal.abort(reason) }), Error, "enough");
    assertEquals(met.client.stats().framesSent, 0);

    const controller = new AbortController();
    const asked = met.client.request(UPPER, "x", { signal: controller.signal });
    const { requestId } = (await met.raw.frame())!;
    controller.abort(reason);
    assertEquals(await asked.catch((error) => error), reason);
    assertEquals(met.client.stats().pendingRequests, 0);
    assertEquals((await met.raw.frame())?.code, 3, "the server is told");
    await met.raw.send({ code: 201, content: "late", requestId: requestId as number, flags: REPLY });
    await until(() => met.client.stats().repliesDropped === 1);

    const after = new AbortController();
    const second = met.client.request(UPPER, "x", { signal: after.signal });
    const question = (await met.raw.frame())!;
    await met.raw.send({ code: 201, content: "Y", requestId: question.requestId as number, flags: REPLY });
    assertEquals(await second, "Y");
    after.abort(reason);
    await met.client.send(NOTE, "x");
    assertEquals(met.events.all, []);
  });

  it("rejects at once when it is not connected, and when the connection is being closed", async () => {
    const world = memoryWorld();
    const idle = new Client({ port: 1, transport: world.transport });
    const error = await assertRejects(() => idle.request(UPPER, "x"), ConnectionError) as ConnectionError;
    assertEquals(error.code, "not-connected");
    await using met = await face(world, "native");
    const closing = met.client.close();
    const late = await assertRejects(() => met.client.request(UPPER, "x"), ConnectionError) as ConnectionError;
    assertEquals(late.code, "closed");
    await met.raw.end();
    await closing;
  });

  it("lets a handler see by its signal that nobody waits any more", async () => {
    const world = memoryWorld();
    const seen = deferred<AbortSignal>();
    await using served = await serve(world, {}, (server) => {
      server.route(UPPER, (message) => (seen.resolve(message.signal), new Promise<string>(() => {})));
    });
    await using raw = await Raw.connect(world, served.address, "native");
    await raw.send({ code: 201, content: "x", requestId: 1, flags: REQUEST });
    const signal = await seen.promise;
    assertEquals(signal.aborted, false);
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    raw.connection.abort();
    // A FIN alone leaves running handlers five seconds to answer.
    await world.clock.advance(7_000);
    await aborted;
    assertInstanceOf(signal.reason, ConnectionError);
  });
});

describe("request ids of release 2.0", () => {
  it("are odd from a client and even from a server, from max(id_window, 32768) to 65534, and 65535 for the rest", async () => {
    for (const [window, first] of [[30_000, 32_769], [32_768, 32_769], [40_000, 40_001], [65_533, 65_533]]) {
      const world = memoryWorld();
      await using met = await face(world, "2.0.0", { idWindow: window });
      met.client.send(NOTE, "x");
      assertEquals((await met.raw.frame())!.requestId, 65_535);
      const asked = met.client.request(UPPER, "x");
      const { requestId } = (await met.raw.frame())!;
      assertEquals(requestId, first);
      await met.raw.send({ code: 777, content: "any type will do", requestId: requestId as number });
      assertEquals(await asked, "any type will do");
    }
    const world = memoryWorld();
    await using served = await serve(world);
    await using raw = await Raw.connect(world, served.address, "2.0.0");
    const [client] = await served.events.next("connect");
    client.send(NOTE, "x");
    served.server.broadcast(NOTE, "x");
    const asked = [client.request(UPPER, "x"), client.ping()];
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push((await raw.frame())!.requestId);
    assertEquals(ids, [65_535, 65_535, 32_768, 32_770]);
    await raw.send({ code: 201, content: "Y", requestId: 32_768 }, { code: 1, requestId: 32_770 });
    await Promise.all(asked);
  });

  it("make a frame in our range a reply, dropped where nobody waits, and all others messages", async () => {
    const world = memoryWorld();
    await using met = await face(world, "2.0.0");
    const got: unknown[] = [];
    met.client.route(NOTE, (message) => void got.push(message.requestId));
    for (const requestId of [0, 1, 29_999, 32_767, 32_768, 32_769, 40_000, 40_001, 65_533, 65_534, 65_535]) {
      await met.raw.send({ code: 200, content: "x", requestId });
    }
    await until(() => met.client.stats().framesReceived === 11);
    assertEquals(got, [0, 1, 29_999, 32_767, 32_768, 40_000, 65_534, 65_535]);
    assertEquals(met.client.stats().repliesDropped, 3);
  });

  it("rest after a timeout until the late answer comes or ten minutes pass; none free is ids-exhausted", async () => {
    const world = memoryWorld();
    // Leaves 65529, 65531 and 65533.
    await using met = await face(world, "2.0.0", { idWindow: 65_529 }, { heartbeat: false });
    const ask = (timeout = 1_000) => met.client.request(UPPER, "x", { timeout });
    const timedOut = [ask(), ask()].map((asked) => assertRejects(() => asked, TimeoutError));
    const waiting = ask(2 ** 30);
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push((await met.raw.frame())!.requestId);
    assertEquals(ids, [65_529, 65_531, 65_533]);
    const exhausted = async (): Promise<string> =>
      (await assertRejects(() => ask(), BackpressureError) as BackpressureError).code;
    assertEquals(await exhausted(), "ids-exhausted");
    await world.clock.advance(1_100);
    await Promise.all(timedOut);
    assertEquals(await exhausted(), "ids-exhausted");

    await met.raw.send({ code: 201, content: "late", requestId: 65_531 });
    await until(() => met.client.stats().repliesDropped === 1);
    const again = assertRejects(() => ask(), TimeoutError);
    assertEquals((await met.raw.frame())!.requestId, 65_531);
    await world.clock.advance(1_100);
    await again;
    assertEquals(await exhausted(), "ids-exhausted");
    await world.clock.advance(600_000);
    const rested = ask();
    assertEquals((await met.raw.frame())!.requestId, 65_529);
    await met.raw.send({ code: 201, content: "Y", requestId: 65_529 }, { code: 201, content: "Z", requestId: 65_533 });
    assertEquals([await rested, await waiting], ["Y", "Z"]);
  });
});

describe("request ids of release 1.6", () => {
  it("that timed out are remembered, so that a late answer is not taken for a message", async () => {
    const world = memoryWorld();
    await using met = await face(world, "1.6.3");
    let routed = 0;
    met.client.route(UPPER, () => (routed++, "?"));
    const asked = assertRejects(() => met.client.request(UPPER, "x", { timeout: 10 }), TimeoutError);
    const { requestId } = (await met.raw.frame())!;
    await world.clock.advance(100);
    await asked;
    await met.raw.send({ code: 201, content: "late", requestId: requestId as number });
    await until(() => met.client.stats().repliesDropped === 1);
    assertEquals(routed, 0);
    await met.raw.send({ code: 201, content: "x", requestId: requestId as number });
    await until(() => routed === 1);
  });
});

describe("codecs that break their promise", () => {
  const broken = (part: Partial<Codec<unknown>>): Codec<unknown> => ({
    encode: () => "x",
    decode: () => 1,
    ...part,
  });
  it("fail the call that used them, by exceptions and promises alike, and nothing is left unhandled", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => {
      server.route(messageType(300, "a", broken({ decode: () => Promise.reject(new Error("decode")) })), () => {});
      server.route(
        messageType(301, "b", bytes, broken({ encode: () => Promise.reject(new Error("encode")) as never })),
        () => 1,
      );
    });
    await using met = await attach(world, { port: served.address.port });
    const { client } = met;
    const raw = new Uint8Array(1);
    for (
      const encode of [
        () => Promise.reject(new Error("encode")) as never,
        () => 5 as never,
        () => undefined as never,
      ]
    ) {
      const type = messageType(302, "c", broken({ encode }), broken({}));
      let code: unknown;
      try {
        client.send(type, 1);
      } catch (error) {
        code = (error as PayloadError).code;
      }
      assertEquals(code, "invalid-payload");
      await assertRejects(() => client.request(type, 1), PayloadError);
      await assertRejects(async () => void await served.server.broadcast(type, 1));
    }
    client.send(messageType(300), raw);
    await served.events.next("error");
    await assertRejects(() => client.request(messageType(301, "b", bytes, bytes), raw), RemoteError, "codec");
    await served.events.next("error");
    const late = messageType(201, "d", bytes, broken({ decode: () => Promise.reject(new Error("reply")) }));
    served.server.route(messageType(201, "d", bytes, bytes), ({ content }) => content);
    await assertRejects(() => client.request(late, raw), PayloadError, "promise");
    await client.ping();
    assertEquals([served.log.lines, met.lines.lines], [[], []]);
    void utf8;
  });
});
