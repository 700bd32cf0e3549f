/**
 * Decodes bytes into frames. Chunks may be cut anywhere: the frames come out the same, in time linear in the bytes. A
 * frame that lies entirely within one chunk is handed out as a view of it. Any other frame is gathered in a buffer that
 * grows as bytes arrive, never to the size that a header announces.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { PartialFrame } from "./partial_frame.ts";
import { crc32Header, crc32Range, isLong } from "./crc32.ts";
import { CurrentFrame, getUuid } from "./decoded_frame.ts";
import { dropped, type FrameLosses, type NegotiatedFlags, NO_FLAGS, type ReaderOptions } from "./decoder_options.ts";
import { WIRE_LIMITS } from "./frame.ts";
import { headerFault } from "./header.ts";
import { bytesOf, viewOf } from "./integers.ts";
import type { Protocol } from "./protocols.ts";
import { endless, FORGED, Resync } from "./python/resync.ts";
import { requireDigest, sha256 } from "./python/sha256.ts";

/**
 * Cuts a stream of bytes into frames, one at a time: decoded frames that wait would take more memory than their bytes.
 */
export class FrameReader {
  readonly #protocol: Protocol;
  readonly #limit: number;
  readonly #features: NegotiatedFlags;
  readonly #losses: FrameLosses | undefined;
  /** The search for the next frame after a torn one; `undefined` without `recovery: "resync"`. */
  readonly #resync: Resync | undefined;
  #failure: ProtocolError | undefined = undefined;
  /** The beginning of an unfinished frame. Made when a frame does not arrive as a whole. */
  #partialFrame: PartialFrame = NO_PARTIAL;
  /** The size of the frame in `#partialFrame`, header included; 0 until its header is complete. */
  #total = 0;
  /**
   * How many bytes of that frame must have arrived before it is checked again. All of them, unless its header may be
   * torn.
   */
  #goal = 0;
  #count = 0;
  /** The bytes that are being cut into frames, from `#at` on. */
  #bytes: Uint8Array = NOTHING;
  #view: DataView = NO_VIEW;
  #at = 0;
  #frame: CurrentFrame = NO_FRAME;
  /** True once a frame has been handed out as a view since the last {@linkcode feed}. */
  #lent = false;
  /** True while `#bytes` is a copy of a chunk and of the bytes kept before it. */
  #joined = false;

  /** Takes the options and throws the errors of a `FrameDecoder`, except that `losses` replaces its callbacks. */
  constructor(
    protocol: Protocol,
    options: ReaderOptions = {},
    features: NegotiatedFlags = NO_FLAGS,
    losses?: FrameLosses,
  ) {
    requireDigest(protocol, "Cannot decode the stream");
    this.#protocol = protocol;
    this.#limit = options.maxMessageSize ?? WIRE_LIMITS.maxMessageSize;
    this.#features = features;
    this.#losses = losses;
    this.#resync = options.recovery === "resync" ? new Resync(protocol, this.#limit, losses) : undefined;
  }

  /**
   * The error that broke the stream; `undefined` while it is intact. The frames before the break have been handed out.
   */
  get failure(): ProtocolError | undefined {
    return this.#failure;
  }

  /** The number of bytes of a frame that is not complete yet. Skipped bytes do not count. */
  get partial(): number {
    return this.#partialFrame.size;
  }

  /** The number of bytes skipped so far, with `recovery: "resync"`. */
  get skipped(): number {
    return this.#resync?.skipped ?? 0;
  }

  /**
   * The number of bytes that checksums were computed over, with `recovery: "resync"`. It is at most four times the
   * number of bytes received.
   */
  get checked(): number {
    return this.#resync?.checked ?? 0;
  }

  /** The number of frames decoded so far, dropped ones included. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes the next chunk, once the previous one is used up. Throws the `ProtocolError` of a stream that is already
   * broken.
   */
  feed(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#resync !== undefined) this.#resync.received += chunk.length;
    this.#frame = new CurrentFrame();
    this.#lent = false;
    this.#cut(chunk, 0);
    this.#joined = false;
  }

  /**
   * Returns the next frame of the last chunk. The object is reused: it holds this frame only until the next call.
   *
   * @returns `undefined` if no complete frame is left. If the stream broke, {@linkcode failure} is set, too.
   */
  next(): CurrentFrame | undefined {
    let frame = this.step();
    while (frame === null) frame = this.step();
    return frame;
  }

