/**
 * Bytes to frames. Chunks may be cut anywhere: the frames come out the same, in time linear in the bytes. A frame that lies
 * whole in a chunk is handed out as a view of it; one that does not is gathered in a buffer that grows as bytes arrive,
 * never by the size that a header announces.
 *
 * @module
 */

import { ConfigError, ProtocolError } from "../errors.ts";
import { Carry } from "./carry.ts";
import { crc32Header, crc32Range } from "./crc32.ts";
import { DecodedFrame, getUuid, unpin } from "./decoded_frame.ts";
import { type DecoderOptions, dropped } from "./decoder_options.ts";
import { WIRE_LIMITS } from "./frame.ts";
import { headerFault } from "./header.ts";
import { get16, get32 } from "./integers.ts";
import type { Protocol } from "./protocols.ts";
import { endless, FORGED, Resync } from "./resync.ts";
import { sha256Sync } from "./sha256.ts";

export type { DecoderOptions };

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
  /** The search behind torn frames, where there is one. */
  readonly #resync: Resync | undefined;
  #failure: ProtocolError | undefined = undefined;
  /** The beginning of an unfinished frame. */
  readonly #carry = new Carry();
  /** Size of the frame in `#carry`, header included; 0 until its header is whole. */
  #total = 0;
  /** How much of that frame must be there to look at it again: all of it, where nothing speaks against its header. */
  #goal = 0;
  #count = 0;

  /**
   * Creates a decoder for one stream.
   *
   * @param protocol The wire protocol, from {@linkcode protocol}.
   * @param options Limits.
   * @throws {ConfigError} `unsupported`: a 62-byte protocol where there is no synchronous SHA-256. `invalid-config`:
   * `recovery: "resync"` for a protocol without a magic.
   */
  constructor(protocol: Protocol, options: DecoderOptions = {}) {
    this.#protocol = protocol;
    this.#limit = options.maxMessageSize ?? WIRE_LIMITS.maxMessageSize;
    this.#features = options.features ?? 0;
    this.#onDrop = options.onDrop;
    this.#verify = options.verify ?? true;
    this.#resync = options.recovery === "resync" ? new Resync(protocol, this.#limit, options.onSkip) : undefined;
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

  /** Bytes of a frame that is not complete yet; none of those that were skipped. */
  get partial(): number {
    return this.#carry.size;
  }

  /** Bytes skipped so far, with `recovery: "resync"`. */
  get skipped(): number {
    return this.#resync?.skipped ?? 0;
  }

  /** Bytes that checksums were computed over, with `recovery: "resync"`: at most four times those that came. */
  get checked(): number {
    return this.#resync?.checked ?? 0;
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
    if (this.#resync !== undefined) this.#resync.received += chunk.length;
    this.#walk(chunk, this.#carry.size === 0 ? 0 : this.#resume(chunk, frames), frames);
    return frames;
  }

  /**
   * Nothing more comes, or nothing more is of interest: with `recovery: "resync"`, `onSkip` hears of the gap behind the last
   * frame, if there is one.
   *
   * @returns How many bytes that gap has. Those of an unfinished frame behind it are {@linkcode partial}.
   */
  end(): number {
    return this.#resync?.end() ?? 0;
  }

  /** Cuts `bytes[from..)` into frames, and keeps the beginning of one that does not end there. */
  #walk(bytes: Uint8Array, from: number, frames: DecodedFrame[]): void {
    const { headerSize, layout } = this.#protocol;
    const resync = this.#resync;
    const length = bytes.length;
    let at = from;
    while (at < length) {
      const there = length - at;
      if (this.#plausible(bytes, at, there)) {
        const total = there < headerSize ? 0 : headerSize + get32(bytes, at + layout.size);
        const goal = total === 0
          ? headerSize
          : resync === undefined
          ? total
          : this.#wait(bytes, at, there, total, 0, 0);
        if (there < goal) {
          this.#total = total;
          this.#goal = goal;
          this.#carry.append(bytes, at, length, total === 0 ? headerSize : total);
          return;
        }
        if (goal > 0 && this.#take(bytes, at, total, there - total, frames)) {
          at += total;
          continue;
        }
      }
      at = this.#skip(bytes, at);
    }
  }

  /** Goes on with the unfinished frame; returns how much of the chunk is used up. */
  #resume(chunk: Uint8Array, frames: DecodedFrame[]): number {
    const carry = this.#carry;
    let at = 0;
    if (this.#total === 0) {
      const { headerSize, layout } = this.#protocol;
      at = Math.min(headerSize - carry.size, chunk.length);
      carry.append(chunk, 0, at, headerSize);
      if (!this.#plausible(carry.buffer, 0, carry.size)) return this.#rewalk(chunk, at, frames);
      if (carry.size < headerSize) return at;
      this.#total = headerSize + get32(carry.buffer, layout.size);
      this.#goal = this.#wait(carry.buffer, 0, headerSize, this.#total, 0, chunk.length - at);
    }
    const total = this.#total;
    for (;;) {
      const end = Math.min(at + this.#goal - carry.size, chunk.length);
      carry.append(chunk, at, end, total);
      at = end;
      if (carry.size < this.#goal) return at;
      if (this.#goal === total) break;
      this.#goal = this.#wait(carry.buffer, 0, carry.size, total, carry.size - 1, chunk.length - at);
      if (this.#goal === 0) return this.#rewalk(chunk, at, frames);
    }
    if (!this.#take(carry.buffer, 0, total, chunk.length - at, frames)) return this.#rewalk(chunk, at, frames);
    carry.release();
    return at;
  }

  /**
   * Searches in the unfinished frame, which is none, and in the rest of the chunk. They are copied for it: no more than the
   * checksum was computed over, and one chunk. Frames that are small beside that don't keep it alive.
   */
  #rewalk(chunk: Uint8Array, from: number, frames: DecodedFrame[]): number {
    if (this.#failure === undefined) {
      const first = frames.length;
      const bytes = this.#carry.join(chunk, from);
      this.#walk(bytes, this.#skip(bytes, 0), frames);
      unpin(frames, first, bytes.length);
    }
    return chunk.length;
  }

  /** Where to go on after something that is no frame: nowhere, or at the next magic. */
  #skip(bytes: Uint8Array, at: number): number {
    if (this.#resync === undefined || this.#failure !== undefined) return bytes.length;
    const next = this.#resync.next(bytes, at);
    if (next !== undefined) return next;
    this.#fail("protocol-error", endless(this.#limit));
    return bytes.length;
  }

  /** Looks at as much of a header as there is; false, and perhaps a failure, when it can't become a good one. */
  #plausible(buffer: Uint8Array, at: number, there: number): boolean {
    const protocol = this.#protocol;
    const resync = this.#resync;
    const fault = headerFault(protocol, this.#limit, this.#features, buffer, at, there);
    if (fault === undefined) return resync === undefined || there < protocol.headerSize || !resync.torn(buffer, at);
    if (resync !== undefined) {
      if (fault.code !== "message-too-large" || resync.gap > 0) return false;
      // Right behind a good frame it is one that is too large, unless it was torn: its content is not searched.
      if (there < protocol.headerSize) return true;
      if (resync.restarts(buffer, at)) return false;
    }
    return this.#fail(fault.code, fault.code === "protocol-error" ? fault.what + this.#hint() : fault.what);
  }

  /**
   * How much of a frame whose header is plausible must be there to look at it again, of `total` bytes: more than `there`
   * are, or all. 0 if it is none. What ends within its first `seen` bytes was looked at, and `behind` came behind `there`.
   */
  #wait(buffer: Uint8Array, at: number, there: number, total: number, seen: number, behind: number): number {
    const goal = this.#resync === undefined ? total : this.#resync.wait(buffer, at, there, total, seen, behind);
    if (goal >= 0) return goal;
    this.#fail("protocol-error", FORGED);
    return 0;
  }

  /**
   * A whole frame with a plausible header, `behind` bytes before the end of what came: checks the content and hands it out.
   * False if it is none.
   */
  #take(buffer: Uint8Array, at: number, total: number, behind: number, frames: DecodedFrame[]): boolean {
    const protocol = this.#protocol;
    const resync = this.#resync;
    if (resync !== undefined && !resync.affords(total - protocol.headerSize, behind)) {
      return this.#fail("protocol-error", FORGED);
    }
    const { layout } = protocol;
    const start = at + protocol.headerSize;
    const end = at + total;
    let digest: Uint8Array | undefined;
    let good: boolean;
    if (protocol.integrity === "crc32") {
      good = crc32Range(buffer, start, end, 0) === get32(buffer, at + layout.digest);
    } else if (protocol.integrity === "crc8+crc32") {
      good = crc32Range(buffer, start, end, crc32Header(buffer, at)) === get32(buffer, at + layout.digest);
      if (!good) {
        return this.#fail("corrupt", `a frame of type ${get16(buffer, at + layout.code)} does not match its CRC-32`);
      }
    } else {
      digest = buffer.subarray(at + layout.digest, at + layout.digest + 32);
      good = !this.#verify || same(digest, sha256Sync!(buffer.subarray(start, end)));
    }
    if (!good && resync !== undefined) return false;
    this.#count++;
    if (!good) {
      this.#onDrop?.(dropped(get16(buffer, at + layout.code), end - start));
      return true;
    }
    if (resync !== undefined) resync.found();
    const flags = layout.flags < 0 ? 0 : buffer[at + layout.flags];
    const sentAt = layout.timestamp < 0
      ? undefined
      : get32(buffer, at + layout.timestamp) * 0x1_0000_0000 + get32(buffer, at + layout.timestamp + 4);
    const code = get16(buffer, at + layout.code);
    const { ids } = protocol;
    const id = at + layout.id;
    const requestId = ids === "u32" ? get32(buffer, id) : ids === "u16" ? get16(buffer, id) : getUuid(buffer, id);
    const unverified = this.#verify ? undefined : digest;
    frames.push(new DecodedFrame(code, flags, requestId, sentAt, buffer, start, end, unverified));
    return true;
  }

  /** What helps where a stream is torn. The first bytes of a stream may be anything. */
  #hint(): string {
    const torn = this.#protocol.magic !== undefined && this.#count > 0;
    return torn ? '; set recovery: "resync" if this is a Python peer you trust' : "";
  }

  #fail(code: "corrupt" | "message-too-large" | "protocol-error", what: string): false {
    this.#failure = new ProtocolError(code, `Cannot decode the stream: ${what}`);
    this.#carry.release();
    this.#resync?.end();
    return false;
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return false;
  return true;
}
