/**
 * Reads the length-prefixed JSON messages of a peer.
 *
 * @module
 */

import { HandshakeError } from "../../errors.ts";
import { isPeerObject, type PeerObject } from "../../base/untrusted.ts";
import { get16 } from "../integers.ts";
import { scanJson, type Span } from "./json_scan.ts";
import { EMPTY, failed, FAULTS, HANDSHAKE_BOUNDS } from "./messages.ts";

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true });

/** One JSON message of a peer. */
export interface JsonMessage {
  /** The parsed object. */
  readonly message: PeerObject;
  /** Its exact bytes, the length before them included. */
  readonly bytes: Uint8Array;
  /**
   * The texts that were left out of the parsed object, as views of `bytes`. The object has their indices in their
   * places.
   */
  readonly cut: readonly Uint8Array[];
  /** The bytes that came after it. */
  readonly rest: Uint8Array;
}

/** Gathers one length-prefixed JSON message from chunks of any size, in linear time. */
export class JsonReader {
  readonly #limit: number;
  readonly #path: readonly string[] | undefined;
  #bytes = EMPTY;
  #held = 0;

  /**
   * @param limit The most bytes the JSON may have.
   * @param path The names that lead to a member whose value is not built.
   */
  constructor(limit: number, path?: readonly string[]) {
    this.#limit = limit;
    this.#path = path;
  }

  /**
   * Takes bytes. Returns the message once it is complete, and holds nothing from then on.
   *
   * @throws {HandshakeError} `handshake-failed`: the message is too long, empty, not UTF-8, not a JSON object, too
   * deep, or has too many values.
   */
  push(chunk: Uint8Array): JsonMessage | undefined {
    let at = this.#take(chunk, 0, 3, Infinity);
    if (this.#held < 2) return undefined;
    const size = get16(this.#bytes, 0);
    if (size > this.#limit) throw failed(`its message of ${size} bytes is above the limit of ${this.#limit}`);
    if (this.#held > 2 && this.#bytes[2] !== 0x7b) throw failed("it sent no JSON object");
    at = this.#take(chunk, at, 2 + size, 2 + size);
    if (this.#held < 2 + size) return undefined;
    const bytes = this.#bytes.length === 2 + size ? this.#bytes : this.#bytes.slice(0, 2 + size);
    this.#bytes = EMPTY;
    this.#held = 0;
    // An empty view would keep the chunk alive for as long as the connection.
    const rest = at === chunk.length ? EMPTY : chunk.subarray(at);
    return { ...parseObject(bytes.subarray(2), this.#path), bytes, rest };
  }

  /** Copies bytes until `want` are held, in a buffer of at most `most`. Returns the index where the chunk goes on. */
  #take(chunk: Uint8Array, at: number, want: number, most: number): number {
    const end = at + Math.max(0, Math.min(want - this.#held, chunk.length - at));
    const held = this.#held + end - at;
    if (held > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(most, Math.max(2 * held, 128)));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(chunk.subarray(at, end), this.#held);
    this.#held = held;
    return end;
  }
}

function parseObject(bytes: Uint8Array, path?: readonly string[]): Pick<JsonMessage, "message" | "cut"> {
  let value: unknown;
  let cut: Uint8Array[] = [];
  try {
    const text = decoder.decode(bytes);
    const spans = scanJson(bytes, HANDSHAKE_BOUNDS, path);
    if (typeof spans === "string") throw failed(`it ${FAULTS[spans]}`);
    cut = spans.map(({ start, end }) => bytes.subarray(start, end));
    value = JSON.parse(cut.length === 0 ? text : without(bytes, spans));
  } catch (error) {
    throw error instanceof HandshakeError ? error : failed(`it ${FAULTS.invalid}`);
  }
  if (!isPeerObject(value)) throw failed("it sent no JSON object");
  return { message: value, cut };
}

/** Returns the text with each span replaced by its index. */
function without(bytes: Uint8Array, spans: readonly Span[]): string {
  let text = "";
  let at = 0;
  spans.forEach(({ start, end }, i) => {
    text += decoder.decode(bytes.subarray(at, start)) + i;
    at = end;
  });
  return text + decoder.decode(bytes.subarray(at));
}
