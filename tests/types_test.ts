/**
 * Types: what is inferred, and what the compiler refuses. `deno check tests` does most of the testing: a line under
 * `@ts-expect-error` that compiles is an error itself. `types/compiler_test.ts` looks after that, and after the published
 * types.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Answer,
  type BroadcastResult,
  bytes,
  Client,
  type CloseReason,
  type Codec,
  type ConnectedClient,
  type ConnectInfo,
  type ContractTypes,
  empty,
  type IncomingStream,
  json,
  type Message,
  type MessageType,
  messageType,
  messageTypes,
  type Metadata,
  type Replied,
  replied,
  type RequestType,
  requirePrincipal,
  requireTag,
  Server,
  type StreamType,
  streamType,
  text,
  type WorkerMessage,
} from "@veltix/core";
import { memoryTransport } from "@veltix/core/memory";
import * as v from "valibot";
import { z } from "zod";

/** Whether two types are one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles if its type argument is `true`. */
function assertType<_ extends true>(): void {}

/** Code that is compiled and not run. */
function compiled(_: (...args: never[]) => unknown): void {}

const CHAT = messageType(200, "chat", text);
const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
const RAW = messageType(202);
const MOVE = messageType(203, "move", text, json<"left" | "right">());
const SHAPE = messageType(204, "shape", bytes, json<{ kind: "dot" } | { kind: "line"; length: number }>());
const TURN = messageType(211, "turn", json<"left" | "right">(), text);
const UNKNOWN = messageType(205, "unknown", json(), json());

const PING_ME = messageType(206, "ping me", empty);
const SAVE = messageType(212, "save", text, empty);
const SYNC = messageType(213, "sync", empty, json<number>());

const server = new Server();
const client = new Client();

describe("the types of the example in the design", () => {
  it("are inferred, and it runs", async () => {
    const transport = memoryTransport();
    await using server = new Server({ port: 8080, transport });
    server.route(CHAT, (message, client) => {
      assertType<Same<typeof message, Message<string>>>();
      assertType<Same<typeof client, ConnectedClient>>();
      const result = server.broadcast(CHAT, `${client.id}: ${message.data}`, { except: [client] });
      assertType<Same<typeof result, BroadcastResult>>();
    });
    server.route(ADD, ({ data }) => data.a + data.b);
    await server.start();

    await using listener = new Client({ port: 8080, transport });
    const heard = new Promise<string>((resolve) => listener.route(CHAT, (message) => resolve(message.data)));
    await listener.connect();
    await using client = new Client({ port: 8080, transport });
    await client.connect();
    client.send(CHAT, "hello");
    const sum = await client.request(ADD, { a: 1, b: 2 });
    assertType<Same<typeof sum, number>>();
    assertEquals([await heard, sum], ["2: hello", 3]);
  });
});

describe("messageType()", () => {
  it("infers what is sent and received from the codecs", () => {
    assertType<Same<typeof CHAT, MessageType<string>>>();
    assertType<Same<typeof CHAT, MessageType<string, string, never, never>>>();
    assertType<Same<typeof ADD, MessageType<{ a: number; b: number }, { a: number; b: number }, number, number>>>();
    assertType<Same<typeof RAW, MessageType<Uint8Array>>>();
    assertType<Same<typeof UNKNOWN, MessageType<unknown, unknown, unknown, unknown>>>();
    const described = messageType(206, "described", text, undefined, { description: "For people" });
    assertType<Same<typeof described, MessageType<string>>>();
  });

  it("takes a codec of one's own, with different types of both directions", () => {
    const date: Codec<Date, number> = {
      encode: (value) => String(value),
      decode: (bytes) => new Date(Number(new TextDecoder().decode(bytes))),
    };
    const AT = messageType(207, "at", date, date);
    assertType<Same<typeof AT, MessageType<number, Date, number, Date>>>();
    compiled(async () => {
      const answer = await client.request(AT, 5);
      assertType<Same<typeof answer, Date>>();
      // @ts-expect-error: it is sent as a number
      client.send(AT, new Date());
    });
  });

  it("refuses what is no codec, and codecs without a name", () => {
    compiled(() => {
      // @ts-expect-error: no codec
      messageType(208, "x", {});
      // @ts-expect-error: only half of one
      messageType(208, "x", { encode: (value: string) => value });
      // @ts-expect-error: a codec encodes to bytes or a string
      messageType<number, number>(208, "x", { encode: (value: number) => value, decode: () => 1 });
      // @ts-expect-error: the name comes first
      messageType(208, text);
      // @ts-expect-error: a code is a number
      messageType("208");
      // @ts-expect-error: no such option
      messageType(208, "x", text, undefined, { descripton: "" });
    });
  });

  it("makes what cannot be written to", () => {
    // @ts-expect-error: read-only
    assertThrows(() => CHAT.code = 300, TypeError);
    // @ts-expect-error: read-only
    assertThrows(() => CHAT.payload = bytes, TypeError);
    assertThrows(() => text.encode = () => "", TypeError);
    assertEquals(CHAT.code, 200);
  });
});

