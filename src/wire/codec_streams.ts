/**
 * Offers the codec as Web Streams, for programs that have a pair of streams and no connection.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { DecodedFrame } from "./decoded_frame.ts";
import { FrameDecoder } from "./decoder.ts";
import type { DecoderOptions } from "./decoder_options.ts";
import { encodeFrame } from "./encoder.ts";
import type { Frame } from "./frame.ts";
import type { Protocol } from "./protocols.ts";
import { requireDigest } from "./python/sha256.ts";

/**
 * Decodes a stream of bytes into frames. If the bytes break the protocol, the stream delivers the frames before the
 * break and then errors with a {@linkcode ProtocolError}. It also errors if the bytes end inside a frame or in a gap.
 *
 * @example A round trip through both streams
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { FrameDecoderStream, FrameEncoderStream, protocol } from "@veltix/core/wire";
 *
 * const frame = { code: 200, content: new Uint8Array([1, 2, 3]), requestId: 7, flags: 0 };
 * const frames = ReadableStream.from([frame])
 *   .pipeThrough(new FrameEncoderStream(protocol("2.0")))
 *   .pipeThrough(new FrameDecoderStream(protocol("2.0")));
 * for await (const { code, content } of frames) assertEquals([code, content.length], [200, 3]);
 * ```
 *
 * @category Wire protocol
 */
export class FrameDecoderStream implements TransformStream<Uint8Array, Frame> {
  /** The decoded frames. */
  readonly readable: ReadableStream<Frame>;
  /** Takes the bytes to decode. */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Creates the stream.
   *
   * @param protocol The wire protocol.
   * @param options The options of a {@linkcode FrameDecoder}.
   * @throws {ConfigError} For the same reasons as {@linkcode FrameDecoder}.
   */
  constructor(protocol: Protocol, options: DecoderOptions = {}) {
    const decoder = new FrameDecoder(protocol, options);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const bytes = readable.getReader();
    let frames: DecodedFrame[] = [];
    let next = 0;
    this.writable = writable;
    // Frames are pulled one by one: a TransformStream that errors would throw away those it has not delivered yet.
    this.readable = new ReadableStream<Frame>({
      async pull(controller): Promise<void> {
        while (next === frames.length) {
          const failure = decoder.failure;
          if (failure !== undefined) {
            await bytes.cancel(failure);
            throw failure;
          }
          const { done, value } = await bytes.read();
          if (done) {
            const skipped = decoder.end();
            if (decoder.partial > 0) throw cut(`${decoder.partial} bytes into a frame`);
            if (skipped > 0) throw cut(`${skipped} bytes after the last whole frame`);
            return controller.close();
          }
          next = 0;
          frames = decoder.push(value);
        }
        controller.enqueue(frames[next++]);
      },
      cancel: (reason) => bytes.cancel(reason),
    }, { highWaterMark: 0 });
  }
}

/**
 * Encodes a stream of frames as bytes. A frame that does not fit the protocol errors the stream with what
 * {@linkcode encodeFrame} throws.
 *
 * @category Wire protocol
 */
export class FrameEncoderStream extends TransformStream<Frame, Uint8Array> {
  /**
   * Creates the stream.
   *
   * @param protocol The wire protocol.
   * @throws {ConfigError} `unsupported`: a 62-byte protocol on a runtime without `node:crypto`.
   */
  constructor(protocol: Protocol) {
    requireDigest(protocol, "Cannot encode frames");
    super({ transform: (frame, controller) => controller.enqueue(encodeFrame(protocol, frame)) });
  }
}

function cut(where: string): ProtocolError {
  return new ProtocolError("protocol-error", `Cannot decode the stream: it ends ${where}`);
}
