/**
 * Items within the bytes of a stream: each is a u32 length and that many bytes, wherever the pieces are cut.
 *
 * @module
 */

import { encodeUtf8 } from "../../base/utf8.ts";
import { checkData, checkPayload } from "../../base/codec_results.ts";
import { PayloadError } from "../../errors.ts";
import type { Codec } from "../../message/codecs.ts";
import { payloadTooLarge } from "../../session/send_checks.ts";
import type { StreamReader, StreamWriter } from "../../session/streams.ts";
import { get32, put32 } from "../../wire/integers.ts";

/** The size of an item's length, in bytes. */
const PREFIX = 4;
/** How many items are handed out at once. */
const AT_ONCE = 64;

/** Writes the items of one direction. */
export class ItemWriter {
  readonly #name: string;
  readonly #writer: StreamWriter;
  readonly #codec: Codec<unknown, never>;
  readonly #most: number;
  readonly #prefix = new Uint8Array(PREFIX);

  /**
   * @param name The name of the stream, for errors.
   * @param codec Encodes the items.
   * @param most The most bytes of an item.
   */
  constructor(name: string, writer: StreamWriter, codec: Codec<unknown, never>, most: number) {
    this.#name = name;
    this.#writer = writer;
    this.#codec = codec;
    this.#most = most;
  }

  /**
   * Writes an item. Returns what `StreamWriter.write` returns.
   *
   * @throws {PayloadError} The item is too large.
   * @throws {unknown} What the codec throws.
   */
  write(value: unknown): Promise<void> | undefined {
    const payload = checkPayload(this.#name, this.#codec.encode(value as never));
    const content = typeof payload === "string" ? encodeUtf8(payload) : payload;
    if (content.length > this.#most) throw payloadTooLarge(this.#name, content, this.#most);
    put32(this.#prefix, 0, content.length);
    return this.#writer.write(content, this.#prefix);
  }
}

/** Reads the items of one direction. Bytes are taken from the stream only while an item is asked for. */
export class ItemReader {
  readonly #name: string;
  readonly #reader: StreamReader;
  readonly #codec: Codec<unknown, never>;
  readonly #most: number;
  /** The chunk of which the next bytes are taken, and how many were. */
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  /** The beginning of an item that is longer than a chunk, and how much of it is there. It grows as bytes arrive. */
  #gathered: Uint8Array = NOTHING;
  #size = 0;
  /** True while the next item waits for room, because items of other streams are being gathered. */
  waiting = false;
  /** The size of the next item, in bytes; 0 while that is not known. */
  #next = 0;
  /** Why an item could not be read that was to follow others. */
  #failure: { readonly error: unknown } | undefined = undefined;

  /**
   * @param name The name of the stream, for errors.
   * @param codec Decodes the items.
   * @param most The most bytes of an item.
   */
  constructor(name: string, reader: StreamReader, codec: Codec<unknown, never>, most: number) {
    this.#name = name;
    this.#reader = reader;
    this.#codec = codec;
    this.#most = most;
  }

  /**
   * Hands out the next item, and those behind it that are in the same chunk, which was taken from the window as a whole.
   * Returns false if the next one has not arrived as a whole.
   *
   * @throws {PayloadError} The item is too large, the codec refuses it, or the stream ended inside it.
   * @throws {unknown} What the codec throws.
   */
  next(take: (value: unknown) => void): boolean {
    if (this.#failure !== undefined) throw this.#failure.error;
    const first = this.#item();
    if (first === undefined) return false;
    take(this.#decode(first));
    try {
      for (let i = 1; i < AT_ONCE; i++) {
        const content = this.#whole();
        if (content === undefined) return true;
        take(this.#decode(content));
      }
    } catch (error) {
      // It is thrown to whoever asks for the item, once those before it are read.
      this.#failure = { error };
    }
    return true;
  }

  #decode(content: Uint8Array): unknown {
    return checkData(this.#name, this.#codec.decode(content));
  }

  /** Returns the content of the next item; `undefined` if it has not arrived as a whole. */
  #item(): Uint8Array | undefined {
    for (;;) {
      const content = this.#whole();
      if (content !== undefined) return content;
      this.waiting = !this.#reader.gathers(this.#next);
      if (this.waiting) return undefined;
      this.#gather();
      const chunk = this.#reader.take();
      if (chunk === undefined) {
        if (this.#reader.state === "ended" && this.#size > 0) {
          this.#reader.gathered();
          throw new PayloadError("invalid-payload", `Cannot read "${this.#name}": it ended inside an item`);
        }
        return undefined;
      }
      this.#chunk = chunk;
      this.#at = 0;
    }
  }

  /** Returns the content of the next item, if all of it is there. */
  #whole(): Uint8Array | undefined {
    // An item that was begun gets its length first, then the rest of it.
    if (this.#size > 0 && this.#size < PREFIX) this.#gather(PREFIX - this.#size);
    const begun = this.#size > 0;
    const there = this.#size + this.#chunk.length - this.#at;
    this.#next = 0;
    if (there < PREFIX) return undefined;
    const size = this.#next = begun ? get32(this.#gathered, 0) : get32(this.#chunk, this.#at);
    if (size > this.#most) {
      const text = `Cannot read "${this.#name}": an item of ${size} bytes is above the ${this.#most} that are taken`;
      throw new PayloadError("invalid-payload", text);
    }
    if (there < PREFIX + size) return undefined;
    if (begun) {
      this.#gather(PREFIX + size - this.#size);
      const item = this.#gathered.subarray(PREFIX, PREFIX + size);
      this.#gathered = NOTHING;
      this.#size = 0;
      this.#reader.gathered();
      return item;
    }
    const from = this.#at + PREFIX;
    this.#at = from + size;
    return this.#chunk.subarray(from, this.#at);
  }

  /** Adds at most `most` bytes of the chunk to the item that was begun. A peer may send it byte by byte. */
  #gather(most: number = Infinity): void {
    const part = this.#chunk.subarray(this.#at, this.#at + most);
    if (part.length === 0) return;
    const size = this.#size + part.length;
    if (size > this.#gathered.length) {
      const whole = PREFIX + (this.#next > 0 ? this.#next : this.#most);
      const larger = new Uint8Array(Math.min(Math.max(2 * this.#size, size), Math.max(size, whole)));
      larger.set(this.#gathered.subarray(0, this.#size));
      this.#gathered = larger;
    }
    this.#gathered.set(part, this.#size);
    this.#size = size;
    this.#at += part.length;
  }
}

const NOTHING = new Uint8Array(0);
