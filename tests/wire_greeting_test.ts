import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { helloFrame } from "../src/wire/handshake_messages.ts";
import { protocol } from "../src/wire/protocols.ts";
import { cutEvery, hex, join, loadVectors, Random, unhex, utf8 } from "./wire_support.ts";
import { client, failure, HELLO_ID, HELLO_UUID, message, NOW } from "./wire_handshake_support.ts";

/** What a client makes of a greeting: the protocol it takes, `"waiting"`, or the code of the error. */
function detect(bytes: Uint8Array, size = bytes.length): string {
  const machine = client();
  for (const piece of cutEvery(bytes, Math.max(size, 1))) {
    const step = machine.push(piece);
    if (step.state === "open") return `${step.outcome.protocol.name}/${step.outcome.protocol.headerSize}`;
    if (step.state === "failed") return (step.error as { code: string }).code;
    if ("send" in step && step.send !== undefined) return "json";
  }
  return "waiting";
}

function hello(release: string, id: number | string, now = NOW): Uint8Array {
  return helloFrame(protocol(release), SystemCode.HELLO, id, now, release);
}

const HELLO_RELEASES = [
  "1.4.0",
  "1.5.0",
  "1.6.0",
  "1.6.1",
  "1.6.2",
  "1.6.4",
  "1.6.9",
  "1.6.10",
  "1.7.0",
  "1.7.2",
  "1.7.5",
];

