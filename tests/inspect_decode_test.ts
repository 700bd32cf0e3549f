/**
 * Reading conversations from outside: every protocol, every chunking, every damage; captures, records and files.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bytesOfIp, Packets } from "../src/cli/inspect/packets.ts";
import { captureHead, packetBlock } from "../src/cli/inspect/pcapng.ts";
import type { Seen, Sender } from "../src/cli/inspect/seen.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { Flag } from "../src/wire/frame.ts";
import { jsonMessage } from "../src/wire/handshake/messages.ts";
import { protocol } from "../src/wire/protocols.ts";
import { folder, framesOf, pieces, readAll, runKept } from "./inspect_support.ts";
import { hex, join, loadVectors, PROTOCOLS, unhex, utf8 } from "./wire_support.ts";

type Parts = (readonly [Sender, Uint8Array])[];

const native = protocol("native");
const frame = (content: string, flags = 0, requestId = 0): Uint8Array =>
  encodeFrame(native, { code: 200, content: utf8(content), requestId, flags }, 0x7f);

/** The handshake of native peers. */
function nativeHandshake(features: Record<string, unknown>, asked: Record<string, unknown> = features): Parts {
  const terms = { versions: [1], maxMessageSize: 10_485_760 };
  return [
    [
      "server",
      jsonMessage({ v: "2.0.0", pv: "1.0", meta: { id_window: 30_000, native: { ...terms, features } } }, 4096),
    ],
    ["client", jsonMessage({ v: "2.0.0", meta: { native: { ...terms, features: asked } } }, 4096)],
    ["server", jsonMessage({ result: "ok", native: { version: 1, features } }, 4096)],
  ];
}

/** What matters of what was seen. */
function gist(seen: readonly Seen[]): string[] {
  return seen.filter(({ type }) => type !== "note").map((one) => {
    const place = `${one.from} ${one.offset}`;
    if (one.type === "frame") return `${place} ${one.kind} ${one.fields.code} ${hex(one.payload.bytes)}`;
    if (one.type === "handshake") return `${place} handshake ${one.step}`;
    return one.type === "damage" ? `${place} damage ${one.bytes.length}: ${one.reason}` : `${place} ${one.type}`;
  });
}

/** What was seen, with what cannot be read in a row as one. */
function chunked(parts: Parts, size: number): Parts {
  return parts.flatMap(([from, bytes]) => [...pieces(bytes, size)].map((piece): [Sender, Uint8Array] => [from, piece]));
}

function golden(vectors: ReturnType<typeof loadVectors>[number]): Parts {
  const { frames, handshake, hello, helloAck } = vectors as typeof vectors & { helloAck: string | null };
  const parts = [
    ["server", hello],
    ["client", helloAck],
    ["server", handshake?.server],
    ["client", handshake?.client],
    ["server", handshake?.ack],
    ...frames.flatMap(({ frameHex }) => [["client", frameHex], ["server", frameHex]]),
  ];
  return parts.filter((part) => typeof part[1] === "string")
    .map(([from, digits]): [Sender, Uint8Array] => [from as Sender, unhex(digits!)]);
}

