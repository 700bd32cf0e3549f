/**
 * One random input for the decoder: frames of a protocol, spoilt or not, cut anyhow.
 *
 * @module
 */

import { FrameDecoder } from "../../src/wire/decoder.ts";
import { encodeFrame } from "../../src/wire/encoder.ts";
import type { Frame } from "../../src/wire/frame.ts";
import { protocol } from "../../src/wire/protocols.ts";
import { join, type Random, randomFrame } from "../wire_support.ts";
import { chunk, mutate } from "./mutate.ts";

const LIMIT = 4096;
/** One protocol of each framing. */
const FRAMINGS = ["1.6.0", "1.6.3", "1.6.10", "1.7.5", "2.0.0", "native"].map(protocol);
/** The hash of an empty content. */
const EMPTY = 0;

interface Result {
  /** A number for each frame, and for each content. */
  readonly frames: number[];
  readonly contents: number[];
  readonly failure: string | undefined;
  readonly partial: number;
}

/** Throws where the decoder does what it may not. */
export function checkDecoder(random: Random): void {
  const spoken = random.pick(FRAMINGS);
  const most = random.below(30) === 0 ? 700 : 40;
  const sent = Array.from({ length: 1 + random.below(4) }, () => randomFrame(random, spoken, most));
  const encoded = sent.map((frame) => encodeFrame(spoken, frame));
  const other = random.below(2) === 0 ? spoken : random.pick(FRAMINGS);
  const extra = randomFrame(random, other, 40);
  const { bytes, intact } = mutate(random, join(...encoded), encodeFrame(other, extra), random.below(4));

  const decoder = new FrameDecoder(spoken, { maxMessageSize: LIMIT });
  const whole = run(decoder, [bytes]);
  const cut = run(new FrameDecoder(spoken, { maxMessageSize: LIMIT }), chunk(random, bytes));
  same(cut.frames.length, whole.frames.length, "another cutting gives more or fewer frames");
  whole.frames.forEach((frame, i) => same(cut.frames[i], frame, "another cutting gives other frames"));
  same(cut.failure, whole.failure, "another cutting gives another failure");
  same(cut.partial, whole.partial, "another cutting leaves another rest");

  for (let i = 0, end = 0; i < sent.length && (end += encoded[i].length) <= intact; i++) {
    same(whole.frames[i], hash(sent[i]), `frame ${i} before the damage is not what was sent`);
  }
  if (intact === bytes.length && bytes.length === encoded.reduce((sum, { length }) => sum + length, 0)) {
    same(whole.frames.length, sent.length, "an intact stream lost frames");
    same(whole.failure, undefined, "an intact stream failed");
  }
  // The Python protocols check the content alone, and an empty one has the checksum 0.
  const native = spoken.name === "native";
  const known = new Set([...sent, extra].map(native ? hash : hashContent));
  for (const delivered of native ? whole.frames : whole.contents) {
    if (delivered !== EMPTY && !known.has(delivered)) throw new Error("a frame was delivered that nobody sent");
  }
  if (decoder.failure !== undefined) mustThrow(decoder);
}

function run(decoder: FrameDecoder, chunks: readonly Uint8Array[]): Result {
  const frames: number[] = [];
  const contents: number[] = [];
  let came = 0;
  for (const piece of chunks) {
    came += piece.length;
    for (const frame of decoder.push(piece)) {
      frames.push(hash(frame));
      contents.push(hashContent(frame));
    }
    if (decoder.partial > Math.min(came, LIMIT)) throw new Error(`${decoder.partial} bytes are held`);
    if (decoder.count > came / 14 || frames.length > decoder.count) throw new Error("there are more frames than bytes");
    if (decoder.failure !== undefined) break;
  }
  return { frames, contents, failure: decoder.failure?.code, partial: decoder.partial };
}

function mustThrow(decoder: FrameDecoder): void {
  try {
    decoder.push(new Uint8Array(1));
  } catch (error) {
    return same(error, decoder.failure, "a broken decoder throws something else");
  }
  throw new Error("a broken decoder goes on");
}

function same(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}

function hash(frame: Frame): number {
  const { code, flags, requestId, sentAt = -1 } = frame;
  let h = hashContent(frame);
  for (const field of [code, flags, sentAt / 2 ** 32, sentAt]) h = mix(h, field);
  if (typeof requestId === "number") return mix(h, requestId);
  for (let i = 0; i < requestId.length; i++) h = mix(h, requestId.charCodeAt(i));
  return h;
}

function hashContent({ content }: Frame): number {
  let h = content.length;
  for (let i = 0; i < content.length; i++) h = mix(h, content[i]);
  return h;
}

function mix(h: number, value: number): number {
  return Math.imul(h ^ value, 0x01000193) ^ h >>> 15;
}
