/** The scan of a handshake's JSON: it takes what `JSON.parse` takes, finds what it would find, and builds nothing. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HandshakeError } from "../src/errors.ts";
import { checkCredentials } from "../src/wire/handshake/credentials.ts";
import { WIRE_LIMITS } from "../src/wire/frame.ts";
import type { HandshakeStep } from "../src/wire/handshake/terms.ts";
import { JsonReader } from "../src/wire/handshake/json_reader.ts";
import { scanJson } from "../src/wire/handshake/json_scan.ts";
import { failure, greeted, message } from "./wire_handshake_support.ts";
import { Random, utf8 } from "./wire_support.ts";

const WIDE = { depth: 1_000, values: 1_000_000 };
const PATH = ["meta", "native", "credentials"];

/** The texts at the path. */
function found(text: string, path: readonly string[] = PATH): string[] | string {
  const bytes = utf8(text);
  const spans = scanJson(bytes, WIDE, path);
  if (typeof spans === "string") return spans;
  return spans.map(({ start, end }) => new TextDecoder().decode(bytes.subarray(start, end)));
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Message 2 with this text as its `native` member. */
function answer(native: string): string {
  return `{"v":"2.0.0","meta":{"native":${native}}}`;
}

const TERMS = '"versions":[1],"features":{},"maxMessageSize":1000';

/** The credentials that a server sees in a message 2, parsed. */
function seen(text: string): unknown {
  const step = greeted("2.0").push(message(text));
  assertEquals(step.state, "proposed");
  const { credentials } = (step as HandshakeStep & { state: "proposed" }).peer;
  return credentials === undefined ? undefined : JSON.parse(new TextDecoder().decode(credentials));
}

describe("the scan of JSON", () => {
  it("takes and refuses what JSON.parse does", () => {
    const texts = [
      ...["", " ", "{", "}", "[", "]", "{}", "[]", "[1]", "[1,]", "[,1]", "[1 2]", "{,}", '{"a"}', '{"a":}', "{a:1}"],
      ...['{"a":1,}', '{"a":1 "b":2}', "{1:2}", ' { "a" : [ 1 , 2 ] } ', "[[[]]]", "[]]", "{}{}", "[}", '{"a":[}]'],
      ...["true", "false", "null", "tru", "truee", "nul", "True", "undefined", "NaN", "Infinity", "-Infinity"],
      ...[
        "0",
        "-0",
        "00",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e5",
        "1E+5",
        "1e-5",
        "1e+",
        "-1.5e-07",
        "0x1",
        "1_0",
      ],
      ...[
        '""',
        '"',
        '"a',
        '"\\',
        '"\\"',
        '"\\\\"',
        '"\\n\\t\\b\\f\\r\\/"',
        '"\\x41"',
        '"\\u0041"',
        '"\\u004"',
        '"\\u00g1"',
      ],
      ...[
        '"\\u"',
        '"\t"',
        '"\n"',
        '"\u007f"',
        '"é日😀"',
        '"\\ud800"',
        "'a'",
        "\u00a0{}",
        "{}\u2028",
        "\t\n\r {}\n",
        "\v{}",
      ],
      ...['{"":{"":0}}', '{"a\\"b":1}', '"\\u0022"', "[1]x", "/*x*/{}", "[1,2,3,]", '{"a":1,"a":2}', "\ufeff{}"],
    ];
    for (const text of texts) assertEquals(found(text) !== "invalid", parses(text), JSON.stringify(text));
  });

  it("agrees with JSON.parse on 20,000 texts that were made valid and then spoilt", () => {
    const random = new Random(7);
    const alphabet = '{}[]:,"\\ \n0123456789.eE+-utrfalsn\u0001é';
    const make = (depth: number): unknown => {
      switch (random.below(depth > 3 ? 4 : 6)) {
        case 0:
          return random.below(2_000_000) / 7 - 100_000;
        case 1:
          return alphabet.slice(random.below(20), 20 + random.below(20));
        case 2:
          return [true, false, null, "", 0, -1e-9, 1e300][random.below(7)];
        case 3:
          return random.below(10);
        case 4:
          return Array.from({ length: random.below(4) }, () => make(depth + 1));
        default:
          return Object.fromEntries(
            Array.from({ length: random.below(4) }, () => [alphabet[random.below(alphabet.length)], make(depth + 1)]),
          );
      }
    };
    let invalid = 0;
    for (let i = 0; i < 20_000; i++) {
      let text = JSON.stringify(make(0), null, random.below(3));
      for (let n = random.below(3); n > 0; n--) {
        const at = random.below(text.length + 1);
        const piece = random.below(2) === 0 ? alphabet[random.below(alphabet.length)] : "";
        text = text.slice(0, at) + piece + text.slice(at + random.below(2));
      }
      const valid = parses(text);
      if (!valid) invalid++;
      assertEquals(found(text) !== "invalid", valid, JSON.stringify(text));
    }
    assert(invalid > 3_000 && invalid < 17_000, `${invalid} of them are invalid`);
  });

  it("finds the values at a path only, as they stand, however their names are written", () => {
    const at = (native: string): string => `{"meta":{"native":${native}}}`;
    assertEquals(found(at('{"credentials": {"a":[1,"}"]} ,"x":1}')), ['{"a":[1,"}"]}']);
    assertEquals(found(at('{"credent\\u0069als":"\\"}"}')), ['"\\"}"']);
    assertEquals(found('{"\\u006deta":{"n\\u0061tive":{"credentials":1e400}}}'), ["1e400"]);
    assertEquals(found(at('{"credentials":1,"credentials":[2]}')), ["1", "[2]"]);
    assertEquals(found(at('{"credentials":{"meta":{"native":{"credentials":1}}}}')), [
      '{"meta":{"native":{"credentials":1}}}',
    ]);
    const elsewhere = [
      '{"credentials":1,"native":{"credentials":1},"meta":{"credentials":1}}',
      '{"meta":[{"native":{"credentials":1}}]}',
      '{"meta":{"native":[{"credentials":1}]}}',
      '{"x":{"meta":{"native":{"credentials":1}}}}',
      '{"meta":{"native":{"x":{"credentials":1},"Credentials":2,"credentials ":3,"credential":4,"":5}}}',
      '[{"meta":{"native":{"credentials":1}}}]',
    ];
    for (const text of elsewhere) assertEquals(found(text), [], text);
  });

  it("counts every value, every level, and a name that an engine takes for an index", () => {
    const scan = (text: string, depth: number, values: number): unknown => scanJson(utf8(text), { depth, values });
    assertEquals(scan("[[[]]]", 3, 3), []);
    assertEquals(scan("[[[]]]", 2, 3), "too-deep");
    assertEquals(scan("[[[]]]", 3, 2), "too-many");
    assertEquals(scan("[[],[],[]]", 2, 4), []);
    assertEquals(scan("[[],[],[]]", 2, 3), "too-many");
    assertEquals(scan('{"a":1,"b":{"c":null}}', 2, 4), []);
    assertEquals(scan('{"a":1,"b":{"c":null}}', 2, 3), "too-many");
    assertEquals(scan('{"98":0}', 1, 100), []);
    assertEquals(scan('{"99":0}', 1, 100), "too-many");
    assertEquals(scan('{"12345":0,"9x":0,"-99":0}', 1, 4), []);
    // A text that goes on for ever is not read to its end.
    assertEquals(scan("[".repeat(1_000_000), 128, 10_000_000), "too-deep");
  });
});

describe("message 2", () => {
  it("has its credentials taken out as they came, the last of them where there are several", () => {
    const cases: [native: string, credentials: unknown][] = [
      [`{${TERMS}}`, undefined],
      [`{${TERMS},"credentials":null}`, null],
      [`{${TERMS},"credentials":7}`, 7],
      [`{ "credentials" : "0" ,${TERMS}}`, "0"],
      [`{"credentials":{"a":"\\u00e9\\n"},${TERMS},"credentials":["last",{}]}`, ["last", {}]],
      [`{"credentials":1,"cred\\u0065ntials":2,${TERMS}}`, 2],
      [`{"cred\\u0065ntials":2,"credentials":1,${TERMS}}`, 1],
      [`{${TERMS},"credentials":{"credentials":"日本"}}`, { credentials: "日本" }],
    ];
    for (const [native, credentials] of cases) assertEquals(seen(answer(native)), credentials, native);
    // Of members around them, too, the last counts.
    assertEquals(seen(`{"v":"2.0.0","meta":{"native":{"credentials":1}},"meta":{"native":{${TERMS}}}}`), undefined);
    const twice = `"native":{${TERMS},"credentials":1},"native":{${TERMS},"credentials":2}`;
    assertEquals(seen(`{"v":"2.0.0","meta":{${twice}}}`), 2);
  });

  it("is refused for JSON inside of the credentials that is none", () => {
    for (const bad of ["", "{", "[1,]", "tru", "01", '"\\x"', '"\u0001"', "{}{}", "1 2", "undefined"]) {
      const step = greeted("2.0").push(message(answer(`{${TERMS},"credentials":${bad}}`)));
      assertEquals(failure(step)[0], "handshake-failed", bad);
    }
  });

  it("is refused, with words that reach the peer, for what holds too much, wherever it stands", () => {
    const many = `[${Array(WIRE_LIMITS.maxHandshakeValues).fill("{}").join()}]`;
    const deep = "[".repeat(WIRE_LIMITS.maxHandshakeDepth) + "]".repeat(WIRE_LIMITS.maxHandshakeDepth);
    const array = `[${Array(60).fill('{"999":0}').join()}]`;
    const features = Array.from({ length: 600 }, (_, i) => `"f${i}":{}`).join();
    for (
      const [text, why] of [
        [answer(`{${TERMS},"credentials":${many}}`), "values"],
        [answer(`{${TERMS},"credentials":${array}}`), "values"],
        [answer(`{${TERMS},"credentials":${deep}}`), "deeper"],
        [answer(`{"versions":[1],"features":{${features}},"maxMessageSize":1000}`), "values"],
        [answer(`{"versions":${many},"features":{},"maxMessageSize":1000}`), "values"],
        [`{"v":"2.0.0","meta":{"junk":${many}}}`, "values"],
        [`{"v":"2.0.0","meta":{},"junk":${deep}}`, "deeper"],
      ]
    ) {
      const step = greeted("2.0").push(message(text));
      const [code, words] = failure(step);
      assertEquals([code, words.includes(why)], ["handshake-failed", true], words);
      const { send } = step as { send: Uint8Array };
      assertEquals(JSON.parse(new TextDecoder().decode(send.subarray(2))).message, words);
    }
  });

  it("may hold what a token or a set of claims does", () => {
    const claims = {
      iss: "x".repeat(300),
      scope: Array.from({ length: 200 }, (_, i) => `scope-${i}`),
      a: { b: { c: [] } },
    };
    assertEquals(seen(answer(`{${TERMS},"credentials":${JSON.stringify(claims)}}`)), claims);
    checkCredentials("native", claims);
  });

  it("is checked by the client itself: credentials that no server takes are refused before anything connects", () => {
    const deep = JSON.parse("[".repeat(200) + "]".repeat(200));
    for (const credentials of [Array(600).fill(0), deep]) {
      assertThrows(() => checkCredentials("native", credentials), RangeError, "Cannot encode the handshake");
    }
  });

  it("leaves nothing but its own bytes: no part of a larger chunk, no room that it did not need", () => {
    const whole = message(answer(`{${TERMS},"credentials":"${"x".repeat(3_000)}"}`));
    const reader = new JsonReader(WIRE_LIMITS.maxHandshakeRequest, PATH);
    const large = new Uint8Array(100_000);
    large.set(whole);
    assertEquals(reader.push(large.subarray(0, 1_000)), undefined);
    const { bytes, cut } = reader.push(large.subarray(1_000, whole.length))!;
    assertEquals([bytes, bytes.buffer.byteLength], [whole, whole.length]);
    assertEquals([cut.length, cut[0].buffer], [1, bytes.buffer]);
    assertThrows(
      () => new JsonReader(100).push(message("{}".padEnd(101))),
      HandshakeError,
      "above the limit of 100",
    );
  });
});
