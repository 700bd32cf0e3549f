/**
 * The payload of a frame, to be given away to a thread.
 *
 * @module
 */

import { ownBuffer, type Payload } from "./worker_messages.ts";

/** The smallest header of any protocol, in bytes. */
export const SMALLEST_HEADER = 14;

/**
 * A buffer and where the payload stands in it. Where the frame has its buffer to itself, as a frame larger than a chunk has,
 * it is that buffer, header included, not a copy; where it shares a chunk with others, a copy of the payload alone.
 */
export function takePayload(content: Uint8Array): Payload {
  const { buffer, byteLength, byteOffset } = content;
  // Nothing stands after the payload, and in front of it there is no room for another frame beside its own header.
  const alone = byteOffset + byteLength === buffer.byteLength && byteOffset < 2 * SMALLEST_HEADER;
  if (alone && buffer instanceof ArrayBuffer) return { buffer, start: byteOffset };
  return { buffer: ownBuffer(content, false), start: 0 };
}
