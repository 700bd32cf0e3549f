/**
 * What the tests of `src/wire` share: golden frames of the Python releases, seeded random bytes, and ways to cut a stream.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { type DecoderOptions, FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { Flag, type Frame } from "../src/wire/frame.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";

/** A frame made by a Python release. */
export interface GoldenFrame {
  readonly code: number;
  /** A UUID, eight hexadecimal digits, or (2.0) a number. */
  readonly requestId: string | number;
  readonly contentHex: string;
  readonly frameHex: string;
}

/** One file of `tests/vectors`: what a Python release sends. */
export interface Vectors {
  readonly release: string;
  readonly timestampMs: number;
  readonly frames: readonly GoldenFrame[];
  /** The HELLO frame. */
  readonly hello: string | null;
  /** The three JSON messages. */
  readonly handshake: { readonly server: string; readonly client: string; readonly ack: string } | null;
}

/** One release of every wire protocol, and the native one. */
export const PROTOCOLS: readonly Protocol[] = [
  ...["1.2.1", "1.3.0", "1.6.0", "1.6.3", "1.6.10", "1.7.5", "1.9.0", "2.0.0"].map(protocol),
  protocol("native"),
];

/** All golden vectors. */
export function loadVectors(): Vectors[] {
  const folder = new URL("./vectors/", import.meta.url);
  return readdirSync(folder).filter((name) => name.endsWith(".json")).sort()
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")));
}

/** The id of a golden frame as this library has it. */
export function goldenId({ requestId }: GoldenFrame): string | number {
  return typeof requestId === "string" && requestId.length === 8 ? parseInt(requestId, 16) : requestId;
}

/** Hexadecimal digits as bytes. */
export function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** Bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/** Text as UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Pieces as one. */
export function join(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Which runtime this is, from 0 to 2: where many random inputs are tried, each tries others. */
export const RUNTIME_INDEX: number = ["Bun", "Deno", "process"].findIndex((name) => name in globalThis);

const { VELTIX_REQUIRE_ALL, VELTIX_THOROUGH } = process.env;
/** Whether this runtime does all that the three otherwise share, however long it takes. */
const THOROUGH = VELTIX_THOROUGH === "1";
/** Whether all that may be left out to be quick is done by one of the three. */
const COMPLETE = THOROUGH || VELTIX_REQUIRE_ALL === "1";

/**
 * Whether this runtime does part `index` of a work that is the same on all three. They share it, as each would take as long
 * as all others. With `VELTIX_THOROUGH=1` each does all of it.
 */
export function isMine(index: number): boolean {
  return THOROUGH || index % 3 === RUNTIME_INDEX;
}

/** The same for work that takes long. A normal run does each third part of it, and one with `VELTIX_REQUIRE_ALL=1` all. */
export function isSampled(index: number): boolean {
  return isMine(index) && (COMPLETE || Math.floor(index / 3) % 3 === 0);
}

/**
 * How many random rounds this runtime does of those that it may: a ninth, a third with `VELTIX_REQUIRE_ALL=1`, and all with
 * `VELTIX_THOROUGH=1`.
 */
export function rounds(all: number): number {
  return THOROUGH ? all : Math.ceil(all / (COMPLETE ? 3 : 9));
}

/** A generator of pseudo-random numbers (mulberry32): the same seed gives the same numbers everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `below` − 1. */
  below(below: number): number {
    this.#state = this.#state + 0x6d2b79f5 | 0;
    let t = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 0x1_0000_0000 * below);
  }

  /** Random bytes. */
  bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = this.below(256);
    return bytes;
  }

  /** One of them. */
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}

/** A random frame that the protocol can carry. */
export function randomFrame(random: Random, spoken: Protocol, maxSize: number): Frame {
  const code = random.below(0x10000);
  const content = random.bytes(random.below(maxSize + 1));
  const sentAt = spoken.layout.timestamp < 0 ? undefined : random.below(2 ** 32) * 1024;
  if (spoken.name === "native") {
    const flags = random.pick([0, Flag.REQUEST, Flag.REPLY, Flag.REPLY | Flag.ERROR]);
    return { code, content, requestId: flags === 0 ? 0 : 1 + random.below(0xffffffff), flags };
  }
  const digits = hex(random.bytes(16));
  const requestId = spoken.ids === "uuid"
    ? digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
    : random.below(spoken.ids === "u16" ? 0x10000 : 2 ** 32);
  return { code, content, requestId, flags: 0, sentAt };
}

/** A frame as text, to compare by. */
export function show({ code, flags, requestId, sentAt, content }: Frame): string {
  return `${code} ${flags} ${requestId} ${sentAt} ${hex(content)}`;
}

/** Frames as one stream of bytes. */
export function encodeAll(spoken: Protocol, frames: readonly Frame[]): Uint8Array {
  return join(...frames.map((frame) => encodeFrame(spoken, frame)));
}

/** What a decoder makes of chunks, as text; it stops where the decoder does. */
export function decode(
  spoken: Protocol,
  chunks: Iterable<Uint8Array>,
  options?: DecoderOptions,
): { frames: string[]; failure: string | undefined; partial: number } {
  const decoder = new FrameDecoder(spoken, options);
  const frames: string[] = [];
  for (const chunk of chunks) {
    for (const frame of decoder.push(chunk)) frames.push(show(frame));
    if (decoder.failure !== undefined) break;
  }
  return { frames, failure: decoder.failure?.code, partial: decoder.partial };
}

/**
 * Bytes cut every `size` bytes. The pieces are views of one copy, which costs a fraction of an array each; a byte that is
 * none of theirs stands between two, so that whoever reads beyond a piece reads something else.
 */
export function* cutEvery(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  const copy = new Uint8Array(bytes.length + Math.ceil(bytes.length / size)).fill(0xa7);
  for (let at = 0, to = 0; at < bytes.length; at += size, to += size + 1) {
    const piece = bytes.subarray(at, at + size);
    copy.set(piece, to);
    yield copy.subarray(to, to + piece.length);
  }
}

/** Bytes cut at random, empty pieces included. */
export function* cutRandomly(bytes: Uint8Array, random: Random, most: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const size = random.below(most + 1);
    yield bytes.slice(at, at + size);
    at += size;
  }
}

/** CRC-32 as the definition has it: bit by bit, no table. */
export function bitwiseCrc32(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Runs what makes arrays of bytes, and tells it the size of the newest that was made by its size. */
export function watchingArrays(run: (newest: () => number) => void): void {
  const real = globalThis.Uint8Array;
  let newest = 0;
  globalThis.Uint8Array = new Proxy(real, {
    construct(target, args, newTarget): object {
      if (typeof args[0] === "number") newest = args[0];
      return Reflect.construct(target, args, newTarget);
    },
  });
  try {
    run(() => newest);
  } finally {
    globalThis.Uint8Array = real;
  }
}

/** Runs what makes errors by the ten thousand, without the lines of calls in them: those cost more than all the rest. */
export function withoutStacks<Value>(run: () => Value): Value {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
