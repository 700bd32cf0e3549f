/**
 * The types of `implement()` and `caller()`: what is inferred, and what the compiler refuses, with Zod, Valibot and
 * ArkType. `deno check tests` does most of the testing. `types/contract_test.ts` looks at the words of the errors.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bytes,
  type Caller,
  caller,
  Client,
  type Codec,
  type ConnectedClient,
  type Contract,
  empty,
  type ErrorCodeOf,
  errorOf,
  type Handlers,
  implement,
  type Implementation,
  type IncomingStream,
  isErrorOf,
  json,
  type Message,
  type MessageType,
  messageType,
  messageTypes,
  type OpenOptions,
  type OpenStream,
  type PayloadError,
  RemoteError,
  type RemoteErrorOf,
  type RequestOptions,
  type SendOptions,
  Server,
  type StreamType,
  streamType,
  text,
  type VeltixError,
} from "@veltix/core";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { streamPeers } from "./streams_support.ts";

/** Whether two types are one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles if its type argument is `true`. */
function assertType<_ extends true>(): void {}

/** Code that is compiled and not run. */
function compiled(_: (...args: never[]) => unknown): void {}

type Shape = { readonly kind: "dot" } | { readonly kind: "line"; readonly length: number };

const contract = messageTypes({
  add: [json<{ a: number; b: number }>(), json<number>()],
  note: text,
  nudge: empty,
  time: [empty, json<number>()],
  save: [text, empty],
  turn: [text, json<"left" | "right">()],
  shape: [json<Shape | undefined>(), json<Shape | null>()],
  list: [json<readonly string[]>(), json<{ readonly first?: string }>()],
  anything: [json<unknown>(), json<unknown>()],
  find: { payload: json<number>(), reply: text, errors: ["not-found", "busy"] },
  zod: [
    json(z.object({ at: z.string().transform((text) => new Date(text)) })),
    json(z.object({ count: z.coerce.number<string>(), step: z.number().default(1) })),
  ],
  valibot: [
    json(v.pipe(v.string(), v.transform((text) => text.length))),
    json(v.variant("kind", [
      v.object({ kind: v.literal("ok"), step: v.optional(v.number(), 4) }),
      v.object({ kind: v.literal("no"), why: v.string() }),
    ])),
  ],
  arktype: [
    json(type({ n: "string.numeric.parse", "name?": "string" })),
    json(type("'left' | 'right'")),
  ],
  count: { stream: { head: json<number>(), up: false, down: json<number>(), result: text, errors: ["negative"] } },
  upload: { stream: { head: json<{ name: string }>(), down: false, result: json<number>() } },
  plain: { stream: {} },
  talk: { stream: { up: text, down: json(z.string().transform((text) => new Date(text))) } },
});

const server = new Server();
const client = new Client();
const api = caller(client, contract);

