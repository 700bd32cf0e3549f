/**
 * Decodes a stream of bytes, for programs that want all frames of a chunk at once.
 *
 * @module
 */

import type { ProtocolError } from "../errors.ts";
import type { DecodedFrame } from "./decoded_frame.ts";
import { type DecoderOptions, NO_FLAGS } from "./decoder_options.ts";
import { FrameReader } from "./frame_reader.ts";
import type { Protocol } from "./protocols.ts";

export type { DecoderOptions };

/**
 * Cuts a stream of bytes into frames.
 *
 * @example Any chunking gives the same frames
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { encodeFrame, FrameDecoder, protocol } from "@veltix/core/wire";
 *
 * const native = protocol("native");
 * const bytes = encodeFrame(native, { code: 200, content: new Uint8Array([1, 2]), requestId: 0, flags: 0 });
 * const decoder = new FrameDecoder(native);
 * assertEquals(decoder.push(bytes.subarray(0, 5)).length, 0);
 * const [frame] = decoder.push(bytes.subarray(5));
 * assertEquals([...frame.content], [1, 2]);
 * ```
 *
 * @category Wire protocol
 */
export class FrameDecoder {
  readonly #reader: FrameReader;

  /**
   * Creates a decoder for one stream.
   *
   * @param protocol The wire protocol, from {@linkcode protocol}.
   * @param options Limits, recovery and callbacks.
   * @throws {ConfigError} `unsupported`: a 62-byte protocol on a runtime without `node:crypto`. `invalid-config`:
   * `recovery: "resync"` for a protocol without a magic.
   */
  constructor(protocol: Protocol, options: DecoderOptions = {}) {
    const features = options.features === undefined ? NO_FLAGS : { flags: options.features, check: undefined };
    this.#reader = new FrameReader(protocol, options, features, { drop: options.onDrop, skip: options.onSkip });
  }

  /**
   * The error that broke the stream; `undefined` while it is intact. The frames before the break have been handed out.
   */
  get failure(): ProtocolError | undefined {
    return this.#reader.failure;
  }

  /** The number of bytes of a frame that is not complete yet. Skipped bytes do not count. */
  get partial(): number {
    return this.#reader.partial;
  }

  /** The number of bytes skipped so far, with `recovery: "resync"`. */
  get skipped(): number {
    return this.#reader.skipped;
  }

  /**
   * The number of bytes that checksums were computed over, with `recovery: "resync"`. It is at most four times the
   * number of bytes received.
   */
  get checked(): number {
    return this.#reader.checked;
  }

  /** The number of frames decoded so far, dropped ones included. */
  get count(): number {
    return this.#reader.count;
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @param chunk Any number of bytes. Frames keep views of it: do not write into it again.
   * @returns The frames that it completes, in order. If the stream breaks, these are the frames before the break, and
   * {@linkcode failure} is set.
   * @throws {ProtocolError} The stream was already broken.
   */
  push(chunk: Uint8Array): DecodedFrame[] {
    const frames: DecodedFrame[] = [];
    this.#reader.feed(chunk);
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) frames.push(frame.keep());
    return frames;
  }

  /**
   * Ends the stream, because nothing more arrives or nothing more is of interest. With `recovery: "resync"`, `onSkip`
   * is called for the gap after the last frame, if there is one.
   *
   * @returns The size of that gap, in bytes. The bytes of an unfinished frame after it are {@linkcode partial}.
   */
  end(): number {
    return this.#reader.end();
  }
}
