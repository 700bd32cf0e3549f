/**
 * CRC-32 (IEEE, as zlib computes it) for the floor: a table, eight bytes a step, for short content and the runtime's native
 * function for the rest, because a native call costs more than the table does on a few dozen bytes.
 *
 * Values are signed 32-bit integers here: a frame's field is compared, never printed.
 *
 * @module
 */

import process from "node:process";
import { crc32 as nativeCrc32 } from "node:zlib";

/** From this many bytes on the native function wins; measured for each runtime. */
const NATIVE_FROM = process.versions.bun === undefined && process.versions.deno === undefined ? 256 : 64;

const TABLE = table();

/** The CRC-32 of `bytes`, as a signed 32-bit integer. */
export function crc32(bytes: Uint8Array): number {
  return bytes.length < NATIVE_FROM ? tableCrc32(bytes) : nativeCrc32(bytes) | 0;
}

function tableCrc32(bytes: Uint8Array): number {
  const length = bytes.length;
  const whole = length & ~7;
  let crc = -1;
  let i = 0;
  for (; i < whole; i += 8) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc = TABLE[1792 + (crc & 255)] ^ TABLE[1536 + ((crc >>> 8) & 255)] ^
      TABLE[1280 + ((crc >>> 16) & 255)] ^ TABLE[1024 + (crc >>> 24)] ^
      TABLE[768 + bytes[i + 4]] ^ TABLE[512 + bytes[i + 5]] ^ TABLE[256 + bytes[i + 6]] ^ TABLE[bytes[i + 7]];
  }
  for (; i < length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]) & 255];
  return ~crc;
}

function table(): Int32Array {
  const table = new Int32Array(2048);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    table[n] = crc;
  }
  for (let n = 256; n < 2048; n++) table[n] = (table[n - 256] >>> 8) ^ table[table[n - 256] & 255];
  return table;
}
