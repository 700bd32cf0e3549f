/**
 * `recovery: "resync"`: what a decoder makes of torn streams, held against a reference that is slow and plain.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConfigError, type ProtocolError } from "../src/errors.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { type DecoderOptions, FrameDecoder } from "../src/wire/decoder.ts";
import { crc32 } from "../src/wire/crc32.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import type { Frame } from "../src/wire/frame.ts";
import { put16, put32 } from "../src/wire/integers.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";
import { FrameDecoderStream } from "../src/wire/codec_streams.ts";
import {
  bitwiseCrc32,
  cutEvery,
  cutRandomly,
  encodeAll,
  isMine,
  join,
  PROTOCOLS,
  Random,
  randomFrame,
  rounds,
  RUNTIME_INDEX,
  show,
  utf8,
  watchingArrays,
  withoutStacks,
} from "./wire_support.ts";

const MAGIC = ["1.7.0", "1.9.0", "2.0.0"].map(protocol);
const MIB = 1024 * 1024;
const ADVICE = "upgrade the Python side to 3.2.1, use its THREADING core there, or send smaller messages";

/** What a decoder, or the reference, makes of a stream. */
interface Outcome {
  readonly frames: string[];
  readonly gaps: string[];
  readonly failure: string | undefined;
  readonly skipped: number;
  readonly checked: number;
  readonly partial: number;
}

const gap = (size: number, where = "between two frames"): string =>
  `Skipped ${size} bytes ${where}: no whole frame is in them`;
const LAST = "after the last frame";

/** Runs a decoder with resynchronisation. Frames are read at the end: what backs them may not change. */
function resync(spoken: Protocol, chunks: Iterable<Uint8Array>, maxMessageSize?: number): Outcome {
  const gaps: string[] = [];
  const frames: DecodedFrame[] = [];
  const decoder = new FrameDecoder(spoken, {
    recovery: "resync",
    maxMessageSize,
    onSkip: ({ code, message }) => gaps.push(code === "corrupt" ? message : code),
    onDrop: () => gaps.push("dropped"),
  });
  withoutStacks(() => {
    for (const chunk of chunks) {
      frames.push(...decoder.push(chunk));
      if (decoder.failure !== undefined) break;
    }
    decoder.end();
  });
  const { skipped, checked, partial, failure } = decoder;
  assertEquals(decoder.count, frames.length);
  return { frames: frames.map(show), gaps, failure: failure?.code, skipped, checked, partial };
}

