/**
 * Defines the content of compressed frames, and checks as much of it as can be checked before it is inflated.
 *
 * @module
 */

import type { ReceivedFrame } from "../../../wire/decoded_frame.ts";
import { isPiece, MAX_PIECE } from "../../../wire/frame.ts";
import { get32 } from "../../../wire/integers.ts";

/** The size of the native header, in bytes. */
export const HEADER = 16;
/** The number of bytes before the compressed ones: a u32 with the size that they inflate to. */
export const SIZE_BYTES = 4;
/**
 * How many times as large as the compressed bytes a payload may be. Without this limit, 262 bytes of zstd could occupy a
 * thread with 8 MiB.
 */
export const MAX_RATIO = 256;

/**
 * Returns the size that a compressed payload announces, in bytes, or what is wrong with it, as the end of a sentence.
 *
 * @param maxMessageSize The largest frame that this side takes, header included, in bytes.
 */
export function readSize({ content, flags }: ReceivedFrame, maxMessageSize: number): number | string {
  const compressed = content.length - SIZE_BYTES;
  if (compressed < 1) return `of ${content.length} bytes, which holds nothing`;
  const size = get32(content, 0);
  const piece = isPiece(flags);
  const most = piece ? MAX_PIECE : maxMessageSize - HEADER;
  if (size > most) return `of ${size} bytes, more than ${piece ? "a piece of a stream may have" : "this side takes"}`;
  if (size > MAX_RATIO * compressed) return `of ${size} bytes in ${compressed}, more than ${MAX_RATIO} times as many`;
  // Limits and credit count the announced size, so it must not be less than what waits in the queue.
  if (size < content.length) return `that announces ${size} bytes and is larger itself`;
  return size;
}