describe("the functions of caller()", () => {
  it("take what is sent and return what is received, and options last", () => {
    assertType<Same<typeof api, Caller<typeof contract>>>();
    assertType<
      Same<typeof api.add, (payload: { a: number; b: number }, options?: RequestOptions) => Promise<number>>
    >();
    assertType<Same<typeof api.note, (payload: string, options?: SendOptions) => boolean>>();
    assertType<Same<typeof api.nudge, (options?: SendOptions) => boolean>>();
    assertType<Same<typeof api.time, (options?: RequestOptions) => Promise<number>>>();
    assertType<Same<typeof api.save, (payload: string, options?: RequestOptions) => Promise<void>>>();
    assertType<Same<typeof api.find, (payload: number, options?: RequestOptions) => Promise<string>>>();
    assertType<
      Same<typeof api.count, (head: number, options?: OpenOptions) => OpenStream<Uint8Array, number, string>>
    >();
    assertType<Same<typeof api.plain, (options?: OpenOptions) => OpenStream<Uint8Array, Uint8Array, void>>>();
    assertType<Same<typeof api.talk, (options?: OpenOptions) => OpenStream<string, Date, void>>>();
  });

  it("keep unions, literals, and what is read-only, optional or unknown", () => {
    assertType<Same<Awaited<ReturnType<typeof api.turn>>, "left" | "right">>();
    assertType<Same<Parameters<typeof api.shape>[0], Shape | undefined>>();
    assertType<Same<Awaited<ReturnType<typeof api.shape>>, Shape | null>>();
    assertType<Same<Parameters<typeof api.list>[0], readonly string[]>>();
    assertType<Same<Awaited<ReturnType<typeof api.list>>, { readonly first?: string }>>();
    assertType<Same<Parameters<typeof api.anything>[0], unknown>>();
    compiled(async () => {
      void api.shape({ kind: "line", length: 5 });
      void api.shape(undefined);
      void api.list(["a"] as const);
      const shape = await api.shape({ kind: "dot" });
      if (shape?.kind === "line") assertType<Same<typeof shape.length, number>>();
      const { first } = await api.list([]);
      assertType<Same<typeof first, string | undefined>>();
      // @ts-expect-error: no such kind
      void api.shape({ kind: "circle" });
      // @ts-expect-error: the length is missing
      void api.shape({ kind: "line" });
      // @ts-expect-error: a payload that may be undefined is passed, too
      void api.shape();
      // @ts-expect-error: anything can be a payload, so one is asked for
      void api.anything();
    });
  });

  it("send the input of a schema and return its output", () => {
    assertType<Same<Parameters<typeof api.zod>[0], { at: string }>>();
    assertType<Same<Awaited<ReturnType<typeof api.zod>>, { count: number; step: number }>>();
    assertType<Same<Parameters<typeof api.valibot>[0], string>>();
    assertType<
      Same<Awaited<ReturnType<typeof api.valibot>>, { kind: "ok"; step: number } | { kind: "no"; why: string }>
    >();
    assertType<Same<Parameters<typeof api.arktype>[0], { n: string; name?: string }>>();
    assertType<Same<Awaited<ReturnType<typeof api.arktype>>, "left" | "right">>();
    compiled(() => {
      // @ts-expect-error: sent as text
      void api.zod({ at: new Date() });
      // @ts-expect-error: sent as text
      void api.valibot(5);
      // @ts-expect-error: sent as text
      void api.arktype({ n: 5 });
      // @ts-expect-error: a name is text
      void api.arktype({ n: "5", name: 5 });
    });
  });

  it("are no others, and cannot be replaced", () => {
    compiled((connected: ConnectedClient) => {
      const back = caller(connected, contract, { timeout: 5, meta: { a: "b" }, signal: new AbortController().signal });
      assertType<Same<typeof back, typeof api>>();
      // @ts-expect-error: no such member
      void api.ad({ a: 1, b: 2 });
      // @ts-expect-error: read-only
      api.add = () => Promise.resolve(5);
      // @ts-expect-error: b is missing
      void api.add({ a: 1 });
      // @ts-expect-error: nothing to pass
      void api.time(5);
      // @ts-expect-error: no such option
      void api.time({ timout: 5 });
      // @ts-expect-error: a message is not waited for
      api.note("x", { timeout: 5 });
      // @ts-expect-error: no such option
      caller(client, contract, { timout: 5 });
      // @ts-expect-error: a server has many clients
      caller(server, contract);
      // @ts-expect-error: a codec is no type
      caller(client, { text });
    });
  });
});

