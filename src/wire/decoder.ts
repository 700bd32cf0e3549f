/**
 * Bytes to frames. Chunks may be cut anywhere: the frames come out the same, in time linear in the bytes. A frame that lies
 * whole in a chunk is handed out as a view of it; one that does not is gathered in a buffer that grows as bytes arrive,
 * never by the size that a header announces.
 *
 * @module
 */

import { ConfigError, ProtocolError } from "../errors.ts";
import { Carry } from "./carry.ts";
import { crc32Header, crc32Range, crc8 } from "./crc32.ts";
import { type Frame, WIRE_LIMITS } from "./frame.ts";
import { get16, get32 } from "./integers.ts";
import { flagFault, type Protocol } from "./protocols.ts";
import { sha256Sync } from "./sha256.ts";

/** Options of a {@linkcode FrameDecoder}; all optional. */
export interface DecoderOptions {
  /** The largest frame, header included, in bytes. @default 10485760 */
  readonly maxMessageSize?: number;
  /** Flags of negotiated features that frames may carry, or-ed. @default 0 */
  readonly features?: number;
  /** Called for each frame dropped because its checksum did not match (the Python protocols go on after one). */
  readonly onDrop?: (error: ProtocolError) => void;
  /** `false` leaves SHA-256 to the caller, who finds it in {@linkcode DecodedFrame.digest}. @default true */
  readonly verify?: boolean;
}

/** A received frame. `content` is a view made on first use. */
export class DecodedFrame implements Frame {
  readonly code: number;
  readonly flags: number;
  readonly requestId: number | string;
  readonly sentAt: number | undefined;
  /** Where the content stands: `buffer[start..end)`. */
  readonly buffer: Uint8Array;
  /** Where in `buffer` the content begins. */
  readonly start: number;
  /** Where in `buffer` the content ends. */
  readonly end: number;
  /** The unverified SHA-256, with `verify: false`. */
  readonly digest: Uint8Array | undefined;
  #content: Uint8Array | undefined = undefined;

  /** Made by a {@linkcode FrameDecoder}. */
  constructor(
    code: number,
    flags: number,
    requestId: number | string,
    sentAt: number | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    digest: Uint8Array | undefined,
  ) {
    this.code = code;
    this.flags = flags;
    this.requestId = requestId;
    this.sentAt = sentAt;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.digest = digest;
  }

  /** The payload. */
  get content(): Uint8Array {
    return this.#content ??= this.buffer.subarray(this.start, this.end);
  }

  /** Copies the frame, so that it no longer keeps the received chunk alive. */
  copy(): DecodedFrame {
    const content = this.buffer.slice(this.start, this.end);
    return new DecodedFrame(
      this.code,
      this.flags,
      this.requestId,
      this.sentAt,
      content,
      0,
      content.length,
      this.digest,
    );
  }
}

/**
 * Cuts a stream of bytes into frames.
 *
 * @example Any chunking gives the same frames
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { encodeFrame, FrameDecoder, protocol } from "@veltix/core/wire";
 *
 * const native = protocol("native");
 * const bytes = encodeFrame(native, { code: 200, content: new Uint8Array([1, 2]), requestId: 0, flags: 0 });
 * const decoder = new FrameDecoder(native);
 * assertEquals(decoder.push(bytes.subarray(0, 5)).length, 0);
 * const [frame] = decoder.push(bytes.subarray(5));
 * assertEquals([...frame.content], [1, 2]);
 * ```
 */
export class FrameDecoder {
  readonly #protocol: Protocol;
  readonly #limit: number;
  readonly #features: number;
  readonly #onDrop: ((error: ProtocolError) => void) | undefined;
  readonly #verify: boolean;
  #failure: ProtocolError | undefined = undefined;
  /** The beginning of an unfinished frame. */
  readonly #carry = new Carry();
  /** Size of the frame in `#carry`, header included; 0 until its header is whole. */
  #total = 0;
  #count = 0;

  /**
   * Creates a decoder for one stream.
   *
   * @param protocol The wire protocol, from {@linkcode protocol}.
   * @param options Limits.
   * @throws {ConfigError} `unsupported`: a 62-byte protocol where there is no synchronous SHA-256.
   */
  constructor(protocol: Protocol, options: DecoderOptions = {}) {
    this.#protocol = protocol;
    this.#limit = options.maxMessageSize ?? WIRE_LIMITS.maxMessageSize;
    this.#features = options.features ?? 0;
    this.#onDrop = options.onDrop;
    this.#verify = options.verify ?? true;
    if (this.#verify && protocol.integrity === "sha256" && sha256Sync === undefined) {
      throw new ConfigError(
        "unsupported",
        `Cannot decode protocol "${protocol.name}": this runtime has no synchronous SHA-256, use FrameDecoderStream`,
      );
    }
  }

  /** What ended the stream, once it is broken. The frames before it were handed out. */
  get failure(): ProtocolError | undefined {
    return this.#failure;
  }

  /** Bytes held of a frame that is not complete yet. */
  get partial(): number {
    return this.#carry.size;
  }

