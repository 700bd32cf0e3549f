import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, HandshakeError, type Refusal } from "../src/errors.ts";
import { checkCredentials } from "../src/wire/handshake/credentials.ts";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import type { HandshakeStep } from "../src/wire/handshake/terms.ts";
import { helloFrame } from "../src/wire/python/hello_frames.ts";
import { protocol } from "../src/wire/protocols.ts";
import { hex, join, utf8 } from "./wire_support.ts";
import {
  client,
  converse,
  failure,
  greeted,
  message,
  NOW,
  OFFER,
  opened,
  raw,
  read,
  server,
} from "./wire_handshake_support.ts";

const NATIVE = { versions: [1], features: {}, maxMessageSize: 5000 };
const GREETING = { v: "2.0.0", meta: { id_window: 30000, native: { ...NATIVE, nonce: "n" } } };
const FRAME = encodeFrame(protocol("native"), { code: 200, content: utf8("x"), requestId: 0, flags: 0 });

/** The `send` of a step. */
function sent(step: HandshakeStep): Uint8Array | undefined {
  return "send" in step ? step.send : undefined;
}

/** The refusal of a step that must be `failed`. */
function refusalOf(step: HandshakeStep): Refusal | undefined {
  if (step.state !== "failed") throw new Error(`It is ${step.state}, not failed`);
  return (step.error as HandshakeError).refusal;
}

/** A server's step that refuses. */
function refuse(name: string, code: string, text: string, retryAfter?: number): HandshakeStep {
  const refusal = { code, message: text, retryAfter };
  return server(name).refuse(new HandshakeError("unauthorized", "not for the peer", { refusal }));
}

/** A client that was greeted by a native server and has answered. */
function answered(options: Parameters<typeof client>[1] = {}, name = "auto"): ReturnType<typeof client> {
  const machine = client(name, options);
  assert(sent(machine.push(message(GREETING))) !== undefined);
  return machine;
}