describe("the handlers of implement()", () => {
  it("get what is received and return what is sent, without annotations", () => {
    const everything = implement(server, contract, {
      add: (message, peer) => {
        assertType<Same<typeof message, Message<{ a: number; b: number }, number>>>();
        assertType<Same<typeof peer, ConnectedClient>>();
        return message.data.a;
      },
      note: (message) => assertType<Same<typeof message, Message<string>>>(),
      nudge: ({ data }) => assertType<Same<typeof data, void>>(),
      time: async () => await Promise.resolve(5),
      save: () => {},
      turn: ({ data }) => data === "l" ? "left" : "right",
      shape: ({ data }) => data ?? null,
      list: ({ data }) => {
        assertType<Same<typeof data, readonly string[]>>();
        return {};
      },
      anything: ({ data }) => data,
      find: ({ reply }) => reply("Ada"),
      zod: ({ data }) => {
        assertType<Same<typeof data, { at: Date }>>();
        return { count: "5" };
      },
      valibot: ({ data }) => {
        assertType<Same<typeof data, number>>();
        return data > 5 ? { kind: "ok" } : { kind: "no", why: "short" };
      },
      arktype: ({ data }) => {
        assertType<Same<typeof data, { n: number; name?: string }>>();
        return "left";
      },
      // deno-lint-ignore explicit-function-return-type
      async *count(stream, peer) {
        assertType<Same<typeof stream, IncomingStream<number, Uint8Array, number>>>();
        assertType<Same<typeof peer, ConnectedClient>>();
        yield stream.head;
        return "done";
      },
      upload: async ({ head, readable }) => {
        assertType<Same<typeof head, { name: string }>>();
        for await (const chunk of readable) assertType<Same<typeof chunk, Uint8Array>>();
        return 5;
      },
      plain: ({ readable, writable }) => readable.pipeTo(writable),
      talk: ({ writable }) => assertType<Same<typeof writable, WritableStream<string>>>(),
    }, { routes: { add: { ordered: true }, note: { timeout: 5 }, count: undefined } });
    assertType<Same<typeof everything, Implementation>>();
    everything.remove();
  });

  it("know the principal of a client, and the client on a client", () => {
    const guarded = new Server({ authenticate: ({ credentials }) => credentials === "x" ? { name: "Ada" } : null });
    const { add } = contract;
    compiled(() => {
      implement(guarded, { add }, { add: (_, { principal }) => principal.name.length });
      implement(client, { add }, {
        add: (_, peer) => {
          assertType<Same<typeof peer, Client>>();
          return 5;
        },
      });
      // @ts-expect-error: without authenticate there is no principal
      implement(server, { add }, { add: (_, { principal }) => principal.name.length });
      // @ts-expect-error: a client of a server has no routes of its own
      implement(server.clients[0], { add }, { add: () => 5 });
    });
  });

  it("are all that the contract has, and no others", () => {
    const { add, note } = contract;
    const all = null! as Handlers<typeof contract, ConnectedClient>;
    const { note: _, ...others } = all ?? {};
    compiled(() => {
      implement(server, contract, all);
      implement(server, contract, { ...all, add: () => 5 });
      implement(server, { add }, { add: () => 5 });
      implement(server, {}, {});
      // @ts-expect-error: note is missing
      implement(server, contract, others);
      // @ts-expect-error: note is missing
      implement(server, { add, note }, { add: () => 5 });
      // @ts-expect-error: all are missing
      implement(server, contract, {});
      // @ts-expect-error: any may be missing
      implement(server, contract, all as Partial<typeof all>);
      // @ts-expect-error: add may be missing
      implement(server, { add }, {} as { add?: () => number });
      // @ts-expect-error: it is no handler
      implement(server, { add }, { add: undefined });
      // @ts-expect-error: there is no ad
      implement(server, { add }, { add: () => 5, ad: () => 5 });
      // @ts-expect-error: it returns a number
      implement(server, { add }, { add: () => "5" });
      // @ts-expect-error: it returns a number in time
      implement(server, { add }, { add: async () => await Promise.resolve("5") });
      // @ts-expect-error: it returns something
      implement(server, { add }, { add: () => {} });
      // @ts-expect-error: neither left nor right
      implement(server, { turn: contract.turn }, { turn: () => "up" });
      // @ts-expect-error: it takes numbers
      implement(server, { add }, { add: ({ data }: Message<string>) => data.length });
      // @ts-expect-error: the peer is a ConnectedClient
      implement(server, { add }, { add: (_, peer: Client) => peer.ping() });
      // @ts-expect-error: it yields numbers
      implement(server, { count: contract.count }, { count: () => ReadableStream.from(["1"]) });
      // @ts-expect-error: sent as text
      implement(server, { zod: contract.zod }, { zod: () => ({ count: 5 }) });
      // @ts-expect-error: no such kind
      implement(server, { valibot: contract.valibot }, { valibot: () => ({ kind: "maybe" }) });
      // @ts-expect-error: neither left nor right
      implement(server, { arktype: contract.arktype }, { arktype: () => "up" });
      // @ts-expect-error: no such route
      implement(server, { add }, { add: () => 5 }, { routes: { ad: {} } });
      // @ts-expect-error: no such option
      implement(server, { add }, { add: () => 5 }, { routes: { add: { odered: true } } });
      // @ts-expect-error: streams have no options
      implement(server, contract, all, { routes: { count: { ordered: true } } });
    });
  });

  it("may be methods of a class, which has nothing else to see", () => {
    class Sums implements Handlers<{ readonly add: typeof contract.add }, unknown> {
      #last = 0;
      add({ data }: Message<{ a: number; b: number }>): number {
        return this.#last = data.a + data.b;
      }
    }
    class More extends Sums {
      more = 5;
    }
    const { add } = contract;
    compiled(() => {
      implement(server, { add }, new Sums());
      // @ts-expect-error: more is no handler
      implement(server, { add }, new More());
      implement(server, { add }, {
        // deno-lint-ignore explicit-function-return-type
        add() {
          assertType<Same<typeof this["add"], Handlers<{ readonly add: typeof add }, ConnectedClient>["add"]>>();
          return 5;
        },
      });
    });
  });
});

