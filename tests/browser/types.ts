/**
 * What pages and their servers say to each other, and the bytes of their streams.
 *
 * @module
 */

import { bytes, json, messageTypes, streamType, text } from "@veltix/core";

/** Their messages. */
export const TYPES = messageTypes({
  add: [json<{ a: number; b: number }>(), json<number>()],
  /** To pages. */
  news: text,
  /** To pages, which count them. */
  tick: json<number>(),
  /** To pages, with `latest`. */
  position: json<number>(),
  /** To pages, whose handler ends when the page says so. */
  slow: bytes,
  /** To servers, each number once. */
  number: [json<number>(), json<number>()],
}, { from: 400 });

/** Bytes to a server, which answers with what it has got. */
export const UPLOAD = streamType(450, "upload", { down: false, result: json<Sum>() });
/** As many bytes as the head says from a server, which answers with what it has sent. */
export const DOWNLOAD = streamType(451, "download", { head: json<number>(), up: false, result: json<Sum>() });

/** The number of bytes, and their SHA-256 in hexadecimal digits. */
export interface Sum {
  readonly bytes: number;
  readonly sha256: string;
}

/** How many bytes are made at once. */
export const PIECE: number = 64 * 1024;

/** Returns `size` bytes that are the same for the same seed. Those of different seeds differ everywhere. */
export function noise(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(size);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    made[i] = state;
  }
  return made;
}
