/**
 * The codec as Web Streams, for programs that have a pair of streams and no connection. They also serve the 62-byte
 * protocols where SHA-256 is asynchronous.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { DecodedFrame } from "./decoded_frame.ts";
import { FrameDecoder } from "./decoder.ts";
import { type DecoderOptions, dropped } from "./decoder_options.ts";
import { checkFrame, copyContent, encodeFrame, sealFrame } from "./encoder.ts";
import type { Frame } from "./frame.ts";
import { viewOf } from "./integers.ts";
import type { Protocol } from "./protocols.ts";
import { sha256, sha256Sync } from "./python/sha256.ts";

/**
 * Bytes in, frames out. The stream errors with a {@linkcode ProtocolError} where the bytes break the protocol, after the
 * frames before the break, and when the bytes end inside a frame or in a gap.
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
 */
export class FrameDecoderStream implements TransformStream<Uint8Array, Frame> {
  /** The decoded frames. */
  readonly readable: ReadableStream<Frame>;
  /** Takes the bytes. */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Creates the stream.
   *
   * @param protocol The wire protocol.
   * @param options Limits, as of {@linkcode FrameDecoder}.
   */
  constructor(protocol: Protocol, options: Omit<DecoderOptions, "verify"> = {}) {
    const later = protocol.integrity === "sha256" && sha256Sync === undefined;
    const decoder = new FrameDecoder(protocol, { ...options, verify: !later });
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
            if (skipped > 0) throw cut(`${skipped} bytes behind the last whole frame`);
            return controller.close();
          }
          next = 0;
          frames = decoder.push(value);
          if (later) frames = await intact(frames, options.onDrop);
        }
        controller.enqueue(frames[next++]);
      },
      cancel: (reason) => bytes.cancel(reason),
    }, { highWaterMark: 0 });
  }
}

/** Frames in, bytes out. A frame that does not fit the protocol errors the stream, as {@linkcode encodeFrame} throws. */
export class FrameEncoderStream extends TransformStream<Frame, Uint8Array> {
  /**
   * Creates the stream.
   *
   * @param protocol The wire protocol.
   */
  constructor(protocol: Protocol) {
    const later = protocol.integrity === "sha256" && sha256Sync === undefined;
    super({
      async transform(frame, controller): Promise<void> {
        controller.enqueue(later ? await encodeLater(protocol, frame) : encodeFrame(protocol, frame));
      },
    });
  }
}

async function encodeLater(protocol: Protocol, frame: Frame): Promise<Uint8Array> {
  checkFrame(protocol, frame);
  const { code, flags, requestId, sentAt = 0 } = frame;
  const bytes = copyContent(protocol, frame);
  const content = bytes.subarray(protocol.headerSize);
  const digest = await sha256(content);
  sealFrame(protocol, viewOf(bytes), 0, code, flags, requestId, content.length, sentAt, content, digest);
  return bytes;
}

/** The frames whose SHA-256 matches. */
async function intact(frames: DecodedFrame[], onDrop: DecoderOptions["onDrop"]): Promise<DecodedFrame[]> {
  const good: DecodedFrame[] = [];
  for (const frame of frames) {
    const digest = await sha256(frame.content);
    if (digest.every((byte, i) => byte === frame.digest![i])) good.push(frame);
    else onDrop?.(dropped(frame.code, frame.content.length));
  }
  return good;
}

function cut(where: string): ProtocolError {
  return new ProtocolError("protocol-error", `Cannot decode the stream: it ends ${where}`);
}
