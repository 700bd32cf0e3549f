/**
 * The header of a proxy. The bytes are those of the format's own text, section by section:
 * https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Address } from "../src/base/address.ts";
import { crc32c, ProxyHeaderReader, type ProxyStep } from "../src/wire/proxy_header.ts";
import { describeBytes } from "../src/wire/python/hello.ts";
import { join, utf8 } from "./wire_support.ts";

/** The bytes of hexadecimal digits; spaces may stand anywhere. */
function hex(digits: string): Uint8Array {
  return Uint8Array.from(digits.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Section 2.2: the twelve bytes that begin each header of version 2. */
const SIGNATURE = hex("0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A");
const V4 = hex("C0A80001 C0A8000B DC04 01BB");
const V6 = hex("20010DB8000000000000000000000001 20010DB8000000000000000000000002 FFFF 0050");

/** A header of version 2. */
function binary(command: number, family: number, block: Uint8Array, ...values: Uint8Array[]): Uint8Array {
  const rest = join(block, ...values);
  return join(SIGNATURE, Uint8Array.of(command, family, rest.length >> 8, rest.length & 255), rest);
}

/** A value after the addresses. */
function value(type: number, content: Uint8Array): Uint8Array {
  return join(Uint8Array.of(type, content.length >> 8, content.length & 255), content);
}

/** A header with a checksum, as section 2.2.3 computes it: with zeros in its place. */
function summed(command: number, family: number, block: Uint8Array, ...values: Uint8Array[]): Uint8Array {
  const zeros = value(3, new Uint8Array(4));
  const header = binary(command, family, block, ...values, zeros);
  new DataView(header.buffer).setUint32(header.length - 4, crc32c(header));
  return header;
}

function unix(source: string, target = "/run/app.sock"): Uint8Array {
  const block = new Uint8Array(216);
  block.set(utf8(source));
  block.set(utf8(target), 108);
  return block;
}

const CLIENT = { hostname: "192.168.0.1", port: 56324 };
const CLIENT6 = { hostname: "2001:db8::1", port: 65535 };

/** Headers, and the peers that they name. */
const VALID: [name: string, header: Uint8Array, source: Address | undefined][] = [
  // The example of section 2.1.
  ["of version 1", utf8("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), CLIENT],
  [
    "of version 1 that is as long as one for IPv4 can be",
    utf8("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
    { hostname: "255.255.255.255", port: 65535 },
  ],
  [
    "of version 1 that is as long as one for IPv6 can be",
    utf8(`PROXY TCP6 ${Array(8).fill("ffff").join(":")} ${Array(8).fill("FFFF").join(":")} 65535 65535\r\n`),
    { hostname: Array(8).fill("ffff").join(":"), port: 65535 },
  ],
  ["of version 1 for IPv6", utf8("PROXY TCP6 2001:db8::1 2001:db8::2 65535 80\r\n"), CLIENT6],
  ["of version 1 for IPv4 within IPv6", utf8("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 0\r\n"), {
    hostname: "192.0.2.7",
    port: 1,
  }],
  ["of version 1 for an unknown peer", utf8("PROXY UNKNOWN\r\n"), undefined],
  [
    "of version 1 for an unknown peer that is as long as any",
    utf8(`PROXY UNKNOWN ${Array(8).fill("ffff").join(":")} ${Array(8).fill("ffff").join(":")} 65535 65535\r\n`),
    undefined,
  ],
  ["of version 2 for IPv4", binary(0x21, 0x11, V4), CLIENT],
  ["of version 2 for IPv6", binary(0x21, 0x21, V6), CLIENT6],
  ["of version 2 for a unix socket", binary(0x21, 0x31, unix("/run/client.sock")), { path: "/run/client.sock" }],
  ["of version 2 for an unnamed unix socket", binary(0x21, 0x31, unix("")), { path: "" }],
  ["of version 2 for an abstract unix socket", binary(0x21, 0x31, unix("\0name")), { path: "@name" }],
  ["of version 2 for the longest path", binary(0x21, 0x31, unix("p".repeat(108))), { path: "p".repeat(108) }],
  ["of version 2 from the proxy itself", binary(0x20, 0x00, new Uint8Array(0)), undefined],
  ["of version 2 from the proxy itself, with more", binary(0x20, 0x11, V4, utf8("no value at all")), undefined],
  ["of version 2 from the proxy itself, of a kind to come", binary(0x20, 0xff, new Uint8Array(3)), undefined],
  ["of version 2 that says nothing of the peer", binary(0x21, 0x00, new Uint8Array(7)), undefined],
  ["of version 2 with an unknown transport", binary(0x21, 0x10, V4), undefined],
  ["of version 2 with values", binary(0x21, 0x11, V4, value(2, utf8("example.org")), value(0xe0, V6)), CLIENT],
  ["of version 2 with padding", binary(0x21, 0x11, V4, value(4, new Uint8Array(0))), CLIENT],
  ["of version 2 with a checksum", summed(0x21, 0x11, V4), CLIENT],
  ["of version 2 with a checksum behind values", summed(0x21, 0x21, V6, value(2, utf8("example.org"))), CLIENT6],
  ["of version 2 that is as long as one may be", binary(0x21, 0x11, V4, value(5, new Uint8Array(505))), CLIENT],
];

/** Reads chunks one by one. All but the last must be no more than the beginning of a header. */
function read(...chunks: readonly Uint8Array[]): ProxyStep {
  const reader = new ProxyHeaderReader();
  for (const chunk of chunks.slice(0, -1)) assertEquals(reader.push(chunk).state, "waiting");
  return reader.push(chunks.at(-1)!);
}

function failure(...chunks: readonly Uint8Array[]): string {
  const step = read(...chunks);
  assert(step.state === "failed", `${step.state}: ${JSON.stringify(step)}`);
  return step.why;
}

describe("crc32c()", () => {
  it("is that of the published examples", () => {
    // The check value of the catalogue of CRCs, and the first examples of RFC 3720, B.4.
    assertEquals(crc32c(utf8("123456789")), 0xe3069283);
    assertEquals(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assertEquals(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assertEquals(crc32c(new Uint8Array(0)), 0);
  });
});

describe("a header of a proxy", () => {
  for (const [name, header, source] of VALID) {
    it(`${name} names its peer, wherever it is split`, () => {
      const done = (rest: Uint8Array): ProxyStep => ({ state: "done", source, rest });
      const after = utf8("GET / HTTP/1.1");
      assertEquals(read(header), done(new Uint8Array(0)));
      assertEquals(read(join(header, after)), done(after));
      for (let at = 0; at < header.length; at++) {
        const [head, tail] = [header.subarray(0, at), header.subarray(at)];
        assertEquals(read(head).state, "waiting", `${at} bytes`);
        assertEquals(read(head, join(tail, after)), done(after), `split at ${at}`);
      }
      const single = Array.from(header, (byte) => Uint8Array.of(byte));
      assertEquals(read(...single), done(new Uint8Array(0)));
    });
  }

  it("has as many bytes as the text says", () => {
    const size = (name: string): number => VALID.find(([title]) => title === name)![1].length;
    assertEquals(size("of version 1 that is as long as one for IPv4 can be"), 56);
    assertEquals(size("of version 1 that is as long as one for IPv6 can be"), 104);
    assertEquals(size("of version 1 for an unknown peer"), 15);
    assertEquals(size("of version 1 for an unknown peer that is as long as any"), 107);
    assertEquals(size("of version 2 that is as long as one may be"), 536);
  });

  it("keeps its bytes: the chunk that it came in may be used again", () => {
    const chunk = join(utf8("PROXY UNKNOWN\r\n"), utf8("rest"));
    const step = read(chunk);
    chunk.fill(0);
    assertEquals(step, { state: "done", source: undefined, rest: utf8("rest") });
  });

  it("is refused with any flipped bit of its fixed part, or means what that bit says", () => {
    const header = binary(0x21, 0x11, V4, value(2, utf8("example.org")));
    const outcomes = new Map<string, string>();
    for (let at = 0; at < 16; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = header.slice();
        flipped[at] ^= 1 << bit;
        const step = read(flipped);
        const outcome = step.state === "done" ? `done ${JSON.stringify(step.source)}` : step.state;
        outcomes.set(`${at}.${bit}`, outcome);
      }
    }
    const not = (outcome: string): string[] => [...outcomes].filter(([, what]) => what !== outcome).map(([at]) => at);
    // 12.0: the proxy itself. 13.0 and 13.4: no known transport or family.
    const LONGER = ["14.0", "15.0", "15.2", "15.5", "15.6", "15.7"];
    assertEquals(not("failed"), ["12.0", "13.0", "13.4", ...LONGER]);
    assertEquals(outcomes.get("12.0"), "done undefined");
    assertEquals(outcomes.get("13.0"), "done undefined");
    assertEquals(outcomes.get("13.4"), "done undefined");
    for (const at of LONGER) assertEquals(outcomes.get(at), "waiting", at);
  });

  it("with a checksum never names another peer, whichever bit is flipped", () => {
    const header = summed(0x21, 0x11, V4, value(2, utf8("example.org")));
    let named = 0;
    for (let at = 0; at < 8 * header.length; at++) {
      const flipped = header.slice();
      flipped[at >> 3] ^= 1 << (at & 7);
      const step = read(flipped);
      if (step.state !== "done" || step.source === undefined) continue;
      // Only the type of the checksum can be another one, which is skipped.
      assertEquals(step.source, CLIENT);
      named++;
    }
    assertEquals(named, 8);
  });

  it("is refused if its checksum is wrong, or none", () => {
    const header = summed(0x21, 0x11, V4);
    header[header.length - 1] ^= 1;
    assertEquals(failure(header), "has a wrong checksum");
    assertEquals(failure(binary(0x21, 0x11, V4, value(3, new Uint8Array(3)))), "has a wrong checksum");
    assertEquals(failure(binary(0x21, 0x11, V4, value(3, new Uint8Array(0)))), "has a wrong checksum");
  });

  it("is refused if its values do not fill it", () => {
    for (const torn of ["04", "0400", "040001", "0400020000 04", "04000300", "04ffff00"]) {
      assertEquals(failure(binary(0x21, 0x11, V4, hex(torn))), "ends within one of its values", torn);
    }
  });

  it("of version 2 is refused for what the text does not have", () => {
    const cases: [header: Uint8Array, why: string][] = [
      [binary(0x11, 0x11, V4), "has the unknown version 1"],
      [binary(0x31, 0x11, V4), "has the unknown version 3"],
      [binary(0x22, 0x11, V4), "has the unknown command 2"],
      [binary(0x2f, 0x11, V4), "has the unknown command 15"],
      [binary(0x21, 0x41, V4), "has the unknown address family 4 or transport 1"],
      [binary(0x21, 0x13, V4), "has the unknown address family 1 or transport 3"],
      [binary(0x21, 0x12, V4), "is for datagrams"],
      [binary(0x21, 0x32, unix("")), "is for datagrams"],
      [binary(0x21, 0x11, V4.subarray(1)), "has 27 bytes, too few for its addresses"],
      [binary(0x21, 0x21, V4), "has 28 bytes, too few for its addresses"],
      [binary(0x21, 0x31, V6), "has 52 bytes, too few for its addresses"],
      [binary(0x21, 0x11, V4, value(5, new Uint8Array(506))), "has 537 bytes, and 536 are the most"],
      [join(SIGNATURE, hex("2111FFFF")), "has 65551 bytes, and 536 are the most"],
      [join(SIGNATURE, hex("2000FFFF")), "has 65551 bytes, and 536 are the most"],
    ];
    for (const [header, why] of cases) assertEquals(failure(header), why);
  });

  it("is refused as soon as it is wrong, without waiting for more", () => {
    assertEquals(failure(join(SIGNATURE, hex("31"))), "has the unknown version 3");
    assertEquals(failure(join(SIGNATURE, hex("2112"))), "is for datagrams");
    assertStringIncludes(failure(utf8("PROXZ")), "is missing");
    assertStringIncludes(failure(utf8("PROXY\r\n")), "is missing");
    assertStringIncludes(failure(SIGNATURE.subarray(0, 3), utf8("x")), "is missing");
  });

  it("of version 1 is refused for what the text does not have", () => {
    const TCP4 = "does not have two TCP4 addresses and their ports";
    const TCP6 = "does not have two TCP6 addresses and their ports";
    const KIND = "is for none of TCP4, TCP6 and UNKNOWN";
    const cases: [line: string, why: string][] = [
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "has half a line break"],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX", "has half a line break"],
      ["PROXY UNKNOWN\r\r\n", "has half a line break"],
      ["PROXY TCP4\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", TCP4],
      ["PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", TCP4],
      ["PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n", TCP4],
      ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2e1\r\n", TCP4],
      ["PROXY TCP4 ::1 ::1 1 2\r\n", TCP4],
      ["PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", TCP6],
      ["PROXY TCP6 ::1 192.0.2.2 1 2\r\n", TCP6],
      ["PROXY TCP6 ::1%lo ::1 1 2\r\n", TCP6],
      ["PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", KIND],
      ["PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", KIND],
      ["PROXY \r\n", KIND],
      ["PROXY UNKNOWN_\r\n", KIND],
      [`PROXY UNKNOWN ${"x".repeat(92)}\r\n`, "has no line break within 107 bytes"],
      ["P".repeat(5) + "ROXY", "is missing"],
      ["GET / HTTP/1.1\r\n", 'is missing: it began with an HTTP request, "GET / HTTP/1.1"'],
    ];
    for (const [line, why] of cases) assertStringIncludes(failure(utf8(line)), why, line);
    assertEquals(failure(utf8(`PROXY UNKNOWN ${"x".repeat(93)}`)), "has no line break within 107 bytes");
    // Control characters of the peer do not reach a log.
    assertStringIncludes(failure(utf8("PROXY \x1b[31m\r\n")), 'UNKNOWN: "PROXY ?[31m"');
  });

  it("says what came in its place, and is known where none is expected", () => {
    assertStringIncludes(failure(hex("160301")), "is missing: it began with a TLS handshake");
    assertEquals(describeBytes(VALID[0][1]), 'the header of a proxy, "PROXY TCP4 192.168.0.1 192.168.0.11 5632"');
    assertStringIncludes(describeBytes(binary(0x21, 0x11, V4)), "the header of a proxy");
  });
});
