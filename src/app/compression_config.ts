/**
 * The option `compression` of a Server and a Client.
 *
 * @module
 */

import { type Check, optional, type OptionTable, readOptions, show, whole } from "../base/checks.ts";
import type { CompressionCodecName, CompressionTerms } from "../compression_seam.ts";
import { ConfigError } from "../errors.ts";
import { noLoader, type Platform } from "./platform.ts";

/**
 * Options of compression; all optional.
 *
 * @category Options
 */
export interface CompressionOptions {
  /**
   * How hard to compress: 1, the fastest, to 9, the smallest.
   * @default 1 for zstd, 2 for deflate
   */
  readonly level?: number;
  /** The size of the smallest payload that is compressed, in bytes. @default 1024 */
  readonly least?: number;
  /**
   * The codecs that may be used, best first; those that the runtime does not have are left out. A server uses the first of
   * its own that the client has, too.
   * @default ["zstd", "deflate-raw"]
   */
  readonly codecs?: readonly CompressionCodecName[];
}

/** The option `compression`, read. */
export interface CompressionSettings {
  readonly level: number | undefined;
  readonly least: number;
  readonly codecs: readonly CompressionCodecName[];
}

const CODECS: readonly CompressionCodecName[] = ["zstd", "deflate-raw"];

const OPTIONS = {
  level: optional(whole(1, 9)),
  least: optional(whole(1), 1_024),
  codecs: optional(codecNames, CODECS),
} satisfies OptionTable<CompressionOptions>;

/** Checks the option `compression`. Returns `undefined` if it is off. */
export const compressionOf: Check<CompressionSettings | undefined> = (name, value) => {
  if (value === false) return undefined;
  if (value !== true && (typeof value !== "object" || value === null)) {
    throw new TypeError(`${name} must be true, false or an object, not ${show(value)}`);
  }
  return readOptions(name, value === true ? {} : value, OPTIONS, `${name}.`);
};

/**
 * Returns the terms of compression, with the codecs that the runtime has.
 *
 * @throws {ConfigError} `unsupported`: there is no platform, or it has none of the codecs.
 */
export function compressionTerms(
  settings: CompressionSettings | undefined,
  platform: Platform | undefined,
): CompressionTerms | undefined {
  if (settings === undefined) return undefined;
  if (platform === undefined) throw noLoader("compression");
  const found = platform.loadCompression();
  const codecs = settings.codecs.flatMap((wanted) => found.find(({ name }) => name === wanted) ?? []);
  if (codecs.length > 0) return { ...settings, codecs };
  const has = found.length === 0 ? "none" : found.map(({ name }) => name).join(" and ");
  throw new ConfigError(
    "unsupported",
    `compression cannot use ${settings.codecs.join(" or ")} on this runtime, which has ${has}`,
  );
}

function codecNames(name: string, value: unknown): readonly CompressionCodecName[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new TypeError(`${name} must be an array of at least one codec`);
  }
  const wrong = value.findIndex((codec) => !CODECS.includes(codec));
  if (wrong >= 0) throw new RangeError(`${name}[${wrong}] must be ${CODECS.join(" or ")}, not ${show(value[wrong])}`);
  return [...new Set(value as CompressionCodecName[])];
}
