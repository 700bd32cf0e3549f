import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { helloFrame, helloVersion } from "../src/wire/handshake_messages.ts";
import { protocol } from "../src/wire/protocols.ts";
import { goldenId, hex, loadVectors, unhex } from "./wire_support.ts";

for (const { release, timestampMs, frames, hello } of loadVectors()) {
  const spoken = protocol(release);
  const sentAt = spoken.layout.timestamp < 0 ? undefined : timestampMs;

  describe(`golden frames of Python ${release}`, () => {
    it("are there", () => {
      assertEquals(frames.length, 8);
      assertEquals(hello !== null, spoken.handshake === "hello");
    });

    it("come out of the encoder byte for byte", () => {
      for (const golden of frames) {
        const { code, contentHex, frameHex } = golden;
        const frame = { code, content: unhex(contentHex), requestId: goldenId(golden), flags: 0, sentAt };
        assertEquals(hex(encodeFrame(spoken, frame)), frameHex);
      }
    });

    it("decode to their fields", () => {
      for (const golden of frames) {
        const decoder = new FrameDecoder(spoken);
        const decoded = decoder.push(unhex(golden.frameHex));
        assertEquals(decoded.length, 1);
        const [frame] = decoded;
        assertEquals(frame.code, golden.code);
        assertEquals(frame.requestId, goldenId(golden));
        assertEquals(frame.flags, 0);
        assertEquals(frame.sentAt, sentAt);
        assertEquals(hex(frame.content), golden.contentHex);
        assertEquals(hex(frame.buffer.slice(frame.start, frame.end)), golden.contentHex);
        assertEquals([decoder.partial, decoder.count, decoder.failure], [0, 1, undefined]);
      }
    });

    if (hello !== null) {
      it("hold a HELLO that is read and written byte for byte", () => {
        const [frame] = new FrameDecoder(spoken).push(unhex(hello));
        assertEquals(frame.code, SystemCode.HELLO);
        assertEquals(helloVersion(frame.content), release);
        assertEquals(hex(helloFrame(spoken, SystemCode.HELLO, frame.requestId, timestampMs, release)), hello);
      });
    }
  });
}