  /** Frames decoded so far, dropped ones included. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @param chunk Any number of bytes. Frames keep views of it: do not write into it again.
   * @returns The frames completed by it, in order. Where the stream breaks, those before the break, and
   * {@linkcode failure} is set.
   * @throws {ProtocolError} The stream was already broken.
   */
  push(chunk: Uint8Array): DecodedFrame[] {
    if (this.#failure !== undefined) throw this.#failure;
    const frames: DecodedFrame[] = [];
    let at = this.#carry.size === 0 ? 0 : this.#resume(chunk, frames);
    const headerSize = this.#protocol.headerSize;
    const length = chunk.length;
    while (at < length && this.#failure === undefined) {
      const there = length - at;
      if (!this.#plausible(chunk, at, there)) break;
      const total = there < headerSize ? 0 : headerSize + get32(chunk, at + this.#protocol.layout.size);
      if (total === 0 || there < total) {
        this.#total = total;
        this.#carry.append(chunk, at, length, total === 0 ? headerSize : total);
        break;
      }
      this.#take(chunk, at, total, frames);
      at += total;
    }
    return frames;
  }

  /** Goes on with the unfinished frame; returns how much of the chunk went into it. */
  #resume(chunk: Uint8Array, frames: DecodedFrame[]): number {
    const carry = this.#carry;
    let at = 0;
    if (this.#total === 0) {
      const { headerSize, layout } = this.#protocol;
      at = Math.min(headerSize - carry.size, chunk.length);
      carry.append(chunk, 0, at, headerSize);
      if (!this.#plausible(carry.buffer, 0, carry.size) || carry.size < headerSize) return at;
      this.#total = headerSize + get32(carry.buffer, layout.size);
    }
    const total = this.#total;
    const end = Math.min(at + total - carry.size, chunk.length);
    carry.append(chunk, at, end, total);
    if (carry.size === total) this.#take(carry.release(), 0, total, frames);
    return end;
  }

  /** Looks at as much of a header as there is; false, and a failure, when it can't become a good one. */
  #plausible(buffer: Uint8Array, at: number, there: number): boolean {
    const protocol = this.#protocol;
    const { layout } = protocol;
    if (layout.magic >= 0) {
      if (buffer[at] !== 0x56 || there > 1 && buffer[at + 1] !== 0x58) {
        return this.#fail("protocol-error", 'a frame does not begin with "VX"');
      }
    }
    if (there < protocol.early) return true;
    if (layout.check >= 0 && crc8(buffer, at + 1, at + 12) !== buffer[at]) {
      return this.#fail("corrupt", "a header does not match its check byte");
    }
    if (layout.flags >= 0) {
      const flags = buffer[at + layout.flags];
      const id = layout.check >= 0 ? get32(buffer, at + layout.id) : 0;
      if (flags !== 0 || id !== 0) {
        const fault = flagFault(protocol, flags, get16(buffer, at + layout.code), id, this.#features);
        if (fault !== undefined) return this.#fail("protocol-error", fault);
      }
    }
    const total = protocol.headerSize + get32(buffer, at + layout.size);
    if (total > this.#limit) {
      return this.#fail("message-too-large", `a frame of ${total} bytes is above the limit of ${this.#limit}`);
    }
    return true;
  }

  /** A whole frame with a plausible header: checks the content and hands it out. */
  #take(buffer: Uint8Array, at: number, total: number, frames: DecodedFrame[]): void {
    const protocol = this.#protocol;
    const { layout } = protocol;
    const start = at + protocol.headerSize;
    const end = at + total;
    const code = get16(buffer, at + layout.code);
    let digest: Uint8Array | undefined;
    let good: boolean;
    this.#count++;
    if (protocol.integrity === "crc32") {
      good = crc32Range(buffer, start, end, 0) === get32(buffer, at + layout.digest);
    } else if (protocol.integrity === "crc8+crc32") {
      good = crc32Range(buffer, start, end, crc32Header(buffer, at)) === get32(buffer, at + layout.digest);
      if (!good) {
        this.#fail("corrupt", `a frame of type ${code} does not match its CRC-32`);
        return;
      }
    } else {
      digest = buffer.subarray(at + layout.digest, at + layout.digest + 32);
      good = !this.#verify || same(digest, sha256Sync!(buffer.subarray(start, end)));
    }
    if (!good) {
      this.#onDrop?.(dropped(code, end - start));
      return;
    }
    const flags = layout.flags < 0 ? 0 : buffer[at + layout.flags];
    const sentAt = layout.timestamp < 0
      ? undefined
      : get32(buffer, at + layout.timestamp) * 0x1_0000_0000 + get32(buffer, at + layout.timestamp + 4);
    const id = at + layout.id;
    const requestId = protocol.ids === "u32"
      ? get32(buffer, id)
      : protocol.ids === "u16"
      ? get16(buffer, id)
      : getUuid(buffer, id);
    frames.push(
      new DecodedFrame(code, flags, requestId, sentAt, buffer, start, end, this.#verify ? undefined : digest),
    );
  }

  #fail(code: "corrupt" | "message-too-large" | "protocol-error", what: string): false {
    this.#failure = new ProtocolError(code, `Cannot decode the stream: ${what}`);
    this.#carry.release();
    return false;
  }
}

/** The error that names a frame which was left out. */
export function dropped(code: number, size: number): ProtocolError {
  return new ProtocolError("corrupt", `Dropped a frame of type ${code}, ${size} bytes: its checksum does not match`);
}

function getUuid(buffer: Uint8Array, at: number): string {
  let text = "";
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
    text += buffer[at + i].toString(16).padStart(2, "0");
  }
  return text;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return false;
  return true;
}
