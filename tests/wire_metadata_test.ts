/** Metadata as bytes: what is written, what is read, and what is refused. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ProtocolError } from "../src/errors.ts";
import { WIRE_LIMITS } from "../src/wire/frame.ts";
import { joinMetadata, type Metadata, metadataMembers, NO_METADATA } from "../src/wire/metadata.ts";
import { type SplitContent, splitMetadata } from "../src/wire/received_metadata.ts";
import { join, utf8 } from "./wire_support.ts";

const { maxMetadata, maxMetadataNames } = WIRE_LIMITS;
const PAYLOAD = Uint8Array.of(1, 2, 3);

/** A content whose metadata is any bytes. */
const content = (json: string | Uint8Array, payload = PAYLOAD): Uint8Array => {
  const bytes = typeof json === "string" ? utf8(json) : json;
  return join(Uint8Array.of(bytes.length >> 8, bytes.length), bytes, payload);
};

const written = (meta: Metadata, deadline?: number, payload: Uint8Array | string = PAYLOAD): Uint8Array =>
  joinMetadata(metadataMembers("Cannot send", meta, deadline !== undefined), deadline, payload);

const names = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`name ${i}`, `${i}`]));

/** What is refused at the receiver, as the reason. */
function refused(json: string | Uint8Array): string {
  const error = assertThrows(() => splitMetadata(content(json)), ProtocolError);
  assertEquals(error.code, "protocol-error");
  return error.message.replace("The metadata of a frame is malformed: ", "");
}

/** Checks that what was read can do no harm, whatever it says. */
function assertHarmless({ meta }: SplitContent): void {
  assertEquals(Object.getPrototypeOf(meta.names), null);
  assert(Object.isFrozen(meta.names));
  for (const name of Object.keys(meta.names)) {
    assert(name !== "deadline" && name.isWellFormed());
    assert(typeof meta.names[name] === "string" && meta.names[name].isWellFormed());
  }
  assert(meta.deadline === undefined || Number.isInteger(meta.deadline) && meta.deadline >= 0);
}