describe("messageTypes()", () => {
  const contract = messageTypes({
    chat: text,
    add: [json<{ a: number }>(), json<number>()],
    raw: bytes,
    at: [json(z.string()), json(z.object({ at: z.string().transform((text) => new Date(text)) }))],
  }, { from: 300 });

  it("infers a message type for each name", () => {
    assertType<Same<typeof contract.chat, MessageType<string>>>();
    assertType<Same<typeof contract.add, MessageType<{ a: number }, { a: number }, number, number>>>();
    assertType<Same<typeof contract.raw, MessageType<Uint8Array>>>();
    assertType<Same<typeof contract.at, MessageType<string, string, { at: string }, { at: Date }>>>();
    compiled(async () => {
      client.send(contract.chat, "hello");
      const sum = await client.request(contract.add, { a: 1 });
      assertType<Same<typeof sum, number>>();
      const { at } = await client.request(contract.at, "now");
      assertType<Same<typeof at, Date>>();
      // @ts-expect-error: chat is text
      client.send(contract.chat, 5);
      // @ts-expect-error: raw has no reply
      await client.request(contract.raw, new Uint8Array());
      // @ts-expect-error: there is none of that name
      contract.caht;
    });
    assertEquals([contract.chat.code, contract.add.code, contract.raw.code, contract.at.code], [300, 301, 302, 303]);
  });

  it("infers the types of members that have codes of their own", () => {
    const types = messageTypes({
      note: { code: 310, payload: text },
      sum: { code: 311, payload: json<number[]>(), reply: json<number>() },
      none: { code: 312, payload: empty, reply: undefined },
    });
    assertType<Same<typeof types.note, MessageType<string>>>();
    assertType<Same<typeof types.sum, MessageType<number[], number[], number, number>>>();
    assertType<Same<typeof types.none, MessageType<void>>>();
    const members = { note: text, sum: [text, bytes] } as const;
    const named: ContractTypes<typeof members> = messageTypes(members);
    assertType<Same<typeof named.sum, MessageType<string, string, Uint8Array, Uint8Array>>>();
    compiled(() => {
      // @ts-expect-error: no payload
      messageTypes({ note: { code: 310 } });
      // @ts-expect-error: a code is a number
      messageTypes({ note: { code: "310", payload: text } });
      // @ts-expect-error: the reply is no codec
      messageTypes({ note: { code: 310, payload: text, reply: 5 } });
    });
  });

  it("refuses members that are no codecs, and makes what cannot be written to", () => {
    compiled(() => {
      // @ts-expect-error: a pair is of payload and reply
      messageTypes({ chat: [text] });
      // @ts-expect-error: three are one too many
      messageTypes({ chat: [text, text, text] });
      // @ts-expect-error: no codec
      messageTypes({ chat: "text" });
      // @ts-expect-error: no such option
      messageTypes({ chat: text }, { form: 300 });
    });
    // @ts-expect-error: read-only
    assertThrows(() => contract.chat = CHAT, TypeError);
    assert(Object.isFrozen(contract));
  });
});

describe("send(), request() and broadcast()", () => {
  it("take what the codec takes and nothing else", () => {
    compiled(async () => {
      for (const peer of [client, server.clients[0]]) {
        assertType<Same<ReturnType<typeof peer.ping>, Promise<number>>>();
        const more = peer.send(CHAT, "hello");
        assertType<Same<typeof more, boolean>>();
        peer.send(ADD, { a: 1, b: 2 });
        peer.send(RAW, new Uint8Array(1));
        peer.send(CHAT, "hello", { latest: "hello", maxAge: 100 });
        peer.send(PING_ME, undefined, { latest: 1 });
        // @ts-expect-error: a string or a number
        peer.send(CHAT, "hello", { latest: true });
        // @ts-expect-error: no such option
        peer.send(CHAT, "hello", { lastest: 1 });
        // @ts-expect-error: text
        peer.send(CHAT, 5);
        // @ts-expect-error: text, not bytes
        peer.send(CHAT, new Uint8Array(1));
        // @ts-expect-error: a payload is needed
        peer.send(CHAT);
        // @ts-expect-error: b is missing
        peer.send(ADD, { a: 1 });
        // @ts-expect-error: c is too much
        peer.send(ADD, { a: 1, b: 2, c: 3 });
        // @ts-expect-error: bytes
        peer.send(RAW, "text");
        // @ts-expect-error: the payload of a type of text or undefined is no number
        peer.send(CHAT as MessageType<string | undefined>, 5);
        // @ts-expect-error: no message type
        peer.send({ code: 200, name: "chat" }, "hello");
        const sum = await peer.request(ADD, { a: 1, b: 2 }, { timeout: 100, signal: AbortSignal.timeout(1) });
        assertType<Same<typeof sum, number>>();
        const answer = await peer.request(UNKNOWN, 5);
        assertType<Same<typeof answer, unknown>>();
        // @ts-expect-error: b is missing
        await peer.request(ADD, { a: 1 });
        // @ts-expect-error: chat has no reply
        await peer.request(CHAT, "hello");
        // @ts-expect-error: neither have bytes
        await peer.request(RAW, new Uint8Array(1));
        // @ts-expect-error: no such option
        await peer.request(ADD, { a: 1, b: 2 }, { timout: 100 });
      }
      const [peer] = server.clients;
      // @ts-expect-error: chat has no reply
      await peer.request(CHAT, "hello");
      // @ts-expect-error: neither have bytes
      await peer.request(RAW, new Uint8Array(1));
      // @ts-expect-error: chat has no reply
      await client.request(CHAT, "hello");
      // @ts-expect-error: neither left nor right
      client.send(TURN, "up");
      // @ts-expect-error: neither left nor right
      peer.send(TURN, "up");
      // @ts-expect-error: neither left nor right
      await client.request(TURN, "up");
      // @ts-expect-error: neither left nor right
      await peer.request(TURN, "up");
      // @ts-expect-error: neither left nor right
      server.broadcast(TURN, "up");
      client.send(TURN, "left");
      server.broadcast(CHAT, "hello", { latest: 5, maxAge: 100, to: { tag: "room" } });
      // @ts-expect-error: milliseconds
      server.broadcast(CHAT, "hello", { maxAge: "5" });
      // @ts-expect-error: text
      server.broadcast(CHAT, 5);
      // @ts-expect-error: several clients
      server.broadcast(CHAT, "hello", { except: server.clients[0] });
      // @ts-expect-error: a Client is not what a server knows
      server.broadcast(CHAT, "hello", { to: [client] });
      // @ts-expect-error: no such policy
      server.broadcast(CHAT, "hello", { onFull: "drop" });
    });
  });
});

