/**
 * Encodes text as UTF-8 bytes, and decodes it. Malformed bytes are refused.
 *
 * @module
 */

import { UnreadableError } from "./unreadable.ts";

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Up to this many UTF-16 units, a plain loop is faster than `encodeInto` and the view that it needs. */
const LOOP_UNITS = 96;

/**
 * Encodes text as UTF-8.
 *
 * @param text Any string; lone surrogates become U+FFFD.
 * @returns Its bytes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { decodeUtf8, encodeUtf8 } from "@veltix/core";
 *
 * assertEquals(decodeUtf8(encodeUtf8("日本")), "日本");
 * ```
 *
 * @category Utilities
 */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Decodes UTF-8. A byte order mark is kept, so that the text comes out as it was sent.
 *
 * @param bytes The bytes; not changed.
 * @returns The text.
 * @throws {PayloadError} `invalid-payload`: the bytes are not UTF-8.
 *
 * @category Utilities
 */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new UnreadableError("invalid-payload", `Cannot decode ${bytes.length} bytes as text: they are no UTF-8`, {
      cause,
    });
  }
}

/** Returns the most bytes that a text can take as UTF-8. */
export function utf8Bound(text: string): number {
  return 3 * text.length;
}

/** Writes a text at `at`, where {@linkcode utf8Bound} bytes must be free. Returns the number of bytes written. */
export function writeUtf8(text: string, target: Uint8Array, at: number): number {
  const units = text.length;
  if (units <= LOOP_UNITS) {
    let i = 0;
    for (; i < units; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      target[at + i] = unit;
    }
    if (i === units) return units;
  }
  return encoder.encodeInto(text, target.subarray(at)).written;
}