/** The same, a byte at a time and in plain words. */
function reference(spoken: Protocol, bytes: Uint8Array, limit: number): Outcome {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const v2 = spoken.ids === "u16";
  const [early, header] = v2 ? [9, 15] : [8, 16];
  const frames: string[] = [];
  const gaps: string[] = [];
  let [at, end, skipped, checked, reach, allowance] = [0, 0, 0, 0, 0, 0];
  let failure: string | undefined;
  const magic = (here: number): boolean => bytes[here] === 0x56 && bytes[here + 1] === 0x58;
  const sizeAt = (here: number): number => view.getUint32(here + early - 4);
  const intact = (here: number): boolean =>
    bitwiseCrc32(bytes.subarray(here + header, here + header + sizeAt(here))) === view.getUint32(here + early);
  const afford = (here: number, next: number): boolean => {
    if (next > reach) {
      allowance = Math.min(4 * limit, allowance + 4 * (next - reach));
      reach = next;
    }
    if (sizeAt(here) > allowance) {
      failure = "protocol-error";
      return false;
    }
    allowance -= sizeAt(here);
    checked += sizeAt(here);
    return true;
  };
  const look = (): "none" | "more" | "frame" => {
    const there = bytes.length - at;
    if (bytes[at] !== 0x56) return "none";
    if (there === 1) return "more";
    if (!magic(at)) return "none";
    if (there < early) return "more";
    if (v2 && bytes[at + 2] !== 0) return "none";
    const total = header + sizeAt(at);
    if (total > limit) {
      if (at > end) return "none";
      if (there < header) return "more";
      for (let i = 1; i < header - 1; i++) if (magic(at + i)) return "none";
      if (bytes[at + header - 1] === 0x56) return "none";
      failure = "message-too-large";
      return "none";
    }
    if (there < header) return "more";
    for (const length of [early - 3, early - 2, early - 1]) {
      const again = bytes.subarray(at + length, Math.min(at + 2 * length, at + header));
      if (`${again}` === `${bytes.subarray(at, at + again.length)}`) return "none";
    }
    // Each frame that begins in the type or size of this one and is over before it, the first to end first.
    const inner = new Map<number, number>();
    for (let here = at + early - 6; here < at + early; here++) {
      if (!magic(here) || bytes.length < here + header || v2 && bytes[here + 2] !== 0) continue;
      if (header + sizeAt(here) > limit) continue;
      const next = here + header + (sizeAt(here) === 0 ? 2 : sizeAt(here));
      if (next < at + total && next <= bytes.length && !inner.has(next)) inner.set(next, here);
    }
    for (const [next, here] of [...inner].sort(([a], [b]) => a - b)) {
      if (!afford(here, next) || intact(here) && (sizeAt(here) > 0 || magic(next - 2))) return "none";
    }
    return there < total ? "more" : "frame";
  };
  while (at < bytes.length) {
    const seen = look();
    if (failure !== undefined || seen === "more") break;
    const next = at + header + (seen === "frame" ? sizeAt(at) : 0);
    if (seen === "frame" && !afford(at, next)) break;
    if (seen === "frame" && intact(at)) {
      if (at > end) gaps.push(gap(at - end));
      const code = view.getUint16(at + early - 6);
      const requestId = v2 ? view.getUint16(at + 13) : view.getUint32(at + 12);
      const content = bytes.subarray(at + header, next);
      frames.push(show({ code, content, requestId, flags: 0, sentAt: undefined }));
      at = end = next;
      continue;
    }
    at++;
    skipped++;
    if (at - end <= limit) continue;
    failure = "protocol-error";
    break;
  }
  if (at > end) gaps.push(gap(at - end, LAST));
  return { frames, gaps, failure, skipped, checked, partial: failure === undefined ? bytes.length - at : 0 };
}

/** A frame with a content that says which one it is. */
function numbered(n: number, content: Uint8Array = new Uint8Array(30).fill(n)): Frame {
  return { code: 200 + n, content, requestId: n, flags: 0, sentAt: undefined };
}

/** A header alone; its checksum matches nothing. */
function forged(spoken: Protocol, size: number): Uint8Array {
  const { layout } = spoken;
  const bytes = new Uint8Array(spoken.headerSize).fill(0xa5);
  bytes.set([0x56, 0x58]);
  if (layout.flags >= 0) bytes[layout.flags] = 0;
  put16(bytes, layout.code, 200);
  put32(bytes, layout.size, size);
  return bytes;
}

/** Bytes of a piece, repeated. */
function repeat(piece: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += piece.length) bytes.set(piece.subarray(0, size - at), at);
  return bytes;
}

