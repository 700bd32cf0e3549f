/**
 * A frame as a decoder hands it out: where its content stands, without copying it.
 *
 * @module
 */

import type { Frame } from "./frame.ts";

/** A buffer of so many bytes, as one read may return, is kept alive by any frame in it. */
const PINNED = 65_536;

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

/** Copies those of `frames[first..)` that are much smaller than the large buffer that they stand in, of `size` bytes. */
export function unpin(frames: DecodedFrame[], first: number, size: number): void {
  if (size <= PINNED) return;
  for (let i = first; i < frames.length; i++) {
    const { start, end } = frames[i];
    if (8 * (end - start) < size) frames[i] = frames[i].copy();
  }
}

/** Reads the 16 bytes of a UUID. */
export function getUuid(buffer: Uint8Array, at: number): string {
  let text = "";
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
    text += buffer[at + i].toString(16).padStart(2, "0");
  }
  return text;
}
