/**
 * A program for `wire_streams_test.ts`: takes `process.getBuiltinModule` away before it loads the library, as on a runtime
 * that has neither native CRC-32 nor `node:crypto`, and prints what works then.
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
const { FrameDecoderStream, FrameEncoderStream } = await import("../src/wire/codec_streams.ts");
const { loadVectors, PROTOCOLS, Random, randomFrame, show, unhex } = await import("./wire_support.ts");
const { client, failure } = await import("./wire_handshake_support.ts");
const { bytes, Client, messageType, Server } = await import("../mod.ts");
const { memoryTransport } = await import("../src/adapters/memory.ts");

const random = new Random(1);
/** The sizes of payloads: around those where checksums and buffers change, and more than one write. */
const SIZES = [0, 100, 575, 600, 65_519, 65_520, 65_521, 300_000];

async function roundTrip(spoken: (typeof PROTOCOLS)[number]): Promise<void> {
  const frames = Array.from({ length: 20 }, () => randomFrame(random, spoken, 2000));
  const encoder = new FrameEncoderStream(spoken);
  const decoder = new FrameDecoderStream(spoken);
  const writer = encoder.writable.getWriter();
  const writing = Promise.all([...frames.map((frame) => writer.write(frame)), writer.close()]);
  const reader = encoder.readable.pipeThrough(decoder).getReader();
  const got: Frame[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) got.push(next.value);
  await writing;
  if (got.map(show).join() !== frames.map(show).join()) throw new Error(`${spoken.name}: the frames differ`);
}

/** The code of the error that it throws, and the message. */
function refusal(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return "nothing thrown";
}

/** Sends payloads of these sizes there and back, and returns those that came back as they were. */
async function echoed(sizes: readonly number[]): Promise<number[]> {
  const ECHO = messageType(200, "echo", bytes, bytes);
  const transport = memoryTransport();
  await using server = new Server({ transport });
  server.route(ECHO, ({ data }) => data);
  await server.start();
  await using client = new Client({ transport });
  await client.connect();
  const same: number[] = [];
  for (const size of sizes) {
    const sent = random.bytes(size);
    const got = await client.request(ECHO, sent);
    if (got.length === size && got.every((byte, i) => byte === sent[i])) same.push(size);
  }
  return same;
}

const carried: string[] = [];
for (const spoken of PROTOCOLS) {
  if (spoken.integrity === "sha256") continue;
  await roundTrip(spoken);
  carried.push(spoken.name);
}
const old = PROTOCOLS.filter(({ integrity }) => integrity === "sha256");
const [oldest] = old;
const frame = randomFrame(random, oldest, 9);
const vectors = loadVectors().find(({ release }) => release === "1.6.0")!;
console.log(JSON.stringify({
  carried,
  echoed: await echoed(SIZES),
  old: old.map(({ name }) => name),
  decoder: refusal(() => new FrameDecoder(oldest)),
  encoder: refusal(() => encodeFrame(oldest, frame)),
  decoderStream: refusal(() => new FrameDecoderStream(oldest)),
  encoderStream: refusal(() => new FrameEncoderStream(oldest)),
  server: refusal(() => new Server({ protocol: oldest.name })),
  listener: refusal(() => new Server({ listen: [{ protocol: oldest.name }] })),
  client: refusal(() => new Client({ protocol: oldest.name })),
  greeting: failure(client().push(unhex(vectors.hello!))),
}));