/** A stream of frames of which some are torn, and some of their contents are hostile. */
function tornStream(random: Random, spoken: Protocol): Uint8Array {
  const pieces: Uint8Array[] = [];
  const draw = (): Frame => {
    const frame = randomFrame(random, spoken, random.pick([0, 5, 40, 40, 200]));
    // Torn in its type or size, one of a small type seems to be small, and one of type "VX" may be torn.
    return { ...frame, code: random.pick([frame.code, frame.code, random.below(4), 200, 0x5658]) };
  };
  for (let i = 1 + random.below(6); i > 0; i--) {
    let frame = draw();
    if (random.below(3) === 0) {
      const traps = Array.from({ length: random.below(5) }, () =>
        random.pick([
          forged(spoken, random.below(random.pick([20, 400, 1000]))),
          encodeFrame(spoken, randomFrame(random, spoken, 10)),
          forged(spoken, 30).slice(0, random.below(16)),
          random.bytes(random.below(4)),
          utf8("VXVVX"),
        ]));
      frame = { ...frame, content: join(...traps, frame.content) };
    }
    const bytes = encodeFrame(spoken, frame);
    for (let tears = random.below(4) - 1; tears > 0; tears--) {
      const torn = random.pick([bytes, bytes, encodeFrame(spoken, draw())]);
      pieces.push(torn.slice(0, random.below(random.pick([torn.length, 16]))));
    }
    if (random.below(12) === 0) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    pieces.push(bytes);
    if (random.below(15) === 0) pieces.push(random.bytes(random.below(30)));
  }
  return join(...pieces);
}

