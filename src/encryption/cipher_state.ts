/**
 * One direction of an encrypted conversation: a key and a counter (CipherState of the Noise specification, revision 34,
 * section 5.1).
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { type Aead, KEY_SIZE, type Primitives, type Suite, TAG_SIZE } from "./primitives.ts";

/** No bytes: used where there is no associated data, or no plaintext. */
export const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * A key and the counter that its nonces are made from. The counter is a safe integer, so it ends at 2^53 − 1 instead of
 * 2^64 − 2. At a million records a second, that takes 285 years.
 */
export class CipherState {
  readonly #primitives: Primitives;
  readonly #suite: Suite;
  /** Four zero bytes, then the counter: little-endian for ChaCha, and big-endian for AES. */
  readonly #nonce = new Uint8Array(12);
  readonly #view = new DataView(this.#nonce.buffer);
  #aead: Aead;
  #counter: number;

  /**
   * @param primitives The primitives.
   * @param suite The suite.
   * @param key The key, 32 bytes. It is copied, so that the caller can overwrite it.
   * @param counter The first counter. @default 0
   */
  constructor(primitives: Primitives, suite: Suite, key: Uint8Array, counter = 0) {
    this.#primitives = primitives;
    this.#suite = suite;
    this.#aead = primitives.aead(suite, key);
    this.#counter = counter;
  }

  /** The counter of the next message. */
  get counter(): number {
    return this.#counter;
  }

  /**
   * Encrypts a message. The plaintext is not changed.
   *
   * @param ad The associated data.
   * @param text The plaintext.
   * @param target Receives the ciphertext and its tag. Its size must be that of the plaintext plus 16.
   * @throws {ProtocolError} `protocol-error`: the counter is exhausted.
   */
  seal(ad: Uint8Array, text: Uint8Array, target: Uint8Array): void {
    this.#aead.seal(this.#nextNonce(), ad, text, target);
    this.#counter++;
  }

  /**
   * Decrypts a message. Returns the plaintext in a buffer that nothing else uses. The counter does not change if this
   * fails.
   *
   * @param ad The associated data.
   * @param sealed The ciphertext and its tag. They are not changed.
   * @throws {ProtocolError} `decryption-failed`: the message is not the next one of the peer. `protocol-error`: the
   * counter is exhausted.
   */
  open(ad: Uint8Array, sealed: Uint8Array): Uint8Array {
    const nonce = this.#nextNonce();
    const text = sealed.length < TAG_SIZE ? undefined : this.#aead.open(nonce, ad, sealed);
    if (text === undefined) {
      throw new ProtocolError("decryption-failed", "Cannot decrypt what the peer sent: it was changed on the way");
    }
    this.#counter++;
    return text;
  }

  /** Replaces the key with one that is derived from it (REKEY). The counter is not reset. */
  rekey(): void {
    const bytes = new Uint8Array(KEY_SIZE + TAG_SIZE);
    // The nonce for the counter 2^64 − 1, which no message has.
    this.#nonce.fill(0xff, 4);
    this.#aead.seal(this.#nonce, NOTHING, new Uint8Array(KEY_SIZE), bytes);
    this.#aead.destroy();
    this.#aead = this.#primitives.aead(this.#suite, bytes.subarray(0, KEY_SIZE));
    bytes.fill(0);
  }

  /** Drops the key. */
  destroy(): void {
    this.#aead.destroy();
  }

  #nextNonce(): Uint8Array {
    const counter = this.#counter;
    if (counter >= Number.MAX_SAFE_INTEGER) {
      throw new ProtocolError("protocol-error", "Cannot encrypt or decrypt: the counter of messages is exhausted");
    }
    const little = this.#suite === 1;
    this.#view.setUint32(little ? 4 : 8, counter >>> 0, little);
    this.#view.setUint32(little ? 8 : 4, counter / 0x1_0000_0000, little);
    return this.#nonce;
  }
}
