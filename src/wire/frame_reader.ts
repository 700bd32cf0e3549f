/**
 * Bytes to frames. Chunks may be cut anywhere: the frames come out the same, in time linear in the bytes. A frame that lies
 * whole in a chunk is handed out as a view of it; one that does not is gathered in a buffer that grows as bytes arrive,
 * never by the size that a header announces.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { PartialFrame } from "./partial_frame.ts";
import { crc32Header, crc32Range, isLong } from "./crc32.ts";
import { CurrentFrame, getUuid } from "./decoded_frame.ts";
import { dropped, type FrameLosses, type ReaderOptions } from "./decoder_options.ts";
import { type HeaderCheck, WIRE_LIMITS } from "./frame.ts";
import { headerFault } from "./header.ts";
import { viewOf } from "./integers.ts";
import type { Protocol } from "./protocols.ts";
import { endless, FORGED, Resync } from "./python/resync.ts";
import { requireDigest, sha256 } from "./python/sha256.ts";

/** Cuts a stream of bytes into frames, one at a time: those of a chunk that wait would cost more memory than their bytes. */
export class FrameReader {
  readonly #protocol: Protocol;
  readonly #limit: number;
  readonly #features: number;
  readonly #check: HeaderCheck | undefined;
  readonly #losses: FrameLosses | undefined;
  /** The search after torn frames, where there is one. */
  readonly #resync: Resync | undefined;
  #failure: ProtocolError | undefined = undefined;
  /** The beginning of an unfinished frame. Made when a frame does not come as a whole. */
  #partialFrame: PartialFrame | undefined = undefined;
  /** Size of the frame in `#partialFrame`, header included; 0 until its header is whole. */
  #total = 0;
  /** How much of that frame must be there to look at it again: all of it, where nothing speaks against its header. */
  #goal = 0;
  #count = 0;
  /** What is being cut into frames, from `#at` on. */
  #bytes: Uint8Array = NOTHING;
  #view: DataView = NO_VIEW;
  #at = 0;
  #frame: CurrentFrame = NO_FRAME;
  /** Whether a frame was handed out as a view of what was fed last. */
  #lent = false;
  /** Whether that is a copy of a chunk and of what was kept before it. */
  #joined = false;

  /** Arguments and errors are those of a `FrameDecoder`, but for `losses`, which takes the place of its callbacks. */
  constructor(protocol: Protocol, options: ReaderOptions = {}, losses?: FrameLosses) {
    requireDigest(protocol, "Cannot decode the stream");
    this.#protocol = protocol;
    this.#limit = options.maxMessageSize ?? WIRE_LIMITS.maxMessageSize;
    this.#features = options.features ?? 0;
    this.#check = options.check;
    this.#losses = losses;
    this.#resync = options.recovery === "resync" ? new Resync(protocol, this.#limit, losses) : undefined;
  }

  /** What ended the stream, once it is broken. The frames before it were handed out. */
  get failure(): ProtocolError | undefined {
    return this.#failure;
  }

