import { Channel } from "../src/link/channel.ts";
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { anyLoop } from "../src/base/event_loop.ts";
import { FrameSource } from "../src/link/frame_source.ts";
import type { SessionShared } from "../src/session/shared.ts";
import { BATCH_FRAMES, BatchBudget } from "../src/link/batch_budget.ts";
import { FlushQueue } from "../src/link/flush_queue.ts";
import type { Clock } from "../src/base/clock.ts";
import type { ChunkReader, Connection } from "../src/transport.ts";
import type { ReceivedFrame } from "../src/wire/decoded_frame.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { protocol } from "../src/wire/protocols.ts";

const NATIVE = protocol("native");
const COUNT = 100_000;
const NEVER_FULL = { full: false, room: () => Promise.resolve(), gathering: false, handOut: () => {} };
const NO_FEATURES = { flags: 0, check: undefined };

/** Reads `COUNT` chunks of one frame each and the FIN; returns what was told. `hurried` are handed out in one turn. */
async function receive(
  connection: (next: () => Uint8Array | null) => Partial<Connection>,
  hurried = 0,
): Promise<unknown[]> {
  const chunk = encodeFrame(NATIVE, { code: 200, content: new Uint8Array(8), requestId: 0, flags: 0 });
  let left = COUNT;
  // Time stands still, so that it ends no batch.
  const clock = { now: () => 0 } as Clock;
  const loop = { ...anyLoop, clock };
  let frames = 0;
  let inTurn = 0;
  let most = 0;
  const told: unknown[] = [];
  const source = new FrameSource(
    new Channel(connection(() => left-- > 0 ? chunk : null) as Connection),
    NATIVE,
    1_000,
    "close",
    NO_FEATURES,
    { clock, budget: new BatchBudget(loop), flushes: new FlushQueue(loop) } as unknown as SessionShared,
    {
      frame(_: ReceivedFrame): void {
        frames++;
        if (++inTurn === 1) loop.yield(() => inTurn = 0);
        most = Math.max(most, inTurn);
      },
      inbox: NEVER_FULL,
      skipped: () => {},
    },
    {
      finished: (partial) => void told.push(partial),
      failed: (error) => void told.push(error),
    },
  );
  source.run();
  await source.over();
  // What is counted here may begin in the middle of a turn.
  assert(most >= hurried && most < hurried + 2 * BATCH_FRAMES, `${most} in a turn`);
  return [frames, source.bytes / chunk.length, ...told];
}

describe("a receiver", () => {
  it("takes any number of chunks that are there already, without a call in a call, and shares its turns", async () => {
    assertEquals(await receive((next) => ({ readTo: (reader) => reader.received(next()) })), [COUNT, COUNT, 0]);
  });

  it("takes at once what a connection cannot slow down, and then shares its turns again", async () => {
    const hurried = 20_000;
    let left = hurried;
    const connection = (next: () => Uint8Array | null): Partial<Connection> => ({
      readTo: (reader) => reader.received((left--, next())),
      get pressing(): boolean {
        return left >= 0;
      },
    });
    assertEquals(await receive(connection, hurried), [COUNT, COUNT, 0]);
  });

  it("takes chunks that come later, or now and then", async () => {
    let turn = 0;
    const readTo = (next: () => Uint8Array | null) => (reader: ChunkReader): void => {
      const chunk = next();
      if (turn++ % 3 === 0) reader.received(chunk);
      else queueMicrotask(() => reader.received(chunk));
    };
    assertEquals(await receive((next) => ({ readTo: readTo(next) })), [COUNT, COUNT, 0]);
  });

  it("reads a connection that only has read()", async () => {
    assertEquals(await receive((next) => ({ read: () => Promise.resolve(next()) })), [COUNT, COUNT, 0]);
  });

  for (const what of ["frames with a wrong checksum", "magics without a frame"] as const) {
    it(`hands out no more ${what} in a turn than others`, async () => {
      const spoken = protocol("2.0.0");
      const bad = encodeFrame(spoken, { code: 200, content: new Uint8Array(1), requestId: 1, flags: 0 });
      bad[bad.length - 1] ^= 1;
      const piece = what === "magics without a frame" ? new Uint8Array([0x56, 0x58, 1]) : bad;
      const count = 20_000;
      const chunk = new Uint8Array(piece.length * count);
      for (let i = 0; i < count; i++) chunk.set(piece, i * piece.length);
      const clock = { now: () => 0 } as Clock;
      const loop = { ...anyLoop, clock };
      let given = false;
      const source = new FrameSource(
        new Channel(
          { readTo: (reader: ChunkReader) => reader.received(given ? null : (given = true, chunk)) } as Connection,
        ),
        spoken,
        1_000_000,
        piece === bad ? "close" : "resync",
        NO_FEATURES,
        {
          clock,
          budget: new BatchBudget(loop),
          flushes: new FlushQueue(loop),
          wheel: { add: () => {} },
        } as unknown as SessionShared,
        { inbox: NEVER_FULL, frame: () => {}, skipped: () => {} },
        { finished: () => {}, failed: () => {} },
      );
      source.run();
      const passed = (): number => piece === bad ? source.dropped : source.skipped / piece.length;
      let most = 0;
      let before = 0;
      do {
        most = Math.max(most, passed() - before);
        before = passed();
        await new Promise<void>((resolve) => loop.yield(resolve));
      } while (before < count - 2);
      await source.over();
      assert(most > 0 && most <= 2 * BATCH_FRAMES, `${most} in a turn`);
    });
  }

  it("tells what broke the connection, once", async () => {
    const broken = new Error("reset");
    assertEquals(await receive(() => ({ read: () => Promise.reject(broken) })), [0, 0, broken]);
    const readTo = (reader: ChunkReader): void => queueMicrotask(() => reader.received(null, broken));
    assertEquals(await receive(() => ({ readTo })), [0, 0, broken]);
  });

  it("that throws away what comes counts the rest of the chunk: after a flood it reads no more", async () => {
    const frame = encodeFrame(NATIVE, { code: 200, content: new Uint8Array(1_008), requestId: 0, flags: 0 });
    for (const [frames, reads] of [[100, 1], [10, 2], [1, 2]]) {
      const chunk = new Uint8Array(frames * frame.length);
      for (let i = 0; i < frames; i++) chunk.set(frame, i * frame.length);
      const clock = { now: () => 0 } as Clock;
      const loop = { ...anyLoop, clock };
      let asked = 0;
      let seen = 0;
      const source: FrameSource = new FrameSource(
        new Channel({ readTo: (reader: ChunkReader) => reader.received(++asked === 1 ? chunk : null) } as Connection),
        NATIVE,
        10_000,
        "close",
        NO_FEATURES,
        { clock, budget: new BatchBudget(loop), flushes: new FlushQueue(loop) } as unknown as SessionShared,
        {
          inbox: NEVER_FULL,
          frame: () => {
            seen++;
            source.discard(64 * 1024);
          },
          skipped: () => {},
        },
        { finished: () => {}, failed: () => {} },
      );
      source.run();
      await source.over();
      assertEquals([seen, asked], [1, reads], `${frames} frames`);
    }
  });
});
