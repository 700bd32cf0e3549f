/**
 * Splits what a side sent into frames. It does not check native flags and ids: that is for the test.
 *
 * @module
 */

import { concat } from "../base/concat.ts";
import { DecodedFrame } from "../wire/decoded_frame.ts";
import { FrameDecoder } from "../wire/decoder.ts";
import { encodeFrame, sealFrame } from "../wire/encoder.ts";
import type { Protocol } from "../wire/protocols.ts";
import { AssertionError } from "./assertion.ts";
import { hexOf } from "../base/hex.ts";

/** The size of a native header, in bytes. */
const HEADER = 16;
/** Larger than any frame of a test. */
const MOST = 2 ** 30;

/**
 * A frame to send by hand.
 *
 * @category Testing
 */
export interface RawFrame {
  /** Its type code. */
  readonly code: number;
  /** Its payload; a text is encoded as UTF-8. @default empty */
  readonly content?: Uint8Array | string;
  /** Its id. @default one that asks for nothing: 7 for Python's 2.0 to 3.3, otherwise 0 */
  readonly requestId?: number | string;
  /** Its flags, combined with bitwise OR. @default 0 */
  readonly flags?: number;
}

/** Splits the bytes of one direction into frames. */
export class FrameSplitter {
  readonly #protocol: Protocol;
  readonly #decoder: FrameDecoder | undefined;
  #held: Uint8Array = new Uint8Array(0);

  constructor(protocol: Protocol) {
    this.#protocol = protocol;
    this.#decoder = protocol.name === "native" ? undefined : new FrameDecoder(protocol, { maxMessageSize: MOST });
  }

  /**
   * Takes bytes. Returns the frames that they complete.
   *
   * @throws {AssertionError} A native header or content does not match its checksums.
   */
  push(chunk: Uint8Array): DecodedFrame[] {
    if (this.#decoder !== undefined) return this.#decoder.push(chunk.slice());
    this.#held = concat(this.#held, chunk.slice());
    const frames: DecodedFrame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): DecodedFrame | undefined {
    const held = this.#held;
    if (held.length < HEADER) return undefined;
    const view = new DataView(held.buffer, held.byteOffset, held.length);
    const [flags, code, size, requestId] = [view.getUint8(1), view.getUint16(2), view.getUint32(4), view.getUint32(8)];
    if (held.length < HEADER + size) return undefined;
    const frame = new DecodedFrame(
      code,
      flags,
      requestId,
      undefined,
      held.slice(0, HEADER + size),
      HEADER,
      HEADER + size,
    );
    const [header, sealed] = [
      frame.buffer,
      encodeRaw(this.#protocol, { code, flags, requestId, content: frame.content }),
    ].map((bytes) => hexOf(bytes.subarray(0, HEADER)));
    if (header !== sealed) {
      throw new AssertionError(`A frame of type ${code} is not sealed: its header is ${header}, and not ${sealed}`);
    }
    this.#held = held.slice(HEADER + size);
    return frame;
  }
}

/** Encodes a frame. A native one may be wrong: its flags and its id are not checked. */
export function encodeRaw(protocol: Protocol, frame: RawFrame): Uint8Array {
  const { code, flags = 0, requestId = protocol.ids === "u16" ? 7 : 0 } = frame;
  const { content: given = new Uint8Array(0) } = frame;
  const content = typeof given === "string" ? new TextEncoder().encode(given) : given;
  if (protocol.name !== "native") return encodeFrame(protocol, { code, flags, requestId, content });
  const bytes = new Uint8Array(protocol.headerSize + content.length);
  bytes.set(content, protocol.headerSize);
  sealFrame(protocol, new DataView(bytes.buffer), 0, code, flags, requestId, content.length, 0);
  return bytes;
}