  /** Bytes of a frame that is not complete yet; none of those that were skipped. */
  get partial(): number {
    return this.#partialFrame?.size ?? 0;
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

  /** Takes the next bytes, when those before are used up. Throws the `ProtocolError` of a stream that is broken already. */
  feed(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#resync !== undefined) this.#resync.received += chunk.length;
    this.#frame = new CurrentFrame();
    this.#lent = false;
    this.#cut(chunk, 0);
    this.#joined = false;
  }

  /**
   * The next frame of what was fed: always the same object, which holds it until the next call.
   *
   * @returns `undefined` when there is no whole one left. Where the stream breaks {@linkcode failure} is set, too.
   */
  next(): CurrentFrame | undefined {
    let frame = this.step();
    while (frame === null) frame = this.step();
    return frame;
  }

  /**
   * The same in smaller steps, for whoever counts what they cost.
   *
   * @returns `null` when something was passed over, a dropped frame or bytes that are none, and there is more.
   */
  step(): CurrentFrame | null | undefined {
    while (this.#at < this.#bytes.length) {
      const frame = this.partial === 0 ? this.#walk() : this.#resume();
      if (frame !== undefined) return frame;
      if (this.#at < this.#bytes.length) return null;
    }
    // A chunk is not kept alive by a connection that waits for the next.
    if (this.#bytes !== NOTHING) {
      this.#cut(NOTHING, 0);
      this.#frame = NO_FRAME;
    }
    return undefined;
  }

  /** Whether what was fed last may be looked at for longer: a frame is a view of it. */
  get lent(): boolean {
    return this.#lent;
  }

  /** Whether there is more after the last frame: at least the beginning of one. */
  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** Nothing more comes, or nothing more is of interest; returns how many bytes the gap after the last frame has. */
  end(): number {
    return this.#resync?.end() ?? 0;
  }

  /** Goes on with other bytes. */
  #cut(bytes: Uint8Array, from: number): void {
    this.#bytes = bytes;
    this.#view = bytes === NOTHING ? NO_VIEW : viewOf(bytes);
    this.#at = from;
  }

  /** Takes what stands at `#at`: a frame, the beginning of one, which is kept, or something that is none. */
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
        (this.#partialFrame ??= new PartialFrame()).append(bytes, at, bytes.length, total === 0 ? headerSize : total);
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

  /** Goes on with the unfinished frame. */
  #resume(): CurrentFrame | undefined {
    const carry = this.#partialFrame!;
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
    return frame;
  }

  /** Adds to the unfinished frame until it has `size` bytes, or there are no more. */
  #gather(size: number, most: number): void {
    const end = Math.min(this.#at + size - this.partial, this.#bytes.length);
    this.#partialFrame!.append(this.#bytes, this.#at, end, most);
    this.#at = end;
  }

  /**
   * Searches in the unfinished frame, which is none, and in the rest of the chunk. They are copied for it: no more than the
   * checksum was computed over, and one chunk. Frames that are small beside that don't keep it alive.
   */
  #rewalk(): undefined {
    if (this.#failure !== undefined) {
      this.#at = this.#bytes.length;
      return;
    }
    this.#cut(this.#partialFrame!.join(this.#bytes, this.#at), 0);
    this.#joined = true;
    this.#skip();
  }

  /** Passes over something that is no frame: to the end, or to the next magic. */
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

  /** Looks at as much of a header as there is; false, and perhaps a failure, when it can't become a good one. */
  #plausible(buffer: Uint8Array, view: DataView, at: number, there: number): boolean {
    const protocol = this.#protocol;
    const resync = this.#resync;
    const fault = headerFault(protocol, this.#limit, this.#features, this.#check, view, at, there);
    if (fault === undefined) return resync === undefined || there < protocol.headerSize || !resync.torn(buffer, at);
    if (resync !== undefined) {
      if (fault.code !== "message-too-large" || resync.gap > 0) return false;
      // Right after a good frame it is one that is too large, unless it was torn: its content is not searched.
      if (there < protocol.headerSize) return true;
      if (resync.restarts(buffer, at)) return false;
    }
    this.#fail(fault.code, fault.code === "protocol-error" ? fault.what + this.#hint() : fault.what);
    return false;
  }

  /**
   * How much of a frame whose header is plausible must be there to look at it again, of `total` bytes: more than `there`
   * are, or all. 0 if it is none. What ends within its first `seen` bytes was looked at, and `behind` came behind `there`.
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
   * Checks a whole frame with a plausible header, `behind` bytes before the end of what came.
   *
   * @returns The frame; `undefined` if it is dropped; `null` if it is none.
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
    // The native function takes an array, and whoever takes the frame will want the same.
    const content = isLong(size) ? buffer.subarray(start, end) : undefined;
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
    this.#frame.set(code, flags, requestId, sentAt, buffer, start, size, content);
    if (this.#joined) this.#frame.unpin();
    return this.#frame;
  }

  /** What helps where a stream is torn. The first bytes of a stream may be anything. */
  #hint(): string {
    const torn = this.#protocol.magic !== undefined && this.#count > 0;
    return torn ? '; set recovery: "resync" if this is a Python peer you trust' : "";
  }

  #fail(code: "corrupt" | "message-too-large" | "protocol-error", what: string): null {
    this.#failure = new ProtocolError(code, `Cannot decode the stream: ${what}`);
    this.#partialFrame?.release();
    this.#resync?.end();
    return null;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = viewOf(NOTHING);
const NO_FRAME = new CurrentFrame();

/** Compares 32 bytes. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return false;
  return true;
}
