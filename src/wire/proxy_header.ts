/**
 * Reads the header that a proxy puts before the bytes of a connection, to say whom it speaks for: the PROXY protocol of
 * HAProxy, versions 1 (text) and 2 (binary). A machine without I/O. The format is that of
 * https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import { ipText, parseIpv4, parseIpv6 } from "../base/ip_networks.ts";
import { printable } from "../base/untrusted.ts";
import { describeBytes } from "./python/hello.ts";

/** The most bytes of a header of version 1, with its line break. */
const MOST_TEXT = 107;
/** The most bytes of a header of version 2: those that fit into the smallest segment of TCP. */
const MOST_BINARY = 536;
/** The bytes of a header of version 2 before the addresses. */
const FIXED = 16;
/** The bytes of the addresses and ports, by family: none, IPv4, IPv6, unix sockets. */
const SIZES = [0, 12, 36, 216] as const;
/** The bytes of one address of a unix socket. */
const PATH_SIZE = 108;

/** The type of the value that is the checksum of the header. */
const CHECKSUM = 0x03;

const TEXT_MARK = Uint8Array.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20);
const BINARY_MARK = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const CR = 0x0d;
const LF = 0x0a;

/** What the bytes of a connection so far begin with. */
export type ProxyStep =
  /** A header that is not complete. */
  | { readonly state: "waiting" }
  /**
   * A header. `source` is the peer that the proxy speaks for; `undefined` if the proxy speaks for itself, or does not know
   * the peer. `rest` are the bytes after the header.
   */
  | { readonly state: "done"; readonly source: Address | undefined; readonly rest: Uint8Array }
  /** No header. `why` continues a sentence that begins with "its PROXY header". */
  | { readonly state: "failed"; readonly why: string };

/** The reason why bytes are no header. */
class Unfit extends Error {}

const WAITING: ProxyStep = { state: "waiting" };

/** Reads the header of one connection. It keeps no more than a header and one chunk. */
export class ProxyHeaderReader {
  #bytes: Uint8Array = new Uint8Array(0);

  /** The number of bytes that have come. */
  get size(): number {
    return this.#bytes.length;
  }

  /** Takes the next bytes, until the state is not `waiting`. */
  push(chunk: Uint8Array): ProxyStep {
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    this.#bytes = bytes;
    try {
      if (begins(bytes, TEXT_MARK)) return readText(bytes);
      if (begins(bytes, BINARY_MARK)) return readBinary(bytes);
      throw new Unfit(`is missing: it began with ${describeBytes(bytes)}`);
    } catch (error) {
      if (error instanceof Unfit) return { state: "failed", why: error.message };
      throw error;
    }
  }
}

/** Returns whether bytes begin with a mark, as far as they go. */
function begins(bytes: Uint8Array, mark: Uint8Array): boolean {
  return mark.subarray(0, bytes.length).every((byte, i) => byte === bytes[i]);
}

function readText(bytes: Uint8Array): ProxyStep {
  const line = bytes.subarray(0, MOST_TEXT);
  const end = line.findIndex((byte) => byte === CR || byte === LF);
  if (line[end] === LF || line[end + 1] !== undefined && end >= 0 && line[end + 1] !== LF) {
    throw new Unfit("has half a line break");
  }
  if (end >= 0 && end + 1 < line.length) {
    const source = sourceIn(String.fromCharCode(...line.subarray(0, end)));
    return { state: "done", source, rest: bytes.subarray(end + 2) };
  }
  if (line.length === MOST_TEXT) throw new Unfit(`has no line break within ${MOST_TEXT} bytes`);
  return WAITING;
}

