/**
 * Message types, contracts and codecs, by themselves and over a connection within the program.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bytes,
  Client,
  type Codec,
  type ContractMember,
  decodeJson,
  decodeUtf8,
  empty,
  encodeJson,
  encodeUtf8,
  fingerprint,
  json,
  messageType,
  MessageTypeError,
  messageTypes,
  PayloadError,
  RemoteError,
  Server,
  type StandardSchema,
  text,
  VeltixError,
} from "@veltix/core";
import { memoryTransport } from "@veltix/core/memory";
import fc from "fast-check";
import * as v from "valibot";
import { z } from "zod";
import { unhex, utf8 } from "./wire_support.ts";

/** Any well-formed text. `fc.string` of all characters first makes a table of a million, which takes seconds. */
const texts = fc.array(fc.oneof(fc.nat(0x7f), fc.nat(0xd7ff), fc.integer({ min: 0xe000, max: 0x10ffff })), {
  maxLength: 300,
}).map((all) => String.fromCodePoint(...all));

/** Checks a property on the same values every time. */
const holds = (property: fc.IProperty<unknown>): void => fc.assert(property, { seed: 20261121, numRuns: 200 });

/** What was thrown, checked to be a PayloadError. */
function payloadError(fn: () => unknown, message: string): PayloadError {
  const error = assertThrows(fn, PayloadError);
  assertEquals([error.code, error.name], ["invalid-payload", "PayloadError"]);
  assertStringIncludes(error.message, message);
  return error;
}

/** The same for one that is too large. */
function payloadTooLarge(fn: () => unknown, message: string): PayloadError {
  const error = assertThrows(fn, PayloadError);
  assertEquals(error.code, "payload-too-large");
  assertStringIncludes(error.message, message);
  return error;
}

/** A codec's value over the wire: strings are sent as UTF-8. */
function transfer<Out, In>(codec: Codec<Out, In>, value: In): Out {
  const payload = codec.encode(value);
  return codec.decode(typeof payload === "string" ? encodeUtf8(payload) : payload);
}

describe("messageType()", () => {
  it("takes the codes 200 to 65535 and no other", () => {
    for (const code of [200, 201, 9999, 10000, 65535]) assertEquals(messageType(code).code, code);
    const wrong = [199, 0, -200, 65536, 2 ** 32 + 200, 1.5, 200.5, NaN, Infinity, "200", [200], null, true, 200n];
    for (const code of wrong) {
      const error = assertThrows(() => messageType(code as number, "chat"), MessageTypeError);
      assertEquals(error.code, "code-out-of-range");
      const shown = typeof code === "string" ? 'the text "200"' : code;
      assertEquals(
        error.message,
        `Cannot declare the message type "chat": its code must be 200 to 65535, not ${shown}`,
      );
      assertInstanceOf(error, VeltixError);
    }
  });

  it("has bytes as payload, no reply, and a name made of the code unless told otherwise", () => {
    const { name, description, payload, reply } = messageType(345);
    assertEquals([name, description, reply], ["type-345", "", undefined]);
    assertStrictEquals(payload, bytes);
    assertEquals(messageType(345, "chat").name, "chat");
    const ADD = messageType(345, "add", text, bytes, { description: "Adds" });
    assertEquals([ADD.name, ADD.description], ["add", "Adds"]);
    assertStrictEquals(ADD.payload, text);
    assertStrictEquals(ADD.reply, bytes);
  });

  it("refuses what is no codec, and a name that is no text", () => {
    const cases: [args: unknown[], message: string][] = [
      [["x", null], 'Cannot declare the message type "x": payload must be a codec with encode and decode'],
      [
        ["x", { encode: () => "" }],
        'Cannot declare the message type "x": payload must be a codec with encode and decode',
      ],
      [["x", "text"], 'Cannot declare the message type "x": payload must be a codec with encode and decode'],
      [["x", text, null], 'Cannot declare the message type "x": reply must be a codec with encode and decode'],
      [
        ["x", text, { decode: () => "" }],
        'Cannot declare the message type "x": reply must be a codec with encode and decode',
      ],
      [["x", z.string()], 'Cannot declare the message type "x": payload is a schema, make a codec of it with json()'],
      [[text], "Cannot declare the message type 200: its name must be a non-empty string"],
      [[""], "Cannot declare the message type 200: its name must be a non-empty string"],
      [[5], "Cannot declare the message type 200: its name must be a non-empty string"],
    ];
    for (const [args, message] of cases) {
      const declare = messageType as (code: number, ...rest: unknown[]) => unknown;
      assertEquals((assertThrows(() => declare(200, ...args), TypeError) as Error).message, message);
    }
  });

  it("makes frozen values, of which two for one code are as good as one", async () => {
    const first = messageType(200, "add", json<[number, number]>(), json<number>());
    const second = messageType(200, "add", json<[number, number]>(), json<number>());
    assert(Object.isFrozen(first) && Object.isFrozen(first.payload) && Object.isFrozen(bytes) && Object.isFrozen(text));
    assertNotStrictEquals<unknown>(first, second);
    await withPeers(async (server, client) => {
      server.route(first, ({ data: [a, b] }) => a + b);
      assertEquals(await client.request(second, [1, 2]), 3);
      assert(server.unroute(second));
      await assertRejects(() => client.request(second, [1, 2]), RemoteError, "No route for code 200");
    });
  });

  it("leaves a codec of the user's own as it is, methods and fields included", () => {
    class Counter implements Codec<number> {
      count = 0;
      encode(value: number): string {
        this.count++;
        return String(value);
      }
      decode(bytes: Uint8Array): number {
        this.count++;
        return Number(decodeUtf8(bytes));
      }
    }
    const counter = new Counter();
    const COUNT = messageType(200, "count", counter);
    assert(!Object.isFrozen(counter));
    assertEquals([transfer(COUNT.payload, 7), counter.count], [7, 2]);
  });
});