describe("the native protocol", () => {
  it("is what both ends take when both can, and each learns the other's limit", () => {
    for (
      const [ours, theirs] of [["2.0", "auto"], ["2.0", "2.0"], ["2.0", "native"], ["native", "auto"], [
        "native",
        "native",
      ]]
    ) {
      const ends = converse(
        server(ours, { offer: { maxMessageSize: 1111 } }),
        client(theirs, { offer: { maxMessageSize: 2222 } }),
      );
      const [serving, asking] = [opened(ends.server), opened(ends.client)];
      assertEquals([serving.protocol.name, asking.protocol.name], ["native", "native"]);
      assertEquals([serving.maxMessageSize, asking.maxMessageSize], [2222, 1111]);
      assertEquals([serving.numbering, asking.numbering], [undefined, undefined]);
    }
  });

  it("negotiates the features that both list, each end with the other's parameters", () => {
    const offer = { ...OFFER, features: { credit: { window: 1 }, ours: {} } };
    const theirs = { ...OFFER, features: { credit: { window: 2 }, theirs: {} } };
    const ends = converse(server("2.0", { offer }), client("auto", { offer: theirs }));
    assertEquals([...opened(ends.server).features], [["credit", { window: 2 }]]);
    assertEquals([...opened(ends.client).features], [["credit", { window: 1 }]]);
  });

  it("carries credentials, which the server sees before it decides", () => {
    const credentials = { token: "t", nested: [1, null] };
    const machine = greeted("2.0");
    const step = machine.push(sent(client("auto", { credentials }).push(sent(server("2.0").start())!))!);
    const text = utf8(JSON.stringify(credentials));
    const peer = { release: "2.0.0", native: true, credentials: text, features: {} };
    assertEquals(step, { state: "proposed", peer });
  });

  it("is refused by no comparison of versions", () => {
    assertEquals(
      opened(answered().push(message({ result: "ok", native: { version: 1, features: {} } }))).release,
      "2.0.0",
    );
    assertEquals(client().push(message({ ...GREETING, v: "7.1" })).state, "waiting");
    assertEquals(greeted("2.0").push(message({ v: "7.1", meta: { native: NATIVE } })).state, "proposed");
  });

  it("is all that a server set to it takes", () => {
    for (const meta of [{}, { native: { ...NATIVE, versions: [2] } }, { native: { ...NATIVE, versions: [] } }]) {
      const step = greeted("native").push(message({ v: "2.0.0", meta }));
      assertEquals(failure(step)[0], "native-required");
      assertEquals(read(sent(step)), {
        result: "error",
        code: "native-required",
        message: 'Cannot agree with the peer: it is release "2.0.0" and does not speak the native protocol, ' +
          "and this listener takes nothing else",
      });
    }
  });

  it("is all that a client set to it, with credentials, or that has seen it before, takes", () => {
    const cases = [["native"], ["auto", "secret"], ["2.0", "secret"], ["auto", undefined, true], [
      "2.0",
      undefined,
      true,
    ]];
    for (const [name, credentials, nativeOnly] of cases as [string, string?, boolean?][]) {
      const meta = { id_window: 30000 };
      const greetings = [
        message({ v: "2.0.0", meta }),
        message({ v: "2.0.0", meta: { ...meta, native: { ...NATIVE, versions: [2] } } }),
        message({ v: "1.9.0", meta: {} }),
        helloFrame(protocol("1.6.3"), SystemCode.HELLO, 1, NOW, "1.6.3"),
      ];
      for (const greeting of greetings) {
        const step = client(name, { credentials, nativeOnly }).push(greeting);
        assertEquals(failure(step)[0], "native-required");
        assertEquals(sent(step), undefined);
      }
      const stripped = answered({ credentials, nativeOnly }, name).push(message({ result: "ok" }));
      assertEquals(failure(stripped)[0], "native-required");
    }
  });

  it("falls back to 2.0, with its window, when the server chooses so", () => {
    const machine = answered();
    const outcome = opened(machine.push(join(message({ result: "ok" }), utf8("rest"))));
    assertEquals([outcome.protocol.name, hex(outcome.rest)], ["2.0.0", hex(utf8("rest"))]);
    assertEquals(outcome.numbering, { kind: "window", size: 30000 });
    const windowless = client();
    windowless.push(message({ v: "2.0.0", meta: { native: NATIVE } }));
    assertEquals(failure(windowless.push(message({ result: "ok" })))[0], "handshake-failed");
  });

  it("is not upgraded to inside 1.8 and 1.9", () => {
    const step = greeted("1.9.0").push(message({ v: "1.9.0", meta: { native: NATIVE } }));
    assertEquals(step.state === "proposed" && step.peer.native, false);
    assertEquals(failure(client("1.9").push(message(GREETING)))[0], "version-mismatch");
  });

  it("ends at bytes between message 2 and message 3", () => {
    const answer = message({ v: "2.0.0", meta: { native: NATIVE } });
    const together = greeted("2.0").push(join(answer, FRAME));
    assertEquals([failure(together)[0], sent(together)], ["protocol-error", undefined]);
    const machine = greeted("2.0");
    assertEquals(machine.push(answer).state, "proposed");
    assertEquals(machine.push(new Uint8Array(0)).state, "waiting");
    const apart = machine.push(FRAME.slice(0, 1));
    assertEquals([failure(apart)[0], sent(apart)], ["protocol-error", undefined]);
  });

  it("may follow message 3 in the same segment", () => {
    const accepted = message({ result: "ok", native: { version: 1, features: {} } });
    assertEquals(hex(opened(answered().push(join(accepted, FRAME))).rest), hex(FRAME));
  });

  it("ends at malformed terms, on both ends", () => {
    const bad: unknown[] = [
      null,
      1,
      "x",
      [],
      {},
      ...[undefined, 1, "1", {}, ["1"], [1.5], [null], Array(65).fill(1)].map((versions) => ({ ...NATIVE, versions })),
      ...[undefined, null, 1, "x", []].map((features) => ({ ...NATIVE, features })),
      ...[undefined, null, 15, -1, 1.5, "5000", 2 ** 32, []].map((maxMessageSize) => ({ ...NATIVE, maxMessageSize })),
    ];
    for (const native of bad) {
      const text = JSON.stringify(native);
      const served = greeted("2.0").push(message({ v: "2.0.0", meta: { native } }));
      assertEquals(failure(served), [
        "handshake-failed",
        'Cannot agree with the peer: its "native" member is malformed',
      ], text);
      const asked = client().push(message({ v: "2.0.0", meta: { id_window: 30000, native } }));
      assertEquals(failure(asked)[0], "handshake-failed", text);
      assertEquals(sent(asked), undefined);
    }
  });

  it("ends at a choice that was not offered", () => {
    const offer = { ...OFFER, features: { credit: {} } };
    const bad: unknown[] = [
      null,
      1,
      [],
      {},
      { version: 1 },
      { features: {} },
      { version: 2, features: {} },
      { version: "1", features: {} },
      { version: 1, features: [] },
      { version: 1, features: { other: {} } },
      { version: 1, features: { credit: true } },
      { version: 1, features: { constructor: {} } },
    ];
    for (const native of bad) {
      const step = answered({ offer }).push(message({ result: "ok", native }));
      assertEquals(
        failure(step),
        ["handshake-failed", "Cannot agree with the peer: it chose native terms that were not offered"],
        JSON.stringify(native),
      );
    }
    const plain = client();
    plain.push(message({ v: "2.0.0", meta: { id_window: 1 } }));
    assertEquals(
      failure(plain.push(message({ result: "ok", native: { version: 1, features: {} } })))[0],
      "handshake-failed",
    );
  });
});

