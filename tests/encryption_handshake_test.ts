import process from "node:process";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { NOTHING } from "../src/encryption/cipher_state.ts";
import { ClientNoise, type ClientNoiseOptions } from "../src/encryption/handshake/client.ts";
import { chooseSuite, readHello, writeHello } from "../src/encryption/handshake/hello.ts";
import { signedText, type Signer, type Verify } from "../src/encryption/handshake/payload.ts";
import { ServerNoise, type ServerNoiseOptions } from "../src/encryption/handshake/server.ts";
import type { NoiseOutcome, NoiseStep } from "../src/encryption/handshake/terms.ts";
import { HandshakeState } from "../src/encryption/noise.ts";
import type { KeyPair, Suite } from "../src/encryption/primitives.ts";
import { RecordReader } from "../src/encryption/record_reader.ts";
import { RecordWriter } from "../src/encryption/record_writer.ts";
import { BOTH, NODE } from "./encryption_support.ts";
import { cutEvery, hex, isMine, join, utf8 } from "./wire_support.ts";

/** A stand-in for an identity: what it signs depends on its key and the text, which is all that these tests need. */
function signer(name: number): Signer {
  const publicKey = new Uint8Array(32).fill(name);
  return { publicKey, sign: (text) => signatureOf(publicKey, text) };
}

function signatureOf(publicKey: Uint8Array, text: Uint8Array): Uint8Array {
  const hash = NODE.sha256(publicKey, text);
  return join(hash, hash);
}

const verify: Verify = (publicKey, text, signature) => hex(signatureOf(publicKey, text)) === hex(signature);

const STATIC: Record<Suite, KeyPair> = { 1: NODE.generateKeyPair(), 2: NODE.generateKeyPair() };
const GREETING = utf8("hi");
/** The suites in the hello of the runtime that runs the test. */
const SUITES = process.versions.deno !== undefined ? 0x13 : process.versions.bun !== undefined ? 0x23 : 0x33;
const only = (suite: Suite) => ({ speaks: [suite], fast: [suite] });

function serverOf(options: Partial<ServerNoiseOptions> = {}): ServerNoise {
  return new ServerNoise({
    primitives: NODE,
    verify,
    signers: [signer(1)],
    staticKey: (suite) => STATIC[suite],
    greeting: GREETING,
    ...options,
  });
}

function clientOf(options: Partial<ClientNoiseOptions> = {}): ClientNoise {
  return new ClientNoise({ primitives: NODE, verify, answer: () => utf8("yo"), ...options });
}

/** The bytes that are on their way, in order: the server's hello, hello and message 1, message 2, message 3. */
type Flight = 0 | 1 | 2 | 3;
type Change = (flight: Flight, bytes: Uint8Array) => Iterable<Uint8Array>;

/** How each side of a conversation ended: with an outcome, or the code of an error. */
interface Ended {
  readonly client: NoiseOutcome | string;
  readonly server: NoiseOutcome | string;
}

/** Lets two ends talk. A change stands in for the network. A side that fails closes, and the other one is told. */
function talk(client: ClientNoise, server: ServerNoise, change: Change = (_, bytes) => [bytes]): Ended {
  const ended: { client?: NoiseOutcome | string; server?: NoiseOutcome | string } = {};
  const sendOf = (step: NoiseStep): Uint8Array => "send" in step && step.send || NOTHING;
  const take = (side: "client" | "server", flight: Flight, bytes: Uint8Array): Uint8Array => {
    const machine = side === "client" ? client : server;
    let send: Uint8Array = NOTHING;
    for (const chunk of change(flight, bytes)) {
      if (ended[side] !== undefined) break;
      for (let step: NoiseStep | undefined = machine.push(chunk); step !== undefined;) {
        send = join(send, sendOf(step));
        if (step.state === "failed") ended[side] = step.error.code;
        if (step.state === "done") ended[side] = step.outcome;
        if (step.state === "turn") step = server.step();
        else if (step.state === "trust") {
          step = step.identities.every((one) => one.verify()) ? machine.accept() : lie(side);
        } else step = undefined;
      }
    }
    return send;
  };
  const lie = (side: "client" | "server"): undefined => {
    ended[side] = "identity-mismatch";
  };
  const opening = sendOf(client.start());
  take("client", 0, sendOf(server.start()));
  const message2 = take("server", 1, opening);
  if (message2.length > 0) {
    const message3 = take("client", 2, message2);
    if (message3.length > 0) take("server", 3, message3);
  }
  return {
    client: ended.client ?? client.finish()?.code ?? "waits",
    server: ended.server ?? server.finish()?.code ?? "waits",
  };
}

