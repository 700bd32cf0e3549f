import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ProtocolError } from "../mod.ts";
import { type DecodedFrame, type Frame, protocol } from "../src/wire/mod.ts";
import { FrameReader } from "../src/wire/frame_reader.ts";
import { encodeAll } from "./wire_support.ts";

const NATIVE = protocol("native");

/** Frames of those sizes, each with its number as every byte. */
function framesOf(...sizes: number[]): Uint8Array {
  const frame = (size: number, i: number): Frame => {
    return { code: 200 + i, flags: 0, requestId: 0, content: new Uint8Array(size).fill(i) };
  };
  return encodeAll(NATIVE, sizes.map(frame));
}

describe("FrameReader", () => {
  it("hands out one frame at a time, and says whether there is more behind it", () => {
    const reader = new FrameReader(NATIVE);
    const bytes = framesOf(3, 0, 1000);
    reader.feed(bytes.subarray(0, bytes.length - 1));
    assertEquals([reader.next()?.code, reader.more], [200, true]);
    assertEquals([reader.next()?.size, reader.more], [0, true]);
    assertEquals([reader.next(), reader.more, reader.partial], [undefined, false, 1015]);
    reader.feed(bytes.subarray(bytes.length - 1));
    assertEquals([reader.next()?.code, reader.more, reader.partial], [202, false, 0]);
    assertEquals(reader.next(), undefined);
  });

  it("leaves what was kept of a frame as it was when the next one comes", () => {
    for (const cut of [0, 10, 17, 100, 500]) {
      const reader = new FrameReader(NATIVE);
      const bytes = framesOf(40, 700, 2, 90);
      const kept: DecodedFrame[] = [];
      const contents: Uint8Array[] = [];
      for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        reader.feed(chunk);
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
          kept.push(frame.keep());
          contents.push(frame.content);
        }
      }
      assertEquals(kept.map(({ code, size }) => [code, size]), [[200, 40], [201, 700], [202, 2], [203, 90]]);
      kept.forEach(({ content, size }, i) => assertEquals([...content], Array(size).fill(i)));
      contents.forEach((content, i) => assertEquals([...content], [...kept[i].content]));
    }
  });

  it("says whether a frame is a view of the last chunk, or was gathered in a buffer of its own", () => {
    const reader = new FrameReader(NATIVE);
    const bytes = framesOf(300, 20);
    const lent = (chunk: Uint8Array): boolean => {
      reader.feed(chunk);
      while (reader.next() !== undefined);
      return reader.lent;
    };
    assertEquals(lent(bytes.subarray(0, 100)), false);
    assertEquals(lent(bytes.subarray(100, 316)), false);
    assertEquals(lent(bytes.subarray(316)), true);
    assertEquals(lent(bytes.subarray(0, 10)), false);
    assertEquals(lent(bytes.subarray(10)), true);
  });

  it("hands out the frames before a break, and takes nothing behind it", () => {
    const reader = new FrameReader(NATIVE);
    const bytes = framesOf(5, 5, 5);
    bytes[21 + 20] ^= 1;
    reader.feed(bytes);
    assertEquals([reader.next()?.code, reader.failure], [200, undefined]);
    assertEquals([reader.next(), reader.failure?.code, reader.more], [undefined, "corrupt", false]);
    assertThrows(() => reader.feed(framesOf(1)), ProtocolError, "CRC-32");
  });
});
