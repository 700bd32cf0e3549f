/**
 * Frames out of bytes with their CRC checked, in one thread and without a socket: 64 B, 64 KB, and content that comes in
 * pieces of one byte, which must cost time in proportion to its length.
 *
 * @module
 */

import { CODE, HEADER_SIZE, writeFrame } from "../floor/frame.ts";
import { Parser } from "../floor/parser.ts";
import type { Context, Workload } from "../workload.ts";

/** Bytes of a chunk, as a socket would hand them over. */
const CHUNK = 65_536;
const MIB = 1024 * 1024;
/** Just under the limit of a message; a tenth of it is a whole number. */
const LARGEST = 10 * (MIB - 128);
const MAX_REPEATS = 100_000;

/** Something that takes a chunk and calls back for each frame. */
interface Decoder {
  push(chunk: Uint8Array): void;
}

/** See the module. */
export const decode: Workload = async (context) => {
  const create = await decoderOf(context);
  const small = measureDecode(context, create, 64, 16_384);
  const large = measureDecode(context, create, 65_536, 64);
  pieces(create, MIB / 4);
  const one = pieces(create, LARGEST);
  let ten = 0;
  for (let i = 0; i < 10; i++) ten += pieces(create, LARGEST / 10);
  return { "decode 64 B": small, "decode 64 KB": 65_536 * large, "decode linear": one / ten };
};

/** Frames a second. */
function measureDecode(context: Context, create: Create, size: number, frames: number): number {
  const stream = streamOf(size, frames);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += CHUNK) chunks.push(stream.subarray(at, at + CHUNK));
  let came = 0;
  const decoder = create((content) => {
    if (content.length === size) came++;
  });
  const repeat = (atLeast: number) => {
    const start = performance.now();
    for (let repeats = 1; repeats <= MAX_REPEATS; repeats++) {
      for (const chunk of chunks) decoder.push(chunk);
      const time = performance.now() - start;
      if (time >= atLeast) return { count: repeats * frames, time };
    }
    throw new Error("Cannot measure: the clock stands still");
  };
  const warmUp = repeat(context.pace.warmUp);
  const { count, time } = repeat(context.pace.measure);
  if (came !== warmUp.count + count) throw new Error(`Lost frames: ${came} of ${warmUp.count + count} came`);
  return count / (time / 1000);
}

/** Milliseconds to take one frame of `size` bytes, one byte at a time. */
function pieces(create: Create, size: number): number {
  const stream = streamOf(size, 1);
  const byValue = Array.from({ length: 256 }, (_, value) => Uint8Array.of(value));
  let came = 0;
  const decoder = create((content) => {
    if (content.length === size) came++;
  });
  const start = performance.now();
  for (let i = 0; i < stream.length; i++) decoder.push(byValue[stream[i]]);
  const time = performance.now() - start;
  if (came !== 1) throw new Error("Lost a frame that came in pieces of one byte");
  return time;
}

/** So many frames in the 15-byte layout, which both sides read. */
function streamOf(size: number, frames: number): Uint8Array {
  const content = new Uint8Array(size);
  for (let i = 0; i < size; i++) content[i] = i * 31;
  const stream = new Uint8Array(frames * (HEADER_SIZE + size));
  for (let i = 0; i < frames; i++) writeFrame(stream, i * (HEADER_SIZE + size), CODE.message, i & 0xffff, content);
  return stream;
}

type Create = (frame: (content: Uint8Array) => void) => Decoder;

async function decoderOf(context: Context): Promise<Create> {
  if (context.config.subject !== "veltix") return (frame) => new Parser((_code, _id, content) => frame(content));
  const { FrameDecoder, protocol } = await import("../../src/wire/mod.ts");
  const layout = protocol("2.0");
  return (frame) => {
    const decoder = new FrameDecoder(layout);
    return {
      push(chunk): void {
        for (const { content } of decoder.push(chunk)) frame(content);
      },
    };
  };
}