describe("a conversation that is read from outside", () => {
  for (const vectors of loadVectors()) {
    it(`is the same in any chunks: Python ${vectors.release}`, async () => {
      const parts = golden(vectors);
      const spoken = protocol(vectors.release);
      const known = spoken.handshake === "none" ? spoken : undefined;
      const whole = await readAll(parts, known);
      assertEquals(framesOf(whole).filter(({ fields }) => fields.code !== 10 && fields.code !== 11).length, 16);
      assertEquals(whole.filter(({ type }) => type === "damage" || type === "unreadable"), []);
      for (const size of [1, 2, 3, 5, 16, 63]) {
        assertEquals(gist(await readAll(chunked(parts, size), known)), gist(whole), `chunks of ${size}`);
      }
    });
  }

  it("finds Python 1.3, which has no handshake, by a first frame of the client", async () => {
    const parts = golden(loadVectors().find(({ release }) => release === "1.3.0")!);
    assertEquals(framesOf(await readAll(parts)).length, 16);
  });

  it("takes frames of a Python client that come before message 3", async () => {
    const vectors = loadVectors().find(({ release }) => release === "2.0.3")!;
    const [one, two, three, ...frames] = golden(vectors);
    const seen = await readAll([one, two, frames[0], three, frames[1]]);
    assertEquals(framesOf(seen).map(({ from, protocol }) => [from, protocol.name]), [
      ["client", "2.0.3"],
      ["server", "2.0.3"],
    ]);
  });

  it("hides credentials and the keys of sessions, unless they are asked for", async () => {
    const [one, , three] = nativeHandshake({ resume: { id: "i", key: "the secret" } });
    const two = jsonMessage({
      v: "2.0.0",
      meta: { native: { versions: [1], features: {}, maxMessageSize: 100, credentials: { password: "the secret" } } },
    }, 4096);
    const text = JSON.stringify(gistless(await readAll([one, ["client", two], three])));
    assert(text.includes("(secret)") && !text.includes("the secret"), text);
  });

  it("shows a refusal, and nothing as frames after it", async () => {
    const refusal = jsonMessage({ result: "error", code: "busy", message: "later" }, 4096);
    const seen = await readAll([["server", join(refusal, frame("x"))]]);
    assertEquals(gist(seen), ["server 0 handshake 1", `server ${refusal.length} unreadable`]);
  });

  it("reads a session that goes on within a frame over another connection", async () => {
    const id = "AQEBAQEBAQEBAQEBAQEBAQ";
    const begun = nativeHandshake({ resume: { id, key: "k" }, credit: {}, goaway: {} }, { resume: {} });
    const { Conversation } = await import("../src/cli/inspect/conversation.ts");
    const { loadKnowledge } = await import("../src/cli/inspect/knowledge.ts");
    const knowledge = await loadKnowledge();
    const bytes = join(frame("one"), frame("two"), frame("three"));
    for (const cut of [0, 5, 16, 19, 25, 40]) {
      // The peer has received less than passed by: the rest comes again.
      for (const received of [cut, Math.max(0, cut - 7)]) {
        const seen: Seen[] = [];
        knowledge.sessions.clear();
        const first = new Conversation(knowledge, (one) => seen.push(one));
        for (const [from, part] of begun) first.push(from, part);
        first.push("client", bytes.subarray(0, cut));
        first.end("client");
        const second = new Conversation(knowledge, (one) => seen.push(one));
        const asked = { resume: { id, key: "k", received: 0, attempt: 1 } };
        const [one, two, three] = nativeHandshake({ resume: { received } }, asked);
        for (const [from, part] of [one, two, three]) second.push(from, part);
        second.push("client", bytes.subarray(received));
        assertEquals(seen.filter(({ type }) => type === "damage"), []);
        const texts = framesOf(seen).map(({ payload }) => new TextDecoder().decode(payload.bytes));
        assertEquals(texts, ["one", "two", "three"], `cut at ${cut}, received ${received}`);
      }
    }
  });
});

/** All members that can be written. */
function gistless(seen: readonly Seen[]): unknown {
  return seen.map((one) => one.type === "handshake" ? one.message : one.type);
}