describe("messageTypes()", () => {
  it("numbers a contract in the order of its names, from 200 or from where it is told", () => {
    const types = messageTypes({ zebra: text, add: [json<number>(), bytes], apple: bytes });
    assertEquals(
      Object.entries(types).map(([key, { code, name }]) => [key, code, name]),
      [["zebra", 200, "zebra"], ["add", 201, "add"], ["apple", 202, "apple"]],
    );
    assertStrictEquals(types.zebra.payload, text);
    assertStrictEquals(types.add.reply, bytes);
    assertEquals(types.apple.reply, undefined);
    assertEquals(messageTypes({ last: text }, { from: 65535 }).last.code, 65535);
    assertEquals(messageTypes({}, { from: 300 }), {});
  });

  it("is frozen, its types, too", () => {
    const types = messageTypes({ chat: text });
    assert(Object.isFrozen(types) && Object.isFrozen(types.chat));
  });

  it("gives members their own codes, and the others the place they would have without those", () => {
    const types = messageTypes({
      chat: text,
      who: { code: 210, payload: text, reply: bytes },
      add: [text, text],
      gone: { code: 0xffff, payload: bytes },
      last: empty,
    });
    const codes = Object.values(types).map(({ code }) => code);
    assertEquals(codes, [200, 210, 201, 65535, 202]);
    assertStrictEquals(types.who.reply, bytes);
    assertEquals([types.gone.reply, types.who.name], [undefined, "who"]);
    // A codec of one's own may have fields of these names.
    class Own {
      code = 300;
      payload = 5;
      encode = (value: string): string => value;
      decode = decodeUtf8;
    }
    assertEquals(messageTypes({ own: new Own() }).own.code, 200);
  });

  it("refuses two members with one code, whichever of them has it by its place", () => {
    const cases: [contract: Record<string, ContractMember>, message: string][] = [
      [
        { a: { code: 210, payload: text }, b: { code: 210, payload: text } },
        '"a" and "b" both have the code 210, give "b" another one',
      ],
      [{ a: text, b: { code: 200, payload: text } }, '"a" and "b" both have the code 200, give "b" another one'],
      [
        { a: text, b: { code: 201, payload: text }, c: text },
        '"b" and "c" both have the code 201, give "c" a code of its own, too',
      ],
    ];
    for (const [contract, message] of cases) {
      const error = assertThrows(
        () => messageTypes(contract),
        MessageTypeError,
        `Cannot number the contract: ${message}`,
      );
      assertEquals(error.code, "code-taken");
    }
    const outside = assertThrows(() => messageTypes({ a: { code: 199, payload: text } }), MessageTypeError);
    assertEquals(outside.code, "code-out-of-range");
  });

  it("refuses codes that run out of the range", () => {
    for (const from of [199, 65535, 1.5, NaN, "300" as unknown as number]) {
      const error = assertThrows(() => messageTypes({ a: text, b: text }, { from }), MessageTypeError);
      assertEquals(error.code, "code-out-of-range");
    }
  });

  it("refuses names that are numbers, because an object sorts those first", () => {
    for (const name of ["0", "7", "300"]) {
      assertThrows(
        () => messageTypes({ chat: text, [name]: text }),
        TypeError,
        `Cannot number the contract: the name "${name}" is a number`,
      );
    }
  });

  it("refuses members that are no codecs", () => {
    const fixed = [{ code: 210 }, { code: 210, payload: {} }, { code: 210, payload: text, reply: null }];
    for (const member of [undefined, null, "text", {}, [], [text], [text, undefined], [null, text], ...fixed]) {
      assertThrows(
        () => messageTypes({ chat: member as never }),
        TypeError,
        'Cannot declare the message type "chat": ',
      );
    }
  });

  it("takes every other name, and one cannot reach the prototype", () => {
    const types = messageTypes({ ["__proto__"]: text, constructor: text, "1a": text } as never);
    assertEquals(Object.keys(types), ["__proto__", "constructor", "1a"]);
    assertStrictEquals(Object.getPrototypeOf(types), Object.prototype);
  });
});

describe("fingerprint()", () => {
  it("is of the codes, the names and whether there is a reply, in whatever order they stand", () => {
    const contract = messageTypes({ chat: text, who: [text, bytes] });
    // A figure of its own: it must be the same on every runtime and in every release.
    assertEquals(fingerprint(contract), "828075a7");
    assertEquals(fingerprint({}), "00000000");
    const { chat, who } = contract;
    assertEquals(fingerprint({ who, chat }), fingerprint(contract));
    assertEquals(fingerprint({ a: who, b: chat }), fingerprint(contract));
    const others = [
      { chat },
      { chat, who: messageType(201, "who", text) },
      { chat, who: messageType(202, "who", text, bytes) },
      { chat, who: messageType(201, "when", text, bytes) },
      messageTypes({ who: [text, bytes], chat: text }),
      // Names that could pass for the text between them.
      { chat: messageType(200, 'chat",false]\n[201,"who', text, bytes) },
    ];
    assertEquals(new Set([contract, ...others].map(fingerprint)).size, 1 + others.length);
  });

  it("refuses what is no contract", () => {
    for (const wrong of [null, undefined, "text", { chat: text }, { chat: null }]) {
      assertThrows(() => fingerprint(wrong as never), TypeError, "Cannot take the fingerprint: ");
    }
  });
});