describe("id_window", () => {
  it("is taken as a whole number from 1 to 65534 and nothing else", () => {
    const values: [string, boolean][] = [
      ["1", true],
      ["30000", true],
      ["65534", true],
      ["3e4", true],
      ["0", false],
      ["65535", false],
      ["-1", false],
      ["1.5", false],
      ['"30000"', false],
      ["true", false],
      ["null", false],
      ["[30000]", false],
      ["1e999", false],
    ];
    for (const [value, good] of values) {
      const machine = client();
      const step = machine.push(message(`{"v": "2.0.0", "meta": {"id_window": ${value}}}`));
      const wrong = 'Cannot agree with the peer: its "id_window" is no whole number from 1 to 65534';
      if (!good) assertEquals(failure(step)[1], wrong);
      else {
        const { numbering } = opened(machine.push(message({ result: "ok" })));
        assertEquals(numbering, { kind: "window", size: Number(value) });
      }
    }
    for (const meta of [undefined, {}]) {
      assertEquals(failure(client().push(message({ v: "2.0.0", meta })))[0], "handshake-failed");
    }
  });

  it("is not asked of 1.8 and 1.9", () => {
    const machine = client();
    machine.push(message({ v: "1.9.0", meta: { id_window: "x" } }));
    assertEquals(opened(machine.push(message({ result: "ok" }))).numbering, undefined);
  });
});

