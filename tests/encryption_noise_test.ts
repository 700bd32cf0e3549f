import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { choosePrimitives } from "../src/encryption/choose_primitives.ts";
import { CipherState, NOTHING } from "../src/encryption/cipher_state.ts";
import { HandshakeState, type NoiseCiphers } from "../src/encryption/noise.ts";
import { checkShared, type Primitives, type Suite } from "../src/encryption/primitives.ts";
import { BOTH, ciphers, codeOf, NODE } from "./encryption_support.ts";
import { hex, join, unhex, utf8 } from "./wire_support.ts";

/** A conversation of the published vectors. */
interface Vector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly resp_prologue: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

const { vectors } = JSON.parse(
  readFileSync(new URL("./vectors/noise/cacophony.json", import.meta.url), "utf8"),
) as { vectors: readonly Vector[] };

function end(role: "initiator" | "responder", primitives: Primitives, vector: Vector): HandshakeState {
  const own = role === "initiator"
    ? [vector.init_static, vector.init_ephemeral, vector.init_prologue]
    : [vector.resp_static, vector.resp_ephemeral, vector.resp_prologue];
  return new HandshakeState(role, {
    primitives,
    suite: suiteOf(vector),
    prologue: unhex(own[2]),
    staticKey: primitives.keyPairOf(unhex(own[0])),
    ephemeralKey: primitives.keyPairOf(unhex(own[1])),
  });
}

function suiteOf(vector: Vector): Suite {
  return vector.protocol_name.includes("ChaChaPoly") ? 1 : 2;
}

/** Plays a vector with one end or both; an end that is not played is the vector itself. */
function play(vector: Vector, ends: readonly (HandshakeState | undefined)[]): void {
  let transport: (NoiseCiphers | undefined)[] = [];
  for (const [index, { payload, ciphertext }] of vector.messages.entries()) {
    const [writer, reader] = index % 2 === 0 ? [0, 1] : [1, 0];
    const [text, sealed] = [unhex(payload), unhex(ciphertext)];
    if (index < 3) {
      const written = ends[writer]?.writeMessage(text);
      if (written !== undefined) assertEquals(hex(written), ciphertext, `message ${index}`);
      const read = ends[reader]?.readMessage(sealed);
      if (read !== undefined) assertEquals(hex(read), payload, `payload ${index}`);
    }
    if (index === 2) {
      for (const side of ends) if (side !== undefined) assertEquals(hex(side.hash), vector.handshake_hash);
      transport = ends.map((side) => side?.split());
    }
    if (index < 3) continue;
    const target = new Uint8Array(text.length + 16);
    const sending = transport[writer]?.sending;
    if (sending !== undefined) {
      sending.seal(NOTHING, text, target);
      assertEquals(hex(target), ciphertext, `message ${index}`);
    }
    const opened = transport[reader]?.receiving.open(NOTHING, sealed);
    if (opened !== undefined) assertEquals(hex(opened), payload, `payload ${index}`);
  }
}

describe("the pattern XX", () => {
  it("has vectors of both suites", () => {
    assertEquals(vectors.map(suiteOf).sort(), [1, 2]);
  });

  for (const primitives of BOTH) {
    for (const vector of vectors) {
      it(`gives the bytes of ${vector.protocol_name} with the primitives of ${primitives.name}, in both roles`, () => {
        play(vector, [end("initiator", primitives, vector), undefined]);
        play(vector, [undefined, end("responder", primitives, vector)]);
        play(vector, [end("initiator", primitives, vector), end("responder", primitives, vector)]);
      });
    }
  }

  it("shows the handshake hash and the peer's static key", () => {
    const [initiator, responder] = [end("initiator", NODE, vectors[0]), end("responder", NODE, vectors[0])];
    assertEquals(initiator.hash, responder.hash);
    assertEquals(initiator.remoteStatic.length, 0);
    for (const [from, to] of [[initiator, responder], [responder, initiator], [initiator, responder]]) {
      const before = hex(from.hash);
      to.readMessage(from.writeMessage(utf8("text")));
      assertEquals(from.hash, to.hash);
      assert(hex(from.hash) !== before);
    }
    assertEquals(initiator.remoteStatic, NODE.keyPairOf(unhex(vectors[0].resp_static)).publicKey);
    assertEquals(responder.remoteStatic, NODE.keyPairOf(unhex(vectors[0].init_static)).publicKey);
  });

  it("refuses messages out of turn, short ones, and a split that comes too early", () => {
    const initiator = end("initiator", NODE, vectors[0]);
    assertThrows(() => initiator.readMessage(new Uint8Array(100)), Error, "turn");
    assertThrows(() => initiator.split(), Error, "not complete");
    initiator.writeMessage(NOTHING);
    assertThrows(() => initiator.writeMessage(NOTHING), Error, "turn");
    assertEquals(codeOf(() => initiator.readMessage(new Uint8Array(79))), "protocol-error");
  });

  it("refuses another prologue and each changed byte of messages 2 and 3", () => {
    const vector = vectors[1];
    const other = end("responder", NODE, { ...vector, resp_prologue: "00" });
    const initiator = end("initiator", NODE, vector);
    other.readMessage(initiator.writeMessage(NOTHING));
    assertEquals(codeOf(() => initiator.readMessage(other.writeMessage(NOTHING))), "decryption-failed");
    const [first, second, third] = vector.messages.map(({ ciphertext }) => unhex(ciphertext));
    for (let at = 0; at < second.length; at += 7) {
      const side = end("initiator", NODE, vector);
      side.writeMessage(unhex(vector.messages[0].payload));
      const changed = second.slice();
      changed[at] ^= 1;
      assertEquals(codeOf(() => side.readMessage(changed)), "decryption-failed", `byte ${at} of message 2`);
    }
    for (let at = 0; at < third.length; at += 7) {
      const side = end("responder", NODE, vector);
      side.readMessage(first);
      side.writeMessage(unhex(vector.messages[1].payload));
      const changed = third.slice();
      changed[at] ^= 1;
      assertEquals(codeOf(() => side.readMessage(changed)), "decryption-failed", `byte ${at} of message 3`);
    }
  });
});