describe("empty", () => {
  it("is no bytes, and refuses a payload on either side", () => {
    assertEquals(empty.encode(), "");
    assertEquals(empty.decode(new Uint8Array(0)), undefined);
    for (const [value, shown] of [[null, "null"], ["", "string"], [0, "number"], [new Date(), "Date"]]) {
      const { message } = assertThrows(() => empty.encode(value as never), TypeError) as Error;
      assertEquals(message, `Cannot encode the payload: its type has none, so it must be undefined, not ${shown}`);
    }
    payloadError(() => empty.decode(new Uint8Array(3)), "Cannot decode the payload: 3 bytes came where none belong");
  });

  it("goes to and fro without an argument, and a peer that sends bytes is told", async () => {
    const PING_ME = messageType(200, "ping me", empty);
    const SAVE = messageType(201, "save", empty, empty);
    const raw = { code: 201, name: "save" };
    await withPeers(async (server, client) => {
      const heard: unknown[] = [];
      const errors: unknown[] = [];
      server.on("error", (error) => errors.push(error));
      server.route(PING_ME, ({ data, content }, peer) => {
        heard.push([data, content.length]);
        peer.send(PING_ME);
      });
      server.route(SAVE, ({ wantsReply }) => void heard.push(wantsReply));
      const back = new Promise((resolve) => client.route(PING_ME, resolve));
      assertEquals(client.send(PING_ME), true);
      await back;
      assertEquals(await client.request(SAVE), undefined);
      assertEquals(await client.request(SAVE, undefined, { timeout: 5_000 }), undefined);
      assertEquals(heard, [[undefined, 0], true, true]);
      const again = new Promise((resolve) => client.on("message", resolve));
      client.unroute(PING_ME);
      assertEquals(server.broadcast(PING_ME).sent, 1);
      await again;
      // Whoever declares the type otherwise.
      const other = messageType(raw.code, raw.name, text, text);
      const refused = await assertRejects(() => client.request(other, "null"), RemoteError);
      assertEquals([refused.code, errors.length], ["invalid-payload", 1]);
      assertStringIncludes(refused.message, "4 bytes came where none belong");
      assertEquals(await client.request(other, ""), "");
    });
  });
});

describe("reply()", () => {
  it("works when it is taken out of its message", async () => {
    const UPPER = messageType(200, "upper", text, text);
    const TWICE = messageType(201, "twice", text, text);
    await withPeers(async (server, client) => {
      const codes: unknown[] = [];
      server.route(UPPER, ({ data, reply }) => reply(data.toUpperCase()));
      server.route(TWICE, async ({ data, reply, text, signal }) => {
        const answered = reply(data + text);
        await Promise.resolve();
        try {
          reply("again");
        } catch (error) {
          codes.push((error as MessageTypeError).code, signal.aborted);
        }
        return answered;
      });
      assertEquals(await client.request(UPPER, "hello"), "HELLO");
      assertEquals(await client.request(TWICE, "a"), "aa");
      await server.close();
      assertEquals(codes, ["already-replied", false]);
    });
  });
});

describe("bytes", () => {
  it("hands over the same bytes, without a copy", () => {
    const content = unhex("00ff80");
    assertStrictEquals(bytes.encode(content), content);
    assertStrictEquals(bytes.decode(content), content);
    class Own extends Uint8Array {}
    assertEquals(bytes.encode(new Own(3)).length, 3);
  });

  it("refuses anything else, and says what it got", () => {
    const cases: [value: unknown, shown: string][] = [
      ["text", "string"],
      [5, "number"],
      [null, "null"],
      [undefined, "undefined"],
      [[1, 2], "an array"],
      [new ArrayBuffer(3), "ArrayBuffer"],
      [new DataView(new ArrayBuffer(3)), "DataView"],
      [new Float32Array(3), "Float32Array"],
      [new Map(), "Map"],
      [{}, "object"],
      [Object.create(null), "object"],
      [() => 1, "function"],
      // What cannot be asked for its class, or lies about it, is an object.
      [Proxy.revocable({}, {}).proxy, "object"],
      [{ constructor: "Uint8Array" }, "object"],
      [{ constructor: { name: 5 } }, "object"],
    ];
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    assertThrows(() => bytes.encode(proxy as Uint8Array), TypeError);
    for (const [value, shown] of cases) {
      const { message } = assertThrows(() => bytes.encode(value as Uint8Array), TypeError) as Error;
      assertEquals(message, `Cannot encode the payload: it must be a Uint8Array, not ${shown}`);
    }
  });
});

