/**
 * The codecs of compression that `node:zlib` has. The module is found when a program asks for them, so that others do not
 * load it.
 *
 * @module
 */

import { builtinModule } from "../base/builtin_module.ts";
import type { CompressionCodec } from "../compression_seam.ts";

interface Options {
  readonly level?: number;
  readonly params?: Readonly<Record<number, number>>;
  readonly chunkSize?: number;
  readonly maxOutputLength?: number;
  readonly info?: true;
}

/** What a call with the option `info` returns. */
interface Inflated {
  readonly buffer: Uint8Array;
  /** `bytesWritten` is the number of bytes that were read from the input. */
  readonly engine: { readonly bytesWritten: number };
}

/** The part of `node:zlib` that is used here. Older versions of Node have no zstd. */
export interface Zlib {
  readonly constants: { readonly ZSTD_c_compressionLevel: number; readonly ZSTD_d_windowLogMax: number };
  deflateRawSync(content: Uint8Array, options: Options): Uint8Array;
  inflateRawSync(content: Uint8Array, options: Options): unknown;
  zstdCompressSync?(content: Uint8Array, options: Options): Uint8Array;
  zstdDecompressSync?(content: Uint8Array, options: Options): unknown;
}

/** The binary logarithm of the largest window of zstd: 8 MiB. */
const MAX_WINDOW_LOG = 23;
/** The least size of a chunk that `node:zlib` takes, in bytes. */
const LEAST_CHUNK = 64;

/** Returns the codecs of a `node:zlib`, best first; none where there is no such module. */
export function zlibCodecs(zlib: unknown = builtinModule("node:zlib")): readonly CompressionCodec[] {
  if (zlib === undefined) return [];
  const { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } = zlib as Zlib;
  // Measured with JSON of 1 KiB to 1 MiB: at level 1, deflate of Deno and Bun leaves 40 % more than at level 2.
  const deflate: CompressionCodec = {
    name: "deflate-raw",
    defaultLevel: 2,
    compress: (content, level) => plain(deflateRawSync(content, { level, chunkSize: bound(content.length) })),
    inflate: (content, size) => inflated(content, size, () => inflateRawSync(content, limits(size))),
  };
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return [deflate];
  const { ZSTD_c_compressionLevel: LEVEL, ZSTD_d_windowLogMax: WINDOW } = constants;
  const zstd: CompressionCodec = {
    name: "zstd",
    defaultLevel: 1,
    compress: (content, level) =>
      plain(zstdCompressSync(content, { params: { [LEVEL]: level }, chunkSize: bound(content.length) })),
    inflate: (content, size) =>
      inflated(
        content,
        size,
        () => zstdDecompressSync(content, { ...limits(size), params: { [WINDOW]: MAX_WINDOW_LOG } }),
      ),
  };
  return [zstd, deflate];
}

/**
 * Returns the most bytes that so many can be compressed to. With chunks of this size there is one. Where there are several,
 * zstd of Deno 2.9 often puts an empty frame after the first one.
 */
function bound(size: number): number {
  return size + (size >> 8) + 1024;
}

/** One chunk has room for all of the bytes and for the first one too many, so that no second one is made. */
function limits(size: number): Options {
  return { chunkSize: Math.max(LEAST_CHUNK, size + 1), maxOutputLength: size, info: true };
}

/** Returns the bytes, unless there are more or less of them, or something follows what was inflated. */
function inflated(content: Uint8Array, size: number, inflate: () => unknown): Uint8Array | undefined {
  let result: Inflated;
  try {
    result = inflate() as Inflated;
  } catch {
    return undefined;
  }
  const { buffer, engine } = result;
  return buffer.length === size && engine.bytesWritten === content.length ? plain(buffer) : undefined;
}

/** Returns the bytes of a `Buffer` as what handlers get from everywhere else. A `Buffer` is not copied by `slice()`. */
function plain({ buffer, byteLength, byteOffset }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