describe("damage", () => {
  it("of any bit of a native frame is shown, and the frames around it are, too", async () => {
    const [before, hurt, after] = [frame("before"), frame("hurt"), frame("after")];
    for (let bit = 0; bit < 8 * hurt.length; bit += 3) {
      const flipped = hurt.map((byte, i) => i === bit >> 3 ? byte ^ 1 << (bit & 7) : byte);
      const parts: Parts = [["server", join(before, flipped, after)]];
      const seen = await readAll(chunked(parts, 1 + bit % 30), native);
      const texts = framesOf(seen).map(({ payload }) => new TextDecoder().decode(payload.bytes));
      assertEquals(texts, ["before", "after"], `bit ${bit}`);
      const [damage, ...more] = seen.filter((one) => one.type === "damage");
      assertEquals([damage.offset, hex(damage.bytes), more.length], [before.length, hex(flipped), 0]);
    }
  });

  for (const spoken of PROTOCOLS.filter(({ name }) => name !== "native")) {
    it(`of the content, and bytes too many, do not end the reading: Python ${spoken.name}`, async () => {
      const id = spoken.ids === "uuid" ? "00000001-1111-4222-8333-444455556666" : 1;
      const sentAt = spoken.layout.timestamp < 0 ? undefined : 1_767_225_600_123;
      const make = (content: string): Uint8Array =>
        encodeFrame(spoken, { code: 200, content: utf8(content), requestId: id, flags: 0, sentAt });
      const hurt = make("hurt");
      hurt[hurt.length - 1] ^= 1;
      const stream = join(
        make("one"),
        hurt,
        make("two"),
        utf8("\xff\xff\xff\xff\xff\xff nothing of this is a frame"),
        make("three"),
      );
      const seen = await readAll(chunked([["server", stream]], 11), spoken);
      const texts = framesOf(seen).map(({ payload }) => new TextDecoder().decode(payload.bytes));
      assertEquals(texts, ["one", "two", "three"]);
      const damage = seen.filter((one) => one.type === "damage");
      assertEquals(damage.length, 2);
      const checksum = spoken.integrity === "sha256" ? "the SHA-256 is" : "the CRC-32 is";
      assert(damage[0].reason.startsWith(checksum), damage[0].reason);
    });
  }

  it("is shown as a fault where a frame is whole, and its flags may not be", async () => {
    const seen = await readAll(nativeHandshake({}).concat([["client", frame("x", Flag.META)], ["client", frame("y")]]));
    assertEquals(framesOf(seen).map(({ fault }) => fault), ["the flag 0x20 is not in use", undefined]);
  });

  it("of random bytes is shown as damage, nearly all of it", async () => {
    let seed = 1;
    const noise = Uint8Array.from(
      { length: 500_000 },
      () => (seed = Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 24,
    );
    for (const spoken of PROTOCOLS) {
      const seen = await readAll(chunked([["server", noise]], 65_536), spoken);
      const damaged = seen.filter((one) => one.type === "damage").reduce((sum, { bytes }) => sum + bytes.length, 0);
      assert(damaged >= noise.length - 100_000, `${spoken.name}: ${damaged}`);
    }
  });

  it("at the end of a direction says how much of the frame is there", async () => {
    const seen = await readAll([["server", frame("hello").subarray(0, 18)]], native);
    assertEquals(gist(seen), ["server 0 damage 18: the direction ends within a frame, after 18 of 21 bytes"]);
  });
});

describe("veltix decode", () => {
  const vector = (release: string): string => fileURLToPath(new URL(`vectors/${release}.json`, import.meta.url));

  it("shows golden frames with every field of their headers", async () => {
    const { code, terminal } = await runKept(["decode", vector("1.6.3")]);
    assertEquals(code, 0);
    const text = terminal.lines.join("\n");
    assert(text.includes('message type 200 id 1 13 B "Hello Server!"'), text);
    assert(text.includes("code 200  size 13  crc32 2b8cf0b3  time 2026-01-01T00:00:00.123Z  id 1"), text);
  });

  it("reads hexadecimal digits from the standard input, as pages have them", async () => {
    const digits = "b9 01 00c9 0000000d 00000001 2120b644\n7b2261223a312c2262223a327d\n";
    const { code, terminal } = await runKept(["--json", "decode", "-", "--from", "client"], utf8(digits));
    assertEquals(code, 0);
    const [, value] = terminal.values;
    assertEquals([value.kind, value.code, value.id, value.json], ["request", 201, 1, { a: 1, b: 2 }]);
  });

  it("finds nothing in nothing", async () => {
    const { code, terminal } = await runKept(["decode", "-"]);
    assertEquals([code, terminal.errors.join("")], [0, ""]);
  });

  it("says which check failed where, by the exit code, too", async () => {
    const bytes = join(frame("one"), frame("two"));
    bytes[25] ^= 1;
    const { code, terminal } = await runKept(["decode", "-", "--protocol", "native"], bytes);
    assertEquals(code, 1);
    const text = terminal.lines.join("\n");
    assert(text.includes("damage 19 B at 19: a header does not match its check byte: it is 0x"), text);
  });

  it("reads captures that it has written, over IPv4 and IPv6, with packets out of order", async () => {
    using place = folder();
    const file = place.file("capture.pcapng");
    for (const hostname of ["10.1.2.3", "::1"]) {
      const packets: Uint8Array[] = [];
      const end = (port: number): { hostname: string; port: number } => ({ hostname, port });
      const one = new Packets(1, end(50_000), end(8080), (packet) => packets.push(packet));
      one.open();
      for (const [from, bytes] of nativeHandshake({}).concat([["client", frame("hello")]])) {
        for (const piece of pieces(bytes, 100)) one.data(from, piece);
      }
      one.end("client");
      one.end("server");
      const [second, third] = [packets[3], packets[5]];
      [packets[3], packets[5]] = [third, second];
      writeFileSync(file, join(captureHead("test"), ...packets.map((packet, i) => packetBlock(packet, 1e15 + i))));
      const { code, terminal } = await runKept(["--json", "decode", file]);
      assertEquals(code, 0);
      assertEquals(
        terminal.values.filter(({ type }) => type !== "note").map(({ from, text, type }) => [type, from, text]),
        [
          ["handshake", "server", undefined],
          ["handshake", "client", undefined],
          ["handshake", "server", undefined],
          ["frame", "client", "hello"],
        ],
      );
    }
  });

  it("shows nothing of a peer that a terminal would obey", async () => {
    for (const content of ["\x1b[2J\x1b[31mowned", "\x1b]0;owned\x07", "\u202eowned\u2028", "\x9b2J", '{"a":"\x9b"}']) {
      const { terminal } = await runKept(["decode", "-", "--protocol", "native"], frame(content));
      const text = terminal.lines.join("\n");
      // deno-lint-ignore no-control-regex
      assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.test(text), JSON.stringify(text));
    }
  });

  it("shows JSON that is nested too deep as text", async () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const bytes = join(frame(deep), frame("after"));
    const { code, terminal } = await runKept(["decode", "-", "--json", "--protocol", "native"], bytes);
    assertEquals(code, 0, terminal.errors.join(""));
    assertEquals(terminal.values.filter(({ type }) => type === "frame").map(({ text }) => text), [deep, "after"]);
  });

  it("refuses options that are wrong", async () => {
    for (
      const args of [["--code", "x"], ["--kind", "x"], ["--grep", "("], ["--direction", "up"], ["--protocol", "9.9.9"]]
    ) {
      assertEquals((await runKept(["decode", "-", ...args])).code, 2, args.join(" "));
    }
    assertEquals((await runKept(["decode", "/nonexistent"])).code, 2);
  });

  it("has the options that docs/inspect.md names, as inspect has", async () => {
    const page = readFileSync(new URL("../docs/inspect.md", import.meta.url), "utf8");
    const help = (await Promise.all([["inspect"], ["decode"], []].map((args) => runKept([...args, "--help"]))))
      .map(({ terminal }) => terminal.lines.join("\n")).join("\n");
    const options = new Set([...page.matchAll(/--[a-z][a-z-]+/g)].map(([option]) => option));
    assert(options.size > 20);
    assertEquals([...options].filter((option) => !help.includes(option)), []);
  });

  it("filters by code, kind, direction and text", async () => {
    const count = async (...args: string[]): Promise<number> =>
      (await runKept(["--json", "decode", vector("2.0.3"), ...args])).terminal.values.length;
    assertEquals(await count("--kind", "message"), 6);
    assertEquals(await count("--kind", "ping,pong"), 2);
    assertEquals(await count("--code", "200-201,777"), 3);
    assertEquals(await count("--direction", "client"), 1);
    assertEquals(await count("--grep", "Hello S.rver"), 1);
    assertEquals(await count("--kind", "handshake", "--direction", "server"), 2);
  });
});

