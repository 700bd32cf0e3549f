/**
 * The wire protocols alone: converts frames to bytes and back, for programs that bring their own connection. It uses no
 * sockets and no timers, and everything but the Web Streams is synchronous.
 *
 * @example Decoding what a Python Veltix 2.0 sent
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { FrameDecoder, protocol } from "@veltix/core/wire";
 *
 * const hex = "56580000c80000000d2b8cf0b3000148656c6c6f2053657276657221";
 * const bytes = Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));
 * const [frame] = new FrameDecoder(protocol("2.0")).push(bytes);
 * assertEquals(new TextDecoder().decode(frame.content), "Hello Server!");
 * ```
 *
 * @module
 */

export { crc32 } from "./crc32.ts";
export { DecodedFrame } from "./decoded_frame.ts";
export { type DecoderOptions, FrameDecoder } from "./decoder.ts";
export { encodeFrame } from "./encoder.ts";
export { Flag, type Frame, SystemCode, WIRE_LIMITS } from "./frame.ts";
export {
  type HandshakeKind,
  type HeaderLayout,
  type IdKind,
  type Integrity,
  type Protocol,
  protocol,
} from "./protocols.ts";
export { FrameDecoderStream, FrameEncoderStream } from "./codec_streams.ts";
export { ConfigError, type ConfigErrorCode, ProtocolError, type ProtocolErrorCode, VeltixError } from "../errors.ts";
