/**
 * Holds the bytes of a peer that the handshake has not used yet.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import { NOTHING } from "../cipher_state.ts";

/** The smallest buffer, in bytes. */
const FIRST = 256;
/** The largest buffer that is made before there are bytes for it: room for the largest message and its length. */
const MOST_AHEAD = 2 + 17 * 1024;

/** Collects chunks, which may begin and end anywhere. */
export class Inbox {
  #buffer: Uint8Array = NOTHING;
  #size = 0;

  /** The bytes that have arrived: a view that is valid until the next {@linkcode add}. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  /** The number of bytes that have arrived. */
  get size(): number {
    return this.#size;
  }

  add(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(size, Math.min(2 * this.#buffer.length, MOST_AHEAD), FIRST));
      buffer.set(this.bytes);
      this.#buffer = buffer;
    }
    this.#buffer.set(chunk, this.#size);
    this.#size = size;
  }

  /** Removes the first bytes and returns them. */
  take(size: number): Uint8Array {
    const taken = this.#buffer.slice(0, size);
    this.#buffer = this.#buffer.slice(size, this.#size);
    this.#size = this.#buffer.length;
    return taken;
  }

  /**
   * Returns the end of the message whose u16 length is at an index; `undefined` while the message is incomplete.
   *
   * @param at The index of the length.
   * @param least The smallest size that the message may have.
   * @param most The largest size that it may have.
   * @throws {ProtocolError} `protocol-error`: the message has another size.
   */
  endOfMessage(at: number, least: number, most: number): number | undefined {
    const { bytes } = this;
    if (bytes.length < at + 2) return undefined;
    const size = bytes[at] << 8 | bytes[at + 1];
    if (size < least || size > most) {
      throw new ProtocolError("protocol-error", `The peer announced a handshake message of ${size} bytes`);
    }
    const end = at + 2 + size;
    return bytes.length < end ? undefined : end;
  }
}
