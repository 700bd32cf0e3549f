/**
 * One random input for the decoder: frames of a protocol, spoilt or not, cut anyhow.
 *
 * @module
 */

import { type DecoderOptions, FrameDecoder } from "../../src/wire/decoder.ts";
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
  /** Bytes between the last frame and what is left. */
  readonly gap: number;
  readonly skipped: number;
  readonly checked: number;
}

/** Throws where the decoder does what it may not. */
export function checkDecoder(random: Random): void {
  const spoken = random.pick(FRAMINGS);
  const most = random.below(30) === 0 ? 700 : 40;
  const sent = Array.from({ length: 1 + random.below(4) }, () => randomFrame(random, spoken, most));
  const encoded = sent.map((frame) => encodeFrame(spoken, frame));
  const other = random.below(2) === 0 ? spoken : random.pick(FRAMINGS);
  const extra = randomFrame(random, other, 40);
  const resync = spoken.magic !== undefined && random.below(2) === 0;
  // As a Python sender tears them: a part of a frame, and then the whole frame. Nothing tells that an empty one is torn.
  const torn = encoded.map((frame, i) =>
    resync && sent[i].content.length > 0 && random.below(2) === 0
      ? join(frame.subarray(0, random.below(frame.length)), frame)
      : frame
  );
  const sound = torn.every((frame, i) => frame.length === encoded[i].length);
  const { bytes, intact } = mutate(random, join(...torn), encodeFrame(other, extra), random.below(4));

  const options: DecoderOptions = { maxMessageSize: LIMIT, recovery: resync ? "resync" : "close" };
  const decoder = new FrameDecoder(spoken, options);
  const whole = run(decoder, [bytes]);
  const cut = run(new FrameDecoder(spoken, options), chunk(random, bytes));
  same(cut.frames.length, whole.frames.length, "another cutting gives more or fewer frames");
  whole.frames.forEach((frame, i) => same(cut.frames[i], frame, "another cutting gives other frames"));
  same(cut.failure, whole.failure, "another cutting gives another failure");
  same(cut.partial, whole.partial, "another cutting leaves another rest");
  same(cut.gap, whole.gap, "another cutting leaves another gap");
  same(cut.skipped, whole.skipped, "another cutting skips more or less");
  same(cut.checked, whole.checked, "another cutting checks more or less");
  if (whole.checked > 4 * bytes.length) throw new Error(`${whole.checked} bytes are checked`);
  if (!resync) same(whole.skipped, 0, "something was skipped");

  for (let i = 0, end = 0; sound && i < sent.length && (end += encoded[i].length) <= intact; i++) {
    same(whole.frames[i], hash(sent[i]), `frame ${i} before the damage is not what was sent`);
  }
  const untouched = intact === bytes.length && intact === torn.reduce((sum, { length }) => sum + length, 0);
  if (sound && untouched) {
    same(whole.frames.length, sent.length, "an intact stream lost frames");
    same(whole.failure, undefined, "an intact stream failed");
  }
  if (!sound && untouched && whole.failure === undefined && whole.partial + whole.gap === 0) {
    let next = 0;
    for (const frame of whole.frames) if (next < sent.length && frame === hash(sent[next])) next++;
    same(next, sent.length, "a torn stream lost frames");
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
  const gap = decoder.end();
  const { failure, partial, skipped, checked } = decoder;
  return { frames, contents, failure: failure?.code, partial, gap, skipped, checked };
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
