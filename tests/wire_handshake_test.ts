import { Greeting as ServerGreeting } from "../src/wire/handshake/greeting.ts";
import { ServerHandshake } from "../src/wire/handshake/server.ts";
import type { NativeOffer } from "../src/wire/handshake/terms.ts";
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HandshakeError } from "../src/errors.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import type { HandshakeStep } from "../src/wire/handshake/terms.ts";
import { helloFrame } from "../src/wire/python/hello_frames.ts";
import { ID_WINDOW, type Numbering, numberingOf } from "../src/wire/python/id_numbering.ts";
import { protocol } from "../src/wire/protocols.ts";
import { cutEvery, encodeAll, hex, join, loadVectors, Random, randomFrame, unhex, utf8 } from "./wire_support.ts";
import {
  client,
  type Conversation,
  converse,
  failure,
  greeted,
  HELLO_ID,
  HELLO_UUID,
  message,
  NOW,
  OFFER,
  opened,
  read,
  server,
} from "./wire_handshake_support.ts";

const MIB_10 = 10 * 1024 * 1024;
const HELLO_RELEASES = [
  "1.4.0",
  "1.5.0",
  "1.6.0",
  "1.6.1",
  "1.6.2",
  "1.6.3",
  "1.6.5",
  "1.6.9",
  "1.6.10",
  "1.7.0",
  "1.7.5",
];
const JSON_RELEASES = ["1.8.0", "1.8.1", "1.9.0", "2.0.0", "2.0.0b3"];

/** Message 1. */
interface Greeting {
  v: string;
  pv?: string;
  meta: Record<string, unknown>;
}

/** Every way to cut segments: whole, byte by byte, and in two at every place. */
function* everyCut(longest: number): Generator<NonNullable<Conversation["cut"]>> {
  yield (bytes) => [bytes];
  yield (bytes) => cutEvery(bytes, 1);
  for (let at = 0; at <= longest; at++) yield (bytes) => [bytes.slice(0, at), bytes.slice(at)];
}

for (const name of [...HELLO_RELEASES, ...JSON_RELEASES, "native"]) {
  describe(`a handshake between our two ends, server set to ${name}`, () => {
    const native = ["2.0.0", "2.0.0b3", "native"].includes(name);
    const spoken = protocol(native ? "native" : name);
    const random = new Random(1);
    const tail = encodeAll(spoken, [randomFrame(random, spoken, 9), randomFrame(random, spoken, 9)]);

    it("opens both ends at every cut, and what follows comes out behind it", () => {
      const hello = spoken.handshake === "hello";
      // Nothing follows a HELLO before its answer; a native client stays silent until it is let in.
      const talk = hello
        ? { clientTail: tail }
        : native
        ? { serverTail: tail }
        : { clientTail: tail, serverTail: tail };
      for (const cut of everyCut(220)) {
        const ends = converse(server(name), client(), { ...talk, cut });
        for (const step of [ends.server, ends.client]) {
          const { protocol, maxMessageSize, numbering, features } = opened(step);
          assertEquals(protocol.headerSize, spoken.headerSize);
          assertEquals(protocol.ids, spoken.ids);
          assertEquals(maxMessageSize, native ? OFFER.maxMessageSize : MIB_10);
          assertEquals([numbering, features.size], [undefined, 0]);
        }
        assertEquals(hex(ends.serverRest), hex(talk.clientTail ?? new Uint8Array(0)));
        assertEquals(hex(ends.clientRest), hex(talk.serverTail ?? new Uint8Array(0)));
      }
    });

    it("keeps the same bytes of all its messages on both ends", () => {
      const ends = converse(server(name), client(), { cut: (bytes) => cutEvery(bytes, 7) });
      const transcripts = [ends.server, ends.client].map((step) => opened(step).transcript.map(hex));
      assertEquals(transcripts[0], transcripts[1]);
      assertEquals(transcripts[0].length, spoken.handshake === "hello" ? 2 : 3);
    });

    it("opens when the client is set to it too", () => {
      const ends = converse(server(name), client(name));
      assertEquals(opened(ends.client).protocol.ids, spoken.ids);
      assertEquals(opened(ends.server).protocol.ids, spoken.ids);
    });
  });
}

for (const name of ["1.2.1", "1.3.0"]) {
  it(`release ${name} has no handshake: both ends are open at once`, () => {
    for (const step of [server(name).start(), client(name).start()]) {
      const { protocol: spoken, release, maxMessageSize, rest, transcript } = opened(step);
      assertEquals([spoken.name, release, rest.length, transcript.length], [name, "", 0, 0]);
      assertEquals(maxMessageSize, name === "1.2.1" ? 1024 : MIB_10);
      assertEquals("send" in step && step.send, undefined);
    }
  });
}