for (const [n, spoken] of MAGIC.entries()) {
  describe(`recovery: "resync" in protocol ${spoken.name}`, () => {
    const frames = [1, 2, 3, 4, 5, 6].map((n) => numbered(n));
    const [first, torn, ...others] = frames.map((frame) => encodeFrame(spoken, frame));

    it("brings every frame once and in order after a tear of any length, wherever the stream is cut", () => {
      for (let length = 1; length < torn.length; length++) {
        if (!isMine(length)) continue;
        const stream = join(first, torn.subarray(0, length), torn, ...others);
        const wanted = { frames: frames.map(show), gaps: [gap(length)], failure: undefined, skipped: length };
        for (let cut = 0; cut <= stream.length; cut++) {
          const { checked: _, ...result } = resync(spoken, [stream.slice(0, cut), stream.slice(cut)], 1_000);
          assertEquals(result, { ...wanted, partial: 0 }, `torn after ${length}, cut at ${cut}`);
        }
        for (const size of [1, 2, 7, 16, 50]) {
          const { checked: _, ...result } = resync(spoken, cutEvery(stream, size), 1_000);
          assertEquals(result, { ...wanted, partial: 0 }, `torn after ${length}, pieces of ${size}`);
        }
      }
    });

    it("brings a torn frame as soon as it is whole, wherever it was torn", () => {
      const whole = encodeFrame(spoken, { code: 200, content: utf8("x".repeat(64)), requestId: 7, flags: 0 });
      for (let cut = 1; cut < whole.length; cut++) {
        const decoder = new FrameDecoder(spoken, { recovery: "resync" });
        decoder.push(first);
        const frames = decoder.push(join(whole.subarray(0, cut), whole));
        assertEquals([cut, frames.length], [cut, 1]);
      }
    });

    it("brings any frame behind a tear inside a header, as soon as it is whole", () => {
      for (const [tornCode, code, size] of [[200, 201, 30], [1, 200, 30], [5, 65_000, 1], [159, 200, 600], [2, 3, 0]]) {
        const begun = encodeFrame(spoken, { ...numbered(1, new Uint8Array(70_000)), code: tornCode });
        const whole = encodeFrame(spoken, { ...numbered(2, new Uint8Array(size).fill(9)), code });
        const next = encodeFrame(spoken, numbered(3));
        // Torn behind its size, what it announces is waited for.
        for (let cut = 1; cut < spoken.early; cut++) {
          const decoder = new FrameDecoder(spoken, { recovery: "resync" });
          const chunk = join(first, begun.subarray(0, cut), whole.subarray(0, -1));
          assertEquals([cut, decoder.push(chunk).length], [cut, 1]);
          // Of an empty one nothing but the next magic says that it is one, if its header could be part of another's.
          const frames = decoder.push(join(whole.subarray(-1), size === 0 ? next.subarray(0, 2) : new Uint8Array(0)));
          assertEquals([cut, ...frames.map((frame) => frame.code)], [cut, code]);
          assertEquals([decoder.skipped, decoder.partial], [cut, size === 0 ? 2 : 0]);
        }
      }
    });

    it("checks a frame that could begin inside a header once, and as soon as it has come", () => {
      // Headers of two such frames, neither of which is one: of 256 and 400 bytes, or of 400 and 5,658,624.
      const bytes = new Uint8Array(5_700_000);
      bytes.set(first);
      bytes.set(
        spoken.ids === "u16"
          ? [0x56, 0x58, 0, 0x56, 0x58, 0, 0x56, 0x58, 0, 0, 1, 0, 0, 1, 0x90]
          : [0x56, 0x58, 0x56, 0x58, 0, 0x60, 0, 0x56, 0x58, 0, 0, 0, 0, 1, 0x90, 0],
        first.length,
      );
      const sizes = spoken.ids === "u16" ? [256, 400] : [400, 5_658_624];
      const checked = sizes.reduce((sum, size) => sum + size, 30);
      for (const piece of [bytes.length, MIB, 100_000]) {
        const result = resync(spoken, cutEvery(bytes.subarray(0, spoken.ids === "u16" ? MIB : bytes.length), piece));
        assertEquals([result.checked, result.skipped, result.frames.length], [checked, 0, 1]);
      }
    });

    it("earns work by how far such a frame reaches, not by what came behind it", () => {
      // It has 256 bytes, and the one around it 512; or 100 and 598.
      const header = spoken.ids === "u16"
        ? [0x56, 0x58, 0, 0x56, 0x58, 0, 0, 2, 0, 0, 1, 0, 1, 1, 1]
        : [0x56, 0x58, 0, 1, 0, 0, 2, 0x56, 0x58, 0, 0, 0, 0, 0, 100, 0];
      const stream = join(first, new Uint8Array(header), repeat(forged(spoken, 900), 6_000));
      const wanted = reference(spoken, stream, 5_000);
      assertEquals(wanted.failure, "protocol-error");
      for (const piece of [stream.length, 1_000, 1]) {
        if (piece === 1 && !isMine(n)) continue;
        assertEquals(resync(spoken, cutEvery(stream, piece), 5_000), wanted);
      }
    });

    it("takes no good frame for a torn one because of its type, its size or its checksum", () => {
      const { layout, headerSize } = spoken;
      const good: Frame[] = [];
      for (const code of [0x5658, 200]) {
        for (const size of [0, 256, 512, 86, 22_104, 51_200]) {
          for (const fill of [0, 0x56, 0xff]) good.push({ ...numbered(1, new Uint8Array(size).fill(fill)), code });
        }
      }
      // One whose checksum goes on with a header, as that of every 65,536th frame of its size does.
      const content = new Uint8Array(86);
      for (let n = 0;; n++) {
        put32(content, 0, n);
        const digest = crc32(content);
        if (digest >>> 24 !== 0x58) continue;
        const bytes = encodeFrame(spoken, { code: 200, content, requestId: 1, flags: 0 });
        if (bytes[layout.digest] !== 0x58 || bytes[layout.flags < 0 ? layout.digest + 3 : layout.digest + 1] !== 0) {
          continue;
        }
        good.push({ code: 200, content, requestId: 1, flags: 0 });
        break;
      }
      const stream = encodeAll(spoken, good);
      const wanted = good.map((frame) => show({ ...frame, sentAt: undefined }));
      for (const size of [stream.length, 1_000, 1]) {
        if (size === 1 && !isMine(n)) continue;
        const { checked, ...result } = resync(spoken, cutEvery(stream, size));
        assertEquals(result, { frames: wanted, gaps: [], failure: undefined, skipped: 0, partial: 0 });
        assert(checked <= 2 * (stream.length - good.length * headerSize));
      }
    });

    it("ends with a frame above the limit that is not torn, and does not search it", () => {
      const hidden = encodeFrame(spoken, numbered(9));
      const large = encodeFrame(spoken, numbered(2, join(new Uint8Array(500), hidden, new Uint8Array(500))));
      const stream = join(first, large, torn);
      for (const size of [1, 7, stream.length]) {
        const result = resync(spoken, cutEvery(stream, size), 1_000);
        assertEquals(
          [result.frames.length, result.failure, result.skipped, result.partial, result.gaps.length],
          [1, "message-too-large", 0, 0, 0],
        );
      }
      const decoder = new FrameDecoder(spoken, { recovery: "resync", maxMessageSize: 1_000 });
      const plain = new FrameDecoder(spoken, { maxMessageSize: 1_000 });
      for (const each of [decoder, plain]) each.push(stream);
      assertEquals(decoder.failure?.message, plain.failure?.message);
      // Torn inside its header it is searched, and so is what comes in a gap.
      for (let cut = 1; cut < spoken.headerSize; cut++) {
        const found = resync(spoken, [join(first, large.subarray(0, cut), torn, torn)], 1_000);
        assertEquals([cut, found.frames.length, found.failure], [cut, 3, undefined]);
      }
      assertEquals(
        resync(spoken, [join(first, new Uint8Array(1), large.subarray(0, 300), torn)], 1_000).frames.length,
        2,
      );
    });

    it("lets no small frame keep alive the large buffer it was found in", () => {
      const large = encodeFrame(spoken, numbered(1, new Uint8Array(2 * MIB)));
      const small = numbered(2, new Uint8Array(20).fill(7));
      const decoder = new FrameDecoder(spoken, { recovery: "resync" });
      const stream = join(large.subarray(0, 100_000), encodeFrame(spoken, small), large);
      const got = [...cutEvery(stream, 65_536)].flatMap((chunk) => decoder.push(chunk.slice()));
      assertEquals(got.map(show), [small, numbered(1, new Uint8Array(2 * MIB))].map(show));
      assertEquals(got[0].content.buffer.byteLength, 20);
    });

    it("brings every frame of a stream in which each is torn, the first one too, and some twice", () => {
      const random = new Random(9);
      const many = Array.from({ length: 200 }, () => ({ ...randomFrame(random, spoken, 900), sentAt: undefined }));
      let skipped = 0;
      const pieces = many.flatMap((frame, i) => {
        const bytes = encodeFrame(spoken, { ...frame, content: join(frame.content, new Uint8Array(40)) });
        // Shorter parts end in the header, which then may announce anything.
        const parts = Array.from({ length: 1 + i % 2 }, () => bytes.subarray(0, 16 + random.below(bytes.length - 16)));
        for (const part of parts) skipped += part.length;
        return [...parts, bytes];
      });
      const stream = join(...pieces);
      const bytewise = isMine(n) ? [cutEvery(stream, 1)] : [];
      for (const chunks of [[stream], ...bytewise, cutRandomly(stream, random, 5_000)]) {
        const result = resync(spoken, chunks);
        assertEquals(result.frames.length, many.length);
        result.frames.forEach((frame, i) => {
          assertEquals(frame, show({ ...many[i], content: join(many[i].content, new Uint8Array(40)) }));
        });
        assertEquals([result.failure, result.skipped, result.gaps.length], [undefined, skipped, many.length]);
        assert(result.checked <= 4 * stream.length);
      }
    });

    it("does what the reference does with random torn streams, others on each runtime, however they are cut", () => {
      const random = new Random(100 * RUNTIME_INDEX + spoken.headerSize + spoken.name.length);
      let [gaps, failures] = [0, 0];
      const count = rounds(400);
      for (let round = 0; round < count; round++) {
        const stream = tornStream(random, spoken);
        const limit = random.pick([60, 256, 700, 5_000, 300_000]);
        const wanted = reference(spoken, stream, limit);
        gaps += wanted.gaps.length;
        failures += wanted.failure === undefined ? 0 : 1;
        const where = `round ${round}`;
        assertEquals(resync(spoken, [stream], limit), wanted, where);
        assertEquals(resync(spoken, cutEvery(stream, 1), limit), wanted, where);
        assertEquals(resync(spoken, cutRandomly(stream, random, 1 + random.below(200)), limit), wanted, where);
        assert(wanted.checked <= 4 * stream.length, where);
      }
      // The streams are what they are meant to be.
      assert(gaps > 0.6 * count && failures > 0.05 * count, `${gaps} gaps, ${failures} failures`);
    });

    it("does what the default does with a stream that is whole", () => {
      const random = new Random(5);
      const stream = encodeAll(spoken, Array.from({ length: 300 }, () => randomFrame(random, spoken, 400)));
      const whole = new FrameDecoder(spoken).push(stream).map(show);
      for (const chunks of [[stream], cutEvery(stream, 1), cutRandomly(stream, random, 700)]) {
        const { checked, ...result } = resync(spoken, chunks);
        assertEquals(result, { frames: whole, gaps: [], failure: undefined, skipped: 0, partial: 0 });
        assertEquals(checked, stream.length - 300 * spoken.headerSize);
      }
    });

    it("delivers no frame that stands in the payload of a good one, nor does the default", () => {
      const hidden = encodeFrame(spoken, numbered(9));
      const outer = numbered(1, join(hidden, utf8("VX"), hidden, hidden.subarray(0, 20)));
      const stream = encodeAll(spoken, [numbered(2), outer, numbered(3)]);
      for (let size = 1; size <= stream.length; size++) {
        const wanted = [numbered(2), outer, numbered(3)].map(show);
        assertEquals(resync(spoken, cutEvery(stream, size)).frames, wanted);
        const plain = new FrameDecoder(spoken);
        assertEquals([...cutEvery(stream, size)].flatMap((chunk) => plain.push(chunk)).map(show), wanted);
      }
    });

    it("searches inside a frame whose checksum does not match, and the default does not", () => {
      const broken = encodeFrame(spoken, numbered(1, join(encodeFrame(spoken, numbered(9)), new Uint8Array(5))));
      broken[broken.length - 1] ^= 1;
      const stream = join(broken, encodeFrame(spoken, numbered(2)));
      const found = resync(spoken, [stream]);
      assertEquals(found.frames, [numbered(9), numbered(2)].map(show));
      assertEquals(found.gaps, [gap(spoken.headerSize), gap(5)]);
      assertEquals(new FrameDecoder(spoken).push(stream).map(show), [show(numbered(2))]);
    });

    it("waits for a frame that is announced, and loses nothing of what stands in it", () => {
      const waits = join(first, forged(spoken, 500), ...others);
      const decoder = new FrameDecoder(spoken, { recovery: "resync" });
      assertEquals(decoder.push(waits).length, 1);
      assertEquals([decoder.partial, decoder.skipped, decoder.end()], [waits.length - first.length, 0, 0]);
      const got = decoder.push(new Uint8Array(500));
      assertEquals(got.map(show), frames.slice(2).map(show));
    });

    it("counts what it skips in a gap that goes on, and holds none of it", () => {
      const decoder = new FrameDecoder(spoken, { recovery: "resync" });
      decoder.push(join(first, new Uint8Array(100), utf8("V")));
      assertEquals([decoder.skipped, decoder.partial, decoder.failure], [100, 1, undefined]);
      decoder.push(new Uint8Array(1));
      assertEquals([decoder.skipped, decoder.partial], [102, 0]);
      assertEquals(decoder.push(torn).map(show), [show(frames[1])]);
      assertEquals([decoder.skipped, decoder.partial], [102, 0]);
    });

    it("tells once of the gap after the last frame, when it is told that nothing more comes", () => {
      const gaps: string[] = [];
      const onSkip = ({ message }: ProtocolError): void => void gaps.push(message);
      const decoder = new FrameDecoder(spoken, { recovery: "resync", onSkip });
      decoder.push(join(first, new Uint8Array(100), torn.subarray(0, 20)));
      assertEquals([gaps, decoder.partial], [[], 20]);
      assertEquals([decoder.end(), decoder.end(), decoder.partial], [100, 0, 20]);
      assertEquals(gaps, [gap(100, LAST)]);
      assertEquals(new FrameDecoder(spoken).end(), 0);
    });

    it("tells of the gap that a broken stream ends in", () => {
      for (const bytes of [new Uint8Array(400), repeat(forged(spoken, 150), 400)]) {
        const result = resync(spoken, [join(first, bytes)], 200);
        assertEquals([result.failure, result.gaps], ["protocol-error", [gap(result.skipped, LAST)]]);
      }
    });

    it("skips maxMessageSize bytes between two frames and not one more", () => {
      const limit = 300;
      for (const filler of [new Uint8Array(limit + 1), repeat(utf8("VX"), limit + 1), repeat(utf8("V"), limit + 1)]) {
        const fits = join(first, filler.subarray(0, limit), torn);
        const long = join(first, filler, torn, torn);
        for (const size of [1, 2, 50, 1000]) {
          const within = resync(spoken, cutEvery(fits, size), limit);
          assertEquals([within.frames.length, within.failure, within.skipped], [2, undefined, limit]);
          const beyond = resync(spoken, cutEvery(long, size), limit);
          assertEquals(
            [beyond.frames.length, beyond.failure, beyond.skipped, beyond.partial],
            [1, "protocol-error", limit + 1, 0],
          );
        }
      }
      // Each gap for itself.
      const twice = join(first, new Uint8Array(limit), torn, new Uint8Array(limit), torn);
      assertEquals(resync(spoken, [twice], limit).frames.length, 3);
    });

    it("ends a megabyte of forged headers, having checked no more than four times what came", () => {
      for (const [i, size] of [0, 80, 65_536, 4_096, 30, 47, 900_000].entries()) {
        if (!isMine(i)) continue;
        const hostile = repeat(forged(spoken, size), MIB);
        const [whole, cut] = [resync(spoken, [hostile]), resync(spoken, cutEvery(hostile, 1_000))];
        assert(whole.checked <= 4 * MIB, `size ${size}: ${whole.checked} bytes`);
        // Only where the work fits may it go on.
        assertEquals(whole.failure, size < 64 ? undefined : "protocol-error", `size ${size}`);
        assertEquals(cut, whole);
        // By the time that it ends, no more has come than was looked at.
        const decoder = new FrameDecoder(spoken, { recovery: "resync" });
        let came = 0;
        for (const chunk of cutEvery(hostile, 100)) {
          decoder.push(chunk);
          came += chunk.length;
          if (decoder.checked > 4 * came) assert(false, `size ${size} after ${came} bytes`);
          if (decoder.failure !== undefined) break;
        }
      }
    });

    it("lets a long good stream pay for no more than four of the largest frames", () => {
      const limit = 65_536;
      const good = repeat(encodeFrame(spoken, numbered(1, new Uint8Array(1_000))), (1_000 + spoken.headerSize) * 4_096);
      const hostile = repeat(forged(spoken, 60_000), 200_000);
      const decoder = new FrameDecoder(spoken, { recovery: "resync", maxMessageSize: limit });
      assertEquals(decoder.push(good).length, 4_096);
      const before = decoder.checked;
      decoder.push(hostile);
      assertEquals(decoder.failure?.code, "protocol-error");
      assert(decoder.checked - before <= 4 * limit + 4 * hostile.length);
      const { message } = decoder.failure as ProtocolError;
      assertEquals(message, `Cannot decode the stream: too many headers announce frames that are none; ${ADVICE}`);
    });

    it("holds no more memory than four times the bytes that came, whatever is announced", () => {
      const stream = join(first, new Uint8Array(1_000), forged(spoken, 9 * MIB), new Uint8Array(100_000));
      for (const piece of [10, 1_000, 65_536]) {
        const pieces = [...cutEvery(stream, piece)];
        watchingArrays((newest) => {
          const decoder = new FrameDecoder(spoken, { recovery: "resync" });
          let came = 0;
          for (const chunk of pieces) {
            decoder.push(chunk);
            came += chunk.length;
            if (newest() > 4 * Math.max(came, 100)) assert(false, `${newest()} bytes for ${came}`);
          }
        });
      }
    });

    it("reports a broken stream without naming the option again", () => {
      const decoder = new FrameDecoder(spoken, { recovery: "resync", maxMessageSize: 100 });
      decoder.push(join(first, new Uint8Array(101)));
      assertEquals(
        decoder.failure?.message,
        `Cannot decode the stream: more than 100 bytes hold no whole frame; ${ADVICE}`,
      );
      assertThrows(() => decoder.push(torn), Error, decoder.failure!.message);
    });
  });

  describe(`the default in protocol ${spoken.name}`, () => {
    const [first, torn] = [1, 2].map((n) => encodeFrame(spoken, numbered(n)));
    const HINT = '; set recovery: "resync" if this is a Python peer you trust';
    const failure = (bytes: Uint8Array, options?: DecoderOptions): string | undefined => {
      const decoder = new FrameDecoder(spoken, options);
      decoder.push(bytes);
      assertEquals([decoder.skipped, decoder.checked], [0, 0]);
      return decoder.failure?.message;
    };

    it("ends a torn stream with an error that names the option", () => {
      for (let length = spoken.headerSize; length < torn.length; length++) {
        for (const options of [undefined, { recovery: "close" } as const]) {
          const stream = join(torn.subarray(0, length), torn, first);
          assertEquals(failure(stream, options), `Cannot decode the stream: a frame does not begin with "VX"${HINT}`);
        }
      }
      const flagged = first.slice();
      if (spoken.layout.flags >= 0) {
        flagged[spoken.layout.flags] = 1;
        assertEquals(failure(join(first, flagged)), `Cannot decode the stream: the flag 0x01 is not in use${HINT}`);
      }
    });

    it("does not name it where the first bytes are no frame, or the frame is too large", () => {
      assertEquals(failure(utf8("GET / HTTP/1.1")), 'Cannot decode the stream: a frame does not begin with "VX"');
      const message = failure(join(first, torn), { maxMessageSize: first.length - 1 });
      assert(message !== undefined && !message.includes("resync"));
    });
  });
}

