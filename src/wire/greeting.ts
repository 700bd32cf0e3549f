/**
 * Which protocol does a server speak? In the HELLO protocols the greeting's framing tells: it is tried out, and the right one
 * is the one whose checksum matches.
 *
 * @module
 */

import type { HandshakeError } from "../errors.ts";
import type { DecodedFrame } from "./decoder.ts";
import { SystemCode, WIRE_LIMITS } from "./frame.ts";
import { failed, firstFrame, helloVersion, printable } from "./handshake_messages.ts";
import { get16, get32 } from "./integers.ts";
import { type Protocol, protocol } from "./protocols.ts";
import { sha256Sync } from "./sha256.ts";

/** The framings that begin with HELLO, shortest header first: a longer one is tried when the shorter has failed. */
const HELLO_LAYOUTS: readonly Protocol[] = [protocol("1.6.10"), protocol("1.6.3"), protocol("1.6.0")];
const HELLO_MAGIC_LAYOUT = protocol("1.7.0");

/** A HELLO as a client sees it. */
export interface Hello {
  /** The frame, which stands at the beginning of the bytes. */
  readonly frame: DecodedFrame;
  /** A protocol with this framing. */
  readonly layout: Protocol;
  /** What the server calls itself. */
  readonly release: string;
}

/**
 * Finds the HELLO frame that `bytes` begin with; `undefined` while more of them are needed.
 *
 * @throws {HandshakeError} `handshake-failed`: it is none.
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
    if (layout.integrity === "sha256" && sha256Sync === undefined) {
      throw failed("it seems to speak a protocol with SHA-256, and this runtime has no synchronous one");
    }
    const frame = firstFrame(layout, bytes);
    if (frame === "partial") return undefined;
    if (frame === "damaged") continue;
    const release = helloVersion(frame.content);
    if (release !== undefined) return { frame, layout, release };
  }
  throw notVeltix(bytes);
}

function notVeltix(bytes: Uint8Array): HandshakeError {
  return failed(`it greeted with ${describeBytes(bytes)}, which is no Veltix greeting; check the host and the port`);
}

/** Says what the first bytes look like. */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return "nothing";
  const text = printable(String.fromCharCode(...bytes.subarray(0, 16)));
  if (bytes[0] === 0x15 || bytes[0] === 0x16) return "bytes that look like TLS";
  if (text.startsWith("HTTP/")) return "an HTTP answer";
  if (text.startsWith("SSH-")) return "an SSH greeting";
  const hex = [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `the bytes ${hex}`;
}