describe("empty", () => {
  it("is nothing to pass, and nothing that comes", () => {
    assertType<Same<typeof PING_ME, MessageType<void>>>();
    compiled(async () => {
      for (const peer of [client, server.clients[0]]) {
        const more = peer.send(PING_ME);
        assertType<Same<typeof more, boolean>>();
        const answer = await peer.request(SYNC);
        assertType<Same<typeof answer, number>>();
        const late = await peer.request(SYNC, undefined, { timeout: 100 });
        assertType<Same<typeof late, number>>();
        const done = await peer.request(SAVE, "text");
        assertType<Same<typeof done, void>>();
        // @ts-expect-error: there is nothing to pass
        peer.send(PING_ME, null);
        // @ts-expect-error: nor here
        await peer.request(SYNC, 5);
        // @ts-expect-error: text
        await peer.request(SAVE);
        // @ts-expect-error: no reply
        await peer.request(PING_ME);
        // @ts-expect-error: anything can be a payload, so one is asked for
        peer.send(UNKNOWN);
      }
      const result = server.broadcast(PING_ME);
      assertType<Same<typeof result, BroadcastResult>>();
      server.broadcast(PING_ME, undefined, { except: [server.clients[0]] });
      // @ts-expect-error: text
      server.broadcast(CHAT);
      server.route(PING_ME, ({ data }) => assertType<Same<typeof data, void>>());
      server.route(SAVE, () => {});
      server.route(SAVE, async () => await Promise.resolve());
      server.route(SAVE, (message) => message.reply());
      server.route(SAVE, ({ reply }) => reply());
      // @ts-expect-error: nothing is answered
      server.route(SAVE, () => 5);
      // @ts-expect-error: nothing is answered
      server.route(SAVE, (message) => message.reply(5));
    });
  });
});

describe("functions that pass a message on", () => {
  it("can be written for any type, and refuse what Client and Server refuse", () => {
    async function ask<In, Out, ReplyIn, ReplyOut>(
      peer: Client | ConnectedClient,
      type: RequestType<In, Out, ReplyIn, ReplyOut>,
      payload: In,
    ): Promise<ReplyOut> {
      return await peer.request(type, payload, { timeout: 1_000 });
    }
    function tell<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: In): boolean {
      server.broadcast(type, payload, { onFull: "skip" });
      return client.send(type, payload);
    }
    const route = <In, Out, ReplyIn, ReplyOut>(
      type: RequestType<In, Out, ReplyIn, ReplyOut>,
      answer: (data: Out) => ReplyIn,
    ): void => server.route(type, ({ data }) => answer(data));
    compiled(async () => {
      const sum = await ask(client, ADD, { a: 1, b: 2 });
      assertType<Same<typeof sum, number>>();
      const left = await ask(server.clients[0], MOVE, "l");
      assertType<Same<typeof left, "left" | "right">>();
      const done = await ask(client, SAVE, "text");
      assertType<Same<typeof done, void>>();
      // @ts-expect-error: no reply
      await ask(client, CHAT, "hello");
      // @ts-expect-error: b is missing
      await ask(client, ADD, { a: 1 });
      tell(CHAT, "hello");
      tell(ADD, { a: 1, b: 2 });
      // @ts-expect-error: text
      tell(CHAT, 5);
      route(ADD, ({ a }) => a);
      // @ts-expect-error: a number
      route(ADD, () => "5");
      // @ts-expect-error: no reply
      route(CHAT, (data) => data);
    });
  });
});