describe('recovery: "resync"', () => {
  it("is refused for the protocols without a magic, with the releases that have one", () => {
    for (const spoken of PROTOCOLS.filter(({ magic }) => magic === undefined)) {
      const error = assertThrows(() => new FrameDecoder(spoken, { recovery: "resync" }), ConfigError);
      assertEquals(error.code, "invalid-config");
      assertStringIncludes(error.message, `protocol "${spoken.name}" goes without recovery: "resync"`);
      assertStringIncludes(error.message, "Python releases from 1.7 on");
      new FrameDecoder(spoken, { recovery: "close" });
    }
  });

  it("is passed on by FrameDecoderStream, which does not end quietly in a gap", async () => {
    const spoken = protocol("2.0");
    const [first, second] = [1, 2].map((n) => encodeFrame(spoken, numbered(n)));
    const gaps: string[] = [];
    const onSkip = ({ message }: ProtocolError): void => void gaps.push(message);
    const codec = new FrameDecoderStream(spoken, { recovery: "resync", onSkip });
    const writer = codec.writable.getWriter();
    writer.write(join(first, second.subarray(0, 20), second, new Uint8Array(7))).catch(() => {});
    writer.close().catch(() => {});
    const reader = codec.readable.getReader();
    for (const n of [1, 2]) assertEquals((await reader.read()).value?.code, 200 + n);
    const error = await reader.read().catch((error) => error);
    assertEquals(error.message, "Cannot decode the stream: it ends 7 bytes after the last whole frame");
    assertEquals(gaps, [gap(20), gap(7, LAST)]);
  });
});