describe("text", () => {
  it("brings every well-formed text back", () => {
    for (const value of ["", "a", "日本", "👩‍👩‍👧", "\0", "\r\n", "x".repeat(100_000)]) {
      assertEquals(transfer(text, value), value);
    }
    holds(fc.property(texts, (value) => transfer(text, value) === value));
  });

  it("keeps byte order marks", () => {
    for (const value of ["\ufeff", "\ufeffabc", "a\ufeffb", "\ufeff\ufeff"]) assertEquals(transfer(text, value), value);
    assertEquals(text.decode(unhex("efbbbf61")), "\ufeffa");
  });

  it("sends lone surrogates as U+FFFD", () => {
    for (
      const [value, received] of [["\ud800", "\ufffd"], ["a\udc00b", "a\ufffdb"], ["\udc00\ud800", "\ufffd\ufffd"]]
    ) {
      assertEquals(transfer(text, value), received);
    }
  });

  it("refuses bytes that are no UTF-8, every time, and goes on afterwards", () => {
    const wrong = ["80", "c3", "c328", "c080", "e28082ff", "eda080", "f4908080", "f8888080", "fffe", "61e282"];
    for (const digits of wrong) {
      const content = unhex(digits);
      const error = payloadError(
        () => text.decode(content),
        `Cannot decode ${content.length} bytes as text: they are no UTF-8`,
      );
      assertInstanceOf(error.cause, TypeError);
      assertEquals(text.decode(utf8("ä")), "ä");
    }
  });

  it("refuses to encode anything else, and says what it got", () => {
    for (
      const [value, shown] of [[5, "number"], [null, "null"], [new Date(), "Date"], [[], "an array"], [
        undefined,
        "undefined",
      ]]
    ) {
      const { message } = assertThrows(() => text.encode(value as string), TypeError) as Error;
      assertEquals(message, `Cannot encode the payload: it must be a string, not ${shown}`);
    }
  });

  it("decodes a view of a larger buffer, and nothing around it", () => {
    assertEquals(text.decode(utf8("before, inside, behind").subarray(8, 14)), "inside");
  });
});

