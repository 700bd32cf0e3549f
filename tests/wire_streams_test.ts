import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ProtocolError } from "../src/errors.ts";
import type { Frame } from "../src/wire/frame.ts";
import { protocol } from "../src/wire/protocols.ts";
import { FrameDecoderStream, FrameEncoderStream } from "../src/wire/codec_streams.ts";
import { cutRandomly, encodeAll, join, PROTOCOLS, Random, randomFrame, show } from "./wire_support.ts";

/** A stream of these. */
function from<T>(items: Iterable<T>): ReadableStream<T> {
  const iterator = items[Symbol.iterator]();
  return new ReadableStream<T>({
    pull(controller): void {
      const { done, value } = iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

/** Everything that a stream gives, and the error at its end. */
async function collect(frames: ReadableStream<Frame>): Promise<{ frames: string[]; error: unknown }> {
  const got: string[] = [];
  const reader = frames.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { frames: got, error: undefined };
      got.push(show(value));
    }
  } catch (error) {
    return { frames: got, error };
  }
}

const random = new Random(77);
const V2 = protocol("2.0");
const THREE = [1, 2, 3].map((n) => ({ code: 200, content: new Uint8Array(n).fill(n), requestId: n, flags: 0 }));

describe("frame streams", () => {
  for (const spoken of PROTOCOLS) {
    it(`carry frames of protocol ${spoken.name} over any cutting`, async () => {
      const frames = Array.from({ length: 100 }, () => randomFrame(random, spoken, 300));
      const bytes: Uint8Array[] = [];
      const encoded = from(frames).pipeThrough(new FrameEncoderStream(spoken)).getReader();
      for (let next = await encoded.read(); !next.done; next = await encoded.read()) bytes.push(next.value);
      const chunks = from(cutRandomly(join(...bytes), random, 200));
      const result = await collect(chunks.pipeThrough(new FrameDecoderStream(spoken)));
      assertEquals(result, { frames: frames.map(show), error: undefined });
    });
  }
});

describe("FrameDecoderStream", () => {
  it("delivers the frames before a break and then errors, and so does its writable side", async () => {
    const stream = new FrameDecoderStream(V2);
    const writer = stream.writable.getWriter();
    const written = writer.write(join(encodeAll(V2, THREE), new Uint8Array([1])));
    const { frames, error } = await collect(stream.readable);
    assertEquals(frames, THREE.map((frame) => show({ ...frame, sentAt: undefined })));
    assert(error instanceof ProtocolError && error.code === "protocol-error");
    await written;
    assertStrictEquals(await assertRejects(() => writer.closed), error);
  });

  it("errors when the bytes end inside a frame, after the frames before it", async () => {
    const bytes = encodeAll(V2, THREE);
    const { frames, error } = await collect(from([bytes.slice(0, -1)]).pipeThrough(new FrameDecoderStream(V2)));
    assertEquals(frames.length, 2);
    assert(error instanceof ProtocolError);
    assertEquals(error.message, "Cannot decode the stream: it ends 17 bytes into a frame");
  });

  it("keeps to its limits and tells of drops", async () => {
    const bytes = encodeAll(V2, THREE);
    bytes[bytes.length - 1] ^= 1;
    const drops: string[] = [];
    const options = { onDrop: (error: ProtocolError) => drops.push(error.code) };
    const result = await collect(from([bytes]).pipeThrough(new FrameDecoderStream(V2, options)));
    assertEquals([result.frames.length, result.error, drops], [2, undefined, ["corrupt"]]);
    const limited = await collect(from([bytes]).pipeThrough(new FrameDecoderStream(V2, { maxMessageSize: 16 })));
    assertEquals([limited.frames.length, (limited.error as ProtocolError).code], [1, "message-too-large"]);
  });

  it("takes no bytes before its reader asks for frames", async () => {
    const stream = new FrameDecoderStream(V2);
    const writer = stream.writable.getWriter();
    let written = 0;
    for (let i = 0; i < 5; i++) writer.write(encodeAll(V2, THREE)).then(() => written++, () => {});
    const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
    await turn();
    assertEquals(written, 0);
    const reader = stream.readable.getReader();
    for (let i = 0; i < 4; i++) assertEquals((await reader.read()).done, false);
    await turn();
    assertEquals(written, 2);
    await reader.cancel();
  });

  it("ends its writable side when its reader cancels, even while it waits for bytes", async () => {
    const stream = new FrameDecoderStream(V2);
    const reader = stream.readable.getReader();
    const pending = reader.read();
    const reason = new Error("enough");
    await reader.cancel(reason);
    assertEquals((await pending).done, true);
    await assertRejects(() => stream.writable.getWriter().closed);
  });

  it("passes an abort of its writer on", async () => {
    const stream = new FrameDecoderStream(V2);
    const reason = new Error("lost");
    const reading = collect(stream.readable);
    await stream.writable.abort(reason);
    assertStrictEquals((await reading).error, reason);
  });
});

describe("FrameEncoderStream", () => {
  it("errors at a frame that does not fit the protocol, after those before it", async () => {
    const frames = from([...THREE, { ...THREE[0], flags: 1 }]).pipeThrough(new FrameEncoderStream(V2));
    const reader = frames.getReader();
    for (let i = 0; i < 3; i++) assertEquals((await reader.read()).done, false);
    await assertRejects(() => reader.read(), RangeError, "the flag 0x01 is not in use");
  });
});

describe("a runtime without process.getBuiltinModule", () => {
  it("has the same streams, with CRC-32 by tables, and refuses the protocols with SHA-256", async () => {
    const program = fileURLToPath(new URL("./wire_streams_bare.ts", import.meta.url));
    const before = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
    const output = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, [...before, program], (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(stderr, { cause: error }));
      });
    });
    const name = PROTOCOLS[0].name;
    const refused = (purpose: string): string =>
      `unsupported: ${purpose}: protocol "${name}" needs SHA-256, and this runtime has no node:crypto; use Deno, Bun or Node, ` +
      "or a peer of Python release 1.6.2 or later";
    assertEquals(JSON.parse(output), {
      carried: PROTOCOLS.filter(({ integrity }) => integrity !== "sha256").map(({ name }) => name),
      echoed: [0, 100, 575, 600, 65_519, 65_520, 65_521, 300_000],
      old: PROTOCOLS.filter(({ integrity }) => integrity === "sha256").map(({ name }) => name),
      decoder: refused("Cannot decode the stream"),
      encoder: refused("Cannot encode the frame"),
      decoderStream: refused("Cannot decode the stream"),
      encoderStream: refused("Cannot encode frames"),
      server: refused("Cannot use protocol"),
      listener: refused("Cannot use listen[0].protocol"),
      client: refused("Cannot use protocol"),
      greeting: [
        "handshake-failed",
        "Cannot agree with the peer: it seems to speak a protocol with SHA-256, and this runtime has no node:crypto",
      ],
    });
  });
});
