/**
 * Checks the bytes of a JSON text before it is parsed: how deep it nests, and whether a key spells `__proto__`. It
 * takes one pass without recursion, and the parsed values are never walked through.
 *
 * @module
 */

import { encodeUtf8 } from "./utf8.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const UNDERSCORE = 0x5f;

const PROTO: Uint8Array = /* @__PURE__ */ encodeUtf8("__proto__");
/** The size of an escaped letter in bytes, `\u005f`. */
const ESCAPED = 6;
/** After this many bytes of a string, a search for its end is faster than checking each byte. */
const LOOK = 64;

/** A flaw that {@linkcode scanJson} finds. */
export type JsonFlaw = "deep" | "proto";

/**
 * Looks for flaws that no JSON text of a peer may have. A malformed text may give any result: parsing it fails, at the
 * latest where the scan went wrong.
 *
 * @param bytes The text as UTF-8.
 * @param maxDepth How deep arrays and objects may nest.
 * @returns The first flaw; `undefined` if there is none.
 */
export function scanJson(bytes: Uint8Array, maxDepth: number): JsonFlaw | undefined {
  const { length } = bytes;
  let depth = 0;
  for (let at = 0; at < length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      const start = at + 1;
      at = stringEnd(bytes, start);
      if (isProto(bytes, start, at) && isKey(bytes, at + 1)) return "proto";
      // `[` and `{` differ from each other in one bit, and so do `]` and `}`.
    } else if ((byte | 0x20) === 0x7b) {
      if (++depth > maxDepth) return "deep";
    } else if ((byte | 0x20) === 0x7d) depth--;
  }
  return undefined;
}

/**
 * Returns the index of the closing quote of the string that begins at `start`; the length of the text if it has none.
 */
function stringEnd(bytes: Uint8Array, start: number): number {
  const { length } = bytes;
  let at = start;
  for (let near = start + LOOK; at < length;) {
    if (at >= near) {
      at = bytes.indexOf(QUOTE, at);
      if (at < 0) return length;
      let before = at;
      while (before > start && bytes[before - 1] === BACKSLASH) before--;
      // An odd number of backslashes escapes the quote.
      if ((at - before) % 2 === 0) return at;
      near = ++at + LOOK;
      continue;
    }
    const byte = bytes[at];
    if (byte === QUOTE) return at;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return length;
}

/**
 * Returns whether the string from `start` to `end` spells `__proto__`, each letter as itself or as `\u` and four
 * digits.
 */
function isProto(bytes: Uint8Array, start: number, end: number): boolean {
  const size = end - start;
  // Each escape makes the string five bytes longer.
  if (size < PROTO.length || size > ESCAPED * PROTO.length || (size - PROTO.length) % 5 !== 0) return false;
  const first = bytes[start];
  if (first !== UNDERSCORE && first !== BACKSLASH) return false;
  let at = start;
  for (const letter of PROTO) {
    if (bytes[at] === letter) at++;
    else if (bytes[at] === BACKSLASH && bytes[at + 1] === 0x75 && at + 6 <= end && escaped(bytes, at + 2) === letter) {
      at += 6;
    } else return false;
  }
  return at === end;
}

/** Returns the code unit that four hexadecimal digits stand for; `NaN` if they are not hexadecimal. */
function escaped(bytes: Uint8Array, at: number): number {
  let unit = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = bytes[i];
    const lower = byte | 0x20;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : NaN;
    unit = 16 * unit + digit;
  }
  return unit;
}

/** Returns whether a string that ends before `at` is a key: a colon follows it, after any whitespace. */
function isKey(bytes: Uint8Array, at: number): boolean {
  while (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === 0x0a || bytes[at] === 0x0d) at++;
  return bytes[at] === COLON;
}