/** Asserts that both sides are through, and returns their outcomes. */
function through({ client, server }: Ended): [client: NoiseOutcome, server: NoiseOutcome] {
  if (typeof client === "string" || typeof server === "string") throw new Error(`It failed: ${client}, ${server}`);
  return [client, server];
}

/** Records the flights of a conversation. */
function flights(suite: Suite, signed = true): Uint8Array[] {
  const seen: Uint8Array[] = [];
  through(
    talk(clientOf({ offer: only(suite), signer: signed ? signer(9) : undefined }), serverOf(), (flight, bytes) => {
      seen[flight] = bytes;
      return [bytes];
    }),
  );
  return seen;
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = bytes.slice();
  changed[bit >> 3] ^= 1 << (bit & 7);
  return changed;
}

describe("the encrypted handshake", () => {
  for (const suite of [1, 2] as const) {
    for (const ours of BOTH) {
      for (const theirs of BOTH) {
        it(`agrees on suite ${suite} between ${ours.name} and ${theirs.name}`, () => {
          const greetings: string[] = [];
          const answer = (greeting: Uint8Array): Uint8Array => {
            greetings.push(new TextDecoder().decode(greeting));
            return utf8("me too");
          };
          const [client, server] = through(talk(
            clientOf({ primitives: ours, offer: only(suite), answer, signer: signer(9) }),
            serverOf({
              primitives: theirs,
              staticKey: () => theirs.keyPairOf(new Uint8Array(32).fill(5)),
              signers: [signer(1), signer(2)],
              greeting: utf8("hello"),
            }),
          ));
          assertEquals([client.suite, server.suite], [suite, suite]);
          assertEquals(greetings, ["hello"]);
          assertEquals([client.first, server.first], [utf8("hello"), utf8("me too")]);
          assertEquals(client.handshakeHash, server.handshakeHash);
          assertEquals(client.identities.map(({ publicKey }) => publicKey[0]), [1, 2]);
          assertEquals(server.identities.map(({ publicKey }) => publicKey[0]), [9]);
          for (const [from, to] of [[client, server], [server, client]]) {
            const [writer, reader] = [new RecordWriter(from.sending), new RecordReader(to.receiving)];
            reader.push(join(writer.seal(utf8("record")), writer.end()));
            assertEquals([reader.next(), reader.next(), reader.ended], [utf8("record"), undefined, true]);
          }
        });
      }
    }
  }

  it("has the sizes and the order of the protocol", () => {
    const [hello, opening, message2, message3] = flights(2);
    assertEquals(hello, Uint8Array.of(0x56, 0x58, 0x53, 1, SUITES));
    assertEquals(opening.subarray(0, 7), Uint8Array.of(0x56, 0x58, 0x53, 1, 0x22, 0, 32));
    assertEquals(opening.length, 39);
    assertEquals([message2[0], message2[1] << 8 | message2[2]], [2, 96 + 1 + 96 + 2]);
    assertEquals(message2.length, 3 + 195);
    assertEquals([message3[0] << 8 | message3[1], message3.length], [64 + 1 + 96 + 2, 165]);
    assertEquals(flights(1, false)[3].length, 2 + 64 + 1 + 2);
  });

  it("is what any Noise library makes of the prologue, the payloads and what is signed", () => {
    const { send: serverHello } = serverOf().start() as { send: Uint8Array };
    const clientHello = writeHello(only(1));
    const server = serverOf();
    const ephemeralKey = NODE.generateKeyPair();
    const noise = new HandshakeState("initiator", {
      primitives: NODE,
      suite: 1,
      prologue: join(utf8("Veltix Noise 1"), serverHello, clientHello, Uint8Array.of(1)),
      staticKey: STATIC[2],
      ephemeralKey,
    });
    assertEquals(server.push(join(clientHello, Uint8Array.of(0, 32), noise.writeMessage(NOTHING))).state, "turn");
    const before2 = noise.hash;
    const { send } = server.step() as { send: Uint8Array };
    const payload = noise.readMessage(send.subarray(3));
    assertEquals(noise.remoteStatic, STATIC[1].publicKey);
    const text = join(utf8("Veltix Noise 1 server"), before2, noise.remoteStatic);
    assertEquals(payload, join(Uint8Array.of(1), signer(1).publicKey, signer(1).sign(text), GREETING));
    assertEquals(signedText("server", before2, noise.remoteStatic), text);
    const text3 = join(utf8("Veltix Noise 1 client"), noise.hash, STATIC[2].publicKey);
    const mine = join(Uint8Array.of(1), signer(9).publicKey, signer(9).sign(text3), utf8("x"));
    const message3 = noise.writeMessage(mine);
    server.push(join(Uint8Array.of(0, message3.length), message3, utf8("rest")));
    const step = server.step();
    assert(step.state === "trust" && step.identities[0].verify());
    assertEquals(server.push(utf8(" of it")).state, "trust");
    const done = server.accept();
    assert(done.state === "done");
    assertEquals([done.outcome.first, done.outcome.rest], [utf8("x"), utf8("rest of it")]);
  });

  it("takes every message cut at every byte, and byte by byte", () => {
    for (const suite of [1, 2] as const) {
      const sizes = flights(suite).map(({ length }) => length);
      const ends = () => [clientOf({ offer: only(suite), signer: signer(9) }), serverOf()] as const;
      through(talk(...ends(), (_, bytes) => cutEvery(bytes, 1)));
      for (const [flight, size] of sizes.entries()) {
        for (let at = 1; at < size; at++) {
          if (!isMine(at) || (at + suite) % 2 === 0) continue;
          through(
            talk(...ends(), (now, bytes) => now === flight ? [bytes.subarray(0, at), bytes.subarray(at)] : [bytes]),
          );
        }
      }
    }
  });

  for (const flight of [0, 1, 2, 3] as const) {
    it(`is refused when any bit of flight ${flight} is flipped`, () => {
      const sizes = ([1, 2] as const).map((suite) => flights(suite)[flight].length * 8);
      for (let bit = 0; bit < sizes[0]; bit++) {
        if (!isMine(bit)) continue;
        // Neighbouring bits take turns with the suites.
        const suite = ((bit / 3 | 0) % 2 + 1) as Suite;
        let accepted = false;
        const { client, server } = talk(
          clientOf({ offer: only(suite), signer: signer(9), answer: () => (accepted = true, utf8("yo")) }),
          serverOf(),
          (now, bytes) => [now === flight ? flip(bytes, bit) : bytes],
        );
        const end = `bit ${bit} of suite ${suite}: ${typeof client} ${typeof server}`;
        assertEquals(typeof server, "string", end);
        assert(server !== "waits" && server !== "identity-mismatch", end);
        if (flight === 3) continue;
        assertEquals([typeof client, accepted], ["string", false], end);
        assert(client !== "waits" && client !== "identity-mismatch", end);
      }
    });
  }

  it("refuses messages of another session, repeated ones and swapped ones", () => {
    for (const suite of [1, 2] as const) {
      const other = flights(suite);
      const ends = () => [clientOf({ offer: only(suite), signer: signer(9) }), serverOf()] as const;
      const replaced = (flight: Flight, by: Uint8Array): Ended =>
        talk(...ends(), (now, bytes) => [now === flight ? by : bytes]);
      assertEquals(replaced(1, other[1]).client, "decryption-failed");
      assertEquals(replaced(2, other[2]).client, "decryption-failed");
      assertEquals(replaced(3, other[3]).server, "decryption-failed");
      // Read as message 3, message 2 announces more than there is.
      assertEquals(replaced(3, other[2]).server, "handshake-failed");
      assertEquals(replaced(2, other[3]).client, "protocol-error");
      const twice = (flight: Flight): Ended =>
        talk(...ends(), (now, bytes) => [now === flight ? join(bytes, bytes) : bytes]);
      assertEquals(twice(0).client, "protocol-error");
      assertEquals(twice(2).client, "protocol-error");
      // The client's own bytes come back to it.
      let opening: Uint8Array = NOTHING;
      const mirrored = talk(...ends(), (now, bytes) => {
        if (now === 1) opening = bytes;
        return [now === 2 ? opening : bytes];
      });
      assertEquals(mirrored.client, "protocol-error");
    }
  });

  it("accepts no bytes before their turn", () => {
    const opening = flights(1)[1];
    for (const late of [false, true]) {
      const server = serverOf();
      if (late) assertEquals(server.push(opening).state, "turn");
      const step = server.push(late ? Uint8Array.of(1) : join(opening, Uint8Array.of(1)));
      assert(step.state === "failed" && step.error.code === "protocol-error");
    }
    const [client, server] = [clientOf(), serverOf()];
    client.push((server.start() as { send: Uint8Array }).send);
    server.push((client.start() as { send: Uint8Array }).send);
    assertEquals(client.push((server.step() as { send: Uint8Array }).send).state, "trust");
    const step = client.push(Uint8Array.of(0));
    assert(step.state === "failed" && step.error.code === "protocol-error");
    assertThrows(() => client.accept(), Error, "not shown");
  });

  it("binds signatures to the handshake, the role and the static key", () => {
    const [hash, key] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const texts = [
      signedText("server", hash, key),
      signedText("client", hash, key),
      signedText("server", key, hash),
    ].map(hex);
    assertEquals(new Set(texts).size, 3);
    let old: Uint8Array = NOTHING;
    const thief: Signer = { publicKey: signer(1).publicKey, sign: () => old };
    const honest = { ...signer(1), sign: (text: Uint8Array) => (old = signer(1).sign(text)) };
    through(talk(clientOf(), serverOf({ signers: [honest] })));
    assertEquals(talk(clientOf(), serverOf({ signers: [thief] })).client, "identity-mismatch");
    assertEquals(talk(clientOf({ signer: thief }), serverOf()).server, "identity-mismatch");
  });

  it("verifies no signature by itself, and shows which key it would be", () => {
    let verified = 0;
    const counting: Verify = (...all) => (verified++, verify(...all));
    const [client, server] = [clientOf({ verify: counting }), serverOf({ signers: [1, 2, 3, 4].map(signer) })];
    client.push((server.start() as { send: Uint8Array }).send);
    server.push((client.start() as { send: Uint8Array }).send);
    const step = client.push((server.step() as { send: Uint8Array }).send);
    assert(step.state === "trust");
    assertEquals([step.identities.length, verified], [4, 0]);
    assertEquals([step.identities[2].verify(), verified], [true, 1]);
  });

  it("makes another static key for each client, and another for each suite of a server", () => {
    const seen: string[] = [];
    for (const suite of [1, 2, 1] as const) {
      const watch: Verify = (publicKey, text, signature) => {
        seen.push(hex(text.subarray(-32)));
        return verify(publicKey, text, signature);
      };
      through(talk(clientOf({ offer: only(suite), signer: signer(9), verify: watch }), serverOf({ verify: watch })));
    }
    const [server1, client1, server2, client2, again, client3] = seen;
    assertEquals([server1, server1], [again, hex(STATIC[1].publicKey)]);
    assertEquals(new Set([server1, server2, client1, client2, client3]).size, 5);
  });

  it("refuses sizes beyond the limits of each message, at its length", () => {
    const sized = (server: boolean, size: number): string => {
      const [head, end] = server
        ? [join(flights(1)[1]), serverOf()]
        : [join(writeHello(only(1)), Uint8Array.of(1)), clientOf({ offer: only(1) })];
      if (server) {
        end.push(head);
        (end as ServerNoise).step();
      } else end.push(head);
      const step = end.push(Uint8Array.of(size >> 8, size));
      return step.state === "failed" ? step.error.code : step.state;
    };
    for (const [server, least, most] of [[false, 193, 5120], [true, 65, 17_408]] as const) {
      assertEquals([least, most].map((size) => sized(server, size)), ["bytes", "bytes"]);
      const codes = [0, least - 1, most + 1, 65_535].map((size) => sized(server, size));
      assertEquals(new Set(codes), new Set(["protocol-error"]));
    }
    for (const size of [0, 31, 33]) {
      const step = serverOf().push(join(writeHello(only(1)), Uint8Array.of(0, size)));
      assert(step.state === "failed" && step.error.code === "protocol-error");
    }
  });

  it("fills messages 2 and 3 to their limits, and no further", () => {
    const [room2, room3] = [5120 - 96 - 1 - 4 * 96, 17_408 - 64 - 1 - 96];
    const signers = [1, 2, 3, 4].map(signer);
    const [client, server] = through(talk(
      clientOf({ signer: signer(9), answer: () => new Uint8Array(room3) }),
      serverOf({ signers, greeting: new Uint8Array(room2) }),
    ));
    assertEquals([client.first.length, server.first.length], [room2, room3]);
    assertThrows(() => serverOf({ signers, greeting: new Uint8Array(room2 + 1) }), RangeError, `${room2}`);
    assertThrows(() => serverOf({ signers: [] }), RangeError, "0 identities");
    assertThrows(() => serverOf({ signers: [...signers, signer(5)] }), RangeError, "5 identities");
    const greedy = clientOf({ signer: signer(9), answer: () => new Uint8Array(room3 + 1) });
    assertThrows(() => talk(greedy, serverOf()), RangeError, `${room3}`);
    assertThrows(() => greedy.accept(), Error, "not shown");
  });
});

