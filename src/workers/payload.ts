/**
 * Prepares payloads for transfer to a thread, and back.
 *
 * @module
 */

import type { Payload } from "./worker_messages.ts";

/** The size of the smallest header of any protocol, in bytes. */
export const SMALLEST_HEADER = 14;

/**
 * Returns a buffer that can be transferred, and where the payload begins in it. A frame that is larger than a chunk has
 * a buffer of its own: that buffer is returned, header included. The payload of a frame that shares its chunk with
 * others is copied.
 *
 * @param before The bytes of the frame's content in front of the payload: its metadata.
 */
export function takePayload(content: Uint8Array, before: number = 0): Payload {
  const { buffer, byteLength, byteOffset } = content;
  // Nothing follows the payload, and the room in front of it has no place for another frame besides its own header.
  const alone = byteOffset + byteLength === buffer.byteLength && byteOffset - before < 2 * SMALLEST_HEADER;
  if (alone && buffer instanceof ArrayBuffer) return { buffer, start: byteOffset };
  return { buffer: ownBuffer(content, false), start: 0 };
}

/**
 * Returns a buffer that holds exactly these bytes and that nothing else uses. It is the view's own buffer if the view
 * fills it, otherwise a copy.
 *
 * @param bytes A view of a buffer, whole or in part.
 * @param owned True if nothing else uses the buffer.
 */
export function ownBuffer(bytes: Uint8Array, owned: boolean): ArrayBuffer {
  const { buffer } = bytes;
  if (owned && buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength) return buffer;
  // Not `slice()`: on a `Buffer` it returns a view of the same memory.
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy.buffer;
}
