/**
 * The frames of binary messages, as RFC 6455 has them in section 5.2.
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type FrameStream, MaskKeys, writeMessage } from "../src/adapters/web_socket/binary_frames.ts";
import { Random, unhex } from "./wire_support.ts";

/** Sizes around those at which the form of a frame, or the way to write it, changes. */
const SIZES = [0, 1, 2, 3, 4, 63, 64, 65, 66, 67, 68, 125, 126, 127, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537];

/** A stream that keeps what is written, and how many writes were not corked together with another one. */
class Kept implements FrameStream {
  readonly writableLength = 0;
  readonly parts: Uint8Array[] = [];
  systemCalls = 0;
  #corked = false;

  cork(): void {
    this.#corked = true;
    this.systemCalls++;
  }

  uncork(): void {
    this.#corked = false;
  }

  write(bytes: Uint8Array, sent?: () => void): void {
    if (!this.#corked) this.systemCalls++;
    this.parts.push(bytes);
    sent?.();
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.parts.flatMap((part) => [...part]));
  }
}

/** Writes a message and returns its frame. */
function frameOf(content: Uint8Array, keys?: MaskKeys): Uint8Array {
  const stream = new Kept();
  let sent = 0;
  writeMessage(stream, content, keys, () => sent++);
  assertEquals([sent, stream.systemCalls], [1, 1]);
  return stream.bytes;
}

/** Reads a frame, byte by byte as the RFC says it. */
function read(frame: Uint8Array): { readonly content: Uint8Array; readonly key: Uint8Array | undefined } {
  assertEquals(frame[0], 0x82);
  const view = new DataView(frame.buffer);
  const short = frame[1] & 0x7f;
  const [size, at] = short < 126
    ? [short, 2]
    : short === 126
    ? [view.getUint16(2), 4]
    : [Number(view.getBigUint64(2)), 10];
  // The shortest form is the only one that is allowed.
  assert(short < 126 || (short === 126 ? size > 125 : size > 65_535));
  if ((frame[1] & 0x80) === 0) return { content: checked(frame.slice(at), size), key: undefined };
  const key = frame.slice(at, at + 4);
  return { content: checked(frame.slice(at + 4).map((byte, i) => byte ^ key[i % 4]), size), key };
}

function checked(content: Uint8Array, size: number): Uint8Array {
  assertEquals(content.length, size);
  return content;
}

/** A message of a size, at an odd place of its buffer. */
function message(size: number): Uint8Array {
  const random = new Random(size);
  return new Uint8Array(size + 3).subarray(3).map(() => random.below(256));
}

describe("the frames of binary messages", () => {
  it("are those of the RFC", () => {
    // "Hello" in a binary message, and 256 bytes, of section 5.7.
    assertEquals(frameOf(unhex("48656c6c6f")), unhex("820548656c6c6f"));
    const long = message(256);
    assertEquals(frameOf(long), Uint8Array.from([0x82, 0x7e, 0x01, 0x00, ...long]));
    class Known extends MaskKeys {
      override next(into: Uint8Array, at: number): void {
        into.set(unhex("37fa213d"), at);
      }
    }
    assertEquals(frameOf(unhex("48656c6c6f"), new Known()), unhex("828537fa213d7f9f4d5158"));
  });

  it("have the content of their messages, of any size, with a mask or without one", () => {
    const keys = new MaskKeys();
    for (const size of SIZES) {
      const content = message(size);
      const before = content.slice();
      assertEquals(read(frameOf(content)), { content, key: undefined });
      // The frames of a runtime lie at different places of its buffers.
      for (let i = 0; i < 5; i++) {
        const { content: unmasked, key } = read(frameOf(content, keys));
        assertEquals(unmasked, content);
        assert(key !== undefined);
      }
      assertEquals(content, before);
    }
  });

  it("are masked with a key of their own each, which is never foreseeable from the one before", () => {
    const keys = new MaskKeys();
    const drawn = Array.from(
      { length: 2_000 },
      () => new DataView(read(frameOf(message(1), keys)).key!.buffer).getUint32(0),
    );
    // Two of 2,000 keys are equal once in two thousand runs.
    assert(new Set(drawn).size >= drawn.length - 2);
    assertNotEquals(drawn.slice(0, 256), drawn.slice(256, 512));
    // Each bit is set about as often as not: 2,000 throws of a coin are within 300 of the half.
    for (let bit = 0; bit < 32; bit++) {
      const set = drawn.filter((key) => (key >>> bit & 1) === 1).length;
      assert(Math.abs(set - 1_000) < 300, `bit ${bit} is set ${set} times`);
    }
  });
});
