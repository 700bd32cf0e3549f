import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import type { Frame } from "../src/wire/frame.ts";
import { protocol } from "../src/wire/protocols.ts";
import { encodeAll, isMine, join, Random, randomFrame, show, withoutStacks } from "./wire_support.ts";

const NATIVE = protocol("native");
const FRAMES = 1000;
const random = new Random(0x5eed);
const frames = Array.from({ length: FRAMES }, () => randomFrame(random, NATIVE, 32));
const encoded = frames.map((frame) => encodeFrame(NATIVE, frame));

/** Flips every bit of a frame, one after another, and looks what becomes of `before`, it, and `after`. */
function flipAll(before: Uint8Array, bytes: Uint8Array, after: Uint8Array, expected: readonly Frame[]): number {
  const stream = join(before, bytes, after);
  const names = expected.map(show);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const at = before.length + (bit >> 3);
    stream[at] ^= 1 << (bit & 7);
    const decoder = new FrameDecoder(NATIVE);
    const delivered = withoutStacks(() => decoder.push(stream));
    stream[at] ^= 1 << (bit & 7);
    if (decoder.failure === undefined || delivered.length !== names.length) {
      throw new Error(`bit ${bit}: ${delivered.length} frames, failure ${decoder.failure?.code}`);
    }
    delivered.forEach((frame, i) => assertEquals(show(frame), names[i]));
  }
  return 8 * bytes.length;
}

describe("a single flipped bit in a stream of 1,000 native frames", () => {
  it("is found wherever it lies, from no byte beyond its own frame, and no changed frame is delivered", () => {
    let bits = 0;
    for (let i = 0; i < FRAMES; i++) {
      if (!isMine(i)) continue;
      const before = i === 0 ? new Uint8Array(0) : encoded[i - 1];
      bits += flipAll(before, encoded[i], new Uint8Array(0), i === 0 ? [] : [frames[i - 1]]);
    }
    assertEquals(bits, encoded.filter((_, i) => isMine(i)).reduce((sum, { length }) => sum + 8 * length, 0));
  });

  it("is found with the rest of the stream behind it", () => {
    for (let i = 1; i < FRAMES - 1; i += 5) {
      if (isMine(i)) flipAll(encoded[i - 1], encoded[i], encoded[i + 1], [frames[i - 1]]);
    }
  });

  it("delivers the whole stream up to the flipped frame", () => {
    const stream = encodeAll(NATIVE, frames);
    for (let round = 0; round < 100; round++) {
      const bit = random.below(8 * stream.length);
      let good = 0;
      for (let end = 0; (end += encoded[good].length) <= bit >> 3;) good++;
      stream[bit >> 3] ^= 1 << (bit & 7);
      const decoder = new FrameDecoder(NATIVE);
      const delivered = decoder.push(stream);
      stream[bit >> 3] ^= 1 << (bit & 7);
      assertEquals(delivered.map(show), frames.slice(0, good).map(show));
      assert(decoder.failure !== undefined);
    }
  });

  it("is found in a frame that comes byte by byte", () => {
    for (const [i, bytes] of encoded.slice(0, 20).entries()) {
      if (!isMine(i)) continue;
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const flipped = bytes.slice();
        flipped[bit >> 3] ^= 1 << (bit & 7);
        const decoder = new FrameDecoder(NATIVE);
        for (let at = 0; at < flipped.length && decoder.failure === undefined; at++) {
          const { length } = withoutStacks(() => decoder.push(flipped.slice(at, at + 1)));
          if (length > 0) assertEquals(length, 0, `frame ${i}, bit ${bit}`);
        }
        assert(decoder.failure !== undefined, `frame ${i}, bit ${bit}`);
      }
    }
  });
});
