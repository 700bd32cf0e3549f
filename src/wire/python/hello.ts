/**
 * Detects the protocol that a server speaks. In the HELLO protocols, the framing of the greeting shows it: each framing
 * is tried, and the right one is the one whose checksum matches. Other greetings are described for the error.
 *
 * @module
 */

import type { HandshakeError } from "../../errors.ts";
import type { DecodedFrame } from "../decoded_frame.ts";
import { FrameDecoder } from "../decoder.ts";
import { SystemCode, WIRE_LIMITS } from "../frame.ts";
import { failed } from "../handshake/messages.ts";
import { get16, get32 } from "../integers.ts";
import { type Protocol, protocol } from "../protocols.ts";
import { firstFrame, helloVersion } from "./hello_frames.ts";
import { hasDigest } from "./sha256.ts";

/**
 * The framings that begin with HELLO, shortest header first. A longer one is tried after the shorter ones have failed.
 */
const HELLO_LAYOUTS: readonly Protocol[] = /* @__PURE__ */ ["1.6.10", "1.6.3", "1.6.0"].map(protocol);
const HELLO_MAGIC_LAYOUT = /* @__PURE__ */ protocol("1.7.0");

/** A HELLO that a client received. */
export interface Hello {
  /** The frame, which begins at the first byte. */
  readonly frame: DecodedFrame;
  /** A protocol with this framing. */
  readonly layout: Protocol;
  /** The release that the server announces. */
  readonly release: string;
}

/**
 * Finds the HELLO frame at the beginning of `bytes`. Returns `undefined` while more bytes are needed.
 *
 * @throws {HandshakeError} `handshake-failed`: the bytes are no HELLO, or this runtime cannot check them.
 */
export function detectHello(bytes: Uint8Array): Hello | undefined {
  const magic = bytes[0] === 0x56 && bytes[1] === 0x58;
  const code = magic ? 2 : 0;
  if (bytes.length < code + 6) {
    if (bytes.length > code && bytes[code] !== 0 || bytes.length > code + 1 && bytes[code + 1] !== SystemCode.HELLO) {
      throw notVeltix(bytes);
    }
    return undefined;
  }
  const size = get32(bytes, code + 2);
  if (get16(bytes, code) !== SystemCode.HELLO || size < 7 || size > WIRE_LIMITS.maxHello) throw notVeltix(bytes);
  for (const layout of magic ? [HELLO_MAGIC_LAYOUT] : HELLO_LAYOUTS) {
    if (!hasDigest(layout)) {
      throw failed("it seems to speak a protocol with SHA-256, and this runtime has no node:crypto");
    }
    const frame = firstFrame(layout, bytes);
    if (frame === "partial") return undefined;
    if (frame === "damaged") continue;
    const release = helloVersion(frame.content);
    if (release !== undefined) return { frame, layout, release };
  }
  throw notVeltix(bytes);
}

/** Returns the error for bytes that are no greeting. It says what they look like, and what to do about it. */
function notVeltix(bytes: Uint8Array): HandshakeError {
  return failed(`it greeted with ${describeBytes(bytes)}, which is no Veltix greeting; ${adviceFor(bytes)}`);
}

/** How the header of a proxy begins, in both versions of the PROXY protocol. */
const PROXY_HEADER = /^(?:PROXY (?:TCP[46]|UNKNOWN)|\r\n\r\n\0\r\nQUIT\n)/;