describe("json()", () => {
  const any = json<unknown>();

  it("brings every JSON value back", () => {
    holds(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      assertEquals(transfer(any, value), JSON.parse(JSON.stringify(value)));
    }));
  });

  it("brings lone surrogates and byte order marks in strings back", () => {
    for (const value of ["\ud800", "\udc00a", "\ufeff", "\u2028"]) assertEquals(transfer(any, value), value);
  });

  it("refuses to encode cycles, bigints, functions, symbols and undefined", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    payloadError(() => any.encode(cycle), "Cannot encode the value as JSON: ");
    payloadError(() => any.encode(1n), "Cannot encode the value as JSON: ");
    payloadError(() => any.encode({ deep: [1n] }), "Cannot encode the value as JSON: ");
    payloadError(() => any.encode(undefined), "Cannot encode the value as JSON: JSON has no undefined");
    payloadError(() => any.encode(() => {}), "Cannot encode the value as JSON: JSON has no function");
    payloadError(() => any.encode(Symbol()), "Cannot encode the value as JSON: JSON has no symbol");
    let deep: unknown = 0;
    for (let i = 0; i < 200_000; i++) deep = [deep];
    try {
      assertEquals((any.encode(deep) as string).length, 400_001); // Deno's V8 goes any depth.
    } catch (error) {
      assertInstanceOf(error, PayloadError);
    }
  });

  it("tells of a toJSON() that throws, whatever it throws", () => {
    for (const thrown of [new Error("not now"), "not now", null, Object.create(null)]) {
      const error = payloadError(() =>
        any.encode({
          toJSON(): void {
            throw thrown;
          },
        }), "Cannot encode the value as JSON: ");
      assertStrictEquals(error.cause, thrown);
    }
  });

  it("refuses malformed JSON", () => {
    for (
      const source of ["", " ", "{", "nul", "{'a':1}", "[1,]", "NaN", "1 2", "\ufeff{}", '"\n"', "01", "undefined"]
    ) {
      payloadError(() => any.decode(utf8(source)), "Cannot decode the JSON: it is malformed");
    }
    payloadError(() => any.decode(unhex("22ff22")), "as text: they are no UTF-8");
  });

  it("refuses a __proto__ key in every spelling and at every depth", () => {
    const letters = [..."__proto__"];
    const escape = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
    const spellings = [
      "__proto__",
      letters.map(escape).join(""),
      letters.map((letter) => escape(letter).toUpperCase().replace("\\U", "\\u")).join(""),
      ...letters.map((_, at) => letters.map((letter, i) => i === at ? escape(letter) : letter).join("")),
    ];
    for (const spelling of spellings) {
      for (const around of ["?", "[?]", '{"a":[1,{"b":?}]}', '[[],"x",{"__proto":1},?]']) {
        const source = around.replace("?", `{"x":1,"${spelling}":{"polluted":true}}`);
        payloadError(() => any.decode(utf8(source)), 'Cannot decode the JSON: it has a key "__proto__"');
      }
    }
    assertEquals(({} as { polluted?: boolean }).polluted, undefined);
  });

  it("finds a __proto__ key wherever it stands in a text of any length, and whatever stands before it", () => {
    // Ends of strings are looked for in two ways, by how long they are.
    const before = [
      "",
      ...[1, 31, 62, 63, 64, 65, 66, 127, 128, 129, 200, 5_000].flatMap((length) =>
        ["x", "\\\\", '\\"', 'x\\"', '\\\\\\"', "\\u0022", "ä"].map((unit) => unit.repeat(length))
      ),
    ];
    for (const text of before) {
      for (
        const [source, found] of [
          [`["${text}",{"__proto__":1}]`, true],
          [`["${text}",{"\\u005f_proto__" \r\n\t :1}]`, true],
          [`{"${text}":{"a":"${text}","__prot\\u006F__":1}}`, true],
          [`["${text}","__proto__",{"a":"__proto__"}]`, false],
          [`["${text}","{\\"__proto__\\":1}"]`, false],
          [`["${text}__proto__",{"${text}x":"\\u005f_proto__"}]`, false],
        ] as const
      ) {
        if (found) payloadError(() => any.decode(utf8(source)), 'Cannot decode the JSON: it has a key "__proto__"');
        else assertEquals(any.decode(utf8(source)), JSON.parse(source));
      }
    }
  });

  it("agrees about __proto__ keys and depth with whoever walks through the value", () => {
    const has = (value: unknown): boolean =>
      typeof value === "object" && value !== null &&
      (Object.hasOwn(value, "__proto__") || Object.values(value).some(has));
    const pieces = fc.constantFrom("__proto__", "_", "\\", '"', "[", "{", "}", ":", "\u0000", "ä", "x".repeat(70));
    const strings = fc.oneof(fc.constant("__proto__"), fc.array(pieces, { maxLength: 6 }).map((all) => all.join("")));
    const escape = (text: string, odd: boolean): string =>
      JSON.stringify(text).replaceAll("_", odd ? "\\u005f" : "_").replaceAll("p", odd ? "p" : "\\u0070");
    const { value: node } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.tuple(strings, fc.boolean()).map(([text, odd]) => escape(text, odd)),
        fc.array(tie("value"), { maxLength: 4 }).map((all) => `[${all.join(" , ")}]`),
        // Of two equal keys the last wins, and what is in the first is not there afterwards.
        fc.uniqueArray(fc.tuple(strings, fc.boolean(), tie("value")), { maxLength: 4, selector: ([key]) => key }).map((
          all,
        ) => `{${all.map(([key, odd, value]) => `${escape(key, odd)} :${value}`).join(",")}}`),
      ),
    }));
    let found = 0;
    let clean = 0;
    fc.assert(
      fc.property(node, (source) => {
        const value = JSON.parse(source);
        if (has(value)) {
          found++;
          payloadError(() => any.decode(utf8(source)), "__proto__");
        } else {
          clean++;
          any.decode(utf8(source));
        }
      }),
      { seed: 20261128, numRuns: 2_000 },
    );
    assert(found > 200 && clean > 200, `${found} with such a key, ${clean} without`);
  });

  it("takes __proto__ in strings, and keys that only look like it", () => {
    for (const value of ["__proto__", ["__proto__"], { a: "__proto__" }, { proto: 1, __proto: 2, "__proto__ ": 3 }]) {
      assertEquals(any.decode(utf8(JSON.stringify(value))), value);
    }
    for (
      const key of [
        "\\u005f_proto_",
        "\\u005f_proto___",
        "\\u005F\\u005F\\u0050roto__",
        "__proto_\\\\u005f",
        "__proto__\\u0000",
      ]
    ) {
      assertEquals(Object.keys(any.decode(utf8(`{"${key}":1}`)) as object), [JSON.parse(`"${key}"`)]);
    }
    assertEquals(any.decode(utf8('{"a":"\\u005f_proto__"}')), { a: "__proto__" });
    assertEquals(
      JSON.stringify(any.decode(utf8('{"constructor":{"prototype":1}}'))),
      '{"constructor":{"prototype":1}}',
    );
  });

  it("takes 128 levels and refuses 129, whatever they are made of", () => {
    const nest = (depth: number, open: string, close: string): Uint8Array =>
      utf8(open.repeat(depth) + "1" + close.repeat(depth));
    const kinds = [["[", "]"], ['{"a":', "}"], ["[0,", ",0]"], ['["[[[[",', ',"{"]'], ['{"\\"[":', "}"]] as const;
    for (const [open, close] of kinds) {
      any.decode(nest(128, open, close));
      for (const depth of [129, 130, 1000, 50_000]) {
        payloadError(() => any.decode(nest(depth, open, close)), "Cannot decode the JSON: it nests more than 128 deep");
      }
    }
    any.decode(utf8(`[${"[],{},".repeat(1000)}${JSON.stringify("[".repeat(1000))}]`));
    payloadError(() => any.decode(utf8("[".repeat(1_000_000))), "it nests more than 128 deep");
  });

  it("says where malformed JSON is malformed, in clean text and without the engine's error", () => {
    const hostile = `\x1b]0;owned\x07\u202e\n[14:00:00.000] INFO  all is well${"x".repeat(1_000)}`;
    for (const source of [hostile, `{"${hostile}`, `[${hostile}]`]) {
      const error = payloadError(() => any.decode(utf8(source)), "Cannot decode the JSON: it is malformed: ");
      // deno-lint-ignore no-control-regex
      assertEquals(error.message.match(/[\x00-\x1f\x7f-\x9f\u202e]/), null);
      assert(error.message.length < 300, error.message);
      assertEquals(error.cause, undefined);
    }
  });

  it("takes maxBytes bytes of UTF-8, 1 MiB by default, and no more: it neither parses nor sends them", () => {
    const quoted = (bytes: number, unit = "x"): string => unit.repeat((bytes - 2) / utf8(unit).length);
    const small = json<unknown>({ maxBytes: 14 });
    const large = json<unknown>({ maxBytes: 3 * 1024 * 1024 });
    const checked = json(z.string(), { maxBytes: 14 });
    const least: Codec<unknown, unknown> = json({ maxBytes: 1 });
    for (
      const [codec, most] of [[any, 1024 * 1024], [json(z.string()), 1024 * 1024], [small, 14], [checked, 14]] as const
    ) {
      for (const unit of ["x", "ä", "日", "😀"]) {
        if ((most - 2) % utf8(unit).length !== 0) continue;
        const value = quoted(most, unit);
        assertEquals((transfer as (codec: unknown, value: unknown) => unknown)(codec, value), value);
        const above = payloadTooLarge(() => codec.encode(`${value}x`), "Cannot encode the value as JSON: its ");
        assertStringIncludes(above.message, ` above its maxBytes, ${most}`);
      }
      const above = payloadTooLarge(() => codec.decode(utf8("[".repeat(most + 1))), "Cannot decode the JSON: its ");
      assertEquals(above.message, `Cannot decode the JSON: its ${most + 1} bytes are above its maxBytes, ${most}`);
    }
    assertEquals(transfer(large, quoted(3 * 1024 * 1024)), quoted(3 * 1024 * 1024));
    assertEquals(transfer(least, 7), 7);
    payloadTooLarge(() => least.encode(10), "its 2 characters are above its maxBytes, 1");
    payloadTooLarge(() => encodeJson("xx", { maxBytes: 3 }), "maxBytes, 3");
    payloadTooLarge(() => decodeJson(utf8('"xx"'), { maxBytes: 3 }), "maxBytes, 3");
    payloadTooLarge(() => encodeJson(quoted(1024 * 1024 + 1)), "maxBytes, 1048576");
    assertEquals(decodeJson(encodeJson("xx", { maxBytes: 4 }), { maxBytes: 4 }), "xx");
  });

  it("refuses other options, and limits that are none", () => {
    const wrong: [unknown, typeof Error, string][] = [
      [{ maxBytes: 0 }, RangeError, "maxBytes must be a whole number from 1 to 2147483647, not 0"],
      [{ maxBytes: 1.5 }, RangeError, "maxBytes must be a whole number from 1 to 2147483647, not 1.5"],
      [{ maxBytes: 2 ** 31 }, RangeError, "maxBytes must be a whole number from 1 to 2147483647, not 2147483648"],
      [{ maxBytes: NaN }, RangeError, "maxBytes must be a whole number from 1 to 2147483647, not NaN"],
      [{ maxBytes: "1" }, TypeError, "maxBytes must be a number, not of type string"],
      [{ maxBites: 1 }, TypeError, 'Unknown option "maxBites"'],
    ];
    for (const [options, type, message] of wrong) {
      assertThrows(() => json(options as never), type, message);
      assertThrows(() => json(z.any(), options as never), type, message);
      assertThrows(() => decodeJson(utf8("1"), options as never), type, message);
      assertThrows(() => encodeJson(1, options as never), type, message);
    }
    assertThrows(() => json(z.any(), 5 as never), TypeError, "must be an object");
    assertThrows(
      () => json({ type: "object" } as never),
      TypeError,
      'Unknown option "type": json(), which takes a Standard',
    );
    for (const nothing of [{}, { maxBytes: undefined }]) assertEquals(transfer(json<number>(nothing), 5), 5);
  });

  it("above maxBytes is refused to the sender of a request, by either side, and ends nothing", async () => {
    const WIDE = messageType(200, "wide", json<string>(), json<string>({ maxBytes: 10 }));
    const NARROW = messageType(200, "wide", json<string>({ maxBytes: 10 }), json<string>());
    await withPeers(async (server, client) => {
      server.on("error", () => {});
      server.route(NARROW, ({ data }) => data.repeat(5));
      payloadTooLarge(() => client.send(NARROW, "x".repeat(9)), "maxBytes, 10");
      const far = await assertRejects(() => client.request(WIDE, "x".repeat(9)), RemoteError);
      assertEquals([far.code, far.message], [
        "payload-too-large",
        "Cannot decode the JSON: its 11 bytes are above its maxBytes, 10",
      ]);
      const near = await assertRejects(() => client.request(WIDE, "xxxx"), PayloadError);
      assertEquals(near.code, "payload-too-large");
      assertEquals(await client.request(WIDE, "x"), "xxxxx");
    });
  });

  it("shares its rules with encodeJson(), decodeJson() and Message.json", async () => {
    assertEquals(decodeJson(encodeJson({ a: ["ä", null] })), { a: ["ä", null] });
    payloadError(() => encodeJson(undefined), "JSON has no undefined");
    payloadError(() => decodeJson(utf8('{"__proto__":1}')), "__proto__");
    const RAW = messageType(200);
    await withPeers(async (server, client) => {
      const seen = new Promise<unknown[]>((resolve) =>
        server.route(RAW, (message) => {
          const error = assertThrows(() => message.json, PayloadError);
          resolve([error.message, message.text]);
        })
      );
      client.send(RAW, utf8('{"__proto__":1}'));
      assertEquals(await seen, ['Cannot decode the JSON: it has a key "__proto__"', '{"__proto__":1}']);
    });
  });
});