describe("functions over contracts", () => {
  it("can be generic, and keep the types of each", () => {
    function serve<Types extends Contract, P>(
      server: Server<P>,
      types: Types,
      handlers: Handlers<Types, ConnectedClient<P>>,
    ): Implementation {
      return implement(server, types, handlers);
    }
    function call<Types extends Contract>(peer: Client | ConnectedClient, types: Types): Caller<Types> {
      return caller(peer, types, { timeout: 1_000 });
    }
    function one<Types extends Contract, Name extends keyof Types>(types: Types, name: Name): Caller<Types>[Name] {
      return caller(client, types)[name];
    }
    async function first<In, Out, ReplyIn, ReplyOut>(
      add: MessageType<In, Out, ReplyIn, ReplyOut>,
      calls: { readonly add: (payload: In) => Promise<ReplyOut> },
      payload: In,
    ): Promise<ReplyOut> {
      return await calls[add.name as "add"](payload);
    }
    compiled(() => {
      const { add, count } = contract;
      serve(server, { add, count }, { add: ({ data }) => data.a, count: () => ReadableStream.from([1]) });
      // @ts-expect-error: count is missing
      serve(server, { add, count }, { add: ({ data }) => data.a });
      // @ts-expect-error: it returns a number
      serve(server, { add }, { add: () => "5" });
      const calls = call(server.clients[0], { add, count });
      assertType<Same<typeof calls.add, typeof api.add>>();
      assertType<Same<typeof calls.count, typeof api.count>>();
      const turn = one(contract, "turn");
      assertType<Same<typeof turn, typeof api.turn>>();
      // @ts-expect-error: no such member
      one(contract, "tern");
      const sum = first(add, api, { a: 1, b: 2 });
      assertType<Same<typeof sum, Promise<number>>>();
    });
  });

  it("take types that were declared one by one, and those of one's own codecs", () => {
    const date: Codec<Date, number> = {
      encode: (value) => String(value),
      decode: (bytes) => new Date(Number(new TextDecoder().decode(bytes))),
    };
    const types = {
      at: messageType(700, "at", date, date),
      raw: messageType(701),
      feed: streamType(702, "feed", { up: false, down: date }),
    };
    const calls = caller(client, types);
    assertType<Same<typeof calls.at, (payload: number, options?: RequestOptions) => Promise<Date>>>();
    assertType<Same<typeof calls.raw, (payload: Uint8Array, options?: SendOptions) => boolean>>();
    assertType<Same<typeof calls.feed, (options?: OpenOptions) => OpenStream<Uint8Array, Date, void>>>();
    compiled(() => {
      implement(server, types, {
        at: ({ data }) => data.getTime(),
        raw: ({ data }) => assertType<Same<typeof data, Uint8Array>>(),
        feed: () => ReadableStream.from([5]),
      });
    });
  });
});

