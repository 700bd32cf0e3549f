/**
 * The frames HELLO and HELLO_ACK, by which Python peers up to release 1.7 open a connection.
 *
 * @module
 */

import type { DecodedFrame } from "../decoded_frame.ts";
import { FrameDecoder } from "../decoder.ts";
import { encodeFrame } from "../encoder.ts";
import { WIRE_LIMITS } from "../frame.ts";
import { failed } from "../handshake/messages.ts";
import { get16, get32, put16 } from "../integers.ts";
import type { Protocol } from "../protocols.ts";

const encoder = /* @__PURE__ */ new TextEncoder();

/** Encodes a HELLO or HELLO_ACK frame. */
export function helloFrame(
  protocol: Protocol,
  code: number,
  requestId: number | string,
  sentAt: number,
  version: string,
): Uint8Array {
  const text = encoder.encode(version);
  const content = new Uint8Array(2 + text.length);
  put16(content, 0, text.length);
  content.set(text, 2);
  return encodeFrame(protocol, {
    code,
    content,
    requestId,
    flags: 0,
    sentAt: protocol.layout.timestamp < 0 ? undefined : sentAt,
  });
}

/**
 * Returns the HELLO or HELLO_ACK frame at the beginning of `bytes`. Its `end` is the index where the bytes go on.
 *
 * @returns `"partial"` while bytes of it are missing; `"damaged"` if its checksum does not match.
 * @throws {ProtocolError} The bytes break the protocol.
 * @throws {HandshakeError} `handshake-failed`: the frame is too large for a HELLO.
 */
export function firstFrame(protocol: Protocol, bytes: Uint8Array): DecodedFrame | "partial" | "damaged" {
  const { headerSize, layout } = protocol;
  const size = bytes.length < layout.size + 4 ? 0 : get32(bytes, layout.size);
  const decoder = new FrameDecoder(protocol, { maxMessageSize: Infinity });
  const [frame] = decoder.push(bytes.subarray(0, headerSize + Math.min(size, WIRE_LIMITS.maxHello)));
  if (decoder.failure !== undefined) throw decoder.failure;
  if (size > WIRE_LIMITS.maxHello) {
    throw failed(`its first frame, of type ${get16(bytes, layout.code)}, is too large for a handshake`);
  }
  return frame ?? (decoder.count === 0 ? "partial" : "damaged");
}

/**
 * Returns the version in the content of a HELLO, three plain numbers; `undefined` if there is none. Bytes after the
 * text are ignored.
 */
export function helloVersion(content: Uint8Array): string | undefined {
  const size = content.length < 2 ? 0 : get16(content, 0);
  if (size > content.length - 2) return undefined;
  const text = String.fromCharCode(...content.subarray(2, 2 + size));
  return /^\d{1,4}\.\d{1,4}\.\d{1,4}$/.test(text) ? text : undefined;
}