describe("payloads", () => {
  /** What a server answers to a payload of message 3. */
  function toServer(payload: Uint8Array): string {
    const server = serverOf();
    const [hello, clientHello] = [(server.start() as { send: Uint8Array }).send, writeHello(only(2))];
    const noise = new HandshakeState("initiator", {
      primitives: NODE,
      suite: 2,
      prologue: join(utf8("Veltix Noise 1"), hello, clientHello, Uint8Array.of(2)),
      staticKey: STATIC[1],
      ephemeralKey: NODE.generateKeyPair(),
    });
    server.push(join(clientHello, Uint8Array.of(0, 32), noise.writeMessage(NOTHING)));
    noise.readMessage((server.step() as { send: Uint8Array }).send.subarray(3));
    const message = noise.writeMessage(payload);
    server.push(join(Uint8Array.of(message.length >> 8, message.length), message));
    const step = server.step();
    return step.state === "failed" ? step.error.code : step.state;
  }

  it("of a client show one identity or none, and are whole", () => {
    assertEquals(toServer(Uint8Array.of(0)), "trust");
    assertEquals(toServer(join(Uint8Array.of(1), new Uint8Array(96))), "trust");
    for (const wrong of [[1, 95], [2, 192], [4, 400], [255, 1000], [1, 0]]) {
      assertEquals(toServer(join(Uint8Array.of(wrong[0]), new Uint8Array(wrong[1]))), "protocol-error", `${wrong}`);
    }
  });
});