describe("declared errors", () => {
  it("are a union of codes, for those who throw and those who catch", () => {
    assertType<Same<ErrorCodeOf<typeof contract.find>, "not-found" | "busy">>();
    assertType<Same<ErrorCodeOf<typeof contract.count>, "negative">>();
    assertType<Same<ErrorCodeOf<typeof contract.add>, never>>();
    const types = [
      messageType(700, "x", text, text, { errors: ["a", "b"] }),
      streamType(701, "x", { errors: ["a", "b"] }),
    ] as const;
    assertType<Same<ErrorCodeOf<typeof types[0]>, "a" | "b">>();
    assertType<Same<ErrorCodeOf<typeof types[1]>, "a" | "b">>();
    compiled((error: unknown) => {
      const thrown = errorOf(contract.find, "busy", "Try later", { cause: error });
      assertType<Same<typeof thrown, VeltixError<"not-found" | "busy">>>();
      if (isErrorOf(error, contract.find)) {
        assertType<Same<typeof error, RemoteErrorOf<typeof contract.find>>>();
        assertType<Same<typeof error.code, "not-found" | "busy">>();
        const remote: RemoteError = error;
        return remote;
      }
      assertType<Same<typeof error, unknown>>();
      // @ts-expect-error: no such code
      errorOf(contract.find, "gone");
      // @ts-expect-error: it declares none
      errorOf(contract.add, "busy");
      // @ts-expect-error: it declares none
      isErrorOf(error, contract.add);
      // @ts-expect-error: codes are text
      messageType(700, "x", text, text, { errors: [5] });
      // @ts-expect-error: an error is an answer, and there is none
      messageType(700, "x", text, undefined, { errors: ["a"] });
      // @ts-expect-error: codes are text
      messageTypes({ x: { payload: text, reply: text, errors: [5] } });
      return undefined;
    });
  });

  it("leave the types of others as they are", () => {
    const types = messageTypes({
      plain: { payload: text, reply: bytes },
      coded: { code: 700, payload: text },
      feed: { stream: { down: text } },
    });
    assertType<Same<typeof types.plain, MessageType<string, string, Uint8Array, Uint8Array>>>();
    assertType<Same<typeof types.coded, MessageType<string>>>();
    assertType<Same<typeof types.feed, StreamType<void, void, Uint8Array, Uint8Array, string, string>>>();
  });
});

describe("schemas of Zod, Valibot and ArkType", () => {
  it("check and transform what goes through a contract", async () => {
    await using peers = await streamPeers();
    const { zod, valibot, arktype } = contract;
    const part = { zod, valibot, arktype };
    implement(peers.server, part, {
      zod: ({ data }) => ({ count: `${data.at.getUTCFullYear()}` }),
      valibot: ({ data }) => data > 3 ? { kind: "ok" } : { kind: "no", why: "short" },
      arktype: ({ data: { n, name } }) => n > 0 && name !== undefined ? "right" : "left",
    });
    const calls = caller(peers.client, part);
    assertEquals(await calls.zod({ at: "2026-01-01" }), { count: 2026, step: 1 });
    assertEquals(await calls.valibot("abcd"), { kind: "ok", step: 4 });
    assertEquals(await calls.valibot("abc"), { kind: "no", why: "short" });
    assertEquals(await calls.arktype({ n: "5", name: "x" }), "right");
    assertEquals(await calls.arktype({ n: "5" }), "left");
    for (const wrong of [calls.zod({} as never), calls.valibot(5 as never), calls.arktype({ n: "five" })]) {
      const error = await assertRejects(() => wrong, RemoteError);
      assertEquals(error.code, "invalid-payload");
    }
    for (const error of peers.errors) assertEquals((error as PayloadError).code, "invalid-payload");
    assertEquals(peers.errors.length, 3);
  });
});
