/**
 * The pattern XX of the Noise protocol framework, revision 34: SymmetricState (section 5.2) and HandshakeState (5.3).
 *
 * ```text
 * -> e
 * <- e, ee, s, es
 * -> s, se
 * ```
 *
 * @see https://noiseprotocol.org/noise.html
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { CipherState, NOTHING } from "./cipher_state.ts";
import { KEY_SIZE, type KeyPair, type Primitives, type PublicKey, type Suite, TAG_SIZE } from "./primitives.ts";

/** The name that Noise gives to each suite. It has at most 32 bytes, so it is not hashed to get the first hash. */
const NAMES: Readonly<Record<Suite, Uint8Array>> = {
  1: new TextEncoder().encode("Noise_XX_25519_ChaChaPoly_SHA256"),
  2: new TextEncoder().encode("Noise_XX_25519_AESGCM_SHA256"),
};

type Token = "e" | "s" | "ee" | "es" | "se";

const XX: readonly (readonly Token[])[] = [["e"], ["e", "ee", "s", "es"], ["s", "se"]];

/** The chaining key, the handshake hash, and the key of the handshake messages. */
export class SymmetricState {
  readonly #primitives: Primitives;
  readonly #suite: Suite;
  #chainingKey: Uint8Array;
  #hash: Uint8Array;
  /** The cipher of the handshake; `undefined` before the first shared secret. */
  #cipher: CipherState | undefined = undefined;

  constructor(primitives: Primitives, suite: Suite) {
    this.#primitives = primitives;
    this.#suite = suite;
    const name = new Uint8Array(KEY_SIZE);
    // A name that is shorter than a hash is padded with zeros.
    name.set(NAMES[suite]);
    this.#hash = name;
    this.#chainingKey = name.slice();
  }

  /** The current handshake hash. */
  get hash(): Uint8Array {
    return this.#hash;
  }

  /** The number of bytes that encryption adds to a message at this point. */
  get overhead(): number {
    return this.#cipher === undefined ? 0 : TAG_SIZE;
  }

  mixHash(bytes: Uint8Array): void {
    this.#hash = this.#primitives.sha256(this.#hash, bytes);
  }

