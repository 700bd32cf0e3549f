/**
 * Items within the bytes of a stream: each is a u32 length and that many bytes, wherever the pieces are cut.
 *
 * @module
 */

import { encodeUtf8 } from "../../base/utf8.ts";
import { checkData, checkPayload } from "../../base/codec_results.ts";
import { PayloadError } from "../../errors.ts";
import type { Codec } from "../../message/codecs.ts";
import { payloadTooLarge } from "../../session/sender.ts";
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
  /** The parts of an item that is longer than a chunk, and their length. */
  #parts: Uint8Array[] = [];
  #gathered = 0;
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
      const rest = this.#chunk.subarray(this.#at);
      const chunk = this.#reader.take();
      if (chunk === undefined) {
        if (this.#reader.state === "ended" && rest.length + this.#gathered > 0) {
          throw new PayloadError("invalid-payload", `Cannot read "${this.#name}": it ended inside an item`);
        }
        return undefined;
      }
      if (rest.length > 0) {
        this.#parts.push(rest);
        this.#gathered += rest.length;
      }
      this.#chunk = chunk;
      this.#at = 0;
    }
  }

  /** Returns the content of the next item, if all of it is there. */
  #whole(): Uint8Array | undefined {
    const there = this.#gathered + this.#chunk.length - this.#at;
    if (there < PREFIX) return undefined;
    if (this.#parts.length > 0 && this.#parts[0].length < PREFIX) this.#join();
    const [first] = this.#parts;
    const size = first === undefined ? get32(this.#chunk, this.#at) : get32(first, 0);
    if (size > this.#most) {
      const text = `Cannot read "${this.#name}": an item of ${size} bytes is above the ${this.#most} that are taken`;
      throw new PayloadError("invalid-payload", text);
    }
    const end = PREFIX + size - this.#gathered;
    if (there < PREFIX + size) return undefined;
    if (first !== undefined) {
      this.#parts.push(this.#chunk.subarray(this.#at, this.#at + end));
      this.#at += end;
      const item = joined(this.#parts, PREFIX + size);
      this.#parts = [];
      this.#gathered = 0;
      return item.subarray(PREFIX);
    }
    const from = this.#at + PREFIX;
    this.#at = from + size;
    return this.#chunk.subarray(from, this.#at);
  }

  /** Joins parts and chunk: the length itself was cut. */
  #join(): void {
    const rest = this.#chunk.subarray(this.#at);
    this.#chunk = joined([...this.#parts, rest], this.#gathered + rest.length);
    this.#at = 0;
    this.#parts = [];
    this.#gathered = 0;
  }
}

const NOTHING = new Uint8Array(0);

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
