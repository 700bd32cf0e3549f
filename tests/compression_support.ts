/**
 * What the tests of compression share: the codec that every runtime has, payloads that shrink or do not, and the content
 * of compressed frames.
 *
 * @module
 */

import { zlibCodecs } from "../src/adapters/zlib.ts";
import type { CompressionCodec, CompressionCodecName } from "../src/compression_seam.ts";
import { join, Random, utf8 } from "./wire_support.ts";

/** The flag of a compressed payload. */
export const COMPRESSED = 0x10;

/** The codec that every runtime has. */
export const DEFLATE: CompressionCodec = zlibCodecs().find(({ name }) => name === "deflate-raw")!;

/** The options of a side that has this codec. */
export const HOT: { readonly compression: { readonly codecs: readonly CompressionCodecName[] } } = {
  compression: { codecs: ["deflate-raw"] },
};

/** 1,120 bytes that shrink to a fiftieth. */
export const WORDS: string = "veltix ".repeat(160);

/** Returns the content of a compressed frame. `size` is what it announces; by default its true size. */
export function packed(
  raw: Uint8Array | string,
  size?: number,
  level: number = DEFLATE.defaultLevel,
): Uint8Array {
  const whole = typeof raw === "string" ? utf8(raw) : raw;
  return announced(size ?? whole.length, DEFLATE.compress(whole, level));
}

/** Returns the content of a frame that announces `size` bytes. */
export function announced(size: number, compressed: Uint8Array): Uint8Array {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, size);
  return join(head, compressed);
}

/** Returns bytes that do not shrink. */
export function noise(size: number, seed = 1): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length: size }, () => random.below(256));
}
