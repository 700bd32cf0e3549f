/**
 * The messages of the JSON handshakes as both ends write them, and what they say about themselves: the known members of
 * what a peer sends are picked out with their types checked. Nothing of it is merged or spread.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { HandshakeError } from "../../errors.ts";
import { WIRE_LIMITS } from "../frame.ts";
import { put16 } from "../integers.ts";
import { type JsonBounds, type JsonFault, scanJson } from "./json_scan.ts";
import { member, type PeerObject, printable, stringMember } from "../../base/untrusted.ts";
import { PROTOCOL_VERSION } from "../protocols.ts";

const encoder = /* @__PURE__ */ new TextEncoder();

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
export const HANDSHAKE_BOUNDS: JsonBounds = {
  depth: WIRE_LIMITS.maxHandshakeDepth,
  values: WIRE_LIMITS.maxHandshakeValues,
};

/** What is wrong with a message, as the predicate of a sentence. */
export const FAULTS: Readonly<Record<JsonFault, string>> = {
  invalid: "sent no valid JSON",
  "too-deep": `nests its JSON deeper than ${WIRE_LIMITS.maxHandshakeDepth}`,
  "too-many": `has more than ${WIRE_LIMITS.maxHandshakeValues} values in one JSON message`,
};
