/**
 * The bytes of a peer that a handshake has not taken yet.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import { NOTHING } from "../cipher_state.ts";

/** The smallest buffer, in bytes. */
const FIRST = 256;

/** Collects chunks of any cut. */
export class Inbox {
  #buffer: Uint8Array = NOTHING;
  #size = 0;

  /** The bytes that are there, a view until the next {@linkcode add}. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  add(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(size, 2 * this.#buffer.length, FIRST));
      buffer.set(this.bytes);
      this.#buffer = buffer;
    }
    this.#buffer.set(chunk, this.#size);
    this.#size = size;
  }

  /** Returns the first bytes, and keeps those after them. */
  take(size: number): Uint8Array {
    const taken = this.#buffer.slice(0, size);
    this.#buffer = this.#buffer.slice(size, this.#size);
    this.#size = this.#buffer.length;
    return taken;
  }

  /**
   * Returns the end of the message whose u16 length stands at an index, as soon as it is whole; `undefined` before that.
   *
   * @param at The index of the length.
   * @param least The least size that the message can have.
   * @param most The most that it may have.
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
