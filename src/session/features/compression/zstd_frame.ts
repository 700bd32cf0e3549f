/**
 * Checks the outline of a frame of zstd (RFC 8878) without decoding its blocks. The runtimes do not agree on what they
 * refuse: Deno and Bun decode a truncated frame to nothing, and Bun decodes several frames in a row.
 *
 * @module
 */

const MAGIC = 0xfd2fb528;
/** The largest window, in bytes. */
const MAX_WINDOW = 8 * 1024 * 1024;

/** The kinds of blocks. */
const RLE = 1;
const RESERVED = 3;

/** Returns what is wrong unless `bytes` are exactly one frame, as the end of a sentence; `undefined` if they are. */
export function zstdFault(bytes: Uint8Array, size: number): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 6 || view.getUint32(0, true) !== MAGIC) return NO_FRAME;
  const descriptor = bytes[4];
  if ((descriptor & 0x08) !== 0) return NO_FRAME;
  if ((descriptor & 0x03) !== 0) return "needs a dictionary";
  const single = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  // A frame without a window descriptor has its size in at least one byte.
  const sizeBytes = sizeFlag === 0 ? Number(single) : 1 << sizeFlag;
  let at = 5 + Number(!single);
  if (at + sizeBytes > bytes.length) return TRUNCATED;
  const announced = contentSize(view, at, sizeBytes);
  if (announced !== undefined && announced !== size) return `has a frame of ${announced} bytes and announces ${size}`;
  if ((single ? size : windowSize(bytes[5])) > MAX_WINDOW) return "needs a window of more than 8 MiB";
  at += sizeBytes;
  const end = endOfBlocks(bytes, at);
  if (typeof end === "string") return end;
  const left = bytes.length - end - ((descriptor & 0x04) !== 0 ? 4 : 0);
  return left === 0 ? undefined : left < 0 ? TRUNCATED : "goes on after its end";
}

/** Returns the offset after the last block, or what is wrong. */
function endOfBlocks(bytes: Uint8Array, from: number): number | string {
  for (let at = from;;) {
    if (at + 3 > bytes.length) return TRUNCATED;
    const header = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16;
    const kind = header >> 1 & 3;
    if (kind === RESERVED) return NO_FRAME;
    at += 3 + (kind === RLE ? 1 : header >> 3);
    if (at > bytes.length) return TRUNCATED;
    if ((header & 1) !== 0) return at;
  }
}

/** Returns the content size in a frame's header; `undefined` if it has none. */
function contentSize(view: DataView, at: number, bytes: number): number | undefined {
  switch (bytes) {
    case 0:
      return undefined;
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    default:
      return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  }
}

/** Returns the size of the window that a descriptor stands for, in bytes. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}

const NO_FRAME = "is no frame of zstd";
const TRUNCATED = "is truncated";