for (const { release, hello, handshake } of loadVectors()) {
  const spoken = protocol(release);
  const tail = encodeFrame(spoken, randomFrame(new Random(2), spoken, 9));

  if (hello !== null) {
    describe(`the HELLO of Python ${release}`, () => {
      it("is answered with the same id and version, at every cut", () => {
        const bytes = unhex(hello);
        for (const cut of everyCut(bytes.length)) {
          const machine = client();
          let step: HandshakeStep = machine.start();
          for (const piece of cut(bytes)) if (step.state === "waiting") step = machine.push(piece);
          const { protocol: found, release: announced, transcript } = opened(step);
          assertEquals([found.name, announced, found.headerSize], [release, release, spoken.headerSize]);
          const requestId = spoken.ids === "uuid" ? "0000000a-1111-4222-8333-444455556666" : 10;
          const ack = helloFrame(spoken, SystemCode.HELLO_ACK, requestId, NOW, release);
          assertEquals("send" in step && step.send && hex(step.send), hex(ack));
          assertEquals(transcript.map(hex), [hello, hex(ack)]);
        }
      });

      it("may be followed by frames in the same segment", () => {
        assertEquals(hex(opened(client().push(join(unhex(hello), tail))).rest), hex(tail));
      });

      it("is what our server sends", () => {
        const helloId = spoken.ids === "uuid" ? "0000000a-1111-4222-8333-444455556666" : 10;
        const step = server(release, { helloId }).start();
        assertEquals("send" in step && step.send && hex(step.send), hello);
      });
    });
  }

  if (handshake !== null) {
    describe(`the JSON messages of Python ${release}`, () => {
      const theirs = read(unhex(handshake.server)) as Greeting;
      const numbering = (peer: "client" | "server"): Numbering | undefined =>
        spoken.ids === "u16" ? numberingOf(peer, release, theirs.pv, ID_WINDOW) : undefined;

      it("open our client, at every cut, frames behind them included", () => {
        const [greeting, ack] = [unhex(handshake.server), unhex(handshake.ack)];
        for (const cut of everyCut(60)) {
          const machine = client();
          let step: HandshakeStep = machine.start();
          const answers: Uint8Array[] = [];
          for (const piece of cut(greeting)) {
            step = machine.push(piece);
            if ("send" in step && step.send !== undefined) answers.push(step.send);
          }
          assertEquals(answers.map(read), [read(unhex(handshake.client))]);
          const rest: Uint8Array[] = [];
          for (const piece of cut(join(ack, tail))) {
            if (step.state === "waiting") step = machine.push(piece);
            else rest.push(piece);
          }
          const outcome = opened(step);
          assertEquals([outcome.protocol.name, outcome.release], [release, release]);
          assertEquals(outcome.numbering, numbering("server"));
          assertEquals(hex(join(outcome.rest, ...rest)), hex(tail));
        }
      });

      it("open our server, at every cut, frames behind them included", () => {
        for (const cut of everyCut(60)) {
          const machine = greeted(release);
          let step: HandshakeStep = { state: "waiting" };
          const rest: Uint8Array[] = [];
          for (const piece of cut(join(unhex(handshake.client), tail))) {
            if (step.state === "waiting") step = machine.push(piece);
            else rest.push(piece);
          }
          assertEquals(step, {
            state: "proposed",
            peer: { release, native: false, credentials: undefined, features: {} },
          });
          step = machine.accept();
          assertEquals("send" in step && read(step.send), read(unhex(handshake.ack)));
          assertEquals(hex(join(opened(step).rest, ...rest)), hex(tail));
          assertEquals(opened(step).numbering, numbering("client"));
        }
      });

      it("are what our server sends, but for what only native peers read", () => {
        const step = server(release).start();
        const greeting = read("send" in step ? step.send : undefined) as Greeting;
        // Those before 2.0.3 have no "pv", and those after it no "id_window".
        if (theirs.pv === undefined) delete greeting.pv;
        if (theirs.meta.id_window === undefined) delete greeting.meta.id_window;
        delete greeting.meta.native;
        assertEquals(greeting, theirs);
      });
    });
  }
}