describe("the packets of a capture", () => {
  it("have right sequence numbers, lengths and checksums, read by what knows nothing of the writer", () => {
    const packets: Uint8Array[] = [];
    const end = (hostname: string, port: number): { hostname: string; port: number } => ({ hostname, port });
    const one = new Packets(1, end("10.0.0.1", 5000), end("10.0.0.2", 80), (packet) => packets.push(packet));
    one.open();
    one.data("client", new Uint8Array(130_001).fill(7));
    one.data("server", utf8("abc"));
    one.end("server");
    one.end("client");
    const sums = (bytes: Uint8Array): number => {
      let sum = 0;
      for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] * 256 + (bytes[i + 1] ?? 0);
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
      return sum;
    };
    const next = new Map<number, number>();
    let carried = 0;
    for (const packet of packets) {
      const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
      assertEquals([view.getUint16(12), packet[14], packet[23]], [0x0800, 0x45, 6]);
      assertEquals(view.getUint16(16), packet.length - 14);
      assertEquals(sums(packet.subarray(14, 34)), 0xffff);
      const tcp = packet.subarray(34);
      assertEquals(
        sums(join(packet.subarray(26, 34), Uint8Array.of(0, 6, tcp.length >> 8, tcp.length & 255), tcp)),
        0xffff,
      );
      const [source, target] = [view.getUint16(34), view.getUint16(36)];
      const [sequence, ack] = [view.getUint32(38), view.getUint32(42)];
      const flags = packet[47];
      const size = tcp.length - (tcp[12] >> 4) * 4;
      if (next.has(source)) assertEquals(sequence, next.get(source));
      if ((flags & 0x10) !== 0) assertEquals(ack, next.get(target));
      next.set(source, sequence + size + ((flags & 0x03) !== 0 ? 1 : 0));
      carried += size;
    }
    assertEquals(carried, 130_004);
  });

  it("have addresses of any form", () => {
    assertEquals([...bytesOfIp("127.0.0.1")!], [127, 0, 0, 1]);
    assertEquals([...bytesOfIp("::1")!], [...Array(15).fill(0), 1]);
    assertEquals(hex(bytesOfIp("fe80::1:2%eth0")!), "fe800000000000000000000000010002");
    assertEquals(bytesOfIp("a name"), undefined);
    assertEquals(bytesOfIp("1:2:3"), undefined);
  });
});
