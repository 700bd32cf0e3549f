/**
 * The payload of a frame, to be given away to a thread.
 *
 * @module
 */

import type { DecodedFrame } from "../wire/decoded_frame.ts";
import { ownBuffer, type Payload } from "./protocol.ts";

/** The smallest header of any protocol, in bytes. */
export const SMALLEST_HEADER = 14;

/**
 * A buffer and where the payload stands in it. Where the frame has its buffer to itself, as a frame larger than a chunk has,
 * it is that buffer, header included, not a copy; where it shares a chunk with others, a copy of the payload alone.
 */
export function takePayload(frame: Pick<DecodedFrame, "buffer" | "content" | "end" | "start">): Payload {
  const { buffer, content, end, start } = frame;
  // Nothing stands behind the payload, and in front of it there is no room for another frame beside its own header.
  if (end === buffer.length && start < 2 * SMALLEST_HEADER) {
    const own = ownBuffer(buffer, true);
    if (own === buffer.buffer) return { buffer: own, start };
  }
  return { buffer: ownBuffer(content, false), start: 0 };
}
