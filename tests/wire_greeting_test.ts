import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { helloFrame } from "../src/wire/python/hello_frames.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  cutEvery,
  hex,
  isMine,
  join,
  loadVectors,
  Random,
  rounds,
  RUNTIME_INDEX,
  unhex,
  utf8,
  withoutStacks,
} from "./wire_support.ts";
import { client, failure, HELLO_ID, HELLO_UUID, message, NOW } from "./wire_handshake_support.ts";

const ALERTED = "set the option tls, or connect to a port without TLS";
const GREETED = "set the option tls of the listener, or connect without TLS";

/** What a client makes of a greeting: the protocol it takes, `"waiting"`, or the code of the error. */
function detect(bytes: Uint8Array, size = bytes.length): string {
  const machine = client();
  for (const piece of cutEvery(bytes, Math.max(size, 1))) {
    const step = withoutStacks(() => machine.push(piece));
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
      ["2.0.0", "json", "json"],
      ["2.0.0b3", "json", "json"],
      ["2.0.3", "json", "json"],
      ["3.0.0", "json", "json"],
      ["3.0.2", "json", "json"],
      ["3.1.0", "json", "json"],
      ["3.2.1", "json", "json"],
      ["3.3.0", "json", "json"],
    ]);
  });

  it("tells the framings apart whatever id, clock and version the HELLO carries", () => {
    const random = new Random(13 + RUNTIME_INDEX);
    for (let round = rounds(10_000); round > 0; round--) {
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
        if (!isMine(bit)) continue;
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
    const ENCRYPT = "set the option encryption on both ends";
    const others: [Uint8Array, string, string?, string?][] = [
      [unhex("5658530133"), "the hello of an encrypted connection", ENCRYPT, "encryption-required"],
      [utf8("HTTP/1.1 400 Bad Request\r\n\r\n"), 'an HTTP answer, "HTTP/1.1 400 Bad Request"'],
      [utf8("SSH-2.0-OpenSSH_9.9\r\n"), 'an SSH greeting, "SSH-2.0-OpenSSH_9.9"'],
      [unhex("15030300020228"), "a TLS alert", ALERTED, "tls-required"],
      [unhex("160303007a0200007603"), "a TLS handshake", GREETED, "tls-required"],
      [unhex("150000"), "the bytes 15 00 00"],
      [utf8("220 mail.example.org ESMTP\r\n"), 'an SMTP or FTP greeting, "220 mail.example.org ESMTP"'],
      [utf8("-ERR unknown command\r\n"), 'a Redis or POP3 answer, "-ERR unknown command"'],
      [utf8("+OK POP3 ready\r\n"), 'a Redis or POP3 answer, "+OK POP3 ready"'],
      [utf8("* OK IMAP4rev1 ready\r\n"), 'an IMAP greeting, "* OK IMAP4rev1 ready"'],
      [utf8('INFO {"server_id":"x"}\r\n'), 'a NATS greeting, "INFO {"server_id":"x"}"'],
      [unhex("414d515000000901"), 'an AMQP greeting, "AMQP"'],
      [unhex("4a0000000a382e342e3000"), "a MySQL greeting"],
      [utf8("login: "), 'the text "login: "'],
      [utf8(`${"y".repeat(99)}\r\n`), `the text "${"y".repeat(40)}"`],
      [utf8("one\r\ntwo\u0007three\r\n"), "the bytes 6f 6e 65 0d 0a 74 77 6f 07"],
      [utf8("\u001b[31mred"), "the bytes 1b 5b 33 31 6d 72 65 64"],
      // A server of 1.2 or 1.3 that speaks when a client connects.
      [
        encodeFrame(protocol("1.3.0"), { code: 200, content: utf8("hi"), requestId: HELLO_UUID, flags: 0 }),
        "a frame of type 200, framed as in releases 1.2 to 1.6.1",
        'set protocol to its release, such as "1.3.0"',
      ],
      [unhex("ff00000000000000017f"), "the bytes ff 00"],
      [unhex("000000000000"), "the bytes 00 00 00 00 00 00"],
      [unhex("000b0000000731"), "the bytes 00 0b"],
      [unhex("000a00000006"), "the bytes 00 0a 00 00 00 06"],
      [unhex("000a00000041"), "the bytes 00 0a 00 00 00 41"],
      [unhex("5658000b00000007"), "the bytes 56 58 00 0b"],
      [utf8("VX\x01"), "the bytes 56 58 01"],
      [utf8("VY\0"), "the bytes 56 59 00"],
    ];
    for (const [bytes, what, advice = "check the host and the port", code = "handshake-failed"] of others) {
      for (const size of [bytes.length, 1]) assertEquals(detect(bytes, size), code, what);
      const [, said] = failure(client().push(bytes));
      assert(
        said.includes(`it greeted with ${what}`) && said.endsWith(`, which is no Veltix greeting; ${advice}`),
        said,
      );
    }
  });

  it("takes no random greeting, of thousands, others on each runtime", () => {
    const random = new Random(100 + RUNTIME_INDEX);
    const starts = ["", "", "", "00", "000a", "000a000000", "000a00000007", "000a00000008", "5658", "5658000a00000007"]
      .map(unhex);
    const found = new Map<string, number>();
    for (let round = rounds(33_334); round > 0; round--) {
      const what = detect(join(random.pick(starts), random.bytes(random.below(140))));
      found.set(what, (found.get(what) ?? 0) + 1);
    }
    const errors = new Set(["encryption-required", "handshake-failed", "tls-required", "waiting"]);
    assertEquals([...found.keys()].filter((what) => !errors.has(what)), []);
  });

  it("takes none of 10,000 random JSON greetings, a third of them on each runtime", () => {
    const random = new Random(110 + RUNTIME_INDEX);
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
    for (let round = 0; round < 3_334; round++) {
      const text = "{" + Array.from({ length: random.below(12) }, () => random.pick(parts)).join("");
      if (text.length > 1 && !/"v" *: *"(1.9|2.0).0"/.test(text)) {
        assert(["handshake-failed", "version-mismatch"].includes(detect(message(text))), text);
      }
    }
  });

  it("tells what came so far, for the message of a timeout", () => {
    const machine = client();
    for (const part of ["1.2 or 1.3", '"1.3.0"', '"1.2.1"', "full or held up", "no Veltix server"]) {
      assert(machine.unfinished("late").includes(part), part);
    }
    assertEquals(machine.unfinished("closed"), "it sent nothing; check the host and the port");
    machine.push(utf8("V"));
    assertEquals(machine.unfinished("late"), 'it sent the text "V"; check the host and the port');
    machine.push(utf8("X"));
    assertEquals(machine.unfinished("closed"), 'it sent the text "VX"; check the host and the port');
    machine.push(new Uint8Array(1));
    assertEquals(machine.unfinished("late"), "it sent the bytes 56 58 00; check the host and the port");
    const json = client();
    json.push(message({ v: "2.0.0" }).slice(0, 9));
    assertEquals(json.unfinished("late"), "it sent the beginning of a JSON handshake");
    const answered = client();
    answered.push(message({ v: "1.9.0", meta: {} }));
    assertEquals(
      answered.unfinished("late"),
      'it greeted as release "1.9.0" of the Python protocol and has not let the client in yet, ' +
        "for example because its `authenticate` is slow",
    );
    assert(answered.unfinished("closed").startsWith('it greeted as release "1.9.0": Python servers refuse'));
  });
});