describe("json(schema)", () => {
  const zod = json(z.object({ name: z.string(), age: z.number().min(0).default(1) }));
  const valibot = json(v.object({ name: v.string(), age: v.optional(v.pipe(v.number(), v.minValue(0)), 1) }));
  const own: StandardSchema<{ name: string }, { name: string; age: number }> = {
    "~standard": {
      version: 1,
      vendor: "own",
      validate: (value) => {
        const { name, age = 1 } = value as { name: string; age?: number };
        if (typeof name !== "string") return { issues: [{ message: "no text", path: ["name"] }] };
        if (age < 0) return { issues: [{ message: "too small", path: [{ key: "age" }] }, { message: "another" }] };
        return { value: { name, age } };
      },
    },
  };

  for (const [library, codec] of [["Zod", zod], ["Valibot", valibot], ["a hand-made schema", json(own)]] as const) {
    it(`takes ${library}: what is right comes out transformed, what is wrong is told with its path`, () => {
      assertEquals(transfer(codec, { name: "Ada" }), { name: "Ada", age: 1 });
      const wrong = (value: unknown): PayloadError =>
        payloadError(() => codec.decode(encodeJson(value)), "The payload is invalid: ");
      assertStringIncludes(wrong({ name: 5 }).message, "The payload is invalid: name: ");
      const error = wrong({ name: "Ada", age: -1 });
      assertStringIncludes(error.message, "The payload is invalid: age: ");
      assert(Array.isArray(error.cause) && error.cause.length > 0);
    });
  }

  it("tells the path of what is wrong through arrays and objects, and nothing where the whole is wrong", () => {
    const people = json(z.object({ people: z.array(z.object({ name: z.string() })) }));
    const { message } = payloadError(() => people.decode(utf8('{"people":[{"name":"a"},{"name":1}]}')), "invalid");
    assertStringIncludes(message, "The payload is invalid: people.1.name: ");
    const deep = json(v.object({ people: v.array(v.object({ name: v.string() })) }));
    assertStringIncludes(
      payloadError(() => deep.decode(utf8('{"people":[{"name":1}]}')), "invalid").message,
      "The payload is invalid: people.0.name: ",
    );
    const { message: whole } = payloadError(() => json(z.string()).decode(utf8("5")), "The payload is invalid: ");
    assert(!whole.includes("undefined") && !/invalid: : /.test(whole), whole);
  });

  it("is happy with issues that say nothing, and with a path of symbols", () => {
    const schema = (issues: readonly unknown[]): Codec<unknown, unknown> =>
      json({ "~standard": { version: 1, vendor: "own", validate: () => ({ issues }) } } as never);
    payloadError(() => schema([]).decode(utf8("1")), "The payload is invalid: the schema refused it");
    payloadError(
      () => schema([{ message: "m", path: [Symbol("s"), 0] }]).decode(utf8("1")),
      "The payload is invalid: Symbol(s).0: m",
    );
  });

  it("reads hostile JSON before the schema sees it", () => {
    const codec = json(z.any());
    payloadError(() => codec.decode(utf8('{"\\u005f_proto__":1}')), "__proto__");
    payloadError(() => codec.decode(utf8("[".repeat(1000) + "]".repeat(1000))), "128 deep");
  });

  it("refuses what is no Standard Schema", () => {
    for (const schema of [null, "string", 5, { "~standard": {} }, { "~standard": { validate: true } }, () => {}]) {
      assertThrows(
        () => json(schema as never),
        TypeError,
        "Cannot make a JSON codec: schema must be a Standard Schema validator",
      );
    }
  });

  it("takes a schema that is a function, as ArkType's are", () => {
    const schema = Object.assign(() => {}, own);
    assertEquals(transfer(json(schema), { name: "Ada" }), { name: "Ada", age: 1 });
  });

  it("refuses the first payload that an asynchronous schema is to check, and leaves no rejection behind", () => {
    const rejecting = { "~standard": { version: 1, vendor: "own", validate: () => Promise.reject(new Error("late")) } };
    const schemas: unknown[] = [
      v.objectAsync({ name: v.string() }),
      v.pipeAsync(v.string(), v.checkAsync(() => Promise.resolve(true))),
      z.any().refine(() => Promise.resolve(true)),
      rejecting,
    ];
    for (const schema of schemas) {
      payloadError(
        () => json(schema as StandardSchema).decode(utf8('"text"')),
        "Cannot check the payload: the schema answered with a promise, as it is asynchronous or a function in it threw; " +
          "use one that answers at once",
      );
    }
  });

  it("asks a schema about a peer's values only", () => {
    const asked: unknown[] = [];
    const curious = json({
      "~standard": { version: 1, vendor: "own", validate: (value: unknown) => ({ value: asked.push(value) }) },
    });
    assertEquals(asked, []);
    curious.decode(utf8("5"));
    assertEquals(asked, [5]);
    const shout = json(z.any().transform((value) => value.toUpperCase() as string));
    assertEquals(transfer(shout, "hello"), "HELLO");
    const grab = json({
      "~standard": {
        version: 1,
        vendor: "own",
        validate: (value: unknown) => ({ value: (value as { name: string }).name.length }),
      },
    });
    assertEquals(transfer(grab, { name: "Ada" }), 3);
    assertThrows(() => grab.decode(utf8("null")), TypeError);
  });

  it("refuses a payload on which a schema turns out to be asynchronous, and leaves no rejection behind", () => {
    const rejecting: StandardSchema<unknown> = {
      "~standard": {
        version: 1,
        vendor: "own",
        validate: (value) => typeof value === "string" ? Promise.reject(new Error("late")) : { value },
      },
    };
    const late = json(z.union([z.number(), z.string().refine(() => Promise.resolve(true))]));
    for (const codec of [late, json(rejecting)]) {
      assertEquals(codec.decode(utf8("5")), 5);
      payloadError(() => codec.decode(utf8('"text"')), "Cannot check the payload: the schema answered with a promise");
    }
  });

  it("keeps invalid payloads from handlers, and tells the sender of a request", async () => {
    const GREET = messageType(200, "greet", zod, json(z.string().max(10)));
    await withPeers(async (server, client) => {
      const errors: unknown[] = [];
      let handled = 0;
      server.on("error", (error) => errors.push(error));
      server.route(GREET, ({ data }) => {
        handled++;
        return `Hello ${data.name}`;
      });
      assertEquals(await client.request(GREET, { name: "Ada" }), "Hello Ada");
      const refused = await assertRejects(() => client.request(GREET, { name: "Ada", age: -1 }), RemoteError);
      assertEquals(refused.code, "invalid-payload");
      assertStringIncludes(refused.message, "The payload is invalid: age: ");
      assertEquals([handled, errors.length], [1, 1]);
      assertInstanceOf(errors[0], PayloadError);
      // The answer is checked where it arrives.
      await assertRejects(
        () => client.request(GREET, { name: "Ada Lovelace" }),
        PayloadError,
        "The payload is invalid: ",
      );
      assertEquals(client.state, "connected");
    });
  });
});

