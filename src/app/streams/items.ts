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
import type { StreamReader } from "../../session/streams.ts";
import { get32, put32 } from "../../wire/integers.ts";

/** The size of an item's length, in bytes. */
const PREFIX = 4;

/** Returns the bytes of an item. Throws a `PayloadError` if it has more than `most` of them. */
export function encodeItem(name: string, codec: Codec<unknown, never>, value: unknown, most: number): Uint8Array {
  const payload = checkPayload(name, codec.encode(value as never));
  const content = typeof payload === "string" ? encodeUtf8(payload) : payload;
  if (content.length > most) throw payloadTooLarge(name, content, most);
  const item = new Uint8Array(PREFIX + content.length);
  put32(item, 0, content.length);
  item.set(content, PREFIX);
  return item;
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
   * Returns the next item; `undefined` if it has not arrived as a whole.
   *
   * @throws {PayloadError} The item is too large, the codec refuses it, or the stream ended inside it.
   * @throws {unknown} What the codec throws.
   */
  next(): { readonly value: unknown } | undefined {
    for (;;) {
      const content = this.#whole();
      if (content !== undefined) return { value: checkData(this.#name, this.#codec.decode(content)) };
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
