/** Types of streams: declared one by one, and as members of a contract. */

import { assert, assertEquals, assertNotEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type AnyMessageType,
  type AnyStreamType,
  bytes,
  type ContractMember,
  empty,
  fingerprint,
  json,
  messageType,
  MessageTypeError,
  messageTypes,
  streamType,
  text,
} from "../mod.ts";
import { collect, streamPeers } from "./streams_support.ts";

/** What is wrong with the parts of a stream type, and what the error says of it. */
const WRONG: readonly [parts: unknown, says: string][] = [
  [null, "its parts must be an object, pass { head, up, down, result }"],
  [5, "its parts must be an object"],
  [[text], "its parts must be an object"],
  [text, "it has a codec in place of its parts"],
  [{ hed: text }, 'it has no part "hed"'],
  [{ head: text, payload: text }, 'it has no part "payload"'],
  [{ head: false }, "head must be a codec with encode and decode"],
  [{ head: null }, "head must be a codec"],
  [{ result: false }, "result must be a codec"],
  [{ up: true }, "up must be a codec"],
  [{ up: null }, "up must be a codec"],
  [{ down: {} }, "down must be a codec"],
  [{ down: { ...json(), "~standard": {} } }, "down is a schema, make a codec of it with json()"],
];

describe("streamType()", () => {
  it("has bytes in both directions, and neither head nor result, until it is told", () => {
    const { head, up, down, result, code, name, description } = streamType(300, "plain");
    assertEquals([code, name, description], [300, "plain", ""]);
    for (const [part, codec] of [[head, empty], [up, bytes], [down, bytes], [result, empty]]) {
      assertStrictEquals<unknown>(part, codec);
    }
    const told = streamType(65535, "told", { head: text, up: text, down: false, result: bytes, description: "Why" });
    assertEquals([told.code, told.description, told.down], [65535, "Why", undefined]);
    for (const [part, codec] of [[told.head, text], [told.up, text], [told.result, bytes]]) {
      assertStrictEquals<unknown>(part, codec);
    }
    assertStrictEquals(streamType(300, "x", { up: undefined, head: undefined }).up, bytes);
    assertEquals(streamType(300, "none", { up: false, down: false }).up, undefined);
    assert(Object.isFrozen(told));
  });

  it("refuses codes, names and parts that are none, and says which", () => {
    for (const code of [199, 65536, 1.5, NaN, "300" as never]) {
      const error = assertThrows(() => streamType(code, "x"), MessageTypeError, `must be 200 to 65535, not ${code}`);
      assertEquals(error.code, "code-out-of-range");
    }
    for (const name of ["", undefined, text]) {
      assertThrows(() => streamType(300, name as never), TypeError, "its name must be a non-empty string");
    }
    for (const [parts, says] of WRONG) {
      assertThrows(
        () => streamType(300, "x", parts as never),
        TypeError,
        `Cannot declare the stream type "x": ${says}`,
      );
    }
  });
});

describe("messageTypes() with streams", () => {
  it("gives them codes by position, or their own, as it does for messages", () => {
    const types = messageTypes({
      chat: text,
      upload: { stream: { head: text, down: false, result: json<number>() } },
      feed: { code: 210, stream: { up: false, down: text } },
      plain: { stream: {} },
      later: { code: undefined as never, stream: {} },
      who: [text, text],
    });
    assertEquals(
      Object.values<AnyMessageType | AnyStreamType>(types).map(({ code, name }) => [code, name]),
      [[200, "chat"], [201, "upload"], [210, "feed"], [202, "plain"], [203, "later"], [204, "who"]],
    );
    assertStrictEquals(types.upload.head, text);
    assertEquals([types.upload.down, types.feed.up], [undefined, undefined]);
    assertStrictEquals(types.plain.up, bytes);
    assertStrictEquals(types.plain.result, empty);
    assert(Object.isFrozen(types.upload));
    assertEquals(messageTypes({ a: { stream: {} }, b: text }, { from: 300 }).b.code, 301);
  });

  it("refuses a code that a message has, whichever of them has it by its place", () => {
    const cases: Record<string, ContractMember>[] = [
      { a: text, b: { code: 200, stream: {} } },
      { a: { code: 200, stream: {} }, b: text },
      { a: { stream: {} }, b: { code: 200, payload: text } },
      { a: { code: 210, stream: {} }, b: { code: 210, stream: {} } },
    ];
    for (const contract of cases) {
      const error = assertThrows(() => messageTypes(contract), MessageTypeError, '"a" and "b" both have the code');
      assertEquals(error.code, "code-taken");
    }
    const outside = assertThrows(() => messageTypes({ a: { code: 199, stream: {} } }), MessageTypeError);
    assertEquals(outside.code, "code-out-of-range");
  });

  it("refuses wrong parts as streamType() does, and a member that has a payload, too", () => {
    for (const [parts, says] of WRONG) {
      const contract = { a: { stream: parts as never } };
      assertThrows(() => messageTypes(contract), TypeError, `Cannot declare the stream type "a": ${says}`);
    }
    for (const more of [{ payload: text }, { reply: text }]) {
      assertThrows(() => messageTypes({ a: { stream: {}, ...more } }), TypeError, "a member has a payload, or it is");
    }
    // A codec of one's own may have a field of this name.
    const own = { stream: 5, encode: (value: string): string => value, decode: text.decode };
    assertStrictEquals<unknown>(messageTypes({ own }).own.payload, own);
  });

  it("makes types that work like those of streamType()", async () => {
    const { upload, feed } = messageTypes({
      upload: { stream: { head: text, down: false, result: json<number>() } },
      feed: { stream: { head: json<number>(), up: false, down: text } },
    });
    await using peers = await streamPeers();
    peers.server.stream(upload, async ({ head, readable }) => (await collect(readable)).length + head.length);
    peers.server.stream(feed, async function* ({ head }): AsyncGenerator<string> {
      for (let i = 0; i < head; i++) yield `${i}`;
    });
    const up = peers.client.open(upload, "abc");
    const writer = up.writable.getWriter();
    await writer.write(new Uint8Array(10));
    await writer.close();
    assertEquals(await up.result, 13);
    const items: string[] = [];
    for await (const item of peers.client.open(feed, 3).readable) items.push(item);
    assertEquals([items, peers.errors], [["0", "1", "2"], []]);
  });
});

describe("fingerprint() of streams", () => {
  it("tells a stream from a message of the same name and code, and one stream from another by both", () => {
    const contract = { a: streamType(300, "a") };
    // A figure of its own: it must be the same on every runtime and in every release.
    assertEquals(fingerprint(contract), "a5da59eb");
    const others = [
      messageType(300, "a", text),
      messageType(300, "a", text, text),
      streamType(301, "a"),
      streamType(300, "b"),
      // A name that could pass for the rest of the line.
      messageType(300, 'a","stream"]', text),
    ];
    for (const a of others) assertNotEquals(fingerprint({ a } as never), fingerprint(contract));
    assertEquals(new Set(others.map((a) => fingerprint({ a } as never))).size, others.length);
  });

  it("does not look at codecs, nor at how a type was declared, nor at the order", () => {
    const { a, b } = messageTypes({ a: { stream: { head: text } }, b: text }, { from: 300 });
    assertEquals(fingerprint({ a, b }), fingerprint({ b, a: streamType(300, "a", { up: false }) }));
  });
});
