/**
 * A program for `wire_streams_test.ts`: takes `process.getBuiltinModule` away before it loads the library, as on a runtime
 * that has neither native CRC-32 nor a synchronous SHA-256, and prints what works then.
 *
 * @module
 */

import nodeProcess from "node:process";
import type { Frame } from "../src/wire/frame.ts";

Object.defineProperty(nodeProcess, "getBuiltinModule", { value: undefined });
if ("process" in globalThis) {
  Object.defineProperty((globalThis as unknown as { process: object }).process, "getBuiltinModule", {
    value: undefined,
  });
}

const { FrameDecoder } = await import("../src/wire/decoder.ts");
const { encodeFrame } = await import("../src/wire/encoder.ts");
const { sha256Sync } = await import("../src/wire/python/sha256.ts");
const { FrameDecoderStream, FrameEncoderStream } = await import("../src/wire/codec_streams.ts");
const { loadVectors, PROTOCOLS, Random, randomFrame, show, unhex } = await import("./wire_support.ts");
const { client, failure } = await import("./wire_handshake_support.ts");

const random = new Random(1);

async function roundTrip(spoken: (typeof PROTOCOLS)[number], damage: boolean): Promise<string[]> {
  const frames = Array.from({ length: 20 }, () => randomFrame(random, spoken, 2000));
  // Web Crypto takes no memory that other threads may write to.
  const shared = new Uint8Array(new SharedArrayBuffer(100)).fill(7);
  frames[5] = { ...frames[5], content: shared };
  const encoder = new FrameEncoderStream(spoken);
  const dropped: string[] = [];
  const decoder = new FrameDecoderStream(spoken, { onDrop: (error) => dropped.push(error.code) });
  let first = true;
  const damaging = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller): void {
      if (damage && first) bytes[6] ^= 1;
      first = false;
      controller.enqueue(bytes);
    },
  });
  const writer = encoder.writable.getWriter();
  const writing = Promise.all([...frames.map((frame) => writer.write(frame)), writer.close()]);
  const reader = encoder.readable.pipeThrough(damaging).pipeThrough(decoder).getReader();
  const got: Frame[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) got.push(next.value);
  await writing;
  const expected = damage ? frames.slice(1) : frames;
  if (got.map(show).join() !== expected.map(show).join()) throw new Error(`${spoken.name}: the frames differ`);
  return dropped;
}

function codeOf(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "nothing thrown";
}

/** What the encoder stream says to a frame that does not fit its protocol. */
async function refusal(spoken: (typeof PROTOCOLS)[number]): Promise<string> {
  const encoder = new FrameEncoderStream(spoken);
  const reading = encoder.readable.getReader().read().catch((error: Error) => error.constructor.name);
  encoder.writable.getWriter().write({ ...randomFrame(random, spoken, 9), code: -1 }).catch(() => {});
  return await reading as string;
}

let protocols = 0;
for (const spoken of PROTOCOLS) {
  if ((await roundTrip(spoken, false)).length === 0) protocols++;
}
const [old] = PROTOCOLS;
const vectors = loadVectors().find(({ release }) => release === "1.6.0")!;
console.log(JSON.stringify({
  synchronous: sha256Sync !== undefined,
  protocols,
  dropped: await roundTrip(old, true),
  decoder: codeOf(() => new FrameDecoder(old)),
  encoder: codeOf(() => encodeFrame(old, randomFrame(random, old, 9))),
  refused: await refusal(old),
  greeting: failure(client().push(unhex(vectors.hello!)))[0],
}));
