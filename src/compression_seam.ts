/**
 * The interface between the core and the codecs of compression: types only. An adapter implements
 * {@linkcode CompressionCodec}.
 *
 * @module
 */

/**
 * The codecs by their names in the handshake.
 *
 * @category Options
 */
export type CompressionCodecName = "zstd" | "deflate-raw";

/** A codec that works at once, without a promise. */
export interface CompressionCodec {
  readonly name: CompressionCodecName;
  /** The level that is used if the program names none: the cheapest one that compresses well. */
  readonly defaultLevel: number;
  /** Compresses bytes. `level` is 1, the fastest, to 9. The result belongs to the caller. */
  compress(content: Uint8Array, level: number): Uint8Array;
  /**
   * Inflates one frame of zstd or one raw stream of deflate. It takes hardly more memory than `size` and the window of the
   * frame.
   *
   * @param size The number of bytes that it must inflate to, at least 1.
   * @returns The bytes, which belong to the caller; `undefined` unless all of `content` is one frame or stream of `size`
   * bytes.
   */
  inflate(content: Uint8Array, size: number): Uint8Array | undefined;
}

/** How payloads are compressed. */
export interface CompressionTerms {
  /** The codecs that are offered, best first. */
  readonly codecs: readonly CompressionCodec[];
  /** The level; `undefined` for that of the codec. */
  readonly level: number | undefined;
  /** The size of the smallest payload that is compressed, in bytes. */
  readonly least: number;
}
