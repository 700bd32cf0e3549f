/** Which payloads are given away as they came, and which are copied. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { workerThreads } from "../src/adapters/threads.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { protocol } from "../src/wire/protocols.ts";
import { ownBuffer, SMALLEST_HEADER, takePayload } from "../src/workers/payload.ts";
import { join } from "./wire_support.ts";

const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i);

describe("a payload for a worker", () => {
  for (const release of ["1.3", "1.6.3", "1.6.10", "1.9", "2.0", "native"]) {
    const spoken = protocol(release);
    const requestId = spoken.ids === "uuid" ? "0f0e0d0c-0b0a-4908-8706-050403020100" : 7;
    const encode = (content: Uint8Array): Uint8Array =>
      encodeFrame(spoken, { code: 200, content, requestId, flags: spoken.name === "native" ? 1 : 0 });

    it(`is a copy where its chunk holds other frames, before or behind it (${release})`, () => {
      assert(spoken.headerSize >= SMALLEST_HEADER);
      for (const [first, second] of [[0, 9], [1, 9], [9, 0], [40, 40]]) {
        const chunk = join(encode(bytes(first)), encode(bytes(second)));
        for (const frame of new FrameDecoder(spoken).push(chunk)) {
          const { buffer, start } = takePayload(frame.content);
          assert(buffer !== chunk.buffer);
          assertEquals(new Uint8Array(buffer, start), new Uint8Array(frame.content));
        }
      }
    });

    if (spoken.headerSize >= 2 * SMALLEST_HEADER) continue;
    it(`is the chunk itself where that is this one frame, or was gathered for it (${release})`, () => {
      const chunk = encode(bytes(100)).slice();
      const [whole] = new FrameDecoder(spoken).push(chunk);
      assertEquals(takePayload(whole.content), { buffer: chunk.buffer, start: spoken.headerSize });
      const decoder = new FrameDecoder(spoken);
      decoder.push(chunk.subarray(0, 20));
      decoder.push(chunk.subarray(20, 80));
      const [gathered] = decoder.push(chunk.slice(80));
      const { buffer, start } = takePayload(gathered.content);
      assert(buffer === gathered.buffer.buffer);
      assertEquals(new Uint8Array(buffer, start), bytes(100));
      const copied = whole.copy();
      assertEquals(takePayload(copied.content), { buffer: copied.buffer.buffer, start: 0 });
    });
  }

  it("is a copy where it is part of a larger buffer, or of shared memory", () => {
    const part = bytes(10).subarray(2, 4);
    const copy = ownBuffer(part, true);
    assertEquals([copy.byteLength, new Uint8Array(copy)[0], part.length], [2, 2, 2]);
    assert(ownBuffer(new Uint8Array(new SharedArrayBuffer(3)), true) instanceof ArrayBuffer);
    // The pool that Node's buffers share.
    assertEquals(ownBuffer(Buffer.from("abc"), true).byteLength, 3);
  });
});

describe("threads", () => {
  it("take a buffer away, pass it back, and tell how they end", async () => {
    const source = `
      parentPort.on("message", (buffer) => {
        parentPort.postMessage(buffer, [buffer]);
        parentPort.postMessage([buffer.byteLength, workerData]);
        setTimeout(() => { throw "a text"; });
      });
    `;
    // Threads don't keep the program alive.
    const alive = setTimeout(() => {}, 60_000);
    const heard: unknown[] = [];
    const buffer = bytes(5_000).buffer as ArrayBuffer;
    const error = await new Promise<Error>((exit) => {
      const thread = workerThreads().start(source, "data", { message: (value) => heard.push(value), exit });
      thread.post(buffer, [buffer]);
    });
    clearTimeout(alive);
    assertEquals([buffer.byteLength, (heard[0] as ArrayBuffer).byteLength, heard[1]], [0, 5_000, [0, "data"]]);
    assert(error.message.includes("a text"), error.message);
  });

  it("can be cut in an endless loop, twice", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let ends = 0;
    const source = `
      parentPort.postMessage("loops");
      for (;;);
    `;
    const alive = setTimeout(() => {}, 60_000);
    const thread = workerThreads().start(source, undefined, { message: () => resolve(), exit: () => ends++ });
    await promise;
    // Only who waits for its end keeps the program alive now.
    clearTimeout(alive);
    await Promise.all([thread.terminate(), thread.terminate()]);
    await thread.terminate();
    thread.post("nobody there", []);
    assertEquals(ends, 1);
  });
});
