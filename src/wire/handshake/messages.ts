/**
 * The parts of both handshakes: length-prefixed JSON messages and HELLO contents. What a peer sends is parsed, and its
 * known members are picked out with their types checked. Nothing of it is merged or spread.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { HandshakeError } from "../../errors.ts";
import type { DecodedFrame } from "../decoded_frame.ts";
import { FrameDecoder } from "../decoder.ts";
import { encodeFrame } from "../encoder.ts";
import { WIRE_LIMITS } from "../frame.ts";
import { get16, get32, put16 } from "../integers.ts";
import { type JsonBounds, type JsonFault, scanJson, type Span } from "./json_scan.ts";
import { isPeerObject, member, type PeerObject, printable, stringMember } from "../../base/untrusted.ts";
import { type Protocol, PROTOCOL_VERSION } from "../protocols.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** One JSON message of a peer. */
export interface JsonMessage {
  /** The parsed object. */
  readonly message: PeerObject;
  /** Its exact bytes, the length before them included. */
  readonly bytes: Uint8Array;
  /**
   * The texts that were left out of the parsed object, as views of `bytes`. The object has their indices in their
   * places.
   */
  readonly cut: readonly Uint8Array[];
  /** The bytes that came after it. */
  readonly rest: Uint8Array;
}

/** Gathers one length-prefixed JSON message from chunks of any size, in linear time. */
export class JsonReader {
  readonly #limit: number;
  readonly #path: readonly string[] | undefined;
  #bytes = EMPTY;
  #held = 0;

  /**
   * @param limit The most bytes the JSON may have.
   * @param path The names that lead to a member whose value is not built.
   */
  constructor(limit: number, path?: readonly string[]) {
    this.#limit = limit;
    this.#path = path;
  }

