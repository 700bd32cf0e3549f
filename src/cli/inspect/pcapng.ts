/**
 * Captures as Wireshark has them: pcapng (draft-ietf-opsawg-pcapng), with times in microseconds.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const ORDER = 0x1a2b3c4d;
const ETHERNET = 1;

/** Returns what a capture begins with. */
export function captureHead(application: string): Uint8Array {
  const section = new DataView(new ArrayBuffer(16));
  section.setUint32(0, ORDER, true);
  section.setUint16(4, 1, true);
  // The length of the section is not known.
  section.setBigInt64(8, -1n, true);
  const face = new DataView(new ArrayBuffer(8));
  face.setUint16(0, ETHERNET, true);
  return concat(
    block(SECTION, concat(bytesOf(section), option(4, encoder.encode(application)), END)),
    block(INTERFACE, concat(bytesOf(face), option(2, encoder.encode("veltix")), option(9, Uint8Array.of(6)), END)),
  );
}

/**
 * Returns the block of one packet.
 *
 * @param time Microseconds since 1970.
 */
export function packetBlock(packet: Uint8Array, time: number): Uint8Array {
  const head = new DataView(new ArrayBuffer(20));
  head.setUint32(4, Math.floor(time / 0x1_0000_0000), true);
  head.setUint32(8, time % 0x1_0000_0000, true);
  head.setUint32(12, packet.length, true);
  head.setUint32(16, packet.length, true);
  return block(ENHANCED_PACKET, concat(bytesOf(head), padded(packet)));
}

const encoder = /* @__PURE__ */ new TextEncoder();
const END = /* @__PURE__ */ new Uint8Array(4);

function block(type: number, body: Uint8Array): Uint8Array {
  const size = 12 + body.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, size, true);
  bytes.set(body, 8);
  view.setUint32(size - 4, size, true);
  return bytes;
}

function option(code: number, value: Uint8Array): Uint8Array {
  const head = new DataView(new ArrayBuffer(4));
  head.setUint16(0, code, true);
  head.setUint16(2, value.length, true);
  return concat(bytesOf(head), padded(value));
}

function padded(bytes: Uint8Array): Uint8Array {
  const padding = -bytes.length & 3;
  return padding === 0 ? bytes : concat(bytes, new Uint8Array(padding));
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** A packet of a capture. */
export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly time: number;
  /** The kind of its first header, such as 1 for Ethernet and 113 for Linux's cooked captures. */
  readonly link: number;
  readonly bytes: Uint8Array;
}

/** Returns whether a file is a capture in this form. */
export function isCapture(bytes: Uint8Array): boolean {
  return bytes.length >= 12 && bytes[0] === 0x0a && bytes[1] === 0x0d && bytes[2] === 0x0d && bytes[3] === 0x0a;
}

/**
 * Reads the packets of a capture. Blocks of other kinds are passed over. A file that ends within a block ends before it.
 *
 * @throws {RangeError} A block has an impossible length.
 */
export function* readCapture(bytes: Uint8Array): Generator<CapturedPacket> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let little = true;
  let faces: { link: number; perSecond: number }[] = [];
  for (let at = 0; at + 12 <= bytes.length;) {
    if (view.getUint32(at) === SECTION) {
      little = view.getUint32(at + 8, true) === ORDER;
      faces = [];
    }
    const type = view.getUint32(at, little);
    const size = view.getUint32(at + 4, little);
    if (size < 12 || size % 4 !== 0) {
      throw new RangeError(`Cannot read the capture: a block at ${at} has ${size} bytes`);
    }
    if (at + size > bytes.length) return;
    if (type === INTERFACE) {
      faces.push({ link: view.getUint16(at + 8, little), perSecond: resolution(view, at + 16, at + size - 4, little) });
    } else if (type === ENHANCED_PACKET) {
      const face = faces[view.getUint32(at + 8, little)];
      const ticks = view.getUint32(at + 12, little) * 0x1_0000_0000 + view.getUint32(at + 16, little);
      const length = Math.min(view.getUint32(at + 20, little), size - 32);
      if (face !== undefined) {
        const time = Math.round(ticks * (1e6 / face.perSecond));
        yield { time, link: face.link, bytes: bytes.subarray(at + 28, at + 28 + length) };
      }
    }
    at += size;
  }
}

/** Returns how many ticks of an interface make a second, by its option `if_tsresol`. */
function resolution(view: DataView, from: number, to: number, little: boolean): number {
  for (let at = from; at + 4 <= to;) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === 0) break;
    if (code === 9 && at + 4 < to) {
      const value = view.getUint8(at + 4);
      return (value & 0x80) !== 0 ? 2 ** (value & 0x7f) : 10 ** value;
    }
    at += 4 + length + (-length & 3);
  }
  return 1e6;
}