function sourceIn(line: string): Address | undefined {
  const [, family, ...words] = line.split(" ");
  if (family === "UNKNOWN") return undefined;
  const parse = family === "TCP4" ? parseIpv4 : family === "TCP6" ? parseIpv6 : undefined;
  if (parse === undefined) throw new Unfit(`is for none of TCP4, TCP6 and UNKNOWN: "${printable(line)}"`);
  const [source, target] = words.slice(0, 2).map(parse);
  const [port, targetPort] = words.slice(2).map(portOf);
  const whole = words.length === 4 && source !== undefined && target !== undefined && port !== undefined;
  if (!whole || targetPort === undefined) {
    throw new Unfit(`does not have two ${family} addresses and their ports: "${printable(line)}"`);
  }
  return { hostname: ipText(source), port };
}

function portOf(text: string): number | undefined {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined;
}

function readBinary(bytes: Uint8Array): ProxyStep {
  // Each byte is examined as soon as it is there, so that no more is waited for than what may still be right.
  const [version, command] = halves(bytes[12] ?? 0x20);
  if (version !== 2) throw new Unfit(`has the unknown version ${version}`);
  if (command > 1) throw new Unfit(`has the unknown command ${command}`);
  // The proxy itself has connected, perhaps to see whether the server is there. What follows means nothing then.
  const local = command === 0;
  const [family, transport] = local ? [0, 0] : halves(bytes[13] ?? 0);
  if (family >= SIZES.length || transport > 2) {
    throw new Unfit(`has the unknown address family ${family} or transport ${transport}`);
  }
  if (transport === 2) throw new Unfit("is for datagrams");
  if (bytes.length < FIXED) return WAITING;
  const size = FIXED + (bytes[14] << 8 | bytes[15]);
  if (size > MOST_BINARY) throw new Unfit(`has ${size} bytes, and ${MOST_BINARY} are the most`);
  const unspecified = family === 0 || transport === 0;
  const values = FIXED + (unspecified ? 0 : SIZES[family]);
  if (size < values) throw new Unfit(`has ${size} bytes, too few for its addresses`);
  if (bytes.length < size) return WAITING;
  const header = bytes.subarray(0, size);
  const rest = bytes.subarray(size);
  if (unspecified) return { state: "done", source: undefined, rest };
  checkValues(header, values);
  return { state: "done", source: addressIn(header, family), rest };
}

function halves(byte: number): [high: number, low: number] {
  return [byte >> 4, byte & 15];
}

function addressIn(header: Uint8Array, family: number): Address {
  if (family === 3) return { path: pathIn(header.subarray(FIXED, FIXED + PATH_SIZE)) };
  const size = family === 1 ? 4 : 16;
  const port = FIXED + 2 * size;
  return { hostname: ipText(header.subarray(FIXED, FIXED + size)), port: header[port] << 8 | header[port + 1] };
}

/** Returns the path of a unix socket. A name that is no file begins with a zero, which is shown as `@`. */
function pathIn(bytes: Uint8Array): string {
  const name = new TextDecoder().decode(bytes);
  const end = name.indexOf("\0", 1);
  const path = end < 0 ? name : name.slice(0, end);
  return path === "\0" ? "" : printable(path.replace(/^\0/, "@"));
}

/** Checks that the values after the addresses fill the header, and that a checksum among them is right. */
function checkValues(header: Uint8Array, start: number): void {
  for (let at = start; at < header.length;) {
    const size = header[at + 1] << 8 | header[at + 2];
    const value = at + 3;
    at = value + size;
    if (value > header.length || at > header.length) throw new Unfit("ends within one of its values");
    if (header[value - 3] === CHECKSUM && !hasChecksum(header, value, size)) throw new Unfit("has a wrong checksum");
  }
}

/** Returns whether four bytes of a header are the CRC-32C of the header with zeros in their place. */
function hasChecksum(header: Uint8Array, at: number, size: number): boolean {
  if (size !== 4) return false;
  const [a, b, c, d] = header.subarray(at, at + 4);
  return crc32c(header.slice().fill(0, at, at + 4)) === ((a << 24 | b << 16 | c << 8 | d) >>> 0);
}

/** Computes a CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), bit by bit: headers are short and rare. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1) * 0x82f63b78;
  }
  return ~crc >>> 0;
}
