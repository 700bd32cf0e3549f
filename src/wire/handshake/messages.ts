/**
 * The pieces both handshakes are made of: length-prefixed JSON messages and HELLO contents, read with care. What a peer
 * sends is parsed, its known members are picked out with their types checked, and nothing of it is merged or spread.
 *
 * @module
 */

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
  /** What it says. */
  readonly message: PeerObject;
  /** Its exact bytes, the length before them included. */
  readonly bytes: Uint8Array;
  /** The texts that were left out of it, views of `bytes`: in the message their indices stand where they stood. */
  readonly cut: readonly Uint8Array[];
  /** What came after it. */
  readonly rest: Uint8Array;
}

/** Gathers one length-prefixed JSON message, in whatever pieces it comes, in linear time. */
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
   * Takes bytes; returns the message once it is whole, and holds nothing any more.
   *
   * @throws {HandshakeError} `handshake-failed`: too long, empty, no UTF-8, no JSON object, too deep, too many values.
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

  /** Moves bytes over until `want` are held, into room for `most` at most; returns where the chunk goes on. */
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

/** A JSON message with its u16 length. */
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
 * Checks that the other side takes a message as far as what it holds goes.
 *
 * @throws {RangeError} It does not.
 */
export function checkFits(message: Uint8Array): void {
  const spans = scanJson(message.subarray(2), HANDSHAKE_BOUNDS);
  if (typeof spans === "string") throw new RangeError(`Cannot encode the handshake: it ${FAULTS[spans]}`);
}

/** A text after some free bytes, where it is short and in ASCII: the encoder takes ten times as long on Deno. */
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

/** A HELLO or HELLO_ACK frame. */
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
 * The HELLO or HELLO_ACK frame that `bytes` begin with; it stands at their beginning, so its `end` is where they go on.
 *
 * @returns `"partial"` while bytes of it are missing, `"damaged"` when its checksum does not match.
 * @throws {ProtocolError} It breaks the protocol.
 * @throws {HandshakeError} `handshake-failed`: it is too large for a HELLO.
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

/** The version inside a HELLO's content, three plain numbers, or `undefined`. Bytes after the text are ignored. */
export function helloVersion(content: Uint8Array): string | undefined {
  const size = content.length < 2 ? 0 : get16(content, 0);
  if (size > content.length - 2) return undefined;
  const text = String.fromCharCode(...content.subarray(2, 2 + size));
  return /^\d{1,4}\.\d{1,4}\.\d{1,4}$/.test(text) ? text : undefined;
}

/** The "v" of message 1 or 2: a short text without spaces and control characters; `undefined` for anything else. */
export function releaseMember(object: PeerObject): string | undefined {
  const release = stringMember(object, "v");
  return release !== undefined && /^[!-~]{1,32}$/.test(release) ? release : undefined;
}

/** What a peer calls itself, for people; empty is one that says only which version of the protocol it speaks. */
export function named(release: string): string {
  return release === "" ? "unknown" : printable(release);
}

/** The "pv" of message 1 or 2, which 2.0.3 and later send: `undefined` where there is none, and no version if it is no text. */
export function versionMember(object: PeerObject): string | undefined {
  const version = member(object, "pv");
  return version === undefined || typeof version === "string" ? version : `(${typeof version})`;
}

/** The error of a peer, or of a server, that speaks another version of the protocol. */
export function versionMismatch(who: "peer" | "server", release: string, version: string): HandshakeError {
  return new HandshakeError(
    "version-mismatch",
    `Cannot agree with the ${who}: it is release "${named(release)}" and speaks version "${
      printable(version)
    }" of the protocol, this library speaks "${PROTOCOL_VERSION}": look for a newer release of the one that is behind`,
  );
}

/** The error of a handshake that the peer broke. */
export function failed(what: string): HandshakeError {
  return new HandshakeError("handshake-failed", `Cannot agree with the peer: ${what}`);
}

/** No bytes. */
export const EMPTY: Uint8Array = new Uint8Array(0);

/** Two pieces as one, without a copy where the first is empty. */
export function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** What a message may hold, so that its value takes little more than its bytes. */
const HANDSHAKE_BOUNDS: JsonBounds = { depth: WIRE_LIMITS.maxHandshakeDepth, values: WIRE_LIMITS.maxHandshakeValues };

/** What is wrong with a message, for a sentence that says whose it is. */
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

/** The text with the index of each span in its place. */
function without(bytes: Uint8Array, spans: readonly Span[]): string {
  let text = "";
  let at = 0;
  spans.forEach(({ start, end }, i) => {
    text += decoder.decode(bytes.subarray(at, start)) + i;
    at = end;
  });
  return text + decoder.decode(bytes.subarray(at));
}