describe("route()", () => {
  it("gives handlers the decoded payload and the peer", () => {
    server.route(CHAT, (message, peer, ...rest) => {
      assertType<Same<typeof message, Message<string>>>();
      assertType<Same<typeof message.data, string>>();
      assertType<Same<typeof message.content, Uint8Array>>();
      assertType<Same<typeof message.json, unknown>>();
      assertType<Same<typeof peer, ConnectedClient>>();
      assertType<Same<typeof rest, []>>();
      // @ts-expect-error: read-only
      message.data = "";
    });
    client.route(CHAT, (message, peer) => {
      assertType<Same<typeof message.data, string>>();
      assertType<Same<typeof peer, Client>>();
    });
    // @ts-expect-error: text, not a number
    client.route(messageType(301, "x", text), (message: Message<number>) => message);
    // @ts-expect-error: the peer is a client
    client.route(messageType(302, "x", text), (_, peer: ConnectedClient) => peer);
    // @ts-expect-error: no such option
    assertThrows(() => client.route(messageType(303, "x", text), () => {}, { odered: true }), TypeError, "odered");
    assert(server.unroute(CHAT) && client.unroute(CHAT));
  });

  it("takes any value, promise or nothing from a handler of a type without a reply", () => {
    for (const handler of [() => {}, () => 5, () => Promise.resolve(), () => Promise.resolve("x"), () => undefined]) {
      server.route(CHAT, handler);
      server.unroute(CHAT);
    }
  });

  it("takes an answer, a promise of one, or what reply() returns from a handler of a type with a reply", () => {
    compiled(() => {
      server.route(ADD, ({ data }) => data.a);
      server.route(ADD, async ({ data }) => await Promise.resolve(data.a));
      server.route(ADD, (message) => message.reply(3));
      server.route(ADD, async (message) => await Promise.resolve(message.reply(3)));
      server.route(ADD, (message) => message.data.a > 1 ? message.reply(4) : 5);
      server.route(ADD, (message) => {
        message.reply(3);
        return replied;
      });
      server.route(ADD, () => {
        throw new Error();
      });
      const answer = ({ data, reply }: Message<{ a: number; b: number }, number>) => data.a > 1 ? reply(3) : data.a;
      assertType<Same<ReturnType<typeof answer>, number | Replied>>();
      server.route(ADD, answer);
      client.route(ADD, ({ data }) => data.a + data.b);
      server.route(UNKNOWN, ({ data }) => data);
    });
  });

  it("keeps literals in answers, with no annotation", () => {
    compiled(() => {
      server.route(MOVE, () => "left");
      server.route(MOVE, ({ data }) => data === "l" ? "left" : "right");
      server.route(MOVE, async ({ data }) => await Promise.resolve(data) === "l" ? "left" : "right");
      server.route(SHAPE, () => ({ kind: "line", length: 1 }));
      server.route(SHAPE, async () => await Promise.resolve() ?? { kind: "dot" });
      // TypeScript itself widens the one literal of an async function that may return a promise or not.
      // @ts-expect-error: see above
      server.route(MOVE, async () => (await null, "left"));
      server.route(MOVE, async () => (await null, "left" as const));
    });
  });

  it("refuses a handler that answers with the wrong type, or not at all", () => {
    compiled(() => {
      // @ts-expect-error: a number
      server.route(ADD, () => "3");
      // @ts-expect-error: a promise of a number
      server.route(ADD, async () => await Promise.resolve("3"));
      // @ts-expect-error: nothing
      server.route(ADD, () => {});
      // @ts-expect-error: a promise of nothing
      server.route(ADD, () => Promise.resolve());
      // @ts-expect-error: undefined
      server.route(ADD, () => undefined);
      // @ts-expect-error: nothing at times
      server.route(ADD, ({ data }) => data.a > 1 ? data.a : undefined);
      // @ts-expect-error: neither of the two
      server.route(MOVE, () => "up");
      // @ts-expect-error: any text
      server.route(MOVE, (): string => "left");
      // @ts-expect-error: neither of the two
      client.route(MOVE, () => "up");
      // @ts-expect-error: no such kind
      server.route(SHAPE, () => ({ kind: "circle" }));
      // @ts-expect-error: length is missing
      server.route(SHAPE, () => ({ kind: "line" }));
      // @ts-expect-error: reply() takes a number
      server.route(ADD, (message) => message.reply("3"));
      // @ts-expect-error: no reply
      server.route(CHAT, (message) => message.reply("3"));
      // @ts-expect-error: only reply() makes that
      server.route(ADD, () => Symbol("replied"));
    });
  });
});

