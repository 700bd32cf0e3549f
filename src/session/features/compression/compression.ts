/**
 * Implements compression: payloads that shrink by an eighth or more travel compressed, with the flag COMPRESSED. Their
 * content is a u32 with the size that they inflate to, then one frame of zstd or one raw stream of deflate. All limits
 * count that size, which is checked before anything is inflated.
 *
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { encodeUtf8 } from "../../../base/utf8.ts";
import { member, type PeerObject } from "../../../base/untrusted.ts";
import type { CompressionCodec, CompressionTerms } from "../../../compression_seam.ts";
import type { ReceivedFrame } from "../../../wire/decoded_frame.ts";
import { FIRST_APPLICATION_CODE, Flag, isPiece, MAX_PIECE } from "../../../wire/frame.ts";
import { get32, put32 } from "../../../wire/integers.ts";
import type { DeferredDecoding, Feature, FeaturePart } from "../../feature.ts";
import type { Sender } from "../../sender.ts";
import type { EncodedPayload, PayloadOrigin } from "../../payload_encoding.ts";
import { HEADER, MAX_RATIO, readSize, SIZE_BYTES } from "./content.ts";
import { StreamHistory } from "./stream_history.ts";
import { zstdFault } from "./zstd_frame.ts";

/** The size of the largest payload that is compressed, in bytes. */
const MOST = 4 * 1024 * 1024;

/**
 * The feature `compression`. It offers `{codecs}` and is answered with `{codec}`.
 *
 * @param maxMessageSize The largest frame that this side takes, header included, in bytes.
 */
export function compression(terms: CompressionTerms, maxMessageSize: number): Feature {
  const { codecs } = terms;
  const find = (name: unknown): CompressionCodec | undefined => codecs.find((codec) => codec.name === name);
  return {
    name: "compression",
    flags: Flag.COMPRESSED,
    offer: () => ({ codecs: codecs.map(({ name }) => name) }),
    accept(_ours, theirs): PeerObject | undefined {
      const offered = member(theirs, "codecs");
      const codec = Array.isArray(offered) ? codecs.find(({ name }) => offered.includes(name)) : undefined;
      return codec && { codec: codec.name };
    },
    confirm: (_ours, theirs) => find(member(theirs, "codec")) !== undefined,
    check: (flags, code) =>
      (flags & Flag.COMPRESSED) !== 0 && code < FIRST_APPLICATION_CODE ? "a system frame is compressed" : undefined,
    // Only what the server says names a codec. On a server, that is `ours`.
    attach: (ours, theirs, { sender }) =>
      new Compression(find(member(ours, "codec") ?? member(theirs, "codec"))!, terms, maxMessageSize, sender),
  };
}

/** The compression of one session. */
class Compression implements FeaturePart, DeferredDecoding {
  readonly flags = Flag.COMPRESSED;
  readonly #codec: CompressionCodec;
  readonly #level: number;
  readonly #least: number;
  readonly #maxMessageSize: number;
  readonly #sender: Sender;
  /** What was learned of the streams of this session. Created for the first one. */
  #streams: WeakMap<PayloadOrigin, StreamHistory> | undefined = undefined;

  constructor(codec: CompressionCodec, { level, least }: CompressionTerms, maxMessageSize: number, sender: Sender) {
    this.#codec = codec;
    this.#level = level ?? codec.defaultLevel;
    this.#least = least;
    this.#maxMessageSize = maxMessageSize;
    this.#sender = sender;
  }

  /** All sessions of a Server have the same level. */
  get sharing(): string {
    return this.#codec.name;
  }

  get deferred(): DeferredDecoding {
    return this;
  }

  encode(
    _code: number,
    flags: number,
    content: Uint8Array | string,
    origin?: PayloadOrigin,
  ): EncodedPayload | undefined {
    // A text has at least as many bytes as characters.
    if (content.length < this.#least || content.length > MOST || origin?.compress === false) return undefined;
    const raw = bytesOf(content);
    const compressed = this.#fits(flags, raw.length) ? this.#compress(flags, raw, origin) : undefined;
    if (compressed !== undefined) return { flags: Flag.COMPRESSED, content: compressed, size: raw.length };
    // A text need not be encoded a second time.
    return typeof content === "string" ? { flags: 0, content: raw } : undefined;
  }

  measure(frame: ReceivedFrame): number {
    const size = readSize(frame, this.#maxMessageSize);
    if (typeof size === "number") return size;
    throw new ProtocolError("protocol-error", `The peer sent a compressed payload ${size}`);
  }

  decode({ content, flags }: ReceivedFrame): Uint8Array | undefined {
    if ((flags & Flag.COMPRESSED) === 0) return undefined;
    const size = get32(content, 0);
    const compressed = content.subarray(SIZE_BYTES);
    const fault = this.#faultOf(compressed, size);
    const inflated = fault === undefined ? this.#codec.inflate(compressed, size) : undefined;
    if (inflated !== undefined) return inflated;
    throw new ProtocolError(
      "protocol-error",
      `The peer sent a compressed payload that ${fault ?? `does not inflate to the ${size} bytes that it announces`}`,
    );
  }

  /** Returns whether the peer takes a compressed payload of this size. */
  #fits(flags: number, size: number): boolean {
    if (size > MOST) return false;
    return isPiece(flags) ? size <= MAX_PIECE : HEADER + size <= this.#sender.maxMessageSize;
  }

  /** Returns the content of a frame; `undefined` if compressing it is not worthwhile. */
  #compress(flags: number, raw: Uint8Array, origin: PayloadOrigin | undefined): Uint8Array | undefined {
    const history = isPiece(flags) && origin !== undefined ? this.#historyOf(origin) : undefined;
    if (history?.skips(raw.length) === true) return undefined;
    const compressed = this.#codec.compress(raw, this.#level);
    const size = SIZE_BYTES + compressed.length;
    // A payload that shrinks to less than a 256th would be taken for a bomb.
    const shrank = 8 * size <= 7 * raw.length && raw.length <= MAX_RATIO * compressed.length;
    history?.tried(shrank);
    // A frame that the runtime got wrong would end the connection; see `adapters/zlib.ts`.
    if (!shrank || this.#faultOf(compressed, raw.length) !== undefined) return undefined;
    const content = new Uint8Array(size);
    put32(content, 0, raw.length);
    content.set(compressed, SIZE_BYTES);
    return content;
  }

  /** Returns what is wrong with compressed bytes, as far as that can be seen without inflating them. */
  #faultOf(compressed: Uint8Array, size: number): string | undefined {
    return this.#codec.name === "zstd" ? zstdFault(compressed, size) : undefined;
  }

  #historyOf(stream: PayloadOrigin): StreamHistory {
    const streams = this.#streams ??= new WeakMap();
    let history = streams.get(stream);
    if (history === undefined) streams.set(stream, history = new StreamHistory());
    return history;
  }
}

/** Returns the bytes of a payload, which no other thread changes meanwhile. */
function bytesOf(content: Uint8Array | string): Uint8Array {
  if (typeof content === "string") return encodeUtf8(content);
  return content.buffer instanceof ArrayBuffer ? content : new Uint8Array(content);
}