describe("a JSON message", () => {
  const hostile: [string, Uint8Array][] = [
    ["empty", raw(new Uint8Array(0))],
    ["of one byte", raw(utf8("{"))],
    ["an array", message("[1]")],
    ["a string", message('"{}"')],
    ["a number", message("12")],
    ["null", message("null")],
    ["cut off", message('{"v": "2.0.0"')],
    ["two objects", message('{"v": "2.0.0"}{}')],
    ["invalid UTF-8", raw(join(utf8('{"v": "2.0.0", "x": "'), new Uint8Array([0xc3, 0x28]), utf8('"}')))],
    ["with a byte order mark", raw(join(new Uint8Array([0xef, 0xbb, 0xbf]), utf8("{}")))],
    ["without v", message({ meta: {} })],
    ...[1, null, {}, ["2.0.0"], "", "2.0.0\n", "2.0.0 ", "\u0000", "9".repeat(33), "２.0.0"].map((
      v,
    ): [string, Uint8Array] => [
      `with v ${JSON.stringify(v)}`,
      message({ v, meta: { id_window: 30000 } }),
    ]),
    ...[1, null, [], "x"].map((
      meta,
    ): [string, Uint8Array] => [`with meta ${JSON.stringify(meta)}`, message({ v: "2.0.0", meta })]),
  ];

  it("that is no well-formed one is refused by both ends", () => {
    for (const [what, bytes] of hostile) {
      const served = greeted("2.0").push(bytes);
      assertEquals(failure(served)[0], "handshake-failed", what);
      assertEquals((read(sent(served)) as { code: string }).code, "handshake-failed");
      // Two bytes alone could still become a greeting.
      const step = client().push(bytes.length < 3 ? join(bytes, utf8("{")) : bytes);
      assertEquals([failure(step)[0], sent(step)], ["handshake-failed", undefined], what);
    }
  });

  it("is refused for its first byte and for its length before the rest of it comes", () => {
    const start = (size: number, text: string): Uint8Array =>
      raw(new Uint8Array(size)).fill(text.charCodeAt(0), 2, 3).slice(0, 3);
    assertEquals(failure(greeted("2.0").push(start(100, "[")))[0], "handshake-failed");
    assertEquals(greeted("2.0").push(start(16384, "{")).state, "waiting");
    assertEquals(
      failure(greeted("2.0").push(start(16385, "{").slice(0, 2)))[1].includes(
        "16385 bytes is above the limit of 16384",
      ),
      true,
    );
    assertEquals(client().push(start(4096, "{")).state, "waiting");
    assertEquals(failure(client().push(start(4097, "{")))[0], "handshake-failed");
    assertEquals(answered().push(start(4096, "{")).state, "waiting");
    assertEquals(failure(answered().push(start(4097, "{").slice(0, 2)))[0], "handshake-failed");
  });

  it("of the largest size is taken, byte by byte too", () => {
    const padded = (size: number, value: object): Uint8Array => message(JSON.stringify(value).padEnd(size, " "));
    const answer = padded(16384, { v: "2.0.0", meta: {} });
    const machine = greeted("2.0");
    answer.forEach((_, i) =>
      assertEquals(machine.push(answer.slice(i, i + 1)).state, i === answer.length - 1 ? "proposed" : "waiting")
    );
    assertEquals(client().push(padded(4096, GREETING)).state, "waiting");
  });

  it("may hold members that nobody knows", () => {
    const extra = { x: 1, native2: {}, nested: { deep: [] } };
    const machine = client();
    machine.push(message({ ...extra, v: "2.0.0", meta: { id_window: 30000, ...extra } }));
    const { numbering } = opened(machine.push(message({ ...extra, result: "ok" })));
    assertEquals(numbering, { kind: "window", size: 30000 });
    assertEquals(greeted("2.0").push(message({ ...extra, v: "2.0.0", meta: extra })).state, "proposed");
    const native = { ...NATIVE, ...extra, features: { unknown: 5 } };
    assertEquals(greeted("2.0").push(message({ v: "2.0.0", meta: { native } })).state, "proposed");
  });

  it("cannot reach a prototype", () => {
    const offer = { ...OFFER, features: { credit: {} } };
    const features = '{"__proto__": {"credit": {"x": 1}}, "constructor": {}, "toString": {}}';
    const native = `{"versions": [1], "maxMessageSize": 5000, "features": ${features}}`;
    const machine = greeted("2.0", { offer });
    assertEquals(
      machine.push(message(`{"v": "2.0.0", "__proto__": {"x": 1}, "meta": {"native": ${native}}}`)).state,
      "proposed",
    );
    assertEquals([...opened(machine.accept()).features], []);
    assertEquals(({} as { x?: number }).x, undefined);
    const inherited = greeted("2.0").push(message('{"__proto__": {"v": "2.0.0", "meta": {}}}'));
    assertEquals(failure(inherited)[0], "handshake-failed");
    const greeting = client().push(message('{"v": "2.0.0", "meta": {"__proto__": {"id_window": 30000}}}'));
    assertEquals(failure(greeting)[0], "handshake-failed");
    const terms = greeted("native").push(message(`{"v": "2.0.0", "meta": {"__proto__": {"native": ${native}}}}`));
    assertEquals(failure(terms)[0], "native-required");
  });

  it("is read by its own members only", () => {
    const inherited = {
      value: { ...GREETING.meta, versions: [1], features: {}, maxMessageSize: 5000 },
      configurable: true,
    };
    for (const name of ["meta", "native"]) {
      Object.defineProperty(Object.prototype, name, inherited);
      try {
        assertEquals(failure(greeted("native").push(message({ v: "2.0.0" })))[0], "native-required");
        assertEquals(failure(client().push(message({ v: "2.0.0" })))[0], "handshake-failed");
      } finally {
        delete (Object.prototype as Record<string, unknown>)[name];
      }
    }
  });

  it("nested 8,000 deep is taken or refused, and breaks nothing", () => {
    const deep = "[".repeat(8000) + "]".repeat(8000);
    for (const text of [`{"v": "2.0.0", "meta": {}, "x": ${deep}}`, `{"v": "2.0.0", "meta": {"x": ${deep}}}`]) {
      assert(["proposed", "failed"].includes(greeted("2.0").push(message(text)).state));
    }
    const shallow = "[".repeat(2000) + "]".repeat(2000);
    assert(["waiting", "failed"].includes(client().push(message(`{"v": ${shallow}, "meta": {}}`)).state));
  });

  it("that asks to go on is refused, for no feature asked for it", () => {
    assertEquals(failure(answered().push(message({ result: "continue" })))[0], "handshake-failed");
  });

  it("with a result is no greeting, and without one is no last message", () => {
    assertEquals(failure(client().push(message({ result: "ok" })))[0], "handshake-failed");
    for (const last of [{}, { result: 1 }, { result: null }, { result: "OK" }, GREETING]) {
      assertEquals(failure(answered().push(message(last)))[0], "handshake-failed");
    }
  });

  it("may not be followed by anything before its answer, towards a client", () => {
    assertEquals(failure(client().push(join(message(GREETING), FRAME)))[0], "handshake-failed");
  });
});