describe("Primitives", () => {
  // The u-coordinates of small order that a peer could send: 0, 1, and two points of order 8 (RFC 7748, section 7).
  const SMALL = [
    "00".repeat(32),
    "01" + "00".repeat(31),
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];

  it("are those of node:crypto on every runtime of the tests, with what is fast there", () => {
    const { name, fast } = choosePrimitives();
    assertEquals(name, "node");
    assertEquals(fast, "Bun" in globalThis ? [2] : "Deno" in globalThis ? [1] : [1, 2]);
  });

  for (const primitives of BOTH) {
    describe(`of ${primitives.name}`, () => {
      it("agree on a secret, with a new key pair each time", () => {
        const alice = primitives.keyPairOf(new Uint8Array(32).fill(3));
        const bob = primitives.generateKeyPair();
        const secret = alice.dh(primitives.publicKey(bob.publicKey));
        assertEquals(secret, bob.dh(primitives.publicKey(alice.publicKey)));
        assertEquals(secret, alice.dh(primitives.publicKey(bob.publicKey)));
        assert(hex(bob.publicKey) !== hex(primitives.generateKeyPair().publicKey));
      });

      it("refuse each public key of small order", () => {
        const pair = primitives.generateKeyPair();
        for (const key of SMALL) {
          assertEquals(codeOf(() => pair.dh(primitives.publicKey(unhex(key)))), "protocol-error", key);
        }
        assertThrows(() => primitives.publicKey(new Uint8Array(31)), RangeError, "31 bytes");
      });

      it("take no shared secret of zeros, where a runtime would give it", () => {
        assertEquals(codeOf(() => checkShared(new Uint8Array(32))), "protocol-error");
        assertEquals(checkShared(Uint8Array.of(0, 1)), Uint8Array.of(0, 1));
      });

      it("hash as FIPS 180-4 says, in pieces, too", () => {
        const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assertEquals(hex(primitives.sha256(utf8("abc"))), abc);
        assertEquals(hex(primitives.sha256(utf8("a"), NOTHING, utf8("bc"))), abc);
      });

      it("derive keys as RFC 5869 says, from an empty secret, too", () => {
        const derived = (salt: Uint8Array, material: Uint8Array): string =>
          primitives.hkdf(salt, material).map(hex).join("");
        const third = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assertEquals(derived(NOTHING, new Uint8Array(22).fill(0x0b)).slice(0, 84), third);
        const salt = new Uint8Array(32).fill(1);
        const hmac = (key: Uint8Array, ...pieces: Uint8Array[]): Uint8Array =>
          pieces.reduce((hash, piece) => hash.update(piece), createHmac("sha256", key)).digest();
        const key = hmac(salt, NOTHING);
        const first = hmac(key, Uint8Array.of(1));
        assertEquals(derived(salt, NOTHING), hex(first) + hex(hmac(key, first, Uint8Array.of(2))));
      });

      it("leave the caller's arrays alone", () => {
        for (const suite of [1, 2] as const) {
          const [key, nonce, ad, text] = [32, 12, 5, 100].map((size) => new Uint8Array(size).fill(size));
          const aead = primitives.aead(suite, key);
          const target = new Uint8Array(116);
          aead.seal(nonce, ad, text, target);
          const sealed = target.slice();
          key.fill(0);
          assertEquals(aead.open(nonce, ad, target), text);
          assertEquals([text, target], [new Uint8Array(100).fill(100), sealed]);
          assertEquals([nonce[0], ad[0]], [12, 5]);
          assertEquals(aead.open(nonce, NOTHING, target), undefined);
        }
      });
    });
  }

  it("give the same bytes in both implementations, for all sizes around a block", () => {
    for (const suite of [1, 2] as const) {
      const [ours, theirs] = BOTH.map((primitives) => primitives.aead(suite, new Uint8Array(32).fill(suite)));
      for (const size of [0, 1, 15, 16, 17, 63, 64, 65, 1000, 5001]) {
        const [nonce, ad, text] = [new Uint8Array(12).fill(size), new Uint8Array(size % 37), new Uint8Array(size)];
        const targets = [ours, theirs].map((aead) => {
          const target = new Uint8Array(size + 16);
          aead.seal(nonce, ad, text, target);
          return target;
        });
        assertEquals(targets[0], targets[1], `${size} bytes`);
        assertEquals(theirs.open(nonce, ad, targets[0]), text);
        assertEquals(ours.open(nonce, ad, targets[1]), text);
      }
    }
  });
});