describe("a codec that is wrong", () => {
  const wrong = (encode: unknown, decode: unknown = (bytes: Uint8Array) => bytes): Codec<unknown> =>
    ({ encode: () => encode, decode }) as Codec<unknown>;

  it("and encodes to neither bytes nor a string fails at the sender, on send(), request() and broadcast()", async () => {
    for (const value of [5, undefined, null, {}, [1], new ArrayBuffer(1), new Uint16Array(1)]) {
      const WRONG = messageType(200, "wrong", wrong(value), bytes);
      await withPeers(async (server, client) => {
        const message = 'Cannot encode "wrong": its codec returned ';
        assertMatch(payloadError(() => client.send(WRONG, 1), message).message, /neither a Uint8Array nor a string$/);
        await assertRejects(() => client.request(WRONG, 1), PayloadError, message);
        payloadError(() => server.broadcast(WRONG, 1), message);
        assertEquals([client.state, server.clients.length], ["connected", 1]);
      });
    }
  });

  it("and throws fails at the sender with what it threw", async () => {
    const failure = new Error("broken codec");
    const fail = (): never => {
      throw failure;
    };
    const WRONG = messageType(200, "wrong", { encode: fail, decode: fail }, bytes);
    await withPeers(async (server, client) => {
      assertStrictEquals(assertThrows(() => client.send(WRONG, 1 as never)), failure);
      assertStrictEquals(await assertRejects(() => client.request(WRONG, 1 as never)), failure);
      assertStrictEquals(assertThrows(() => server.broadcast(WRONG, 1 as never)), failure);
    });
  });

  it("and answers wrongly is told to the sender of the request and in the error event", async () => {
    const ASK = messageType(200, "ask", text, wrong(5));
    await withPeers(async (server, client) => {
      const errors: unknown[] = [];
      server.on("error", (error) => errors.push(error));
      server.route(ASK, () => 1);
      const error = await assertRejects(() => client.request(ASK, "?"), RemoteError);
      assertEquals([error.code, errors.length], ["invalid-payload", 1]);
      assertInstanceOf(errors[0], PayloadError);
    });
  });

  it("and is asynchronous by mistake fails, and its rejection is no unhandled one", async () => {
    const late = (): Promise<never> => Promise.reject(new Error("late"));
    const SEND = messageType(200, "send", { encode: late, decode: late } as unknown as Codec<unknown>, bytes);
    const RECEIVE = messageType(201, "receive", { encode: () => "x", decode: late } as unknown as Codec<unknown>, text);
    await withPeers(async (server, client) => {
      payloadError(() => client.send(SEND, 1), 'Cannot encode "send": its codec returned');
      const errors: unknown[] = [];
      server.on("error", (error) => errors.push(error));
      server.route(RECEIVE, () => "answer");
      await client.request(RECEIVE, 1).catch(() => {});
      // What is not handled by now fails the test run.
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
  });
});

describe("decodeUtf8() and encodeUtf8()", () => {
  it("are each other's inverse on well-formed text", () => {
    holds(fc.property(texts, (value) => decodeUtf8(encodeUtf8(value)) === value));
  });
});

/** A server and a client that is connected to it; both are closed afterwards. */
async function withPeers(body: (server: Server, client: Client) => Promise<void>): Promise<void> {
  const transport = memoryTransport();
  await using server = new Server({ port: 1, transport });
  await server.start();
  await using client = new Client({ port: 1, transport });
  const connected = new Promise((resolve) => server.on("connect", resolve, { once: true }));
  await client.connect();
  await connected;
  await body(server, client);
}