  /** Mixes a shared secret into the keys, and overwrites it. */
  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = this.#derive(secret);
    secret.fill(0);
    this.#chainingKey.fill(0);
    this.#chainingKey = chainingKey;
    this.#cipher?.destroy();
    this.#cipher = new CipherState(this.#primitives, this.#suite, key);
    key.fill(0);
  }

  /** Writes bytes into a target of their size plus {@linkcode overhead}. They are encrypted if there is a key. */
  encryptAndHash(text: Uint8Array, target: Uint8Array): void {
    if (this.#cipher === undefined) target.set(text);
    else this.#cipher.seal(this.#hash, text, target);
    this.mixHash(target);
  }

  /** Returns the bytes that {@linkcode encryptAndHash} was given. */
  decryptAndHash(bytes: Uint8Array): Uint8Array {
    const text = this.#cipher === undefined ? bytes.slice() : this.#cipher.open(this.#hash, bytes);
    this.mixHash(bytes);
    return text;
  }

  /** Returns the ciphers of the initiator and of the responder, and drops all other keys. */
  split(): [initiator: CipherState, responder: CipherState] {
    const keys = this.#derive(NOTHING);
    const [first, second] = keys.map((key) => new CipherState(this.#primitives, this.#suite, key));
    for (const key of keys) key.fill(0);
    this.destroy();
    return [first, second];
  }

  /** Drops all keys. */
  destroy(): void {
    this.#chainingKey.fill(0);
    this.#cipher?.destroy();
  }

  /** HKDF with two outputs (section 4.3). */
  #derive(material: Uint8Array): [Uint8Array, Uint8Array] {
    return this.#primitives.hkdf(this.#chainingKey, material);
  }
}

/** Options of a handshake. */
export interface NoiseOptions {
  readonly primitives: Primitives;
  readonly suite: Suite;
  /** The bytes that must be the same on both sides. */
  readonly prologue: Uint8Array;
  /** The static key pair. It is not dropped with the handshake. */
  readonly staticKey: KeyPair;
  /** The ephemeral key pair, which must not be used twice. It is dropped with the handshake. */
  readonly ephemeralKey: KeyPair;
}

/** The ciphers of both directions. */
export interface NoiseCiphers {
  readonly sending: CipherState;
  readonly receiving: CipherState;
}

/** One end of a handshake of the pattern XX. Messages are written and read in turn. The initiator writes first. */
export class HandshakeState {
  readonly #initiator: boolean;
  readonly #primitives: Primitives;
  readonly #symmetric: SymmetricState;
  readonly #static: KeyPair;
  readonly #ephemeral: KeyPair;
  /** The index of the next message. */
  #turn = 0;
  #remoteStatic: PublicKey | undefined = undefined;
  #remoteEphemeral: PublicKey | undefined = undefined;

  constructor(role: "initiator" | "responder", options: NoiseOptions) {
    this.#initiator = role === "initiator";
    this.#primitives = options.primitives;
    this.#symmetric = new SymmetricState(options.primitives, options.suite);
    this.#symmetric.mixHash(options.prologue);
    this.#static = options.staticKey;
    this.#ephemeral = options.ephemeralKey;
  }

  /** The current handshake hash, `h`. */
  get hash(): Uint8Array {
    return this.#symmetric.hash;
  }

  /** The static public key of the peer; empty until it is received. */
  get remoteStatic(): Uint8Array {
    return this.#remoteStatic?.bytes ?? NOTHING;
  }

  /** Returns the next message, which contains the payload. */
  writeMessage(payload: Uint8Array): Uint8Array {
    const tokens = this.#next("write");
    // No message has more than two public keys and two tags.
    const message = new Uint8Array(2 * KEY_SIZE + 2 * TAG_SIZE + payload.length);
    let at = 0;
    const append = (bytes: Uint8Array): void => {
      const end = at + bytes.length + this.#symmetric.overhead;
      this.#symmetric.encryptAndHash(bytes, message.subarray(at, end));
      at = end;
    };
    for (const token of tokens) {
      if (token === "e") {
        message.set(this.#ephemeral.publicKey, at);
        this.#symmetric.mixHash(this.#ephemeral.publicKey);
        at += KEY_SIZE;
      } else if (token === "s") append(this.#static.publicKey);
      else this.#mix(token);
    }
    append(payload);
    return message.subarray(0, at);
  }

  /**
   * Reads the next message. Returns its payload.
   *
   * @throws {ProtocolError} `decryption-failed`: the message does not belong to this handshake. `protocol-error`: it is
   * too short, or a public key in it is of small order. The handshake cannot go on.
   */
  readMessage(message: Uint8Array): Uint8Array {
    const tokens = this.#next("read");
    let at = 0;
    const take = (size: number): Uint8Array => {
      if (message.length - at < size) {
        throw new ProtocolError("protocol-error", "Cannot read a handshake message: it is too short");
      }
      return message.subarray(at, at += size);
    };
    for (const token of tokens) {
      if (token === "e") {
        const bytes = take(KEY_SIZE);
        this.#remoteEphemeral = this.#primitives.publicKey(bytes);
        this.#symmetric.mixHash(bytes);
      } else if (token === "s") {
        const bytes = this.#symmetric.decryptAndHash(take(KEY_SIZE + this.#symmetric.overhead));
        this.#remoteStatic = this.#primitives.publicKey(bytes);
      } else this.#mix(token);
    }
    return this.#symmetric.decryptAndHash(message.subarray(at));
  }

  /** Returns the ciphers of the records, and drops the handshake's keys. All messages must be written and read. */
  split(): NoiseCiphers {
    if (this.#turn !== XX.length) throw new Error("Cannot split: the handshake is not complete");
    const [first, second] = this.#symmetric.split();
    this.destroy();
    return this.#initiator ? { sending: first, receiving: second } : { sending: second, receiving: first };
  }

  /** Drops all keys of the handshake. */
  destroy(): void {
    this.#symmetric.destroy();
    this.#ephemeral.destroy();
  }

  /** Checks whose turn it is, and returns the tokens of the message. */
  #next(what: "write" | "read"): readonly Token[] {
    const turn = this.#turn;
    const writes = (turn % 2 === 0) === this.#initiator;
    if (turn === XX.length || writes !== (what === "write")) {
      throw new Error(`Cannot ${what} message ${turn + 1}: it is not this side's turn`);
    }
    this.#turn++;
    return XX[turn];
  }

  /**
   * Mixes a shared secret into the keys. The first letter of the token names the initiator's key, the second the
   * responder's.
   */
  #mix(token: "ee" | "es" | "se"): void {
    const own = token[this.#initiator ? 0 : 1] === "e" ? this.#ephemeral : this.#static;
    const theirs = token[this.#initiator ? 1 : 0] === "e" ? this.#remoteEphemeral : this.#remoteStatic;
    this.#symmetric.mixKey(own.dh(theirs!));
  }
}