describe("greeting detection", () => {
  it("tells the golden greetings apart", () => {
    const found = loadVectors().flatMap(({ release, hello, handshake }) => {
      const bytes = unhex(hello ?? handshake?.server ?? "");
      return bytes.length === 0 ? [] : [[release, detect(bytes), detect(bytes, 1)]];
    });
    assertEquals(found, [
      ["1.6.0", "1.6.0/62", "1.6.0/62"],
      ["1.6.10", "1.6.10/14", "1.6.10/14"],
      ["1.6.3", "1.6.3/22", "1.6.3/22"],
      ["1.7.5", "1.7.5/16", "1.7.5/16"],
      ["1.9.0", "json", "json"],
      ["2.0.0b3", "json", "json"],
    ]);
  });

  it("tells the framings apart whatever id, clock and version the HELLO carries", () => {
    const random = new Random(13);
    for (let round = 0; round < 10_000; round++) {
      const release = random.pick(HELLO_RELEASES);
      const { ids, headerSize } = protocol(release);
      const digits = hex(random.bytes(16)).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
      const bytes = hello(release, ids === "uuid" ? digits : random.below(2 ** 32), random.below(2 ** 32) * 1024);
      assertEquals(detect(bytes, 1 + random.below(90)), `${release}/${headerSize}`);
    }
  });

  it("waits while a greeting is incomplete, at every place", () => {
    for (const release of HELLO_RELEASES) {
      const bytes = hello(release, protocol(release).ids === "uuid" ? HELLO_UUID : HELLO_ID);
      for (let end = 0; end < bytes.length; end++) assertEquals(detect(bytes.slice(0, end)), "waiting");
    }
  });

  it("ignores what stands behind the version in a HELLO, up to 64 bytes in all", () => {
    const spoken = protocol("1.6.3");
    for (const [size, found] of [[7, "1.6.3/22"], [64, "1.6.3/22"], [65, "handshake-failed"]] as const) {
      const content = new Uint8Array(size).fill(0x41);
      content.set([0, 5, ...utf8("1.6.3")]);
      assertEquals(detect(encodeFrame(spoken, { code: SystemCode.HELLO, content, requestId: 1, flags: 0 })), found);
    }
  });

  it("takes no HELLO whose length does not fit its version", () => {
    for (const [length, size] of [[6, 7], [62, 7], [65535, 7], [4, 7], [0, 7], [6, 8]]) {
      const content = new Uint8Array(size);
      content.set([length >> 8, length & 255, ...utf8("1.7.0")]);
      const bytes = encodeFrame(protocol("1.7.0"), { code: SystemCode.HELLO, content, requestId: 1, flags: 0 });
      assertEquals(detect(bytes), "handshake-failed");
    }
  });

  it("takes no HELLO with a flipped bit for another release or framing", () => {
    for (const release of HELLO_RELEASES) {
      const { ids, headerSize, layout, integrity } = protocol(release);
      const bytes = hello(release, ids === "uuid" ? HELLO_UUID : HELLO_ID);
      const checked = (at: number): boolean =>
        at >= headerSize || at < layout.digest + (integrity === "sha256" ? 32 : 4);
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const flipped = bytes.slice();
        flipped[bit >> 3] ^= 1 << (bit & 7);
        const found = detect(flipped);
        if (checked(bit >> 3)) {
          assert(["handshake-failed", "waiting"].includes(found), `${release} bit ${bit}: ${found}`);
        } else assertEquals(found, `${release}/${headerSize}`);
      }
    }
  });

  it("does not take other programs for a Veltix, and says what they look like", () => {
    const others: [Uint8Array, string][] = [
      [utf8("HTTP/1.1 400 Bad Request\r\n\r\n"), "an HTTP answer"],
      [utf8("SSH-2.0-OpenSSH_9.9\r\n"), "an SSH greeting"],
      [unhex("15030300020228"), "bytes that look like TLS"],
      [unhex("160303007a0200007603"), "bytes that look like TLS"],
      [utf8("220 mail.example.org ESMTP\r\n"), "the bytes 32 32 30 20 6d 61 69 6c 2e 65 78 61 6d 70 6c 65"],
      [utf8("-ERR unknown command\r\n"), "the bytes 2d 45 52 52"],
      [utf8('INFO {"server_id":"x"}\r\n'), "the bytes 49 4e 46 4f"],
      [unhex("4a0000000a382e342e3000"), "the bytes 4a 00 00 00 0a"],
      [unhex("ff00000000000000017f"), "the bytes ff 00"],
      [unhex("000000000000"), "the bytes 00 00 00 00 00 00"],
      [unhex("000b0000000731"), "the bytes 00 0b"],
      [unhex("000a00000006"), "the bytes 00 0a 00 00 00 06"],
      [unhex("000a00000041"), "the bytes 00 0a 00 00 00 41"],
      [unhex("5658000b00000007"), "the bytes 56 58 00 0b"],
      [utf8("VX\x01"), "the bytes 56 58 01"],
      [utf8("VY\0"), "the bytes 56 59 00"],
    ];
    for (const [bytes, what] of others) {
      for (const size of [bytes.length, 1]) assertEquals(detect(bytes, size), "handshake-failed", what);
      const [, said] = failure(client().push(bytes));
      assert(said.includes(`it greeted with ${what}`) && said.endsWith("check the host and the port"), said);
    }
  });

  it("takes none of 100,000 random greetings", () => {
    const random = new Random(100);
    const starts = ["", "", "", "00", "000a", "000a000000", "000a00000007", "000a00000008", "5658", "5658000a00000007"]
      .map(unhex);
    const found = new Map<string, number>();
    for (let round = 0; round < 100_000; round++) {
      const what = detect(join(random.pick(starts), random.bytes(random.below(140))));
      found.set(what, (found.get(what) ?? 0) + 1);
    }
    assertEquals([...found.keys()].sort(), ["handshake-failed", "waiting"]);
  });

  it("takes none of 10,000 random JSON greetings", () => {
    const random = new Random(101);
    const parts = [
      '"v"',
      ":",
      '"2.0.0"',
      '"1.9.0"',
      '"meta"',
      "{",
      "}",
      ",",
      '"id_window"',
      "30000",
      " ",
      "[",
      "]",
      "null",
      '"',
    ];
    for (let round = 0; round < 10_000; round++) {
      const text = "{" + Array.from({ length: random.below(12) }, () => random.pick(parts)).join("");
      if (text.length > 1 && !/"v" *: *"(1.9|2.0).0"/.test(text)) {
        assert(["handshake-failed", "version-mismatch"].includes(detect(message(text))), text);
      }
    }
  });

  it("tells what came so far, for the message of a timeout", () => {
    const machine = client();
    assertEquals(machine.received, "nothing");
    machine.push(utf8("V"));
    assertEquals(machine.received, "the bytes 56");
    const json = client();
    json.push(message({ v: "2.0.0" }).slice(0, 9));
    assertEquals(json.received, "the beginning of a JSON handshake");
  });
});
