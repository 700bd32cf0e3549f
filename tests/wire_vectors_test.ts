import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import type { HandshakeStep } from "../src/wire/handshake/terms.ts";
import { helloFrame, helloVersion } from "../src/wire/python/hello_frames.ts";
import { protocol } from "../src/wire/protocols.ts";
import { client, failure, NOW, opened, read, server } from "./wire_handshake_support.ts";
import { goldenId, hex, loadVectors, unhex } from "./wire_support.ts";

/** What a file has besides `Vectors`. */
interface More {
  /** The HELLO_ACK frame. */
  readonly helloAck: string | null;
  /** What a full server says in place of its first message, from 2.0.3 on. */
  readonly handshake: { readonly full: string | null } | null;
}

/** What a step says; it must say something. */
function said(step: HandshakeStep): Uint8Array {
  if (!("send" in step) || step.send === undefined) throw new Error(`It is ${step.state} and says nothing`);
  return step.send;
}

for (const vectors of loadVectors()) {
  const { release, timestampMs, frames, hello, handshake } = vectors;
  const { helloAck, handshake: more } = vectors as typeof vectors & More;
  const spoken = protocol(release);
  const sentAt = spoken.layout.timestamp < 0 ? undefined : timestampMs;

  describe(`golden frames of Python ${release}`, () => {
    it("are there", () => {
      assertEquals(frames.length, 8);
      assertEquals([hello !== null, helloAck !== null], Array(2).fill(spoken.handshake === "hello"));
      assertEquals(handshake !== null, spoken.handshake === "json");
      assertEquals(timestampMs, NOW);
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

    if (hello !== null && helloAck !== null) {
      it("hold a HELLO that is read and written byte for byte", () => {
        const [frame] = new FrameDecoder(spoken).push(unhex(hello));
        assertEquals(frame.code, SystemCode.HELLO);
        assertEquals(helloVersion(frame.content), release);
        assertEquals(hex(helloFrame(spoken, SystemCode.HELLO, frame.requestId, timestampMs, release)), hello);
      });

      it("open our client by HELLO, and its HELLO_ACK is the same", () => {
        const step = client().push(unhex(hello));
        assertEquals([opened(step).release, opened(step).protocol.headerSize], [release, spoken.headerSize]);
        assertEquals(hex(said(step)), helloAck);
      });

      it("open our server by HELLO_ACK, and its HELLO is the same", () => {
        const [{ requestId: helloId }] = new FrameDecoder(spoken).push(unhex(hello));
        const machine = server(release, { helloId });
        assertEquals(hex(said(machine.start())), hello);
        assertEquals(machine.push(unhex(helloAck)).state, "proposed");
        assertEquals(opened(machine.accept()).release, release);
      });
    }

    if (handshake !== null) {
      it("hold JSON messages that open our client, and its answer says the same", () => {
        const machine = client();
        assertEquals(read(said(machine.push(unhex(handshake.server)))), read(unhex(handshake.client)));
        const { release: announced, protocol: found } = opened(machine.push(unhex(handshake.ack)));
        assertEquals([announced, found.layout, found.ids], [release, spoken.layout, spoken.ids]);
      });

      it("hold JSON messages that open our server, and its last one says the same", () => {
        const machine = server(release);
        machine.start();
        assertEquals(machine.push(unhex(handshake.client)).state, "proposed");
        const step = machine.accept();
        assertEquals(read(said(step)), read(unhex(handshake.ack)));
        assertEquals([opened(step).release, opened(step).protocol.ids], [release, spoken.ids]);
      });
    }

    if (hello === null && handshake === null) {
      it("are all there is: both ends are open at once", () => {
        for (const machine of [client(release), server(release)]) {
          assertEquals(opened(machine.start()).protocol.name, release);
        }
      });
    }

    if (more !== null && more.full !== null) {
      it("hold a full server's word, which our client understands", () => {
        assertEquals(failure(client().push(unhex(more.full!)))[0], "too-many-connections");
      });
    }
  });
}
