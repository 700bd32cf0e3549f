/**
 * The primitives on top of the packages of `@noble`, which run everywhere. They serve browsers, and provide the ciphers
 * that the `node:crypto` of a runtime lacks.
 *
 * @module
 */

import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import {
  type Aead,
  checkShared,
  checkSize,
  KEY_SIZE,
  type KeyPair,
  type Primitives,
  type PublicKey,
  smallOrder,
  type Suite,
} from "./primitives.ts";

/** Creates the primitives on top of `@noble`. */
export function noblePrimitives(): Primitives {
  return {
    name: "noble",
    fast: [],
    sha256(...pieces): Uint8Array {
      const hash = sha256.create();
      for (const piece of pieces) hash.update(piece);
      return hash.digest();
    },
    hkdf(salt, material): [Uint8Array, Uint8Array] {
      const keys = hkdf(sha256, material, salt, undefined, 2 * KEY_SIZE);
      return [keys.subarray(0, KEY_SIZE), keys.subarray(KEY_SIZE)];
    },
    generateKeyPair: () => new NobleKeyPair(x25519.utils.randomSecretKey()),
    publicKey(bytes): PublicKey {
      checkSize(bytes);
      return { bytes: bytes.slice() };
    },
    keyPairOf: (secretKey) => new NobleKeyPair(secretKey.slice()),
    aead: (suite, key) => new NobleAead(suite, key),
  };
}

class NobleKeyPair implements KeyPair {
  readonly publicKey: Uint8Array;
  readonly #secretKey: Uint8Array;

  constructor(secretKey: Uint8Array) {
    this.#secretKey = secretKey;
    this.publicKey = x25519.getPublicKey(secretKey);
  }

  dh(publicKey: PublicKey): Uint8Array {
    let shared: Uint8Array;
    try {
      shared = x25519.getSharedSecret(this.#secretKey, publicKey.bytes);
    } catch (error) {
      throw smallOrder(error);
    }
    return checkShared(shared);
  }

  destroy(): void {
    this.#secretKey.fill(0);
  }
}

/** An AEAD of `@noble/ciphers`. */
export class NobleAead implements Aead {
  readonly #cipher: typeof gcm | typeof chacha20poly1305;
  readonly #key: Uint8Array;

  constructor(suite: Suite, key: Uint8Array) {
    this.#cipher = suite === 1 ? chacha20poly1305 : gcm;
    this.#key = key.slice();
  }

  seal(nonce: Uint8Array, ad: Uint8Array, text: Uint8Array, target: Uint8Array): void {
    // Only ChaCha can write into a given buffer.
    if (this.#cipher === gcm) target.set(gcm(this.#key, nonce, ad).encrypt(text));
    else chacha20poly1305(this.#key, nonce, ad).encrypt(text, target);
  }

  open(nonce: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const cipher = this.#cipher(this.#key, nonce, ad);
    try {
      return cipher.decrypt(sealed);
    } catch {
      return undefined;
    }
  }

  destroy(): void {
    this.#key.fill(0);
  }
}