/** How texts of other programs begin. */
const TEXTS: readonly (readonly [start: RegExp, what: string])[] = [
  [/^HTTP\//, "an HTTP answer"],
  [/^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE|PRI) /, "an HTTP request"],
  [/^SSH-/, "an SSH greeting"],
  [/^220[ -]/, "an SMTP or FTP greeting"],
  [/^(?:EHLO|HELO) /, "an SMTP command"],
  [/^(?:\+(?:OK|PONG)|-(?:ERR|NOAUTH|DENIED|LOADING))\b/, "a Redis or POP3 answer"],
  [/^\*\d+\r\n\$/, "a Redis command"],
  [/^\* OK\b/, "an IMAP greeting"],
  [/^INFO \{/, "a NATS greeting"],
  [/^AMQP/, "an AMQP greeting"],
  [PROXY_HEADER, "the header of a proxy"],
];

/** The number of first bytes that are shown. */
const SHOWN = 16;
/** The number of first bytes that are examined. */
export const LOOKED_AT = 1024;

/** Describes what the first bytes look like. */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return "nothing";
  if (isTls(bytes)) return bytes[0] === 0x15 ? "a TLS alert" : "a TLS handshake";
  if (isNoise(bytes)) return "the hello of an encrypted connection";
  const frame = frameOf(bytes);
  if (frame !== undefined) return `a frame of type ${frame.code}, framed as in ${frame.framing.releases}`;
  // A MySQL greeting begins with its length in 3 bytes, a zero, and the protocol version 10.
  if (bytes.length > 4 && bytes[0] > 0 && bytes[2] === 0 && bytes[3] === 0 && bytes[4] === 10) {
    return "a MySQL greeting";
  }
  const text = String.fromCharCode(...bytes.subarray(0, 64));
  const what = TEXTS.find(([start]) => start.test(text))?.[1];
  const line = /^[ -~]*/.exec(text)![0];
  if (what !== undefined) return `${what}, "${line.slice(0, 40)}"`;
  if (line !== "" && /^[\t\r\n -~]+$/.test(text.slice(0, SHOWN))) return `the text "${line.slice(0, 40)}"`;
  const hex = [...bytes.subarray(0, SHOWN)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `the bytes ${hex}`;
}

/** Returns what to do about a peer that begins with these bytes. */
export function adviceFor(bytes: Uint8Array): string {
  if (isTls(bytes)) {
    return bytes[0] === 0x15
      ? "set the option tls, or connect to a port without TLS"
      : "set the option tls of the listener, or connect without TLS";
  }
  if (isNoise(bytes)) return "set the option encryption on both ends";
  if (PROXY_HEADER.test(String.fromCharCode(...bytes.subarray(0, SHOWN)))) {
    return "set the option proxyProtocol of the server, with the address of the proxy";
  }
  const frame = frameOf(bytes);
  return frame === undefined
    ? "check the host and the port"
    : `set protocol to its release, such as "${frame.framing.name}"`;
}

/** Returns whether the bytes are the hello of an encrypted connection: `VXS`. */
export function isNoise(bytes: Uint8Array): boolean {
  return bytes[0] === 0x56 && bytes[1] === 0x58 && bytes[2] === 0x53;
}

/** Returns whether the bytes look like TLS. Every version begins with the type of a record and a 3. */
export function isTls(bytes: Uint8Array): boolean {
  return (bytes[0] === 0x15 || bytes[0] === 0x16) && (bytes.length === 1 || bytes[1] === 3);
}

/** Returns the protocol of the release whose framing the bytes begin with; `undefined` if there is none. */
export function framingOf(bytes: Uint8Array): Protocol | undefined {
  return frameOf(bytes)?.framing.spoken;
}

/** All framings of Python's Veltix, each with the releases that use it. */
const FRAMINGS = /* @__PURE__ */ framingsOf([
  ["2.0.0", "releases 2.0 to 3.3"],
  ["1.9.0", "releases 1.7 to 1.9"],
  ["1.6.10", "release 1.6.10"],
  ["1.6.9", "releases 1.6.2 to 1.6.9"],
  ["1.3.0", "releases 1.2 to 1.6.1"],
]);

interface Framing {
  readonly name: string;
  readonly releases: string;
  readonly spoken: Protocol;
}

function framingsOf(names: readonly (readonly [name: string, releases: string])[]): readonly Framing[] {
  return names.map(([name, releases]) => ({ name, releases, spoken: protocol(name) }));
}

/** Returns the Python frame that the bytes begin with, and its framing. The content must match its checksum. */
function frameOf(bytes: Uint8Array): { code: number; framing: Framing } | undefined {
  for (const framing of FRAMINGS) {
    const { headerSize, layout } = framing.spoken;
    const size = bytes.length < headerSize ? 0 : get32(bytes, layout.size);
    // The checksum of an empty content proves nothing: zeros would pass for a PING.
    if (size === 0 || headerSize + size > Math.min(bytes.length, LOOKED_AT)) continue;
    if (!hasDigest(framing.spoken)) continue;
    const [frame] = new FrameDecoder(framing.spoken).push(bytes.subarray(0, headerSize + size));
    if (frame !== undefined) return { code: frame.code, framing };
  }
  return undefined;
}