  /**
   * Does the same as {@linkcode next} in smaller steps, for callers that count the cost of each.
   *
   * @returns `null` if something was skipped, a dropped frame or bytes that are no frame, and more bytes are left.
   */
  step(): CurrentFrame | null | undefined {
    while (this.#at < this.#bytes.length) {
      const frame = this.partial === 0 ? this.#walk() : this.#resume();
      if (frame !== undefined) return frame;
      if (this.#at < this.#bytes.length) return null;
    }
    // A connection that waits for the next chunk must not keep this one alive.
    if (this.#bytes !== NOTHING) {
      this.#cut(NOTHING, 0);
      this.#frame = NO_FRAME;
    }
    return undefined;
  }

  /** True if a frame may be a view of the last chunk, so that the chunk must not be reused. */
  get lent(): boolean {
    return this.#lent;
  }

  /** True while bytes are left after the last frame: at least the beginning of another one. */
  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** The number of these bytes. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /**
   * Ends the stream, because nothing more arrives or nothing more is of interest. Returns the size of the gap after the
   * last frame, in bytes.
   */
  end(): number {
    return this.#resync?.end() ?? 0;
  }

  /** Continues with `bytes`, from `from` on. */
  #cut(bytes: Uint8Array, from: number): void {
    this.#bytes = bytes;
    this.#view = bytes === NOTHING ? NO_VIEW : viewOf(bytes);
    this.#at = from;
  }

  /** Takes what begins at `#at`. Returns a complete frame, keeps the beginning of one, and skips anything else. */
  #walk(): CurrentFrame | undefined {
    const { headerSize, layout } = this.#protocol;
    const bytes = this.#bytes;
    const view = this.#view;
    const at = this.#at;
    const there = bytes.length - at;
    if (this.#plausible(bytes, view, at, there)) {
      const total = there < headerSize ? 0 : headerSize + view.getUint32(at + layout.size);
      const goal = total === 0
        ? headerSize
        : this.#resync === undefined
        ? total
        : this.#wait(bytes, view, at, there, total, 0, 0);
      if (there < goal) {
        this.#total = total;
        this.#goal = goal;
        if (this.#partialFrame === NO_PARTIAL) this.#partialFrame = new PartialFrame();
        this.#partialFrame.append(bytes, at, bytes.length, total === 0 ? headerSize : total);
        this.#at = bytes.length;
        return undefined;
      }
      const frame = goal === 0 ? null : this.#take(bytes, view, at, total, there - total);
      if (frame !== null) {
        this.#lent = true;
        this.#at = at + total;
        return frame;
      }
    }
    this.#skip();
    return undefined;
  }

  /** Continues the unfinished frame. */
  #resume(): CurrentFrame | undefined {
    const carry = this.#partialFrame;
    const chunk = this.#bytes;
    if (this.#total === 0) {
      const { headerSize, layout } = this.#protocol;
      this.#gather(headerSize, headerSize);
      if (!this.#plausible(carry.buffer, carry.view, 0, carry.size)) return this.#rewalk();
      if (carry.size < headerSize) return undefined;
      this.#total = headerSize + carry.view.getUint32(layout.size);
      this.#goal = this.#wait(carry.buffer, carry.view, 0, headerSize, this.#total, 0, chunk.length - this.#at);
    }
    const total = this.#total;
    for (;;) {
      this.#gather(this.#goal, total);
      if (carry.size < this.#goal) return undefined;
      if (this.#goal === total) break;
      const behind = chunk.length - this.#at;
      this.#goal = this.#wait(carry.buffer, carry.view, 0, carry.size, total, carry.size - 1, behind);
      if (this.#goal === 0) return this.#rewalk();
    }
    const frame = this.#take(carry.buffer, carry.view, 0, total, chunk.length - this.#at);
    if (frame === null) return this.#rewalk();
    carry.release();
    frame?.gathered();
    return frame;
  }

  /** Adds bytes to the unfinished frame until it has `size` bytes, or the chunk is used up. */
  #gather(size: number, most: number): void {
    const end = Math.min(this.#at + size - this.partial, this.#bytes.length);
    this.#partialFrame.append(this.#bytes, this.#at, end, most);
    this.#at = end;
  }

  /**
   * Searches the unfinished frame, which turned out to be none, and the rest of the chunk. Both are copied for that: no
   * more bytes than the checksum was computed over, plus one chunk. Frames much smaller than the copy do not keep it
   * alive.
   */
  #rewalk(): undefined {
    if (this.#failure !== undefined) {
      this.#at = this.#bytes.length;
      return;
    }
    this.#cut(this.#partialFrame.join(this.#bytes, this.#at), 0);
    this.#joined = true;
    this.#skip();
  }

  /** Skips something that is no frame: to the end, or to the next magic. */
  #skip(): void {
    const { length } = this.#bytes;
    if (this.#resync === undefined || this.#failure !== undefined) {
      this.#at = length;
      return;
    }
    const next = this.#resync.next(this.#bytes, this.#at);
    this.#at = next ?? length;
    if (next === undefined) this.#fail("protocol-error", endless(this.#limit));
  }

  /**
   * Checks as much of a header as has arrived. Returns false if it cannot become a valid one; the stream may then have
   * failed.
   */
  #plausible(buffer: Uint8Array, view: DataView, at: number, there: number): boolean {
    const protocol = this.#protocol;
    const resync = this.#resync;
    const { check, flags } = this.#features;
    const fault = headerFault(protocol, this.#limit, flags, check, view, at, there);
    if (fault === undefined) return resync === undefined || there < protocol.headerSize || !resync.torn(buffer, at);
    if (resync !== undefined) {
      if (fault.code !== "message-too-large" || resync.gap > 0) return false;
      // Right after a good frame, this is a frame that is too large, unless its header is torn. Its content is not
      // searched.
      if (there < protocol.headerSize) return true;
      if (resync.restarts(buffer, at)) return false;
    }
    this.#fail(fault.code, fault.code === "protocol-error" ? fault.what + this.#hint() : fault.what);
    return false;
  }

  /**
   * Returns how many bytes of a frame with a plausible header must have arrived before it is checked again: more than
   * `there`, or `total`, which is the whole frame. Returns 0 if it is no frame. Inner frames that end within the first
   * `seen` bytes have been checked already. `behind` is the number of bytes that arrived after the first `there`.
   */
  #wait(
    buffer: Uint8Array,
    view: DataView,
    at: number,
    there: number,
    total: number,
    seen: number,
    behind: number,
  ): number {
    const goal = this.#resync === undefined ? total : this.#resync.wait(buffer, view, at, there, total, seen, behind);
    if (goal >= 0) return goal;
    this.#fail("protocol-error", FORGED);
    return 0;
  }

