/**
 * Encodes frames as bytes. The content is written first, directly into the caller's buffer, after room for the header.
 * Then {@linkcode sealFrame} fills in the header. Many frames can share one buffer and one write in this way, and none
 * needs an array of its own.
 *
 * @module
 */

import { crc32Header, crc32Range, crc8Header } from "./crc32.ts";
import type { Frame } from "./frame.ts";
import { bytesOf, viewOf } from "./integers.ts";
import { flagFault } from "./header.ts";
import type { Protocol } from "./protocols.ts";
import { requireDigest, sha256 } from "./python/sha256.ts";

/**
 * Encodes one frame.
 *
 * @param protocol The wire protocol, from {@linkcode protocol}.
 * @param frame The frame. A missing `sentAt` is sent as 0 in protocols that carry it.
 * @param features The flags that negotiated features allow, in the native protocol, combined with bitwise OR. Default 0.
 * @returns The header and the content, in a new array.
 * @throws {RangeError} The code, the id, the flags or `sentAt` do not fit the protocol.
 * @throws {TypeError} The content is not a `Uint8Array`, or the id is not a UUID in a 62-byte protocol.
 * @throws {ConfigError} `unsupported`: a 62-byte protocol on a runtime without `node:crypto`.
 *
 * @example A frame that a Python Veltix 2.0 understands
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { encodeFrame, protocol } from "@veltix/core/wire";
 *
 * const content = new TextEncoder().encode("hi");
 * const bytes = encodeFrame(protocol("2.0"), { code: 200, content, requestId: 1, flags: 0 });
 * assertEquals(bytes.length, 15 + 2);
 * ```
 *
 * @category Wire protocol
 */
export function encodeFrame(protocol: Protocol, frame: Frame, features: number = 0): Uint8Array {
  checkFrame(protocol, frame, features);
  const bytes = copyContent(protocol, frame);
  const { code, flags, requestId, sentAt = 0 } = frame;
  const size = bytes.length - protocol.headerSize;
  sealFrame(protocol, viewOf(bytes), 0, code, flags, requestId, size, sentAt);
  return bytes;
}

/**
 * Copies the content of a frame into a new array, after room for the header. Another thread may meanwhile write to the
 * content or make it longer. It is therefore read only once, and the header describes the copy.
 */
function copyContent({ headerSize }: Protocol, { content }: Frame): Uint8Array {
  const size = content.length;
  const bytes = new Uint8Array(headerSize + size);
  bytes.set(content.buffer instanceof ArrayBuffer ? content : content.subarray(0, size), headerSize);
  return bytes;
}

/**
 * Writes the header at `at`, for a content of `size` bytes that is already in place after it. Does not check its
 * arguments.
 *
 * @param view A view of the buffer that holds the frame.
 * @param content The same content as an array, if the caller has one that nobody else writes to. The checksum then
 * needs no new array.
 */
export function sealFrame(
  protocol: Protocol,
  view: DataView,
  at: number,
  code: number,
  flags: number,
  requestId: number | string,
  size: number,
  sentAt: number,
  content?: Uint8Array,
): void {
  const start = at + protocol.headerSize;
  if (protocol.integrity === "crc8+crc32") {
    const rest = flags << 16 | code;
    const head = crc8Header(rest, size, requestId as number) << 24 | rest;
    view.setInt32(at, head);
    view.setUint32(at + 4, size);
    view.setUint32(at + 8, requestId as number);
    view.setUint32(at + 12, crc32Range(view, start, size, crc32Header(head, size, requestId as number), content));
    return;
  }
  const layout = protocol.layout;
  if (layout.magic >= 0) view.setUint16(at, 0x5658);
  if (layout.flags >= 0) view.setUint8(at + layout.flags, flags);
  view.setUint16(at + layout.code, code);
  view.setUint32(at + layout.size, size);
  if (layout.timestamp >= 0) {
    view.setUint32(at + layout.timestamp, Math.floor(sentAt / 0x1_0000_0000));
    view.setUint32(at + layout.timestamp + 4, sentAt);
  }
  const id = at + layout.id;
  if (typeof requestId === "string") putUuid(bytesOf(view, id, 16), 0, requestId);
  else if (protocol.ids === "u16") view.setUint16(id, requestId);
  else view.setUint32(id, requestId);
  if (protocol.integrity === "crc32") view.setUint32(at + layout.digest, crc32Range(view, start, size, 0, content));
  else bytesOf(view, at + layout.digest, 32).set(sha256(bytesOf(view, start, size)));
}

/** Throws the errors that {@linkcode encodeFrame} documents. */
function checkFrame(protocol: Protocol, frame: Frame, features: number): void {
  const { code, content, requestId, flags, sentAt } = frame;
  requireDigest(protocol, "Cannot encode the frame");
  if (!isUint(code, 0xffff)) throw new RangeError(`Cannot encode the frame: code must be 0 to 65535, not ${code}`);
  if (!(content instanceof Uint8Array)) {
    throw new TypeError(`Cannot encode the frame: content must be a Uint8Array, not ${typeof content}`);
  }
  if (protocol.ids === "uuid") {
    if (typeof requestId !== "string" || !UUID.test(requestId)) {
      throw new TypeError(`Cannot encode the frame: requestId must be a UUID in protocol "${protocol.name}"`);
    }
  } else if (!isUint(requestId, protocol.ids === "u16" ? 0xffff : 0xffffffff)) {
    throw new RangeError(
      `Cannot encode the frame: requestId must be an unsigned ${protocol.ids.slice(1)}-bit integer, not ${requestId}`,
    );
  }
  if (sentAt !== undefined && !isUint(sentAt, Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`Cannot encode the frame: sentAt must be a whole number of milliseconds, not ${sentAt}`);
  }
  const fault = isUint(flags, 0xff) ? flagFault(protocol, flags, code, requestId, features) : "flags must be 0 to 255";
  if (fault !== undefined) throw new RangeError(`Cannot encode the frame: ${fault}`);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function putUuid(target: Uint8Array, at: number, uuid: string): void {
  const hex = uuid.replaceAll("-", "");
  for (let i = 0; i < 16; i++) target[at + i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
}

function isUint(value: unknown, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
