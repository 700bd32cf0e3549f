/**
 * Loads the codecs of compression. They are asked for by the first Server or Client with the option `compression`.
 *
 * @module
 */

import type { CompressionCodec } from "../compression_seam.ts";
import { zlibCodecs } from "../adapters/zlib.ts";

/** Returns the codecs of this runtime, best first. */
export function loadCompression(): readonly CompressionCodec[] {
  return zlibCodecs();
}
