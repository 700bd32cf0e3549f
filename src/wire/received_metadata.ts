/**
 * Reads the metadata of received frames.
 *
 * @module
 */

import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import { ProtocolError } from "../errors.ts";
import { WIRE_LIMITS } from "./frame.ts";
import { DEADLINE, LONGEST_DEADLINE, type Metadata, NO_METADATA } from "./metadata.ts";

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
const LONE_DEADLINE: Uint8Array = /* @__PURE__ */ encodeUtf8(`{"${DEADLINE}":"`);
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