describe("CipherState", () => {
  for (const suite of [1, 2] as const) {
    it(`of suite ${suite} makes nonces of the counter, also above 32 bits`, () => {
      for (const counter of [0, 1, 0xff00, 0xffff_ffff, 0x1_0000_0000, 0x12_3456_789a_bcde]) {
        const [sender] = ciphers(suite, NODE, counter);
        const sealed = new Uint8Array(17);
        sender.seal(NOTHING, Uint8Array.of(9), sealed);
        assertEquals(sender.counter, counter + 1);
        const digits = unhex(counter.toString(16).padStart(16, "0"));
        const nonce = join(new Uint8Array(4), suite === 1 ? digits.reverse() : digits);
        const aead = NODE.aead(suite, new Uint8Array(32).fill(7));
        assertEquals(aead.open(nonce, NOTHING, sealed), Uint8Array.of(9), `${counter}`);
      }
    });

    it(`of suite ${suite} makes a new key of 32 zeros under the last nonce, and goes on counting`, () => {
      for (const primitives of BOTH) {
        const [sender, receiver] = ciphers(suite, primitives, 5);
        sender.rekey();
        const made = new Uint8Array(48);
        const last = join(new Uint8Array(4), new Uint8Array(8).fill(0xff));
        NODE.aead(suite, new Uint8Array(32).fill(7)).seal(last, NOTHING, new Uint8Array(32), made);
        const sealed = new Uint8Array(17);
        sender.seal(NOTHING, Uint8Array.of(9), sealed);
        assertEquals(codeOf(() => receiver.open(NOTHING, sealed)), "decryption-failed");
        receiver.rekey();
        assertEquals(receiver.open(NOTHING, sealed), Uint8Array.of(9));
        assertEquals(receiver.counter, 6);
        assertEquals(
          new CipherState(NODE, suite, made.subarray(0, 32), 5).open(NOTHING, sealed),
          Uint8Array.of(9),
        );
      }
    });
  }

  it("ends when its counter is exhausted", () => {
    const [sender, receiver] = ciphers(1, NODE, Number.MAX_SAFE_INTEGER - 1);
    const sealed = new Uint8Array(17);
    sender.seal(NOTHING, Uint8Array.of(9), sealed);
    assertEquals(receiver.open(NOTHING, sealed), Uint8Array.of(9));
    assertEquals(codeOf(() => sender.seal(NOTHING, Uint8Array.of(9), sealed)), "protocol-error");
    assertEquals(codeOf(() => receiver.open(NOTHING, sealed)), "protocol-error");
  });

  it("keeps its counter when a message does not decrypt", () => {
    const [sender, receiver] = ciphers(2);
    const sealed = new Uint8Array(17);
    sender.seal(NOTHING, Uint8Array.of(9), sealed);
    for (const wrong of [NOTHING, sealed.subarray(1), sealed.subarray(0, 16), new Uint8Array(17)]) {
      assertEquals(codeOf(() => receiver.open(NOTHING, wrong)), "decryption-failed");
    }
    assertEquals(codeOf(() => receiver.open(Uint8Array.of(1), sealed)), "decryption-failed");
    assertEquals(receiver.open(NOTHING, sealed), Uint8Array.of(9));
  });
});