describe("a refusal", () => {
  const refusal = { result: "error", code: "unauthorized", message: "the token has expired" };

  it("in place of message 1 and of message 3 reaches the client with its code and message", () => {
    for (const machine of [client(), answered(), client("native"), client("auto", { credentials: 1 })]) {
      const step = machine.push(message({ ...refusal, retryAfter: 5000 }));
      assertEquals(failure(step), [
        "unauthorized",
        "The server refused the connection: the token has expired (unauthorized)",
      ]);
      assertEquals(refusalOf(step), { code: "unauthorized", message: "the token has expired", retryAfter: 5000 });
    }
  });

  it("without a code, a message or a sensible time is one too", () => {
    for (
      const extra of [{}, { code: 1, message: null, retryAfter: -1 }, { code: {}, message: [], retryAfter: "soon" }]
    ) {
      const step = client().push(message({ result: "error", ...extra }));
      assertEquals(failure(step), ["refused-by-peer", "The server refused the connection: no reason given (unknown)"]);
      assertEquals(refusalOf(step), { code: "unknown", message: "no reason given", retryAfter: undefined });
    }
  });

  it("with a code of the program's own is refused-by-peer, and has its words all the same", () => {
    for (
      const [code, known] of [["too-many-connections", true], ["handshake-timeout", true], ["banned", false], [
        "handshake-failed",
        false,
      ]]
    ) {
      const step = client().push(message({ ...refusal, code }));
      assertEquals([failure(step)[0], refusalOf(step)!.code], [known ? code : "refused-by-peer", code]);
    }
  });

  it("is made printable: 200 characters, no control or format characters, no half of a pair", () => {
    const text = 'a\n\u001b[31m\u0000\u202e\u2028\u200b\ud800"' + "x".repeat(3900);
    const [, said] = failure(client().push(message({ result: "error", code: "c\r\n", message: text })));
    assertEquals(said, `The server refused the connection: a??[31m?????"${"x".repeat(187)} (c??)`);
  });

  it("of ours fits into a message whatever the reason is, and arrives", () => {
    const reasons = [
      "x".repeat(100_000),
      "é".repeat(5000),
      "🚀".repeat(5000),
      "\u0000\u001f\n",
      '"\\'.repeat(500),
      "\ud800",
    ];
    for (const reason of reasons) {
      const bytes = sent(refuse("2.0", "unauthorized", reason, 100))!;
      assert(bytes.length <= 4098);
      assertEquals(failure(client().push(bytes))[0], "unauthorized");
    }
    assertEquals(read(sent(refuse("2.0", "full", "come back", 100))), {
      result: "error",
      code: "full",
      message: "come back",
      retryAfter: 100,
    });
  });

  it("for another version names both", () => {
    const step = greeted("2.0").push(message({ v: "2.1.0", meta: {} }));
    assertEquals(failure(step)[0], "version-mismatch");
    const { code, message: text } = read(sent(step)) as { code: string; message: string };
    assertEquals([code, text.includes('"2.1.0"'), text.includes('"2.0.0"')], ["version-mismatch", true, true]);
    assertEquals(failure(greeted("1.9.0").push(message({ v: "1.9.0b1", meta: {} })))[0], "version-mismatch");
    assertEquals(greeted("2.0").push(message({ v: "2.0.0b3", meta: {} })).state, "proposed");
  });
});