  /**
   * Takes bytes. Returns the message once it is complete, and holds nothing from then on.
   *
   * @throws {HandshakeError} `handshake-failed`: the message is too long, empty, not UTF-8, not a JSON object, too
   * deep, or has too many values.
   */
  push(chunk: Uint8Array): JsonMessage | undefined {
    let at = this.#take(chunk, 0, 3, Infinity);
    if (this.#held < 2) return undefined;
    const size = get16(this.#bytes, 0);
    if (size > this.#limit) throw failed(`its message of ${size} bytes is above the limit of ${this.#limit}`);
    if (this.#held > 2 && this.#bytes[2] !== 0x7b) throw failed("it sent no JSON object");
    at = this.#take(chunk, at, 2 + size, 2 + size);
    if (this.#held < 2 + size) return undefined;
    const bytes = this.#bytes.length === 2 + size ? this.#bytes : this.#bytes.slice(0, 2 + size);
    this.#bytes = EMPTY;
    this.#held = 0;
    // An empty view would keep the chunk alive for as long as the connection.
    const rest = at === chunk.length ? EMPTY : chunk.subarray(at);
    return { ...parseObject(bytes.subarray(2), this.#path), bytes, rest };
  }

  /** Copies bytes until `want` are held, in a buffer of at most `most`. Returns the index where the chunk goes on. */
  #take(chunk: Uint8Array, at: number, want: number, most: number): number {
    const end = at + Math.max(0, Math.min(want - this.#held, chunk.length - at));
    const held = this.#held + end - at;
    if (held > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(most, Math.max(2 * held, 128)));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(chunk.subarray(at, end), this.#held);
    this.#held = held;
    return end;
  }
}

/**
 * Encodes a JSON message, with its length before it as u16.
 *
 * @throws {RangeError} The message is longer than `limit`, in bytes.
 */
export function jsonMessage(value: unknown, limit: number): Uint8Array {
  const text = JSON.stringify(value);
  const bytes = asciiBehind(2, text) ?? concat(new Uint8Array(2), encoder.encode(text));
  const size = bytes.length - 2;
  if (size > limit) {
    throw new RangeError(`Cannot encode the handshake: its message of ${size} bytes is above the limit of ${limit}`);
  }
  put16(bytes, 0, size);
  return bytes;
}

/**
 * Checks that the other side accepts a message, by its nesting and the number of its values.
 *
 * @throws {RangeError} It does not.
 */
export function checkFits(message: Uint8Array): void {
  const spans = scanJson(message.subarray(2), HANDSHAKE_BOUNDS);
  if (typeof spans === "string") throw new RangeError(`Cannot encode the handshake: it ${FAULTS[spans]}`);
}

/**
 * Returns a text after `free` empty bytes, if it is short and in ASCII. The encoder takes ten times as long on Deno.
 */
function asciiBehind(free: number, text: string): Uint8Array | undefined {
  if (text.length > 1024) return undefined;
  const bytes = new Uint8Array(free + text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return undefined;
    bytes[free + i] = unit;
  }
  return bytes;
}

/** Encodes a HELLO or HELLO_ACK frame. */
export function helloFrame(
  protocol: Protocol,
  code: number,
  requestId: number | string,
  sentAt: number,
  version: string,
): Uint8Array {
  const text = encoder.encode(version);
  const content = new Uint8Array(2 + text.length);
  put16(content, 0, text.length);
  content.set(text, 2);
  return encodeFrame(protocol, {
    code,
    content,
    requestId,
    flags: 0,
    sentAt: protocol.layout.timestamp < 0 ? undefined : sentAt,
  });
}

/**
 * Returns the HELLO or HELLO_ACK frame at the beginning of `bytes`. Its `end` is the index where the bytes go on.
 *
 * @returns `"partial"` while bytes of it are missing; `"damaged"` if its checksum does not match.
 * @throws {ProtocolError} The bytes break the protocol.
 * @throws {HandshakeError} `handshake-failed`: the frame is too large for a HELLO.
 */
export function firstFrame(protocol: Protocol, bytes: Uint8Array): DecodedFrame | "partial" | "damaged" {
  const { headerSize, layout } = protocol;
  const size = bytes.length < layout.size + 4 ? 0 : get32(bytes, layout.size);
  const decoder = new FrameDecoder(protocol, { maxMessageSize: Infinity });
  const [frame] = decoder.push(bytes.subarray(0, headerSize + Math.min(size, WIRE_LIMITS.maxHello)));
  if (decoder.failure !== undefined) throw decoder.failure;
  if (size > WIRE_LIMITS.maxHello) {
    throw failed(`its first frame, of type ${get16(bytes, layout.code)}, is too large for a handshake`);
  }
  return frame ?? (decoder.count === 0 ? "partial" : "damaged");
}

/**
 * Returns the version in the content of a HELLO, three plain numbers; `undefined` if there is none. Bytes after the
 * text are ignored.
 */
export function helloVersion(content: Uint8Array): string | undefined {
  const size = content.length < 2 ? 0 : get16(content, 0);
  if (size > content.length - 2) return undefined;
  const text = String.fromCharCode(...content.subarray(2, 2 + size));
  return /^\d{1,4}\.\d{1,4}\.\d{1,4}$/.test(text) ? text : undefined;
}

/**
 * Returns the "v" of message 1 or 2, which is up to 32 printable ASCII characters without spaces; `undefined` for
 * anything else.
 */
export function releaseMember(object: PeerObject): string | undefined {
  const release = stringMember(object, "v");
  return release !== undefined && /^[!-~]{1,32}$/.test(release) ? release : undefined;
}

/**
 * Returns the release of a peer as messages show it. It is empty for a peer that names only the version of its
 * protocol.
 */
export function named(release: string): string {
  return release === "" ? "unknown" : printable(release);
}

/**
 * Returns the "pv" of message 1 or 2, which 2.0.3 and later send; `undefined` if there is none. If it is not a string,
 * the result is a text that is no version.
 */
export function versionMember(object: PeerObject): string | undefined {
  const version = member(object, "pv");
  return version === undefined || typeof version === "string" ? version : `(${typeof version})`;
}

/** Returns the error for a peer, or a server, that speaks another version of the protocol. */
export function versionMismatch(who: "peer" | "server", release: string, version: string): HandshakeError {
  return new HandshakeError(
    "version-mismatch",
    `Cannot agree with the ${who}: it is release "${named(release)}" and speaks version "${
      printable(version)
    }" of the protocol, this library speaks "${PROTOCOL_VERSION}": look for a newer release of the one that is behind`,
  );
}

/** Returns the error for a handshake that the peer broke. */
export function failed(what: string): HandshakeError {
  return new HandshakeError("handshake-failed", `Cannot agree with the peer: ${what}`);
}

export const EMPTY: Uint8Array = new Uint8Array(0);

/** The limits of a message, chosen so that its value takes little more memory than its bytes. */
const HANDSHAKE_BOUNDS: JsonBounds = { depth: WIRE_LIMITS.maxHandshakeDepth, values: WIRE_LIMITS.maxHandshakeValues };

/** What is wrong with a message, as the predicate of a sentence. */
const FAULTS: Readonly<Record<JsonFault, string>> = {
  invalid: "sent no valid JSON",
  "too-deep": `nests its JSON deeper than ${WIRE_LIMITS.maxHandshakeDepth}`,
  "too-many": `has more than ${WIRE_LIMITS.maxHandshakeValues} values in one JSON message`,
};

function parseObject(bytes: Uint8Array, path?: readonly string[]): Pick<JsonMessage, "message" | "cut"> {
  let value: unknown;
  let cut: Uint8Array[] = [];
  try {
    const text = decoder.decode(bytes);
    const spans = scanJson(bytes, HANDSHAKE_BOUNDS, path);
    if (typeof spans === "string") throw failed(`it ${FAULTS[spans]}`);
    cut = spans.map(({ start, end }) => bytes.subarray(start, end));
    value = JSON.parse(cut.length === 0 ? text : without(bytes, spans));
  } catch (error) {
    throw error instanceof HandshakeError ? error : failed(`it ${FAULTS.invalid}`);
  }
  if (!isPeerObject(value)) throw failed("it sent no JSON object");
  return { message: value, cut };
}

/** Returns the text with each span replaced by its index. */
function without(bytes: Uint8Array, spans: readonly Span[]): string {
  let text = "";
  let at = 0;
  spans.forEach(({ start, end }, i) => {
    text += decoder.decode(bytes.subarray(at, start)) + i;
    at = end;
  });
  return text + decoder.decode(bytes.subarray(at));
}