describe("a server with HELLO", () => {
  const ack = (name: string, version = name, id: number | string = HELLO_ID, code: number = SystemCode.HELLO_ACK) =>
    helloFrame(protocol(name), code, id, NOW, version);

  it("refuses an answer with another id, another type, or no version, and says nothing", () => {
    const bad: [Uint8Array, string][] = [
      [ack("1.7.5", "1.7.5", HELLO_ID + 1), "its HELLO_ACK carries another id"],
      [ack("1.7.5", "1.7.5", HELLO_ID, SystemCode.HELLO), "it sent a frame of type 10 before HELLO_ACK"],
      [ack("1.7.5", "1.7.5", HELLO_ID, 200), "it sent a frame of type 200 before HELLO_ACK"],
      ...["", "x", "1.7", "1.7.5 ", "1.7.5b1", "1.7.5.1", "١.٧.٥", "9".repeat(40)]
        .map((text): [Uint8Array, string] => [ack("1.7.5", text), "its HELLO_ACK holds no version"]),
      [join(ack("1.7.5").slice(0, -1), utf8("6")), "its first frame is damaged"],
      [
        encodeFrame(protocol("1.7.5"), { code: 200, content: new Uint8Array(65), requestId: 1, flags: 0 }),
        "its first frame, of type 200, is too large for a handshake",
      ],
    ];
    for (const [bytes, what] of bad) {
      for (const pieces of [[bytes], cutEvery(bytes, 1)]) {
        const machine = greeted("1.7.5");
        let step: HandshakeStep = { state: "waiting" };
        for (const piece of pieces) if (step.state === "waiting") step = machine.push(piece);
        assertEquals(failure(step), ["handshake-failed", `Cannot agree with the peer: ${what}`]);
        assertEquals("send" in step ? step.send : undefined, undefined);
      }
    }
  });

  it("does not describe a frame of its own framing that is too large: that is no stranger's", () => {
    for (const release of ["1.6.0", "1.6.3", "1.6.10", "1.7.5"]) {
      const spoken = protocol(release);
      const requestId = spoken.ids === "uuid" ? HELLO_UUID : HELLO_ID;
      const frame = encodeFrame(spoken, { code: 200, content: utf8("x".repeat(100)), requestId, flags: 0 });
      assertEquals(failure(greeted(release).push(frame)), [
        "handshake-failed",
        "Cannot agree with the peer: its first frame, of type 200, is too large for a handshake",
      ]);
    }
  });

  it("refuses an answer of another UUID", () => {
    const good = greeted("1.6.0").push(ack("1.6.0", "1.6.0", HELLO_UUID));
    assertEquals(good.state, "proposed");
    const bad = greeted("1.6.0").push(ack("1.6.0", "1.6.0", HELLO_UUID.replace("dead", "beef")));
    assertEquals(failure(bad)[0], "handshake-failed");
  });

  it("refuses what is no frame at its first wrong byte", () => {
    for (const text of ["G", "GET / HTTP/1.1\r\n\r\n", "VY"]) {
      assertEquals(failure(greeted("1.7.5").push(utf8(text)))[0], "protocol-error");
    }
    assertEquals(failure(greeted("1.6.3").push(utf8("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))[0], "handshake-failed");
  });

  it("takes the releases that would take it, or that it would take, and names both otherwise", () => {
    const check = (ours: string, peer: string, good: boolean): void => {
      const step = greeted(ours).push(ack(ours, peer, protocol(ours).ids === "uuid" ? HELLO_UUID : HELLO_ID));
      if (good) return assertEquals(step.state, "proposed", `${ours} ${peer}`);
      const [code, text] = failure(step);
      assertEquals(code, "version-mismatch");
      assert(text.includes(`"${peer}"`) && text.includes(`"${protocol(ours).release}"`), text);
    };
    for (const peer of ["1.6.0", "1.6.1"]) check("1.6.0", peer, true);
    check("1.6.0", "1.5.0", false);
    for (const [ours, peer] of [["1.6.8", "1.6.9"], ["1.6.9", "1.6.8"], ["1.7.0", "1.7.5"], ["1.7.5", "1.7.0"]]) {
      check(ours, peer, true);
    }
    for (const [ours, peer] of [["1.6.3", "1.6.4"], ["1.6.10", "1.6.9"], ["1.7.1", "1.7.3"], ["1.7.5", "1.8.0"]]) {
      check(ours, peer, false);
    }
    check("1.6.5", "1.6.4", true);
    check("1.7.3", "1.7.3", true);
  });

  it("keeps frames that come before it has decided, up to 64 KiB", () => {
    const machine = greeted("1.7.5");
    assertEquals(machine.push(join(ack("1.7.5"), utf8("a"))).state, "proposed");
    assertEquals(machine.push(utf8("bc")), { state: "waiting" });
    assertEquals(machine.push(new Uint8Array(0)), { state: "waiting" });
    assertEquals(hex(opened(machine.accept()).rest), hex(utf8("abc")));
    assertEquals(failure(machine.push(new Uint8Array(64 * 1024)))[0], "handshake-failed");
  });

  it("has no words for a refusal", () => {
    const error = new HandshakeError("unauthorized", "no");
    assertEquals(server("1.7.5").refuse(error), { state: "failed", error, send: undefined });
  });
});

describe("a client", () => {
  const greet = (name: string): Uint8Array => {
    const step = server(name).start();
    return "send" in step ? step.send! : new Uint8Array(0);
  };

  it("that is set to a release refuses the servers which that release refuses, and names both", () => {
    const check = (wanted: string, announced: string, good: boolean): void => {
      const step = client(wanted).push(greet(announced));
      if (good) return assert(step.state !== "failed", `${wanted} ${announced}`);
      const [code, text] = failure(step);
      assertEquals(code, "version-mismatch", `${wanted} ${announced}`);
      assert(text.includes(`"${announced}"`) && text.includes(`"${wanted}"`), text);
    };
    check("1.7", "1.7.5", true);
    check("1.7.2", "1.7.1", true);
    check("1.7.1", "1.7.2", false);
    check("1.7.0", "1.7.5", false);
    check("1.7.3", "1.7.3", true);
    check("1.6.5", "1.6.4", true);
    check("1.6.3", "1.6.4", false);
    check("1.6.0", "1.5.0", false);
    check("1.9", "1.8.1", false);
    check("1.9", "1.9.0", true);
    check("1.9.0", "2.0.0", false);
    check("2.0.0", "2.0.0b3", true);
    check("2.0.0", "1.9.0", false);
    check("1.6.3", "1.9.0", false);
    check("1.9.0", "1.6.3", false);
  });

  it("refuses a release that frames unlike it says, or that greets unlike it says", () => {
    const hello = helloFrame(protocol("1.7.0"), SystemCode.HELLO, 1, NOW, "1.6.3");
    assertEquals(failure(client().push(hello))[0], "handshake-failed");
    const later = helloFrame(protocol("1.7.0"), SystemCode.HELLO, 1, NOW, "1.9.0");
    assertEquals(failure(client().push(later))[0], "version-mismatch");
    assertEquals(failure(client().push(message({ v: "1.6.3", meta: {} })))[0], "version-mismatch");
  });

  it("refuses a release that this library does not know", () => {
    for (const release of ["1.1.0", "2.1.0", "3.0.0", "x", "2.0"]) {
      const [code, text] = failure(client().push(message({ v: release, meta: { id_window: 30000 } })));
      assertEquals(code, "version-mismatch");
      assert(text.includes(`"${release}", which this library does not speak`), text);
    }
  });

  it("with the address of a release without handshake sends no credentials there", () => {
    assertEquals(failure(client("1.3", { credentials: "secret" }).start())[0], "native-required");
    assertEquals(failure(client("1.3", { nativeOnly: true }).start())[0], "native-required");
  });
});

describe("the greetings of a server", () => {
  const read = (bytes: Uint8Array): unknown => {
    assertEquals(bytes[0] * 256 + bytes[1], bytes.length - 2);
    return JSON.parse(new TextDecoder().decode(bytes.subarray(2)));
  };

  it("are the same whether they are encoded anew or once for all connections, whatever features offer", () => {
    // Marks like that of the nonce's place, and a nonce's name, among the offers.
    const odd = { note: "#".repeat(40), nonce: "é" };
    const offers: NativeOffer[] = [OFFER, { ...OFFER, features: { odd } }];
    for (const name of ["native", "1.8.0", "2.0.0", "3.3.0"]) {
      for (const offer of offers) {
        const spoken = protocol(name);
        const greeting = new ServerGreeting(spoken, offer);
        const nonces = [crypto.randomUUID(), "n", crypto.randomUUID(), '"'.repeat(36), "#".repeat(36)];
        for (const nonce of nonces) {
          const machine = new ServerHandshake({ protocol: spoken, offer, helloId: 0, nonce, now: NOW });
          const { send } = machine.start() as { send: Uint8Array };
          assertEquals(greeting.encode(nonce), send, `${name} ${nonce}`);
          const { meta } = read(send) as { meta: { native?: unknown } };
          const native = { versions: [1], features: {}, ...offer, nonce };
          assertEquals(meta.native, name === "1.8.0" ? undefined : native, name);
        }
      }
    }
  });
});