describe("our own options", () => {
  it("refuse credentials for a Python release, that are no JSON, or too long", () => {
    for (const spoken of ["1.3", "1.6.3", "1.9", "2.0", "2.0.0b3"]) {
      const error = assertThrows(() => checkCredentials(spoken, "secret"), ConfigError) as ConfigError;
      assertEquals([error.code, error.message.includes(`not "${spoken}"`)], ["invalid-config", true]);
      checkCredentials(spoken, undefined);
    }
    for (const spoken of ["auto", "native"]) {
      for (const credentials of ["secret", { token: "t" }, null, 0, false, "x".repeat(16000)]) {
        checkCredentials(spoken, credentials);
      }
      assertThrows(() => checkCredentials(spoken, () => 1), TypeError, "no JSON");
      assertThrows(() => checkCredentials(spoken, "x".repeat(16384)), RangeError, "above the limit");
    }
  });

  it("are refused at once when they do not fit into a message", () => {
    assertThrows(() => client("auto", { credentials: "x".repeat(16384) }), RangeError, "above the limit");
    assertThrows(() => client("auto", { credentials: () => 1 }), TypeError, "no JSON");
    assertThrows(() => client("auto", { credentials: 1n }), TypeError);
    const features = { large: { text: "x".repeat(4096) } };
    assertThrows(() => server("2.0", { offer: { ...OFFER, features } }).start(), RangeError, "above the limit");
  });

  it("allow credentials of 16,000 bytes", () => {
    const step = client("auto", { credentials: "x".repeat(16000) }).push(message(GREETING));
    assertEquals(greeted("2.0").push(sent(step)!).state, "proposed");
  });

  it("do not allow to accept a peer that has proposed nothing", () => {
    assertThrows(() => greeted("2.0").accept(), TypeError, "proposed nothing");
  });
});
