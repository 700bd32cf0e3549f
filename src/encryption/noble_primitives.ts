/**
 * The primitives on top of the packages of `@noble`, which run everywhere. They serve browsers, and provide the ciphers
 * that the `node:crypto` of a runtime lacks.
 *
 * @module
 */

import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { type Aead, checkShared, type KeyPair, type Primitives, smallOrder, type Suite } from "./primitives.ts";

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
    hmacSha256(key, ...pieces): Uint8Array {
      const hash = hmac.create(sha256, key);
      for (const piece of pieces) hash.update(piece);
      return hash.digest();
    },
    generateKeyPair: () => new NobleKeyPair(x25519.utils.randomSecretKey()),
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

  dh(publicKey: Uint8Array): Uint8Array {
    let shared: Uint8Array;
    try {
      shared = x25519.getSharedSecret(this.#secretKey, publicKey);
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
