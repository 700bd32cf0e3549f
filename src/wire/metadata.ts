/**
 * Metadata: names and texts beside a payload. In a frame with the flag META it comes before the payload, as a u16 size
 * and a flat JSON object of that size.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { decodeUtf8, encodeUtf8, utf8Bound, writeUtf8 } from "../base/utf8.ts";
import { WIRE_LIMITS } from "./frame.ts";

/** Names and texts beside a payload. Those that were received are frozen and have no prototype. */
export type Metadata = Readonly<Record<string, string>>;

/** The metadata of a received frame. */
export interface ReceivedMetadata {
  /** All names but {@linkcode DEADLINE}. */
  readonly names: Metadata;
  /** The time that the sender of a request waits, in milliseconds from its arrival; `undefined` if it does not say. */
  readonly deadline: number | undefined;
  /** The bytes that the metadata takes in the frame. */
  readonly size: number;
}

/** A received content, split into its metadata and its payload. */
export interface SplitContent {
  readonly meta: ReceivedMetadata;
  readonly content: Uint8Array;
}

/** The metadata of a frame without any. */
export const NO_METADATA: Metadata = Object.freeze(Object.create(null));

/** The name that belongs to the protocol: how long the sender of a request waits, in milliseconds. */
export const DEADLINE = "deadline";

/** The most bytes of the deadline beside other names: its comma, its name and ten digits. */
const DEADLINE_BYTES = 24;
/** The largest deadline, in milliseconds, which is also the largest timeout of a request. */
const LONGEST_DEADLINE = 0x7fffffff;
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

/**
 * Splits a received content.
 *
 * @throws {ProtocolError} `protocol-error`: its metadata is malformed.
 */
export function splitMetadata(content: Uint8Array): SplitContent {
  const size = content.length < 2 ? Infinity : content[0] << 8 | content[1];
  if (size > content.length - 2) throw malformed("it is longer than the content");
  const { maxMetadata } = WIRE_LIMITS;
  if (size > maxMetadata) throw malformed(`its ${size} bytes are above the limit of ${maxMetadata}`);
  const deadline = loneDeadline(content, 2, size);
  const meta = deadline >= 0
    ? { names: NO_METADATA, deadline, size: 2 + size }
    : parse(content.subarray(2, 2 + size), 2 + size);
  return { meta, content: content.subarray(2 + size) };
}

/**
 * Returns the deadline if that is all there is, in the form in which this library writes it; -1 for anything else. Most
 * metadata of a program that uses none is that, and parsing it would take three times as long as all the rest of a request.
 */
function loneDeadline(content: Uint8Array, at: number, size: number): number {
  const digits = size - LONE_DEADLINE.length - 2;
  // Nine digits are below the longest deadline, whatever they are.
  if (digits < 1 || digits > 9) return -1;
  for (let i = 0; i < LONE_DEADLINE.length; i++) if (content[at + i] !== LONE_DEADLINE[i]) return -1;
  const start = at + LONE_DEADLINE.length;
  const end = start + digits;
  if (content[end] !== QUOTE || content[end + 1] !== CLOSE || content[start] === ZERO && digits > 1) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = content[i] - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = 10 * value + digit;
  }
  return value;
}

function parse(bytes: Uint8Array, size: number): ReceivedMetadata {
  const strings = flatStrings(bytes);
  let object: Record<string, string>;
  let text: string;
  try {
    text = decodeUtf8(bytes);
    object = JSON.parse(text);
  } catch (cause) {
    throw malformed("it is not JSON in UTF-8", cause);
  }
  const found = Object.keys(object);
  if (strings !== 2 * found.length) throw malformed("a name comes twice");
  if (found.length > WIRE_LIMITS.maxMetadataNames) throw malformed(`it has ${found.length} names`);
  // UTF-8 has no halves of surrogate pairs, only an escape can make one.
  const escaped = text.includes("\\u");
  let names: Record<string, string> | undefined;
  let deadline: number | undefined;
  for (const name of found) {
    const value = object[name];
    if (escaped && !(name.isWellFormed() && value.isWellFormed())) throw malformed("it has half of a surrogate pair");
    if (name === DEADLINE) deadline = milliseconds(value);
    else (names ??= Object.create(null) as Record<string, string>)[name] = value;
  }
  return { names: names === undefined ? NO_METADATA : Object.freeze(names), deadline, size };
}

/**
 * Returns the number of strings in a JSON text that can only be a flat object of strings. A name that comes twice would be
 * lost silently by parsing, but its string is counted.
 *
 * @throws {ProtocolError} It has anything else outside of its strings.
 */
function flatStrings(bytes: Uint8Array): number {
  let strings = 0;
  let objects = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
      strings++;
    } else if (byte === OPEN) objects++;
    else if (!BETWEEN.includes(byte)) throw malformed("it is not a flat object of names to strings");
  }
  if (objects !== 1) throw malformed("it is not a flat object of names to strings");
  return strings;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const ZERO = 0x30;
/** The beginning of metadata that is nothing but a deadline. */
const LONE_DEADLINE: readonly number[] = [...`{"${DEADLINE}":"`].map((letter) => letter.charCodeAt(0));
/** What JSON has between the strings of an object: colon, comma, closing brace and whitespace. */
const BETWEEN: readonly number[] = [0x3a, 0x2c, 0x7d, 0x20, 0x09, 0x0a, 0x0d];

function milliseconds(text: string): number {
  const value = /^(?:0|[1-9]\d{0,9})$/.test(text) ? Number(text) : Infinity;
  if (value > LONGEST_DEADLINE) throw malformed(`${DEADLINE} is not decimal milliseconds up to ${LONGEST_DEADLINE}`);
  return value;
}

function malformed(why: string, cause?: unknown): ProtocolError {
  return new ProtocolError("protocol-error", `The metadata of a frame is malformed: ${why}`, { cause });
}

/** Returns whether a value is a plain object. Others, such as a `Map` or `Headers`, keep what they have elsewhere. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
