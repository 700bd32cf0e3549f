/**
 * Encodes and decodes JSON. JSON from a peer is limited in size and depth, and has no `__proto__` keys.
 *
 * @module
 */

import { PayloadError } from "../errors.ts";
import { excerpt } from "./untrusted.ts";
import { scanJson } from "./json_scan.ts";
import { UnreadableError } from "./unreadable.ts";
import { decodeUtf8, encodeUtf8, utf8Bound } from "./utf8.ts";

/**
 * How deep arrays and objects of a peer may nest. It is deeper than any sane message, and shallow enough for any
 * recursion.
 */
const MAX_JSON_DEPTH = 128;

/** The most bytes of JSON by default. An engine parses this many in at most about 0.1 s, whatever they are. */
const MAX_JSON_BYTES = 1_048_576;

/**
 * Limits of JSON; all optional.
 *
 * @category Messages
 */
export interface JsonOptions {
  /**
   * The most bytes that a value may take as UTF-8 text, 1 to 2147483647. A longer text is refused before it is parsed,
   * and is not sent either. JSON is costly to parse: 10 MiB of `[[],[],…]` stop the program for about a second.
   * @default 1048576
   */
  readonly maxBytes?: number;
}

/**
 * Encodes a value as JSON.
 *
 * @param value Anything that JSON can represent.
 * @param options `maxBytes`: the most bytes of the text. Default 1048576.
 * @returns UTF-8 text.
 * @throws {PayloadError} `invalid-payload`: a cycle, a bigint, a function, or `undefined`; `payload-too-large`: above
 * `maxBytes`.
 * @throws {RangeError | TypeError} An option is wrong.
 *
 * @category Utilities
 */
export function encodeJson(value: unknown, options: JsonOptions = {}): Uint8Array {
  const text = jsonText(value, maxBytesOf(options));
  return typeof text === "string" ? encodeUtf8(text) : text;
}

/**
 * Decodes JSON from a peer.
 *
 * @param bytes UTF-8 text; not changed.
 * @param options `maxBytes`: the most bytes of the text. Default 1048576.
 * @returns The value. Its type is not checked: give {@linkcode json} a schema for that.
 * @throws {PayloadError} `invalid-payload`: not JSON, nested more than 128 deep, or with a key `__proto__`;
 * `payload-too-large`: above `maxBytes`.
 * @throws {RangeError | TypeError} An option is wrong.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { decodeJson, encodeJson } from "@veltix/core";
 *
 * assertEquals(decodeJson(encodeJson({ a: [1, 2] })), { a: [1, 2] });
 * ```
 *
 * @category Utilities
 */
export function decodeJson(bytes: Uint8Array, options: JsonOptions = {}): unknown {
  return parseJson(bytes, maxBytesOf(options));
}

/** Does what {@linkcode decodeJson} does, with a limit that has already been checked. */
export function parseJson(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes) {
    throw new UnreadableError(
      "payload-too-large",
      `Cannot decode the JSON: its ${bytes.length} bytes are above its maxBytes, ${maxBytes}`,
    );
  }
  const text = decodeUtf8(bytes);
  // A text shorter than two brackets per level cannot nest too deep.
  if (bytes.length >= 2 * MAX_JSON_DEPTH || text.includes("__proto__") || text.includes("\\u")) {
    const flaw = scanJson(bytes, MAX_JSON_DEPTH);
    if (flaw !== undefined) {
      const what = flaw === "deep" ? `it nests more than ${MAX_JSON_DEPTH} deep` : 'it has a key "__proto__"';
      throw new UnreadableError("invalid-payload", `Cannot decode the JSON: ${what}`);
    }
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // Engines quote the payload in the message. As a cause, the error would be printed with the payload unescaped.
    const why = excerpt((error as Error).message);
    throw new UnreadableError("invalid-payload", `Cannot decode the JSON: it is malformed: ${why}`);
  }
}

/** Returns the checked `maxBytes` of the options of JSON. `of` names in messages whose options they are. */
export function maxBytesOf(options: JsonOptions, of: string = "JSON"): number {
  if (typeof options !== "object" || options === null) throw new TypeError(`The options of ${of} must be an object`);
  for (const name of Object.keys(options)) {
    if (name !== "maxBytes") throw new TypeError(`Unknown option "${name}": ${of} has maxBytes`);
  }
  const { maxBytes = MAX_JSON_BYTES } = options;
  if (typeof maxBytes !== "number") throw new TypeError(`maxBytes must be a number, not of type ${typeof maxBytes}`);
  if (Number.isInteger(maxBytes) && maxBytes >= 1 && maxBytes <= 0x7fffffff) return maxBytes;
  throw new RangeError(`maxBytes must be a whole number from 1 to ${0x7fffffff}, not ${maxBytes}`);
}

/** Returns a value as JSON of at most `maxBytes`. It is text, or bytes if only they show how many there are. */
export function jsonText(value: unknown, maxBytes: number): string | Uint8Array {
  const text = stringify(value);
  if (utf8Bound(text) <= maxBytes) return text;
  const bytes = text.length > maxBytes ? undefined : encodeUtf8(text);
  if (bytes !== undefined && bytes.length <= maxBytes) return bytes;
  const size = bytes === undefined ? `${text.length} characters` : `${bytes.length} bytes`;
  throw new PayloadError(
    "payload-too-large",
    `Cannot encode the value as JSON: its ${size} are above its maxBytes, ${maxBytes}`,
  );
}

/** Calls `JSON.stringify`, and throws the errors that {@linkcode encodeJson} documents. */
function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "its toJSON() threw";
    throw new PayloadError("invalid-payload", `Cannot encode the value as JSON: ${why}`, { cause });
  }
  if (text === undefined) {
    throw new PayloadError("invalid-payload", `Cannot encode the value as JSON: JSON has no ${typeof value}`);
  }
  return text;
}