describe("the choice of a suite", () => {
  it("takes what both are fast at, else what the server is fast at, else what both speak", () => {
    const cases: [server: number, client: number, suite: Suite][] = [
      [0x33, 0x33, 2], // Node
      [0x13, 0x13, 1], // Deno
      [0x33, 0x13, 1],
      [0x13, 0x33, 1],
      [0x33, 0x23, 2], // Node and Bun
      [0x23, 0x33, 2],
      [0x23, 0x13, 2], // Bun and Deno: each is fast at what the other is not
      [0x33, 0x03, 1], // a browser
      [0x23, 0x03, 2],
      [0x13, 0x23, 1],
      [0x03, 0x23, 1],
      [0x03, 0x02, 2],
      [0x33, 0x02, 2],
    ];
    for (const [server, client, suite] of cases) {
      const offers = [server, client].map((bits) => readHello(Uint8Array.of(0x56, 0x58, 0x53, 1, bits)));
      assertEquals(chooseSuite(offers[0], offers[1]), suite, `${server} ${client}`);
    }
  });

  it("fails where there is no common one", () => {
    const { client, server } = talk(clientOf({ offer: only(1) }), serverOf({ offer: only(2) }));
    assertEquals(server, "encryption-unavailable");
    assert(client !== "waits");
  });

  it("of a server is checked by the client: a suite that one of them does not speak is refused", () => {
    for (const [ours, theirs, suite] of [[1, 1, 2], [2, 1, 1], [1, 2, 1]] as const) {
      const step = clientOf({ offer: only(ours) }).push(join(writeHello(only(theirs)), Uint8Array.of(suite)));
      assert(step.state === "failed" && step.error.code === "protocol-error");
    }
    for (const suite of [0, 3, 255]) {
      const step = clientOf().push(join(writeHello({ speaks: [1, 2], fast: [] }), Uint8Array.of(suite)));
      assert(step.state === "failed" && step.error.code === "protocol-error");
    }
  });
});

