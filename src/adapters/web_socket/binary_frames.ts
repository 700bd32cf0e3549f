/**
 * Writes binary messages of WebSockets to a stream, each as one frame (RFC 6455, section 5.2).
 *
 * The package `ws` masks byte by byte. Four bytes at a time take a fraction of that, and masking is most of what a client
 * does to send large messages.
 *
 * @module
 */

import type * as NodeBuffer from "node:buffer";
import { builtinModule } from "../../base/builtin_module.ts";

const { Buffer } = (builtinModule("node:buffer") ?? {}) as typeof NodeBuffer;

/** The part of the stream below a WebSocket that is used. */
export interface FrameStream {
  /** The number of bytes that the system has not taken. */
  readonly writableLength: number;
  cork(): void;
  uncork(): void;
  write(bytes: Uint8Array, sent?: (error?: Error | null) => void): unknown;
}

/** FIN, and the opcode of binary messages. */
const BINARY = 0x82;
const MASKED = 0x80;
/** The size of a masking key, in bytes. */
const KEY = 4;
/** Up to this size, in bytes, a copy of a message takes less time than a second buffer for its header. */
const COPIED = 4_096;
/** Up to this size, in bytes, a message is masked byte by byte. */
const SMALL = 64;
/** How many bytes of keys are drawn at a time. */
const DRAWN = 1_024;

/** The masking keys of the messages of clients. No server can know the next one. */
export class MaskKeys {
  readonly #drawn = new Uint8Array(DRAWN);
  #used = DRAWN;

  /** Writes the next key to `into` at `at`. */
  next(into: Uint8Array, at: number): void {
    if (this.#used === DRAWN) {
      crypto.getRandomValues(this.#drawn);
      this.#used = 0;
    }
    for (let i = 0; i < KEY; i++) into[at + i] = this.#drawn[this.#used + i];
    this.#used += KEY;
  }
}

/**
 * Writes a binary message.
 *
 * @param stream The stream.
 * @param bytes The content of the message. It is borrowed until `sent` is called, unless it is masked.
 * @param keys The masking keys, on the side of the client; `undefined` on the side of the server.
 * @param sent Called when the message is written, or cannot be.
 */
export function writeMessage(
  stream: FrameStream,
  bytes: Uint8Array,
  keys: MaskKeys | undefined,
  sent: (error?: Error | null) => void,
): void {
  if (keys !== undefined) return void stream.write(maskedFrame(bytes, keys), sent);
  const size = headerSize(bytes.length);
  if (bytes.length <= COPIED) {
    const frame = Buffer.allocUnsafe(size + bytes.length);
    writeHeader(frame, bytes.length, 0);
    frame.set(bytes, size);
    stream.write(frame, sent);
    return;
  }
  const header = Buffer.allocUnsafe(size);
  writeHeader(header, bytes.length, 0);
  stream.cork();
  stream.write(header);
  stream.write(bytes, sent);
  stream.uncork();
}

function maskedFrame(bytes: Uint8Array, keys: MaskKeys): Uint8Array {
  const begin = headerSize(bytes.length) + KEY;
  const frame = Buffer.allocUnsafe(begin + bytes.length);
  writeHeader(frame, bytes.length, MASKED);
  keys.next(frame, begin - KEY);
  frame.set(bytes, begin);
  mask(frame, begin);
  return frame;
}

/** Masks what is in `frame` from `begin` on, with the key before it. */
function mask(frame: Uint8Array, begin: number): void {
  const key = begin - KEY;
  let at = begin;
  if (frame.length - begin > SMALL) {
    for (; (frame.byteOffset + at) % 4 !== 0; at++) frame[at] ^= frame[key + (at - begin) % KEY];
    // The key as it is from here on, in the order of this machine's bytes.
    const turned = new Uint8Array(KEY);
    for (let i = 0; i < KEY; i++) turned[i] = frame[key + (at - begin + i) % KEY];
    const word = new Uint32Array(turned.buffer)[0];
    const words = new Uint32Array(frame.buffer, frame.byteOffset + at, (frame.length - at) >>> 2);
    for (let i = 0; i < words.length; i++) words[i] ^= word;
    at += 4 * words.length;
  }
  for (; at < frame.length; at++) frame[at] ^= frame[key + (at - begin) % KEY];
}

/** The size of the header of a frame without a masking key, in bytes. */
function headerSize(size: number): number {
  return size < 126 ? 2 : size < 65_536 ? 4 : 10;
}

/** Writes the header of a frame without a masking key. A message has less than 4 GiB. */
function writeHeader(frame: NodeBuffer.Buffer, size: number, masked: number): void {
  frame[0] = BINARY;
  if (size < 126) frame[1] = masked | size;
  else if (size < 65_536) {
    frame[1] = masked | 126;
    frame.writeUInt16BE(size, 2);
  } else {
    frame[1] = masked | 127;
    frame.writeUInt32BE(0, 2);
    frame.writeUInt32BE(size, 6);
  }
}
