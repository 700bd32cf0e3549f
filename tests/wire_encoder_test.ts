import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame, sealFrame } from "../src/wire/encoder.ts";
import { viewOf } from "../src/wire/integers.ts";
import { Flag, type Frame, SystemCode } from "../src/wire/frame.ts";
import { protocol } from "../src/wire/protocols.ts";
import { decode, hex, PROTOCOLS, Random, randomFrame, show } from "./wire_support.ts";

const FRAME = { code: 200, content: new Uint8Array([1, 2, 3]), requestId: 0, flags: 0 };
const UUID = "00000001-1111-4222-8333-444455556666";

function refuses(name: string, frame: Partial<Record<keyof Frame, unknown>>, kind: "RangeError" | "TypeError"): void {
  const error = assertThrows(() => encodeFrame(protocol(name), { ...FRAME, ...frame } as Frame), Error);
  assertEquals(error.constructor.name, kind, error.message);
}

describe("encodeFrame()", () => {
  it("makes frames that decode to the same in every protocol", () => {
    const random = new Random(7);
    for (const spoken of PROTOCOLS) {
      for (let round = 0; round < 200; round++) {
        const frame = randomFrame(random, spoken, 600);
        const bytes = encodeFrame(spoken, frame);
        assertEquals(bytes.length, spoken.headerSize + frame.content.length);
        assertEquals(decode(spoken, [bytes]).frames, [show(frame)]);
      }
    }
  });

  it("reads the content once, which another thread may change meanwhile: what it says is true of the copy", () => {
    for (const spoken of PROTOCOLS) {
      const content = new Uint8Array(new SharedArrayBuffer(1_000));
      // Each look at it finds something else.
      let looks = 0;
      Object.defineProperty(content, "length", { get: () => (content.fill(++looks), content.byteLength) });
      const requestId = spoken.ids === "uuid" ? UUID : 0;
      const bytes = encodeFrame(spoken, { ...FRAME, requestId, content });
      const [got] = decode(spoken, [bytes]).frames;
      assert(got !== undefined, `a frame of ${spoken.name} does not match its checksum`);
    }
  });

  it("takes as much of a shared content as there was when it began", () => {
    const shared = Reflect.construct(SharedArrayBuffer, [3, { maxByteLength: 6 }]) as SharedArrayBuffer & {
      grow(length: number): void;
    };
    const content = new Uint8Array(shared);
    let first = true;
    Object.defineProperty(content, "length", {
      get(): number {
        if (!first) return content.byteLength;
        first = false;
        const { byteLength } = content;
        shared.grow(6);
        return byteLength;
      },
    });
    assertEquals(encodeFrame(protocol("native"), { ...FRAME, content }).length, 16 + 3);
  });

  it("writes 0 where a protocol wants a timestamp and the frame has none", () => {
    const bytes = encodeFrame(protocol("1.6.3"), FRAME);
    assertEquals(hex(bytes.slice(10, 18)), "0000000000000000");
  });

  it("refuses codes that are no unsigned 16-bit integer", () => {
    for (const code of [-1, 65536, 1.5, NaN, "200", undefined]) refuses("2.0", { code }, "RangeError");
  });

  it("refuses ids that do not fit", () => {
    for (const requestId of [-1, 65536, 0.5, UUID]) refuses("2.0", { requestId }, "RangeError");
    for (const requestId of [-1, 2 ** 32, 0.5, UUID]) refuses("1.9.0", { requestId }, "RangeError");
    for (const requestId of [1, "", "x".repeat(36), UUID + "0", undefined]) {
      refuses("1.6.0", { requestId }, "TypeError");
    }
    assertEquals(encodeFrame(protocol("1.6.0"), { ...FRAME, requestId: UUID.toUpperCase() }).length, 65);
  });

  it("refuses content that is no Uint8Array", () => {
    for (const content of ["text", [1, 2], new ArrayBuffer(3), undefined, null]) {
      refuses("2.0", { content }, "TypeError");
    }
  });

  it("refuses timestamps that are no whole number of milliseconds", () => {
    for (const sentAt of [-1, 1.5, NaN, 2 ** 53, Infinity]) refuses("1.6.3", { sentAt }, "RangeError");
  });

  it("refuses flags that the protocol does not have", () => {
    for (const flags of [1, 0x80, 256, -1, 1.5]) refuses("2.0", { flags }, "RangeError");
    for (const flags of [0x08, 0x10, 0x20, 0x40, 0x80, 256]) refuses("native", { flags }, "RangeError");
  });

  it("refuses native flags and ids that contradict each other", () => {
    const { REQUEST, REPLY, ERROR } = Flag;
    for (const flags of [REQUEST | REPLY, ERROR, ERROR | REQUEST]) {
      refuses("native", { flags, requestId: 1 }, "RangeError");
    }
    for (const flags of [REQUEST, REPLY, REPLY | ERROR]) refuses("native", { flags, requestId: 0 }, "RangeError");
    refuses("native", { requestId: 1 }, "RangeError");
    for (const flags of [1.5, NaN, "1"]) refuses("native", { flags, requestId: 1 }, "RangeError");
    assertEquals(encodeFrame(protocol("native"), { ...FRAME, code: SystemCode.CANCEL, requestId: 1 }).length, 19);
  });
});

describe("sealFrame()", () => {
  it("fills in the header in front of content that stands in a shared buffer, and touches nothing else", () => {
    const random = new Random(8);
    for (const spoken of PROTOCOLS) {
      for (let round = 0; round < 50; round++) {
        const frame = randomFrame(random, spoken, 400);
        const { code, flags, requestId, content, sentAt = 0 } = frame;
        const at = random.below(50);
        const target = new Uint8Array(600).fill(0xaa);
        target.set(content, at + spoken.headerSize);
        sealFrame(spoken, viewOf(target), at, code, flags, requestId, content.length, sentAt);
        const expected = new Uint8Array(600).fill(0xaa);
        expected.set(encodeFrame(spoken, frame), at);
        assertEquals(hex(target), hex(expected));
        target.fill(0xaa, at, at + spoken.headerSize);
        sealFrame(spoken, viewOf(target), at, code, flags, requestId, content.length, sentAt, content);
        assertEquals(hex(target), hex(expected), "with the content at hand");
      }
    }
  });
});
