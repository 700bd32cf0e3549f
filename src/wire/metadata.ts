/**
 * Metadata: names and texts beside a payload. In a frame with the flag META it comes before the payload, as a u16 size
 * and a flat JSON object of that size.
 *
 * @module
 */

import { encodeUtf8, utf8Bound, writeUtf8 } from "../base/utf8.ts";
import { WIRE_LIMITS } from "./frame.ts";

/**
 * Names and texts beside a payload. Those that were received are frozen and have no prototype.
 *
 * @category Messages
 */
export type Metadata = Readonly<Record<string, string>>;

/** The metadata of a frame without any. */
export const NO_METADATA: Metadata = /* @__PURE__ */ Object.freeze(/* @__PURE__ */ Object.create(null));

/** The name that belongs to the protocol: how long the sender of a request waits, in milliseconds. */
export const DEADLINE = "deadline";

/** The most bytes of the deadline beside other names: its comma, its name and ten digits. */
const DEADLINE_BYTES = 24;
/** The largest deadline, in milliseconds, which is also the largest timeout of a request. */
export const LONGEST_DEADLINE = 0x7fffffff;
/** A text of up to this many UTF-16 units is written into a buffer of three times its length. */
const SHORT = 16_384;

/**
 * Checks metadata of the program. Returns the members of the JSON object, without its braces; empty for no names.
 *
 * @param what The beginning of error messages, such as `Cannot send "chat"`.
 * @param deadline True if a deadline will be added, which counts as a name.
 * @throws {TypeError} It is not a plain object of names to well-formed strings, or it has the name `deadline`.
 * @throws {RangeError} It has too many names, or takes too many bytes.
 */
export function metadataMembers(what: string, meta: Metadata, deadline: boolean): string {
  if (!isPlain(meta)) throw new TypeError(`${what}: meta must be a plain object of names to strings`);
  const { maxMetadata, maxMetadataNames } = WIRE_LIMITS;
  const names = Object.keys(meta);
  const own = deadline ? 1 : 0;
  const also = deadline ? ", the deadline among them" : "";
  if (names.length + own > maxMetadataNames) {
    throw new RangeError(`${what}: meta has ${names.length + own} names${also}, at most ${maxMetadataNames} are sent`);
  }
  let members = "";
  for (const name of names) {
    const value = meta[name];
    if (name === DEADLINE) {
      throw new TypeError(`${what}: the name "${DEADLINE}" in meta is the library's own, set the timeout of a request`);
    }
    if (typeof value !== "string") {
      throw new TypeError(`${what}: meta.${name} must be a string, not ${value === null ? "null" : typeof value}`);
    }
    if (!name.isWellFormed() || !value.isWellFormed()) {
      throw new TypeError(`${what}: meta.${name.toWellFormed()} has half of a surrogate pair, which is no text`);
    }
    members += `${members === "" ? "" : ","}${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  const most = maxMetadata - 2 - own * DEADLINE_BYTES;
  if (utf8Bound(members) > most && (members.length > most || encodeUtf8(members).length > most)) {
    throw new RangeError(`${what}: meta takes more than ${maxMetadata} bytes as JSON${also}`);
  }
  return members;
}

/**
 * Returns a content that begins with metadata.
 *
 * @param members What {@linkcode metadataMembers} returned.
 * @param deadline How long the sender of a request waits, in milliseconds.
 */
export function joinMetadata(members: string, deadline: number | undefined, payload: Uint8Array | string): Uint8Array {
  let json = `{${members}}`;
  if (deadline !== undefined) {
    json = `{${members}${members === "" ? "" : ","}"${DEADLINE}":"${Math.min(Math.ceil(deadline), LONGEST_DEADLINE)}"}`;
  }
  const content = typeof payload === "string" && payload.length > SHORT ? encodeUtf8(payload) : payload;
  // A shared buffer may grow meanwhile, so the length is read once.
  const { length } = content;
  const text = typeof content === "string";
  // A deadline alone is ASCII.
  const room = members === "" ? json.length : utf8Bound(json);
  const bytes = new Uint8Array(2 + room + (text ? 3 * length : length));
  const size = writeUtf8(json, bytes, 2);
  bytes[0] = size >> 8;
  bytes[1] = size;
  const start = 2 + size;
  if (!text) bytes.set(content.buffer instanceof ArrayBuffer ? content : content.subarray(0, length), start);
  const end = start + (text ? writeUtf8(content, bytes, start) : length);
  return end === bytes.length ? bytes : bytes.subarray(0, end);
}

/** Returns whether a value is a plain object. Others, such as a `Map` or `Headers`, keep what they have elsewhere. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
