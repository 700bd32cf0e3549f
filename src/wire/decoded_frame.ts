/**
 * A frame as a decoder hands it out: where its content stands, without copying it.
 *
 * @module
 */

import type { Frame } from "./frame.ts";

/** A buffer of so many bytes, as one read may return, is kept alive by any frame in it. */
const PINNED = 65_536;

/** A frame that came in. */
export interface ReceivedFrame extends Frame {
  /** Bytes of the payload as it came, before features transformed it. */
  readonly size: number;
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
  #content: Uint8Array | undefined;

  /** Made by a {@linkcode FrameDecoder}. */
  constructor(
    code: number,
    flags: number,
    requestId: number | string,
    sentAt: number | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    content?: Uint8Array,
  ) {
    this.code = code;
    this.flags = flags;
    this.requestId = requestId;
    this.sentAt = sentAt;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.#content = content;
  }

  /** Bytes of the payload. */
  get size(): number {
    return this.end - this.start;
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
      content,
    );
  }
}

/** A frame as the library itself passes it on: what is to be kept of it is taken at once. */
export class CurrentFrame implements ReceivedFrame {
  code = 0;
  flags = 0;
  requestId: number | string = 0;
  sentAt: number | undefined = undefined;
  size = 0;
  #buffer: Uint8Array = NOTHING;
  #start = 0;
  #content: Uint8Array | undefined = undefined;

  /** Makes it another frame. */
  set(
    code: number,
    flags: number,
    requestId: number | string,
    sentAt: number | undefined,
    buffer: Uint8Array,
    start: number,
    size: number,
    content: Uint8Array | undefined,
  ): void {
    this.code = code;
    this.flags = flags;
    this.requestId = requestId;
    this.sentAt = sentAt;
    this.size = size;
    this.#buffer = buffer;
    this.#start = start;
    this.#content = content;
  }

  /** The payload: a view, which may be kept. */
  get content(): Uint8Array {
    return this.#content ??= this.#buffer.subarray(this.#start, this.#start + this.size);
  }

  /** A copy of the content instead of a view, where a small frame would keep a large buffer alive. */
  unpin(): void {
    const { length } = this.#buffer;
    if (length <= PINNED || 8 * this.size >= length) return;
    this.#buffer = this.#buffer.slice(this.#start, this.#start + this.size);
    this.#start = 0;
    this.#content = this.#buffer;
  }

  /** The same frame, for good. */
  keep(): DecodedFrame {
    const { code, flags, requestId, sentAt, size } = this;
    const start = this.#start;
    return new DecodedFrame(
      code,
      flags,
      requestId,
      sentAt,
      this.#buffer,
      start,
      start + size,
      this.#content,
    );
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** Reads the 16 bytes of a UUID. */
export function getUuid(buffer: Uint8Array, at: number): string {
  let text = "";
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
    text += buffer[at + i].toString(16).padStart(2, "0");
  }
  return text;
}