describe("an end that meets something else", () => {
  const HEX: [name: string, bytes: number[], client: string, server: string][] = [
    ["a greeting in JSON", [0, 40, 0x7b, 0x22], "encryption-unavailable", "encryption-required"],
    ["a frame", [0x56, 0x58, 0x01, 0], "encryption-unavailable", "encryption-required"],
    ["an alert of TLS", [0x15, 3, 3, 0, 2], "encryption-unavailable", "encryption-required"],
    ["a handshake of TLS", [0x16, 3, 1, 2, 0], "encryption-unavailable", "tls-unavailable"],
    ["noise", [0xff], "encryption-unavailable", "encryption-required"],
    ["another version", [0x56, 0x58, 0x53, 2], "encryption-unavailable", "encryption-unavailable"],
    ["version 0", [0x56, 0x58, 0x53, 0], "encryption-unavailable", "encryption-unavailable"],
  ];
  for (const [name, bytes, ...codes] of HEX) {
    it(`says so of ${name}, whatever the cut`, () => {
      for (const size of [1, bytes.length]) {
        const found = [clientOf(), serverOf()].map((end) => {
          let step: NoiseStep = { state: "bytes" };
          for (const chunk of cutEvery(Uint8Array.from(bytes), size)) {
            if (step.state !== "failed") step = end.push(chunk);
          }
          return step.state === "failed" ? step.error : undefined;
        });
        assertEquals(found.map((error): string | undefined => error?.code), codes);
        if (name === "another version") { for (const error of found) assert(error!.message.includes("version 2")); }
      }
    });
  }

  it("says what a FIN means, by what was there", () => {
    assertEquals([clientOf().finish()?.code, serverOf().finish()?.code], [
      "encryption-unavailable",
      "encryption-required",
    ]);
    const [hello, opening] = flights(1);
    const [client, server] = [clientOf(), serverOf()];
    client.push(hello);
    server.push(opening.subarray(0, 20));
    assertEquals([client.finish()?.code, server.finish()?.code], ["handshake-failed", "handshake-failed"]);
    const waiting = serverOf();
    waiting.push(opening);
    waiting.step();
    assert(waiting.finish()!.message.includes("does not trust"));
    assertEquals(waiting.push(hello).state, "failed");
  });
});
