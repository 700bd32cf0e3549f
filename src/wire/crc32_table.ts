/**
 * The CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320, as in zlib) one byte at a time, in little code, for what is
 * computed rarely. Frames have the fast one of `crc32.ts`.
 *
 * @module
 */

/** `TABLE[n]` is the CRC-32 of the byte `n`. */
export const TABLE: Int32Array = /* @__PURE__ */ makeTable();

/** Returns the CRC-32 of `bytes`, an unsigned 32-bit integer. */
export function crc32Bytewise(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = crc >>> 8 ^ TABLE[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

function makeTable(): Int32Array {
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
    table[n] = crc;
  }
  return table;
}
