/**
 * Decrypts records, which arrive in chunks that may begin and end anywhere.
 *
 * @module
 */

import { ConnectionError, ProtocolError } from "../errors.ts";
import { type CipherState, NOTHING } from "./cipher_state.ts";
import { TAG_SIZE } from "./primitives.ts";
import { HEADER_SIZE, MAX_SEALED, type RecordOptions, REKEY_EVERY } from "./records.ts";

/** The smallest buffer for an incomplete record, in bytes. It grows as bytes arrive, whatever length was announced. */
const FIRST_HELD = 1024;
/** The largest. */
const MOST_HELD = HEADER_SIZE + MAX_SEALED;

/**
 * The incoming direction of records. Give it a chunk with {@linkcode push}, then call {@linkcode next} until it returns
 * `undefined`. A record that is complete in a chunk is decrypted from there. The pieces of any other record are copied
 * into a buffer first. After a failure, {@linkcode next} throws the same error each time, and later chunks are ignored.
 */
export class RecordReader {
  readonly #cipher: CipherState;
  readonly #rekeyEvery: number;
  /** The part of the last chunk that is not read yet. */
  #chunk: Uint8Array = NOTHING;
  /** The buffer of an incomplete record; its first {@linkcode #size} bytes are in use. */
  #held: Uint8Array = NOTHING;
  #size = 0;
  #ended = false;
  #error: ProtocolError | ConnectionError | undefined = undefined;

  /** @param cipher The cipher of this direction, which nothing else may use. */
  constructor(cipher: CipherState, { rekeyEvery = REKEY_EVERY }: RecordOptions = {}) {
    this.#cipher = cipher;
    this.#rekeyEvery = rekeyEvery;
  }

  /** True once the peer has ended this direction. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The number of bytes of the incomplete record that have arrived. */
  get begun(): number {
    return this.#size;
  }

  /** Takes a chunk. The previous one must have been read to its end: {@linkcode next} returned `undefined`. */
  push(chunk: Uint8Array): void {
    if (this.#error !== undefined) return;
    if (this.#chunk.length > 0) throw new Error("Cannot take a chunk: the last one is not read to its end");
    this.#chunk = chunk;
  }

  /**
   * Returns the plaintext of the next record, in a buffer that nothing else uses; `undefined` if more bytes are needed,
   * or if the peer has ended this direction.
   *
   * @throws {ProtocolError} `decryption-failed`: the record is not the next one of the peer. `protocol-error`: it is
   * too short, or comes after the end.
   */
  next(): Uint8Array | undefined {
    if (this.#error !== undefined) throw this.#error;
    try {
      const sealed = this.#take();
      if (sealed === undefined) return undefined;
      const { counter } = this.#cipher;
      if (counter > 0 && counter % this.#rekeyEvery === 0) this.#cipher.rekey();
      const text = this.#cipher.open(NOTHING, sealed);
      if (text.length > 0) return text;
      this.#ended = true;
      this.#cipher.destroy();
      if (this.#chunk.length > 0) throw afterEnd();
      return undefined;
    } catch (error) {
      if (error instanceof ProtocolError) this.#fail(error);
      throw error;
    }
  }

  /**
   * Called when the peer's FIN has arrived and all chunks are read. Returns `undefined` if the peer has ended this
   * direction properly. Otherwise returns the error: `truncated`, or the earlier failure.
   */
  finish(): ProtocolError | ConnectionError | undefined {
    if (this.#error !== undefined || this.#ended) return this.#error;
    const where = this.#size > 0 ? "within a record" : "without its last record";
    return this.#fail(new ConnectionError("truncated", `The connection was cut: the peer's bytes end ${where}`));
  }

  /** Drops the key. */
  destroy(): void {
    this.#cipher.destroy();
    this.#chunk = this.#held = NOTHING;
    this.#size = 0;
  }

  #fail<Failure extends ProtocolError | ConnectionError>(error: Failure): Failure {
    this.#error = error;
    this.destroy();
    return error;
  }

  /** Takes the next record from the chunk. Returns its ciphertext and tag; `undefined` if it is incomplete. */
  #take(): Uint8Array | undefined {
    if (this.#chunk.length === 0) {
      // An idle connection has no buffer.
      if (this.#size === 0) this.#held = NOTHING;
      return undefined;
    }
    if (this.#ended) throw afterEnd();
    if (this.#size > 0) return this.#complete();
    const chunk = this.#chunk;
    if (chunk.length >= HEADER_SIZE) {
      const end = HEADER_SIZE + lengthOf(chunk);
      if (chunk.length >= end) {
        this.#chunk = chunk.subarray(end);
        return chunk.subarray(HEADER_SIZE, end);
      }
    }
    this.#hold(chunk.length);
    return undefined;
  }

  /** Completes the record that has begun. Returns its ciphertext and tag; `undefined` if it is still incomplete. */
  #complete(): Uint8Array | undefined {
    if (this.#size < HEADER_SIZE) this.#hold(HEADER_SIZE - this.#size);
    if (this.#size < HEADER_SIZE) return undefined;
    const end = HEADER_SIZE + lengthOf(this.#held);
    this.#hold(Math.min(end - this.#size, this.#chunk.length));
    if (this.#size < end) return undefined;
    const sealed = this.#held.subarray(HEADER_SIZE, end);
    // The buffer serves the next record, too: this one is decrypted before anything is written into it.
    this.#size = 0;
    return sealed;
  }

  /** Moves bytes from the chunk to the buffer of the incomplete record. */
  #hold(count: number): void {
    const size = this.#size + count;
    if (size > this.#held.length) {
      const held = new Uint8Array(Math.min(Math.max(size, 2 * this.#held.length, FIRST_HELD), MOST_HELD));
      held.set(this.#held.subarray(0, this.#size));
      this.#held = held;
    }
    this.#held.set(this.#chunk.subarray(0, count), this.#size);
    this.#size = size;
    this.#chunk = this.#chunk.subarray(count);
  }
}

/** Returns the length of the record at the beginning of `bytes`. */
function lengthOf(bytes: Uint8Array): number {
  const length = bytes[0] << 8 | bytes[1];
  if (length >= TAG_SIZE) return length;
  throw new ProtocolError("protocol-error", `The peer announced a record of ${length} bytes: a tag alone has 16`);
}

function afterEnd(): ProtocolError {
  return new ProtocolError("protocol-error", "The peer sent bytes after the end of what it sends");
}