  /**
   * Checks a complete frame with a plausible header. `behind` is the number of bytes that arrived after it.
   *
   * @returns The frame; `undefined` if it is dropped; `null` if it is no frame, or if the stream failed.
   */
  #take(
    buffer: Uint8Array,
    view: DataView,
    at: number,
    total: number,
    behind: number,
  ): CurrentFrame | undefined | null {
    const { headerSize, ids, integrity, layout } = this.#protocol;
    const resync = this.#resync;
    const start = at + headerSize;
    const end = at + total;
    const size = total - headerSize;
    if (resync !== undefined && !resync.affords(size, behind)) return this.#fail("protocol-error", FORGED);
    const code = view.getUint16(at + layout.code);
    // The native function takes an array, and the receiver of the frame will need the same one.
    const content = isLong(size) ? bytesOf(view, start, size) : undefined;
    let good: boolean;
    if (integrity === "sha256") {
      good = same(buffer.subarray(at + layout.digest), sha256(buffer.subarray(start, end)));
    } else {
      const native = integrity === "crc8+crc32";
      const seed = native ? crc32Header(view.getInt32(at), size, view.getUint32(at + layout.id)) : 0;
      good = crc32Range(view, start, size, seed, content) === view.getUint32(at + layout.digest);
      if (!good && native) return this.#fail("corrupt", `a frame of type ${code} does not match its CRC-32`);
    }
    if (!good && resync !== undefined) return null;
    this.#count++;
    if (!good) {
      this.#losses?.drop?.(dropped(code, size));
      return undefined;
    }
    if (resync !== undefined) resync.found();
    const flags = layout.flags < 0 ? 0 : view.getUint8(at + layout.flags);
    const sentAt = layout.timestamp < 0
      ? undefined
      : view.getUint32(at + layout.timestamp) * 0x1_0000_0000 + view.getUint32(at + layout.timestamp + 4);
    const id = at + layout.id;
    const requestId = ids === "u32" ? view.getUint32(id) : ids === "u16" ? view.getUint16(id) : getUuid(buffer, id);
    this.#frame.set(code, flags, requestId, sentAt, buffer, view, start, size, content);
    if (this.#joined) this.#frame.unpin();
    return this.#frame;
  }

  /** Returns advice for a stream that is torn. There is none for the first bytes of a stream, which may be anything. */
  #hint(): string {
    const torn = this.#protocol.magic !== undefined && this.#count > 0;
    return torn ? '; set recovery: "resync" if this is a Python peer you trust' : "";
  }

  #fail(code: "corrupt" | "message-too-large" | "protocol-error", what: string): null {
    this.#failure = new ProtocolError(code, `Cannot decode the stream: ${what}`);
    this.#partialFrame.release();
    this.#resync?.end();
    return null;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = /* @__PURE__ */ viewOf(NOTHING);
const NO_FRAME = /* @__PURE__ */ new CurrentFrame();
/**
 * Holds nothing, for readers that have not met a frame in pieces. An object in place of `undefined`, because it is asked
 * for its size at every frame: JavaScriptCore would run the loop over the frames without its compiler for a while when
 * the first one appears.
 */
const NO_PARTIAL = /* @__PURE__ */ new PartialFrame();

/** Returns whether two arrays have the same first 32 bytes. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return false;
  return true;
}