describe("metadata", () => {
  it("comes out as it was written, with and without a deadline, before bytes and text of any size", () => {
    const metas: Metadata[] = [
      {},
      { a: "" },
      { "": "b" },
      { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "rojo=00f067,congo=t61" },
      { 日本: "語 🦀", quote: '"\\/\b\f\n\r\t\u0000\u2028', 7: "seven" },
      { constructor: "x", toString: "y", hasOwnProperty: "z" },
    ];
    for (const meta of metas) {
      for (const deadline of [undefined, 0, 1, 9, 5_000, 999_999_999, 1_000_000_000, 0x7fffffff]) {
        if (deadline === undefined && Object.keys(meta).length === 0) continue;
        for (
          const payload of ["", "text", "ü".repeat(20_000), new Uint8Array(0), PAYLOAD, new Uint8Array(70_000).fill(9)]
        ) {
          const split = splitMetadata(written(meta, deadline, payload));
          assertEquals({ ...split.meta.names }, { ...meta });
          assertEquals(split.meta.deadline, deadline);
          const expected = typeof payload === "string" ? utf8(payload) : payload;
          assertEquals(split.content.length, expected.length);
          assert(split.content.every((byte, i) => byte === expected[i]));
          assertHarmless(split);
        }
      }
    }
  });

  it("has the deadline in whole milliseconds, rounded up, and never above the largest", () => {
    const left = (ms: number) => splitMetadata(written({}, ms)).meta.deadline;
    assertEquals([0.1, 1.5, 4_999.01, 3e9].map(left), [1, 2, 5_000, 0x7fffffff]);
    assertEquals(new TextDecoder().decode(written({ a: "b" }, 70, "")), '\x00\x19{"a":"b","deadline":"70"}');
  });

  it("of 64 names and of 8 KiB is taken, one more is refused, at both ends", () => {
    assertEquals(Object.keys(splitMetadata(written(names(maxMetadataNames))).meta.names).length, 64);
    assertEquals(Object.keys(splitMetadata(written(names(63), 1)).meta.names).length, 63);
    assertThrows(() => written(names(65)), RangeError, "Cannot send: meta has 65 names, at most 64 are sent");
    assertThrows(() => written(names(64), 1), RangeError, "meta has 65 names, the deadline among them, at most 64");
    assertEquals(refused(JSON.stringify(names(65))), "it has 65 names");
    assertEquals(refused(JSON.stringify({ ...names(64), deadline: "1" })), "it has 65 names");

    for (const letter of ["x", "ü", "語", "🦀"]) {
      const size = utf8(letter).length;
      const rest = maxMetadata - 8;
      const value = letter.repeat(Math.floor(rest / size)) + "x".repeat(rest % size);
      const most = written({ a: value });
      assertEquals([most[0], most[1]], [maxMetadata >> 8, maxMetadata & 255]);
      assertEquals(splitMetadata(most).meta.names.a, value);
      assertThrows(() => written({ a: `${value}x` }), RangeError, "meta takes more than 8192 bytes");
      // The room for a deadline is that of the longest one.
      assertThrows(
        () => written({ a: [...value].slice(1).join("") }, 1),
        RangeError,
        "meta takes more than 8192 bytes",
      );
      assertEquals(refused(JSON.stringify({ a: `${value}x` })), "its 8193 bytes are above the limit of 8192");
    }
    const room = written({ a: "x".repeat(maxMetadata - 8 - 24) }, 0x7fffffff);
    assertEquals([room[0], room[1]], [maxMetadata >> 8, maxMetadata & 255]);
  });

  it("is refused at every truncation, and at each flipped bit it is refused or harmless", () => {
    for (
      const whole of [
        written({ a: "b", "ü": "語" }, 5_000, ""),
        written({}, 5_000, ""),
        written({ x: "\u0000" }, undefined, ""),
      ]
    ) {
      for (let size = 0; size < whole.length; size++) {
        assertThrows(() => splitMetadata(whole.slice(0, size)), ProtocolError, "longer than the content");
      }
      let read = 0;
      for (let bit = 0; bit < 8 * whole.length; bit++) {
        const flipped = join(whole, new Uint8Array(300));
        flipped[bit >> 3] ^= 1 << (bit & 7);
        try {
          assertHarmless(splitMetadata(flipped));
          read++;
        } catch (error) {
          assert(error instanceof ProtocolError && error.code === "protocol-error", `bit ${bit}: ${error}`);
        }
      }
      assert(read > 0 && read < 8 * whole.length);
    }
  });

  it("that is no flat object of names to strings is refused, and so is a name that comes twice", () => {
    const flat = "it is not a flat object of names to strings";
    for (
      const json of [
        '"a"',
        "[]",
        '["a","b"]',
        "1",
        "null",
        "true",
        '{"a":1}',
        '{"a":null}',
        '{"a":true}',
        '{"a":[]}',
        '{"a":{}}',
        '{"a":{"b":"c"}}',
        "{}{}",
        '{"a":"b"}{"c":"d"}',
        "",
        "   ",
        '{"a":1,"a":"b"}',
        '{"a":{"b":"c"},"a":"d"}',
        "[".repeat(8_000),
        '{"a":'.repeat(1_000),
      ]
    ) assertEquals(refused(json), flat, json.slice(0, 40));
    const bad = [
      "{",
      "}",
      '{"a"}',
      '{"a":}',
      '{"a":"b",}',
      '{,"a":"b"}',
      '{"a":"b"',
      '{"a":"b"}}',
      '{"a" "b"}',
      '{"a":"b',
      '{"a":"\\',
    ];
    for (const json of bad) assertThrows(() => splitMetadata(content(json)), ProtocolError);
    assertEquals(refused('{"a":"b\n"}'), "it is not JSON in UTF-8");
    assertEquals(refused('{"a":"\\x"}'), "it is not JSON in UTF-8");
    assertEquals(refused("\uFEFF{}"), flat);
    for (
      const json of [
        '{"a":"b","a":"b"}',
        '{"a":"b","\\u0061":"c"}',
        '{"__proto__":"a","__proto__":"b"}',
        '{"deadline":"1","deadline":"2"}',
      ]
    ) {
      assertEquals(refused(json), "a name comes twice", json);
    }
  });

  it("in other JSON of the same meaning is taken: whitespace, escapes, no names", () => {
    const read = (json: string) => splitMetadata(content(json));
    assertEquals({ ...read(' {\t"a" :\r\n"\\u00fc\\n\\"" , "b":"" } ').meta.names }, { a: 'ü\n"', b: "" });
    assertEquals(read("{}").meta.names, NO_METADATA);
    assertEquals(read('{ "deadline":"12"}').meta.deadline, 12);
    assertEquals(read('{"\\u0064eadline":"12"}').meta.deadline, 12);
    assertEquals(read('{"a":"\\ud83e\\udd80"}').meta.names.a, "🦀");
    assertEquals(read("{}").content, PAYLOAD);
  });

  it("that is no UTF-8, or has half of a surrogate pair, is refused at both ends", () => {
    const start = utf8('{"a":"');
    const end = utf8('"}');
    for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
      assertEquals(refused(join(start, Uint8Array.from(bytes), end)), "it is not JSON in UTF-8");
    }
    for (const json of ['{"a":"\\ud800"}', '{"\\udc00":"a"}', '{"a":"\\udc00\\ud800"}']) {
      assertEquals(refused(json), "it has half of a surrogate pair", json);
    }
    assertThrows(() => written({ a: "\ud800" }), TypeError, "meta.a has half of a surrogate pair, which is no text");
    assertThrows(() => written({ "\udc00": "a" }), TypeError, "meta.\ufffd has half of a surrogate pair");
  });

  it("has deadlines in decimal milliseconds only", () => {
    for (
      const text of [
        "",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        " 1",
        "1 ",
        "01",
        "00",
        "١",
        "2147483648",
        "9999999999",
        "10000000000",
        "NaN",
      ]
    ) {
      for (const json of [JSON.stringify({ deadline: text }), JSON.stringify({ a: "b", deadline: text })]) {
        assertEquals(refused(json), "deadline is not decimal milliseconds up to 2147483647", json);
      }
    }
    for (const [text, ms] of [["0", 0], ["7", 7], ["999999999", 999_999_999], ["2147483647", 0x7fffffff]] as const) {
      for (const meta of [{ deadline: text }, { deadline: text, a: "b" }]) {
        assertEquals(splitMetadata(content(JSON.stringify(meta))).meta.deadline, ms);
      }
    }
  });

  it("pollutes no prototype, whatever its names", () => {
    const { meta } = splitMetadata(content('{"__proto__":"x","constructor":"y","prototype":"z"}'));
    assertEquals(Object.keys(meta.names), ["__proto__", "constructor", "prototype"]);
    assertEquals([meta.names["__proto__"], Object.getPrototypeOf(meta.names)], ["x", null]);
    assertEquals(Object.getPrototypeOf({ ...meta.names }), Object.prototype);
    assertThrows(() => ((meta.names as Record<string, string>).other = "x"), TypeError);
    assertEquals(({} as Record<string, unknown>).x, undefined);
    // Names of the program may be called so as well.
    const own = JSON.parse('{"__proto__":"x"}');
    assertEquals(splitMetadata(written(own)).meta.names["__proto__"], "x");
  });

  it("of the program is checked: plain objects, strings, and not the name of the deadline", () => {
    const wrong = (meta: unknown) => assertThrows(() => written(meta as Metadata), TypeError).message;
    const plain = "Cannot send: meta must be a plain object of names to strings";
    for (
      const meta of [null, "a", 1, [], ["a"], new Map([["a", "b"]]), new Headers({ a: "b" }), new Date(), () => {}]
    ) {
      assertEquals(wrong(meta), plain);
    }
    assertEquals(wrong({ a: 1 }), "Cannot send: meta.a must be a string, not number");
    assertEquals(wrong({ a: undefined }), "Cannot send: meta.a must be a string, not undefined");
    assertEquals(wrong({ a: null }), "Cannot send: meta.a must be a string, not null");
    assertEquals(wrong({ toJSON: () => "{}" }), "Cannot send: meta.toJSON must be a string, not function");
    assert(wrong({ deadline: "1" }).includes('the name "deadline" in meta is the library\'s own'));
    const bare = Object.assign(Object.create(null), { a: "b" });
    assertEquals({ ...splitMetadata(written(bare)).meta.names }, { a: "b" });
  });
});