describe("on()", () => {
  it("knows the events and their arguments", () => {
    server.on("connect", (client) => assertType<Same<typeof client, ConnectedClient>>());
    server.on("disconnect", (client, info) => {
      assertType<Same<typeof client, ConnectedClient>>();
      assertType<Same<typeof info.reason, CloseReason>>();
      // @ts-expect-error: no such reason
      if (info.reason === "bored") return;
    });
    server.on("message", (message, client) => {
      assertType<Same<typeof message.data, Uint8Array>>();
      assertType<Same<typeof client, ConnectedClient>>();
    });
    server.on("error", (error) => assertType<Same<typeof error, unknown>>());
    server.on("close", () => {});
    client.on("connect", (info) => assertType<Same<typeof info, ConnectInfo>>(), { once: true });
    client.on("disconnect", ({ reason, nextDelay }) => {
      assertType<Same<typeof reason, CloseReason>>();
      assertType<Same<typeof nextDelay, number | undefined>>();
    });
  });

  it("refuses other events, and listeners that take something else", () => {
    // @ts-expect-error: no such event
    assertThrows(() => server.on("conect", () => {}), TypeError);
    // @ts-expect-error: an event of a server
    assertThrows(() => client.on("rejected", () => {}), TypeError);
    compiled(() => {
      // @ts-expect-error: a ConnectedClient comes
      server.on("connect", (name: string) => name);
      // @ts-expect-error: nothing comes
      server.on("close", (error: Error) => error);
      // @ts-expect-error: one argument
      server.on("rejected", (_info, more) => more);
      // @ts-expect-error: no such option
      server.on("connect", () => {}, { onec: true });
    });
  });
});

describe("authenticate", () => {
  it("gives the principal its type, wherever a client is met", () => {
    const server = new Server({ authenticate: ({ credentials }) => credentials === "x" ? { name: "Alice" } : null });
    assertType<Same<typeof server, Server<{ name: string }>>>();
    assertType<Same<typeof server.clients, readonly ConnectedClient<{ name: string }>[]>>();
    server.route(ADD, ({ data }, client) => data.a + client.principal.name.length);
    server.on("connect", ({ principal }) => assertType<Same<typeof principal, { name: string }>>());
    server.on("disconnect", ({ principal }) => assertType<Same<typeof principal, { name: string }>>());
    server.on("tag", (client, { action }) => client.principal.name + action);
    compiled(() => {
      assertType<Same<ReturnType<typeof server.clientsByTag>, readonly ConnectedClient<{ name: string }>[]>>();
      server.broadcast(CHAT, "", { to: server.clients, except: server.clientsByTag("room") });
      server.broadcast(CHAT, "", { to: { tag: "room", value: 5 } });
      // @ts-expect-error: the name is missing
      server.broadcast(CHAT, "", { to: { value: 5 } });
      // @ts-expect-error: no such member
      server.clients[0].principal.age;
      // @ts-expect-error: read-only
      server.clients[0].principal = { name: "Bob" };
      // @ts-expect-error: read-only
      server.clients[0].tags.set("room", 5);
    });
    // What takes any server takes this one.
    const any: Server<unknown> = server;
    assertEquals(any.clients, []);
  });

  it("may answer later, on a listener of its own, and in every way that refuses", () => {
    compiled(() => {
      const later = new Server({ authenticate: async () => await Promise.resolve(Math.random() > 0.5 && { id: 5 }) });
      assertType<Same<typeof later, Server<{ id: number }>>>();
      const listener = new Server({ listen: [{ port: 1, authenticate: () => Promise.resolve("name") }, { port: 2 }] });
      assertType<Same<typeof listener, Server<string>>>();
      const careful = new Server<string | undefined>({ listen: [{ authenticate: () => "name" }, { port: 2 }] });
      assertType<Same<(typeof careful.clients)[0]["principal"], string | undefined>>();
      const thrown = new Server({
        authenticate: ({ credentials, address, protocol, native, signal, refuse }) => {
          assertType<Same<typeof credentials, unknown>>();
          assertType<Same<typeof signal, AbortSignal>>();
          if (native && "port" in address) refuse("banned", protocol, { retryAfter: 5 });
          return 7;
        },
      });
      assertType<Same<typeof thrown, Server<number>>>();
      const yes = new Server({ authenticate: ({ native }) => native });
      assertType<Same<typeof yes, Server<true>>>();
      // @ts-expect-error: a number is promised
      new Server<number>({ authenticate: () => "5" });
    });
    const plain = new Server();
    assertType<Same<(typeof plain.clients)[0]["principal"], undefined>>();
  });
});

