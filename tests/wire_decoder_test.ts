import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ProtocolError } from "../src/errors.ts";
import { type DecoderOptions, FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { Flag, type Frame, SystemCode, WIRE_LIMITS } from "../src/wire/frame.ts";
import { put16, put32 } from "../src/wire/integers.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";
import {
  cutEvery,
  cutRandomly,
  decode,
  encodeAll,
  isMine,
  join,
  PROTOCOLS,
  Random,
  randomFrame,
  rounds,
  RUNTIME_INDEX,
  show,
  watchingArrays,
} from "./wire_support.ts";

const NATIVE = protocol("native");
const CHECKED = PROTOCOLS.filter((spoken) => spoken !== NATIVE);
const MAGIC = PROTOCOLS.filter((spoken) => spoken.magic !== undefined);

/** A frame with a content that says which one it is. */
function numbered(spoken: Protocol, n: number, content: Uint8Array = new Uint8Array(20).fill(n)): Frame {
  const requestId = spoken.ids === "uuid" ? `0000000${n}-1111-4222-8333-444455556666` : spoken === NATIVE ? 0 : n;
  const sentAt = spoken.layout.timestamp < 0 ? undefined : 1767225600123;
  return { code: 200 + n, content, requestId, flags: 0, sentAt };
}

/** A native frame with any header at all; its checksums match. */
function nativeFrame(
  flags: number,
  code: number,
  requestId: number,
  content: Uint8Array = new Uint8Array(3),
): Uint8Array {
  // The encoder refuses such headers: a good frame is made and its header is sealed again.
  const lenient = { ...NATIVE, knownFlags: 0xff } as Protocol;
  return encodeFrame(lenient, { code, content, requestId, flags });
}

/** Pushes everything and returns what happened. */
function run(spoken: Protocol, bytes: Uint8Array, options?: DecoderOptions): ReturnType<typeof decode> {
  return decode(spoken, [bytes], options);
}

for (const [index, spoken] of PROTOCOLS.entries()) {
  describe(`FrameDecoder of protocol ${spoken.name}`, () => {
    const random = new Random(spoken.headerSize);
    const frames = [0, 1, 3, 40].map((size) => ({ ...randomFrame(random, spoken, 0), content: random.bytes(size) }));
    const stream = encodeAll(spoken, frames);
    const expected = { frames: frames.map(show), failure: undefined, partial: 0 };

    it("gives the same frames wherever the stream is cut in two", () => {
      for (let cut = 0; cut <= stream.length; cut++) {
        assertEquals(decode(spoken, [stream.slice(0, cut), stream.slice(cut)]), expected, `cut at ${cut}`);
      }
    });

    it("gives the same frames wherever the stream is cut in three", () => {
      const short = encodeAll(spoken, frames.slice(0, 2));
      const wanted = { ...expected, frames: expected.frames.slice(0, 2) };
      for (let a = 0; a <= short.length; a++) {
        if (!isMine(a)) continue;
        for (let b = a; b <= short.length; b++) {
          const chunks = [short.slice(0, a), short.slice(a, b), short.slice(b)];
          assertEquals(decode(spoken, chunks), wanted, `cut at ${a} and ${b}`);
        }
      }
    });

    it("gives the same frames in pieces of 1 to 64 bytes", () => {
      for (let size = 1; size <= 64; size++) assertEquals(decode(spoken, cutEvery(stream, size)), expected);
    });

    it("gives the same 200 frames in random cuttings, others on each runtime", () => {
      const many = Array.from({ length: 200 }, () => randomFrame(random, spoken, 300));
      const bytes = encodeAll(spoken, many);
      const wanted = { frames: many.map(show), failure: undefined, partial: 0 };
      for (let round = RUNTIME_INDEX; round < 3 * rounds(100); round += 3) {
        const random = new Random(1_000 + round);
        assertEquals(decode(spoken, cutRandomly(bytes, random, 1 + random.below(3000))), wanted, `round ${round}`);
      }
    });

    it("says how many bytes of an unfinished frame it holds", () => {
      const [size] = [encodeFrame(spoken, frames[3]).length];
      const bytes = encodeFrame(spoken, frames[3]);
      const decoder = new FrameDecoder(spoken);
      for (let i = 0; i < size; i++) {
        assertEquals(decoder.partial, i);
        assertEquals(decoder.push(bytes.slice(i, i + 1)).length, i === size - 1 ? 1 : 0);
      }
      assertEquals([decoder.partial, decoder.count], [0, 1]);
    });

    it("takes a frame of exactly the limit and refuses one byte more when its header is there", () => {
      const maxMessageSize = spoken.headerSize + 100;
      const fits = encodeFrame(spoken, numbered(spoken, 1, new Uint8Array(100)));
      const large = encodeFrame(spoken, numbered(spoken, 2, new Uint8Array(101)));
      assertEquals(run(spoken, fits, { maxMessageSize }).frames.length, 1);
      const result = run(spoken, join(fits, large.subarray(0, spoken.headerSize)), { maxMessageSize });
      assertEquals([result.frames.length, result.failure, result.partial], [1, "message-too-large", 0]);
      assertEquals(
        decode(spoken, cutEvery(large.subarray(0, spoken.headerSize), 1), { maxMessageSize }).failure,
        result.failure,
      );
    });

    it("takes 10 MiB, header counted, and no more unless it is told to", () => {
      const header = encodeFrame(spoken, numbered(spoken, 1, new Uint8Array(0)));
      const sized = (size: number): Uint8Array => {
        if (spoken === NATIVE) {
          const bytes = encodeFrame(spoken, numbered(spoken, 1, new Uint8Array(size)));
          return bytes.slice(0, spoken.headerSize);
        }
        const bytes = header.slice();
        put32(bytes, spoken.layout.size, size);
        return bytes;
      };
      const most = 10 * 1024 * 1024 - spoken.headerSize;
      assertEquals(WIRE_LIMITS.maxMessageSize, 10 * 1024 * 1024);
      assertEquals(run(spoken, sized(most)), { frames: [], failure: undefined, partial: spoken.headerSize });
      assertEquals(run(spoken, sized(most + 1)).failure, "message-too-large");
      if (spoken === NATIVE) return;
      assertEquals(run(spoken, sized(0xffffffff)).failure, "message-too-large");
      assertEquals(run(spoken, sized(0xffffffff), { maxMessageSize: 2 ** 33 }).failure, undefined);
    });

    it("copies nothing of a frame that lies whole in a chunk", () => {
      const chunk = encodeAll(spoken, [numbered(spoken, 1), numbered(spoken, 2)]);
      for (const frame of new FrameDecoder(spoken).push(chunk)) {
        assertStrictEquals(frame.buffer, chunk);
        assertStrictEquals(frame.content.buffer, chunk.buffer);
        assertStrictEquals(frame.content, frame.content);
      }
    });

    it("gives a frame that came in pieces a buffer of exactly its size", () => {
      for (const piece of [1, 10, 70, 100]) {
        const bytes = encodeFrame(spoken, numbered(spoken, 1, new Uint8Array(100)));
        const decoder = new FrameDecoder(spoken);
        const [frame] = [...cutEvery(bytes, piece)].flatMap((chunk) => decoder.push(chunk));
        assertEquals(frame.buffer.buffer.byteLength, bytes.length);
      }
    });

    it("holds no more memory than four times the bytes that came, whatever size a header announces", () => {
      const bytes = encodeFrame(spoken, numbered(spoken, 1, new Uint8Array(300_000))).subarray(0, 100_000);
      for (const piece of [1, 7, 1000, 65536]) {
        if (piece === 1 && !isMine(index)) continue;
        const pieces = [...cutEvery(bytes, piece)];
        watchingArrays((newest) => {
          const decoder = new FrameDecoder(spoken);
          let came = 0;
          for (const chunk of pieces) {
            decoder.push(chunk);
            came += chunk.length;
            if (decoder.partial !== came) assertEquals(decoder.partial, came);
            if (newest() > 4 * Math.max(came, 1000)) {
              assert(false, `${newest()} bytes for ${came} in pieces of ${piece}`);
            }
          }
        });
      }
    });

    it("finds no frame in a payload that holds one", () => {
      const inner = encodeFrame(spoken, numbered(spoken, 1));
      const frame = numbered(spoken, 2, join(new Uint8Array(5), inner, inner));
      const bytes = encodeFrame(spoken, frame);
      assertEquals(run(spoken, bytes).frames, [show(frame)]);
      const broken = bytes.slice();
      broken[spoken.headerSize] ^= 1;
      const result = run(spoken, join(broken, encodeFrame(spoken, numbered(spoken, 3))));
      assertEquals(result.frames, spoken === NATIVE ? [] : [show(numbered(spoken, 3))]);
    });

    it("throws its failure when it is fed on", () => {
      const decoder = new FrameDecoder(spoken, { maxMessageSize: spoken.headerSize });
      assertEquals(decoder.push(encodeFrame(spoken, numbered(spoken, 1))), []);
      const { failure } = decoder;
      assert(failure instanceof ProtocolError);
      assertStrictEquals(assertThrows(() => decoder.push(new Uint8Array(1)), ProtocolError), failure);
    });
  });
}

for (const spoken of CHECKED) {
  describe(`a damaged frame in protocol ${spoken.name}`, () => {
    const frames = [1, 2, 3].map((n) => numbered(spoken, n));
    const size = spoken.headerSize + 20;
    const { digest } = spoken.layout;
    const last = digest + (spoken.integrity === "sha256" ? 31 : 3);

    it("is dropped and named, and the ones around it are delivered", () => {
      for (const at of [spoken.headerSize, size - 1, digest, last]) {
        const bytes = encodeAll(spoken, frames);
        bytes[size + at] ^= 0x10;
        const chunkings = [[bytes], cutEvery(bytes, 1), cutEvery(bytes, size + 1)];
        for (const chunks of chunkings) {
          const drops: ProtocolError[] = [];
          const result = decode(spoken, chunks, { onDrop: (error) => drops.push(error) });
          assertEquals(result, { frames: [show(frames[0]), show(frames[2])], failure: undefined, partial: 0 });
          assertEquals(drops.map(({ code, message }) => [code, message]), [
            ["corrupt", "Dropped a frame of type 202, 20 bytes: its checksum does not match"],
          ]);
        }
      }
    });

    it("is counted, and dropped without a listener too", () => {
      const bytes = encodeAll(spoken, frames);
      bytes[size + spoken.headerSize] ^= 1;
      const decoder = new FrameDecoder(spoken);
      assertEquals(decoder.push(bytes).length, 2);
      assertEquals(decoder.count, 3);
    });
  });
}

for (const spoken of MAGIC) {
  describe(`the magic of protocol ${spoken.name}`, () => {
    const frame = encodeFrame(spoken, numbered(spoken, 1));

    it("is missed at its first wrong byte", () => {
      for (
        const [prefix, failure] of [["V", undefined], ["VX", undefined], ["v", "protocol-error"], [
          "VY",
          "protocol-error",
        ]]
      ) {
        const bytes = new TextEncoder().encode(prefix);
        assertEquals(run(spoken, join(frame, bytes)).failure, failure);
        assertEquals(decode(spoken, cutEvery(join(frame, bytes), 1)).failure, failure);
      }
    });

    it("ends a stream whose framing was torn, after a drop", () => {
      const bytes = join(frame.slice(0, 25), frame, frame);
      const drops: ProtocolError[] = [];
      const result = run(spoken, bytes, { onDrop: (error) => drops.push(error) });
      assertEquals([result.frames.length, result.failure, drops.length], [0, "protocol-error", 1]);
    });
  });
}

describe("flags", () => {
  it("are refused in protocol 2.0, each of them, when the header is there", () => {
    const spoken = protocol("2.0");
    for (let flags = 1; flags < 256; flags++) {
      const bytes = encodeFrame(spoken, numbered(spoken, 1));
      bytes[spoken.layout.flags] = flags;
      assertEquals(run(spoken, bytes.subarray(0, spoken.headerSize)).failure, "protocol-error");
    }
  });

  it("are taken in every legal native combination, and refused in every other", () => {
    const { REQUEST, REPLY, ERROR } = Flag;
    const legal = [REQUEST, REPLY, REPLY | ERROR];
    for (let flags = 0; flags < 256; flags++) {
      for (const requestId of [0, 1, 0xffffffff]) {
        for (const code of [SystemCode.PING, 7, 200, 65535]) {
          const good = requestId === 0 ? flags === 0 : legal.includes(flags);
          const bytes = nativeFrame(flags, code, requestId);
          const result = run(NATIVE, bytes);
          const where = `flags ${flags}, id ${requestId}, code ${code}`;
          assertEquals([result.frames.length, result.failure], good ? [1, undefined] : [0, "protocol-error"], where);
          const early = run(NATIVE, bytes.subarray(0, 12)).failure;
          assertEquals(early, good ? undefined : "protocol-error", where);
        }
      }
    }
  });

  it("let CANCEL carry an id without REQUEST or REPLY", () => {
    assertEquals(run(NATIVE, nativeFrame(0, SystemCode.CANCEL, 9)).frames.length, 1);
  });

  it("of negotiated features are taken, each alone", () => {
    for (const feature of [0x08, 0x10, 0x20, 0x40, 0x80]) {
      for (const set of [0x08, 0x10, 0x20, 0x40, 0x80]) {
        const failure = run(NATIVE, nativeFrame(set, 200, 0), { features: feature }).failure;
        assertEquals(failure, set === feature ? undefined : "protocol-error");
      }
    }
  });

  it("are named in the error", () => {
    const message = (flags: number, id: number): string | undefined => {
      const decoder = new FrameDecoder(NATIVE);
      decoder.push(nativeFrame(flags, 200, id));
      return decoder.failure?.message;
    };
    const prefix = "Cannot decode the stream: ";
    assertEquals(message(0x08, 0), prefix + "the flag 0x08 is not in use");
    assertEquals(message(0x03, 1), prefix + "REQUEST and REPLY are both set");
    assertEquals(message(0x04, 1), prefix + "ERROR is set without REPLY");
    assertEquals(message(0x01, 0), prefix + "a request or reply has the id 0");
    assertEquals(message(0x00, 1), prefix + "an id is set without REQUEST or REPLY");
  });
});

describe("the native header", () => {
  it("is refused as corrupt when twelve bytes are there, before its size is believed", () => {
    const bytes = encodeFrame(NATIVE, numbered(NATIVE, 1));
    put32(bytes, NATIVE.layout.size, 0xffffffff);
    assertEquals(run(NATIVE, bytes.subarray(0, 11)).failure, undefined);
    assertEquals(run(NATIVE, bytes.subarray(0, 12)).failure, "corrupt");
    assertEquals(decode(NATIVE, cutEvery(bytes.subarray(0, 12), 1)).failure, "corrupt");
  });

  it("refuses a frame whose content does not match, and delivers those before it", () => {
    const bytes = encodeAll(NATIVE, [numbered(NATIVE, 1), numbered(NATIVE, 2)]);
    bytes[bytes.length - 1] ^= 1;
    assertEquals(run(NATIVE, bytes), { frames: [show(numbered(NATIVE, 1))], failure: "corrupt", partial: 0 });
  });

  it("carries the code in its checksum, unlike the Python protocols", () => {
    const bytes = encodeFrame(NATIVE, numbered(NATIVE, 1));
    put16(bytes, NATIVE.layout.code, 300);
    assertEquals(run(NATIVE, bytes).failure, "corrupt");
    const python = protocol("2.0");
    const flipped = encodeFrame(python, numbered(python, 1));
    put16(flipped, python.layout.code, 300);
    assertEquals(run(python, flipped).frames.length, 1);
  });
});
