/**
 * The floor's framing, written by hand: the 15-byte header magic "VX", flags u8, code u16, size u32, CRC-32 of the content
 * u32, id u16 (big-endian), then the content.
 *
 * @module
 */

import { crc32 } from "./crc32.ts";

/** Bytes of a header. */
export const HEADER_SIZE = 15;

/** The largest content that the floor takes, in bytes. */
export const MAX_SIZE = 10 * 1024 * 1024;

/** What a frame is for. */
export const CODE = { message: 200, request: 201, reply: 202, greeting: 203 } as const;

/** Writes one frame into `target` from `at` on. */
export function writeFrame(target: Uint8Array, at: number, code: number, id: number, content: Uint8Array): void {
  const size = content.length;
  const crc = crc32(content);
  target[at] = 0x56;
  target[at + 1] = 0x58;
  target[at + 2] = 0;
  target[at + 3] = code >>> 8;
  target[at + 4] = code;
  target[at + 5] = size >>> 24;
  target[at + 6] = size >>> 16;
  target[at + 7] = size >>> 8;
  target[at + 8] = size;
  target[at + 9] = crc >>> 24;
  target[at + 10] = crc >>> 16;
  target[at + 11] = crc >>> 8;
  target[at + 12] = crc;
  target[at + 13] = id >>> 8;
  target[at + 14] = id;
  target.set(content, at + HEADER_SIZE);
}