describe("json(schema)", () => {
  it("sends a Zod schema's input and receives its output", () => {
    const AT = messageType(
      400,
      "at",
      json(z.object({ at: z.string().transform((text) => new Date(text)) })),
      json(z.object({ count: z.coerce.number<string>(), step: z.number().default(1) })),
    );
    assertType<
      Same<
        typeof AT,
        MessageType<{ at: string }, { at: Date }, { count: string; step?: number | undefined }, {
          count: number;
          step: number;
        }>
      >
    >();
    server.route(AT, ({ data }) => {
      assertType<Same<typeof data, { at: Date }>>();
      return { count: "5" };
    });
    compiled(async () => {
      const answer = await client.request(AT, { at: "2026-01-01" });
      assertType<Same<typeof answer, { count: number; step: number }>>();
      // @ts-expect-error: sent as text
      await client.request(AT, { at: new Date() });
      // @ts-expect-error: sent as text
      server.route(AT, () => ({ count: 5 }));
    });
  });

  it("sends a Valibot schema's input and receives its output", () => {
    const SIZE = messageType(
      401,
      "size",
      json(v.pipe(v.string(), v.transform((text) => text.length))),
      json(v.object({ step: v.optional(v.number(), 4) })),
    );
    assertType<Same<typeof SIZE, MessageType<string, number, { step?: number | undefined }, { step: number }>>>();
    server.route(SIZE, ({ data }) => {
      assertType<Same<typeof data, number>>();
      return {};
    });
    compiled(async () => {
      const { step } = await client.request(SIZE, "abc");
      assertType<Same<typeof step, number>>();
      // @ts-expect-error: sent as text
      client.send(SIZE, 3);
    });
  });

  it("takes options alone or behind a schema, and infers the same", () => {
    const options = { maxBytes: 10 };
    assertType<Same<ReturnType<typeof json<number>>, Codec<number>>>();
    const plain = json<number[]>(options);
    assertType<Same<typeof plain, Codec<number[]>>>();
    const unknown = json({ maxBytes: 10 });
    assertType<Same<typeof unknown, Codec<unknown>>>();
    const checked = json(z.object({ at: z.string().transform((text) => new Date(text)) }), options);
    assertType<Same<typeof checked, Codec<{ at: Date }, { at: string }>>>();
    const sized = json(v.pipe(v.string(), v.transform((text) => text.length)), { maxBytes: 10 });
    assertType<Same<typeof sized, Codec<number, string>>>();
    // @ts-expect-error: misspelt
    assertThrows(() => json<number>({ maxBites: 10 }), TypeError);
    // @ts-expect-error: a number
    assertThrows(() => json(z.any(), { maxBytes: "10" }), TypeError);
  });

  it("refuses what is no schema", () => {
    // @ts-expect-error: no Standard Schema
    assertThrows(() => json({ type: "object" }), TypeError);
  });
});

describe("the types of metadata", () => {
  it("are names and strings, there and back, and the options are no others", () => {
    compiled((connected: ConnectedClient, message: Message<string, string>, worker: WorkerMessage<string>) => {
      assertType<Same<typeof message.meta, Metadata>>();
      assertType<Same<Metadata[string], string>>();
      assertType<Same<typeof message.timeLeft, number | undefined>>();
      const whole = client.exchange(ADD, { a: 1, b: 2 });
      assertType<Same<typeof whole, Promise<Answer<number>>>>();
      const back = connected.exchange(MOVE, "x", { meta: {}, within: message, timeout: 1, signal: undefined });
      assertType<Same<typeof back, Promise<Answer<"left" | "right">>>>();
      const bare = client.exchange(SYNC);
      assertType<Same<typeof bare, Promise<Answer<number>>>>();
      client.send(CHAT, "x", { meta: { a: "b" } });
      client.send(PING_ME, undefined, { meta: { a: "b" } });
      connected.send(CHAT, "x", { meta: message.meta });
      server.broadcast(CHAT, "x", { meta: { a: "b" }, onFull: "skip" });
      client.request(MOVE, "x", { within: worker });
      client.request(MOVE, "x", { within: { signal: message.signal } });
      message.setReplyMeta({ a: "b" });
      worker.setReplyMeta(worker.meta);

      // @ts-expect-error: a number is no string
      client.send(CHAT, "x", { meta: { a: 1 } });
      // @ts-expect-error: misspelt
      client.send(CHAT, "x", { metadata: { a: "b" } });
      // @ts-expect-error: a message is not waited for
      client.send(CHAT, "x", { timeout: 1 });
      // @ts-expect-error: no message
      client.request(MOVE, "x", { within: client });
      // @ts-expect-error: it has no reply
      client.exchange(CHAT, "x");
      // @ts-expect-error: a payload is missing
      client.exchange(MOVE);
      // @ts-expect-error: a PING has none
      client.ping({ meta: {} });
      // @ts-expect-error: what a peer sent is not changed
      message.meta.a = "b";
      // @ts-expect-error: a worker replies by its return value
      worker.reply("x");
    });
  });
});

describe("middleware", () => {
  it("knows what its types make of a message or a stream, and who sent it", () => {
    compiled((server: Server<{ admin: boolean }>, client: Client) => {
      const UPLOAD = streamType(400, "upload", { head: json<{ name: string }>(), down: false, result: json<number>() });
      server.use((received, { principal, id }, next) => {
        assertType<Same<typeof principal.admin, boolean>>();
        assertType<Same<typeof id, number>>();
        if (received.kind === "message") assertType<Same<typeof received.data, unknown>>();
        else assertType<Same<typeof received.head, unknown>>();
        // @ts-expect-error what a handler returns can be anything
        next().length;
        // @ts-expect-error there is no such change
        next({ payload: 1 });
        return next({ data: 1 });
      });
      server.use([ADD], ({ data: { a, b } }, _client, next) => (assertType<Same<typeof a, typeof b>>(), next()));
      client.use([MOVE, UPLOAD], (received, peer, next) => {
        assertType<Same<typeof peer, Client>>();
        if (received.kind === "message") assertType<Same<typeof received.data, string>>();
        else assertType<Same<typeof received.head, { name: string }>>();
        return next();
      });
      server.use(requirePrincipal(({ admin }: { admin: boolean }) => admin));
      // @ts-expect-error a server has no tags, its clients have
      client.use(requireTag("a"));
      server.use([CHAT], requireTag("a"));
      // @ts-expect-error the principal of this server is another one
      server.use(requirePrincipal((name: string) => name === ""));
      client.useOutgoing(({ kind, peer, payload }, next) => {
        assertType<Same<typeof kind, "send" | "request" | "broadcast" | "open">>();
        assertType<Same<typeof peer, Client | undefined>>();
        assertType<Same<typeof payload, unknown>>();
        return next({ payload: 1, meta: { a: "b" } });
      });
      // @ts-expect-error metadata are texts
      client.useOutgoing([CHAT, UPLOAD], (_call, next) => next({ meta: { a: 1 } }));
    });
  });
});

