import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import process from "node:process";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { protocol } from "../src/wire/protocols.ts";

const NATIVE = protocol("native");

/** A frame of so many bytes in all. */
function frameOf(size: number): Uint8Array {
  const content = new Uint8Array(size - NATIVE.headerSize);
  return encodeFrame(NATIVE, { code: 201, content, requestId: 0, flags: 0 });
}

describe("the time of a FrameDecoder", () => {
  it("for 2 MiB byte by byte is at most three times ten times that for 0.2 MiB", () => {
    const frame = frameOf(200 * 1024);
    const large = frameOf(2_000 * 1024);
    // Of this process, in microseconds: what others take of a busy machine does not count.
    const time = (bytes: Uint8Array): number => {
      const start = process.cpuUsage();
      const decoder = new FrameDecoder(NATIVE);
      let count = 0;
      for (let i = 0; i < bytes.length; i++) count += decoder.push(bytes.subarray(i, i + 1)).length;
      assertEquals(count, 1);
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    time(frame);
    const small = Math.min(time(frame), time(frame), time(frame));
    assert(time(large) <= 30 * small);
  });
});
