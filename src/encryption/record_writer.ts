/**
 * Encrypts plaintext into records.
 *
 * @module
 */

import { type CipherState, NOTHING } from "./cipher_state.ts";
import { TAG_SIZE } from "./primitives.ts";
import { HEADER_SIZE, MAX_TEXT, type RecordOptions, REKEY_EVERY } from "./records.ts";

/** The number of bytes that a record adds to its plaintext. */
const OVERHEAD = HEADER_SIZE + TAG_SIZE;

/**
 * Returns the number of bytes that {@linkcode RecordWriter.seal} needs for a plaintext.
 *
 * @param size The size of the plaintext, in bytes.
 */
export function sealedSize(size: number): number {
  return size + Math.ceil(size / MAX_TEXT) * OVERHEAD;
}

/** The outgoing direction of records. */
export class RecordWriter {
  readonly #cipher: CipherState;
  readonly #rekeyEvery: number;
  #state: "open" | "ended" | "destroyed" = "open";

  /** @param cipher The cipher of this direction, which nothing else may use. */
  constructor(cipher: CipherState, { rekeyEvery = REKEY_EVERY }: RecordOptions = {}) {
    this.#cipher = cipher;
    this.#rekeyEvery = rekeyEvery;
  }

  /**
   * Encrypts bytes into one record or several. The plaintext is not changed, and may be reused afterwards. An empty
   * plaintext gives no record.
   *
   * @param text The plaintext.
   * @param target Receives the records. It must have at least {@linkcode sealedSize} bytes. @default a new buffer
   * @returns The records, a view of the target.
   */
  seal(text: Uint8Array, target?: Uint8Array): Uint8Array {
    this.#checkOpen();
    const size = sealedSize(text.length);
    // Ciphers in JavaScript are fast if the ciphertext begins at a multiple of four bytes.
    const records = target?.subarray(0, size) ?? new Uint8Array(HEADER_SIZE + size).subarray(HEADER_SIZE);
    if (records.length < size) {
      throw new RangeError(`Cannot encrypt ${text.length} bytes into ${records.length}: they need ${size}`);
    }
    for (let from = 0, at = 0; from < text.length; from += MAX_TEXT) {
      at = this.#record(text.subarray(from, from + MAX_TEXT), records, at);
    }
    return records;
  }

  /** Returns the record that ends this direction. Nothing can be encrypted after it, and the key is dropped. */
  end(): Uint8Array {
    this.#checkOpen();
    const record = new Uint8Array(OVERHEAD);
    this.#record(NOTHING, record, 0);
    this.#state = "ended";
    this.#cipher.destroy();
    return record;
  }

  /** Drops the key. */
  destroy(): void {
    if (this.#state === "open") this.#state = "destroyed";
    this.#cipher.destroy();
  }

  /** Writes a record, and returns the index where the next one begins. */
  #record(text: Uint8Array, target: Uint8Array, at: number): number {
    const { counter } = this.#cipher;
    if (counter > 0 && counter % this.#rekeyEvery === 0) this.#cipher.rekey();
    const size = text.length + TAG_SIZE;
    const from = at + HEADER_SIZE;
    target[at] = size >>> 8;
    target[at + 1] = size;
    this.#cipher.seal(NOTHING, text, target.subarray(from, from + size));
    return from + size;
  }

  #checkOpen(): void {
    if (this.#state === "ended") throw new Error("Cannot encrypt: the end was written");
    if (this.#state === "destroyed") throw new Error("Cannot encrypt: the key was dropped");
  }
}