describe("the config", () => {
  it("of a Server and a Client refuses other names and wrong types", () => {
    compiled(() => {
      // @ts-expect-error: misspelt
      new Server({ maxMesageSize: 1 });
      // @ts-expect-error: a number
      new Server({ port: "8080" });
      // @ts-expect-error: only a Server has it
      new Client({ listen: [] });
      // @ts-expect-error: no such size
      new Client({ bufferSize: "tiny" });
      // @ts-expect-error: no such sockets
      new Client({ transport: "nodejs" });
      // @ts-expect-error: not a config
      new Server(8080);
    });
    new Server({ listen: [{ port: 1, protocol: "1.6.3" }, { path: "/tmp/x.sock" }] });
    new Server({ logger: { warn: () => {}, error: () => {} } });
  });

  it("takes the console and a logger of @std/log as logger", () => {
    // The signatures of jsr:@std/log 0.224: each method has two, and returns what it was given.
    interface StdLogger {
      debug<T>(msg: () => T, ...args: unknown[]): T | undefined;
      debug<T>(msg: T extends (...args: never[]) => unknown ? never : T, ...args: unknown[]): T;
      info<T>(msg: () => T, ...args: unknown[]): T | undefined;
      info<T>(msg: T extends (...args: never[]) => unknown ? never : T, ...args: unknown[]): T;
      warn<T>(msg: () => T, ...args: unknown[]): T | undefined;
      warn<T>(msg: T extends (...args: never[]) => unknown ? never : T, ...args: unknown[]): T;
      error<T>(msg: () => T, ...args: unknown[]): T | undefined;
      error<T>(msg: T extends (...args: never[]) => unknown ? never : T, ...args: unknown[]): T;
      critical<T>(msg: () => T, ...args: unknown[]): T | undefined;
      get level(): 0 | 10 | 20 | 30 | 40 | 50;
    }
    compiled((logger: StdLogger) => [new Server({ logger }), new Client({ logger })]);
    new Server({ logger: console });
  });
});

describe("streams", () => {
  const UPLOAD = streamType(400, "upload", { head: json<{ name: string }>(), down: false, result: json<number>() });
  const PRICES = streamType(401, "prices", { head: json<{ symbol: string }>(), up: false, down: json<number>() });
  const PLAIN = streamType(402, "plain");
  const CHATTER = streamType(403, "chatter", { up: text, down: json(z.string().transform((text) => new Date(text))) });
  const peers = [client, server.clients[0]] as const;

  it("have types that follow from their codecs", () => {
    type Head = { name: string };
    assertType<Same<typeof PLAIN, StreamType<void>>>();
    assertType<Same<typeof UPLOAD, StreamType<Head, Head, Uint8Array, Uint8Array, Uint8Array, Uint8Array, number>>>();
    assertType<Same<typeof CHATTER, StreamType<void, void, string, string, string, Date>>>();
    compiled(() => {
      // @ts-expect-error: no codec
      streamType(404, "x", { head: "text" });
      // @ts-expect-error: a head is a codec, or left out
      streamType(404, "x", { head: false });
      // @ts-expect-error: no such part
      streamType(404, "x", { heed: text });
      // @ts-expect-error: the parts are an object
      streamType(404, "x", text);
      // @ts-expect-error: a code is a number
      streamType("404", "x");
    });
  });

  it("are members of contracts with the same types", () => {
    const types = messageTypes({
      upload: { stream: { head: json<{ name: string }>(), down: false, result: json<number>() } },
      prices: { code: 500, stream: { head: json<{ symbol: string }>(), up: false, down: json<number>() } },
      plain: { stream: {} },
      chatter: { stream: { up: text, down: json(z.string().transform((text) => new Date(text))) } },
      chat: text,
    });
    assertType<Same<typeof types.upload, typeof UPLOAD>>();
    assertType<Same<typeof types.prices, typeof PRICES>>();
    assertType<Same<typeof types.plain, typeof PLAIN>>();
    assertType<Same<typeof types.chatter, typeof CHATTER>>();
    assertType<Same<typeof types.chat, MessageType<string>>>();
    compiled(() => {
      // @ts-expect-error: no codec
      messageTypes({ a: { stream: { head: "text" } } });
      // @ts-expect-error: a code is a number
      messageTypes({ a: { code: "500", stream: {} } });
      // @ts-expect-error: a stream is no message
      client.send(types.plain, new Uint8Array(1));
      // @ts-expect-error: nor a request
      void client.request(types.plain, new Uint8Array(1));
      // @ts-expect-error: a message is no stream
      client.open(types.chat);
    });
  });

  it("are opened with their head, and give what they have", () => {
    compiled(async () => {
      for (const peer of peers) {
        const upload = peer.open(UPLOAD, { name: "a" }, { signal: AbortSignal.timeout(1), window: 1 });
        assertType<Same<typeof upload.writable, WritableStream<Uint8Array>>>();
        assertType<Same<typeof upload.result, Promise<number>>>();
        const prices = peer.open(PRICES, { symbol: "a" });
        assertType<Same<typeof prices.readable, ReadableStream<number>>>();
        assertType<Same<typeof prices.result, Promise<void>>>();
        const plain = peer.open(PLAIN);
        assertType<Same<typeof plain.readable, ReadableStream<Uint8Array>>>();
        peer.open(PLAIN, undefined, { window: 1 });
        const chatter = peer.open(CHATTER);
        assertType<Same<typeof chatter.readable, ReadableStream<Date>>>();
        assertType<Same<typeof chatter.writable, WritableStream<string>>>();
        await chatter.writable.getWriter().write("now");
        // @ts-expect-error: a head is needed
        peer.open(UPLOAD);
        // @ts-expect-error: another head
        peer.open(UPLOAD, { symbol: "a" });
        // @ts-expect-error: the head is an object
        peer.open(UPLOAD, "a");
        // @ts-expect-error: there is no head
        peer.open(PLAIN, "a");
        // @ts-expect-error: there is no head, so options come third
        peer.open(PLAIN, { window: 1 });
        // @ts-expect-error: no such option
        peer.open(PLAIN, undefined, { windw: 1 });
        // @ts-expect-error: a message type
        peer.open(CHAT, "hello");
        // @ts-expect-error: text goes up
        await chatter.writable.getWriter().write(5);
        // @ts-expect-error: bytes go up
        await plain.writable.getWriter().write("a");
      }
    });
  });

  it("give handlers what the other side sends, and take what it reads", () => {
    compiled(() => {
      server.stream(UPLOAD, async (stream, peer, ...rest) => {
        assertType<Same<typeof stream, IncomingStream<{ name: string }, Uint8Array, Uint8Array>>>();
        assertType<Same<typeof peer, ConnectedClient>>();
        assertType<Same<typeof rest, []>>();
        for await (const chunk of stream.readable) assertType<Same<typeof chunk, Uint8Array>>();
        return 5;
      });
      client.stream(UPLOAD, (_stream, peer) => {
        assertType<Same<typeof peer, Client>>();
        return 5;
      });
      client.stream(CHATTER, async ({ readable, writable }) => {
        assertType<Same<typeof readable, ReadableStream<string>>>();
        assertType<Same<typeof writable, WritableStream<string>>>();
        await writable.close();
      });
      // @ts-expect-error: the result is a number
      server.stream(UPLOAD, () => "5");
      // @ts-expect-error: the result is a number
      server.stream(UPLOAD, async () => await Promise.resolve("5"));
      // @ts-expect-error: the result is a number
      server.stream(UPLOAD, () => {});
      // @ts-expect-error: the peer is a client
      server.stream(UPLOAD, (_, peer: Client) => peer.id);
      // @ts-expect-error: a message type
      server.stream(CHAT, () => {});
      // @ts-expect-error: a stream type
      server.route(UPLOAD, () => 5);
    });
  });

  it("take generators whose values and return value are those of the type", () => {
    const COUNT = streamType(405, "count", { down: json<number>(), result: text });
    compiled(() => {
      // deno-lint-ignore explicit-function-return-type
      server.stream(COUNT, async function* () {
        yield 1;
        return "done";
      });
      server.stream(COUNT, async function* (): AsyncGenerator<number, string> {
        yield await Promise.resolve(1);
        return "done";
      });
      // deno-lint-ignore explicit-function-return-type
      server.stream(PRICES, async function* ({ head: { symbol } }) {
        yield symbol.length;
      });
      server.stream(PRICES, () => ReadableStream.from([1, 2]));
      server.stream(PRICES, async () => await Promise.resolve(ReadableStream.from([1, 2])));
      server.stream(PLAIN, () => new Blob(["a"]).stream());
      // @ts-expect-error: a text is no number
      server.stream(PRICES, async function* (): AsyncGenerator<string> {
        yield "1";
      });
      // @ts-expect-error: it returns no text
      server.stream(COUNT, async function* (): AsyncGenerator<number, number> {
        yield 1;
        return 5;
      });
      // @ts-expect-error: items of another type
      server.stream(PRICES, () => ReadableStream.from(["1"]));
      // @ts-expect-error: nothing awaits a generator that is not asynchronous
      server.stream(PRICES, function* (): Generator<number> {
        yield 1;
      });
      // @ts-expect-error: it yields the items, and returns no result
      server.stream(COUNT, async function* (): AsyncGenerator<number, void> {
        yield 1;
      });
    });
  });
});
