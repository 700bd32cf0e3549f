import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Channel } from "../src/link/channel.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { anyLoop } from "../src/base/event_loop.ts";
import { Server } from "../mod.ts";
import { encodeUtf8 } from "../src/base/utf8.ts";
import { BackpressureError } from "../src/errors.ts";
import { BufferPool, POOL_SIZES } from "../src/link/buffer_pool.ts";
import type { PulledSource } from "../src/link/pulled_sources.ts";
import { CONTROL, ORDERED_CONTROL } from "../src/link/send_scheduler.ts";
import { FrameWriter, type FrameWriterShared } from "../src/link/frame_writer.ts";
import { TotalBuffer } from "../src/link/total_buffer.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import { FlushQueue } from "../src/link/flush_queue.ts";
import type { Connection, EventLoop, Transport } from "../src/transport.ts";
import { crc32 } from "../src/wire/crc32.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { Flag, SystemCode } from "../src/wire/frame.ts";
import { protocol } from "../src/wire/protocols.ts";
import { scripted, turn } from "./session_support.ts";
import { isMine, join, Random } from "./wire_support.ts";

const NATIVE = protocol("native");
const KIB = 1024;

/** A frame writer over a connection whose writes the test lets through one by one. */
// deno-lint-ignore explicit-function-return-type
function make(
  limits: Partial<FrameWriterShared["limits"]> = {},
  release = "native",
  onFailed: (writer: FrameWriter) => void = () => {},
) {
  const clock = new FakeClock();
  const writes: { bytes: Uint8Array; copy: Uint8Array; resolve: () => void; reject: (error: Error) => void }[] = [];
  const connection = {
    write(bytes: Uint8Array): Promise<void> {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      writes.push({ bytes, copy: bytes.slice(), resolve, reject });
      return promise;
    },
  } as unknown as Connection;
  const events: string[] = [];
  const wheel = new TimerWheel(clock);
  const marks = {
    highWaterMark: 64 * KIB,
    maxBufferedBytes: 256 * KIB,
    maxTotalBufferedBytes: 1024 * KIB,
    writeTimeout: 10_000,
    ...limits,
  };
  const shared: FrameWriterShared = {
    pool: new BufferPool(),
    wheel,
    flushes: new FlushQueue(anyLoop),
    clock,
    tuning: { eager: false },
    total: new TotalBuffer(marks, wheel, clock),
    limits: marks,
  };
  const writer: FrameWriter = new FrameWriter(new Channel(connection), protocol(release), shared, {
    failed: (error, reason) => {
      events.push(`${reason}: ${error.message}`);
      onFailed(writer);
    },
    stalled: (error) => events.push(`stalled: ${error.message}`),
    pressure: () => {},
    mayStart: () => events.push("may start"),
  });
  const send = (content: Uint8Array | string, most = 2 ** 24): number => writer.frame(200, 0, 0, content, 0, most);
  let passed = 0;
  /** Lets the write in flight through. */
  const pass = async (): Promise<void> => {
    const write = writes[passed++];
    assertEquals(write.bytes, write.copy, "the bytes were changed while they were borrowed");
    write.resolve();
    await clock.settle();
  };
  /** Lets all through, and returns the frames that came out. */
  const drain = async (): Promise<string[]> => {
    while (passed < writes.length) await pass();
    const decoder = new FrameDecoder(protocol(release), { maxMessageSize: 2 ** 28 });
    const frames = decoder.push(join(...writes.map(({ copy }) => copy)));
    assertEquals([decoder.failure, decoder.partial], [undefined, 0]);
    return frames.map(({ content }) => sum(content));
  };
  return { writer, shared, clock, writes, events, send, pass, drain };
}

const sum = (content: Uint8Array): string => `${content.length} ${crc32(content)}`;
const filled = (size: number, value = 1): Uint8Array => new Uint8Array(size).fill(value);
const frame = (content: Uint8Array): Uint8Array => encodeFrame(NATIVE, { code: 200, content, requestId: 0, flags: 0 });

describe("a frame writer", () => {
  it("writes at once when idle, and what comes in the same turn and while it writes follows in one write", async () => {
    const { writes, send, pass, writer } = make();
    send("one");
    assertEquals(writes.length, 1);
    send("two");
    send("three");
    assertEquals(writes.length, 1);
    await pass();
    assertEquals(writes.length, 2);
    assertEquals(writes[1].bytes.length, 2 * 16 + 8);
    send("four");
    await pass();
    assertEquals(writes.length, 3);
    await pass();
    assertEquals([writes.length, writer.buffered], [3, 0]);
    send("five");
    assertEquals(writes.length, 4, "idle again, so at once");
  });

  it("takes as much of a shared content as there was when it was sent", async () => {
    const { send, drain } = make();
    const shared = Reflect.construct(SharedArrayBuffer, [3, { maxByteLength: 600 * KIB }]) as SharedArrayBuffer & {
      grow(length: number): void;
    };
    const content = new Uint8Array(shared);
    let first = true;
    Object.defineProperty(content, "length", {
      get(): number {
        const { byteLength } = content;
        if (first) shared.grow(600 * KIB);
        first = false;
        return byteLength;
      },
    });
    send(content);
    send("behind it");
    assertEquals((await drain()).length, 2);
  });

  it("gathers what handlers send during a turn into one write", async () => {
    const { shared, writes, send, drain } = make();
    shared.flushes.begin();
    for (let i = 0; i < 100; i++) send(`${i}`);
    assertEquals(writes.length, 0);
    await turn();
    assertEquals(writes.length, 1);
    assertEquals((await drain()).length, 100);
  });

  it("is written at the end of the turn, even if the write of another one fails in it", () => {
    const ends: (() => void)[] = [];
    const queue = new FlushQueue({ ...anyLoop, defer: (end) => void ends.push(end) });
    const flushed: string[] = [];
    queue.add({ flush: () => void flushed.push("first") });
    queue.add({
      flush(): void {
        throw new Error("a transport of somebody");
      },
    });
    queue.add({ flush: () => void flushed.push("last") });
    assertThrows(() => ends.shift()!(), Error, "a transport of somebody");
    ends.shift()!();
    assertEquals([flushed, ends.length], [["first", "last"], 0]);
  });

  it("never reorders and never touches borrowed bytes, whatever the sizes", async () => {
    for (let seed = 1; seed <= 8; seed++) {
      if (!isMine(seed)) continue;
      const random = new Random(seed);
      const { writer, shared, clock, send, drain, pass, writes } = make({
        maxBufferedBytes: 2 ** 28,
        maxTotalBufferedBytes: 2 ** 28,
      });
      const expected: string[] = [];
      let passed = 0;
      for (let i = 0; i < 120; i++) {
        const size = random.pick([0, 3, 70, 900, 5_000, 17_000, 70_000, 300_000]);
        const content = filled(size, i);
        const kind = random.below(4);
        if (random.below(2) === 0) shared.flushes.begin();
        if (kind === 1) writer.encoded(frame(content));
        else if (kind === 2) send(new TextDecoder().decode(content.fill(i % 100)));
        else send(content);
        expected.push(sum(content));
        if (random.below(3) === 0) await clock.settle();
        if (random.below(3) === 0 && passed < writes.length) passed++, await pass();
      }
      await clock.settle();
      assertEquals(await drain(), expected, `seed ${seed}`);
      assertEquals([writer.buffered, shared.total.buffered], [0, 0]);
    }
  });

  it("writes at most 256 KiB at a time, so that a slow peer's progress shows", async () => {
    const { send, writes, pass, writer } = make();
    send(filled(1000 * KIB));
    for (let i = 0; i < 4; i++) await pass();
    // Each part leaves 48 bytes of its buffer free.
    const part = 256 * KIB - 48;
    assertEquals(writes.map(({ bytes }) => bytes.length).slice(0, 4), [
      part,
      part,
      part,
      1000 * KIB + 16 - 3 * part,
    ]);
    assertEquals(writer.buffered, 0);
  });

  it("takes nothing when it is full: not a byte, not a count", async () => {
    for (const payload of [filled(100 * KIB), "x".repeat(100 * KIB)]) {
      const { writer, shared, send, drain } = make();
      send(payload);
      send(payload);
      const before = [writer.buffered, shared.total.buffered];
      const error = assertThrows(() => send(payload), BackpressureError) as BackpressureError;
      assertEquals(error.code, "buffer-full");
      assertThrows(() => writer.encoded(frame(filled(100 * KIB))), BackpressureError);
      assertEquals([writer.buffered, shared.total.buffered], before);
      send("small goes");
      assertEquals((await drain()).length, 3);
    }
  });

  it("keeps no more of a large frame than what is left of it, and sums up a copy of shared memory", async () => {
    for (const release of ["native", "2.0.0"]) {
      const { writer, writes, drain } = make({ maxBufferedBytes: 2 ** 24, maxTotalBufferedBytes: 2 ** 24 }, release);
      const shared = new Uint8Array(new SharedArrayBuffer(2_000 * KIB)).fill(7);
      const own = filled(2_000 * KIB, 9);
      for (const content of [own, shared]) writer.frame(300, 0, 0, content, 0, 2 ** 24);
      own.fill(0);
      shared.fill(0);
      assertEquals(await drain(), [sum(filled(2_000 * KIB, 9)), sum(filled(2_000 * KIB, 7))]);
      for (const { bytes } of writes) assert(bytes.buffer.byteLength <= 256 * KIB, `${bytes.buffer.byteLength} bytes`);
    }
  });

  it("takes one message of any size when it is empty", async () => {
    const { writer, send, drain } = make();
    send(filled(5_000 * KIB));
    assertEquals(writer.buffered, 5_000 * KIB + 16);
    assertThrows(() => send("x"), BackpressureError);
    assertEquals((await drain()).length, 1);
    send("x".repeat(5_000 * KIB));
    assertEquals((await drain()).length, 2);
  });

  it("refuses what is above the peer's limit, as bytes and as text, counted in bytes", async () => {
    const { writer, send, drain } = make();
    assertEquals(send(filled(1001), 1016), -1);
    assertEquals(send("é".repeat(501), 1016), -1);
    assertEquals(send("é".repeat(500), 1016), 1016);
    assertEquals(send(filled(1000), 1016), 1016);
    assertEquals(writer.buffered, 2032);
    assertEquals((await drain()).length, 2);
  });

  it("bounds all frame writers together", async () => {
    const { writer, shared, send } = make();
    shared.total.buffered = 1024 * KIB - 50;
    for (const content of ["x".repeat(100 * KIB), filled(100 * KIB)]) {
      const error = assertThrows(() => send(content), BackpressureError) as BackpressureError;
      assertEquals(error.code, "total-buffer-full");
    }
    assertThrows(() => writer.encoded(frame(filled(100 * KIB))), BackpressureError);
    shared.total.buffered -= 100 * KIB;
    send("x".repeat(100 * KIB));
    writer.close();
    assertEquals(shared.total.buffered, 924 * KIB - 50);
    await turn();
  });

  it("may always use its share, however much others hold", async () => {
    const { writer, shared, send, drain } = make();
    shared.total.buffered = 2048 * KIB;
    for (let i = 0; i < 4; i++) send("x".repeat(16 * KIB - 16));
    assertThrows(() => send("one byte more"), BackpressureError);
    assertEquals((await drain()).length, 4);
    assertEquals([writer.buffered, shared.total.buffered], [0, 2048 * KIB]);
  });

  it("gives way when what waits would take longer than writeTimeout at the pace of the last while", async () => {
    for (const [each, crawls] of [[1, true], [30, false]] as const) {
      const { writer, clock, pass, send, shared, writes } = make();
      writer.scheduler.limit({ window: 1, least: 1_000 });
      for (let i = 0; i < 200; i++) send(filled(984));
      const [holder] = shared.total.holders;
      assertEquals(holder.crawls(clock.now()), false, "full for no time yet");
      let passed = 0;
      for (let second = 0; second < 4; second++) {
        writer.grant(each * 1_000);
        await clock.advance(1_000);
        while (passed < writes.length) passed++, await pass();
      }
      assertEquals([writer.full, holder.crawls(clock.now())], [true, crawls]);
      await clock.advance(60_000);
      assertEquals(holder.crawls(clock.now()), true, "and who stops crawls in the end");
      writer.close();
    }
  });

  it("counts nothing for a connection that is closed to make room for its own message", async () => {
    for (const how of ["bytes", "text", "encoded"] as const) {
      const { writer, clock, shared, send, events } = make(
        { maxBufferedBytes: 2 ** 24 },
        "native",
        (writer) => writer.close(),
      );
      send(filled(100 * KIB));
      const others = 1024 * KIB - shared.total.buffered;
      shared.total.buffered += others;
      // It takes nothing for a while, and then somebody sends to it.
      await clock.advance(5_000);
      const more = filled(50 * KIB);
      if (how === "encoded") writer.encoded(frame(more));
      else assertEquals(send(how === "text" ? "x".repeat(50 * KIB) : more), 0);
      assertEquals(events.length, 1);
      assertStringIncludes(events[0], "others need the room");
      assertEquals([shared.total.buffered, writer.buffered], [others, 0], how);
    }
  });

  it("that refused a message for which nobody waits does not ask for room", async () => {
    const { writer, shared, send, pass, drain } = make({ maxBufferedBytes: 128 * KIB });
    let waits = 0;
    const { waitFor } = shared.total;
    shared.total.waitFor = (what, waiter) => {
      waits++;
      waitFor.call(shared.total, what, waiter);
    };
    send(filled(100 * KIB));
    assertThrows(() => send(filled(70 * KIB)), BackpressureError);
    shared.total.buffered += 1024 * KIB;
    await pass();
    while (writer.full) await pass();
    await drain();
    assertEquals(waits, 0);
    // Whoever asks now waits for the room that the refused message lacks.
    void writer.ready();
    assertEquals(waits, 1);
    shared.total.buffered -= 1024 * KIB;
  });

  it("takes one that is larger than all the room there is, when nothing else waits", async () => {
    const { send, drain } = make({ maxTotalBufferedBytes: 1, maxBufferedBytes: 1 });
    send(filled(5_000 * KIB));
    assertEquals((await drain()).length, 1);
  });

  it("settles ready() at half the mark, flushed() at nothing, and both when it is closed", async () => {
    const { writer, send, pass } = make({ highWaterMark: 512 * KIB, maxBufferedBytes: 2 ** 24 });
    const order: string[] = [];
    await writer.ready();
    await writer.flushed();
    send(filled(768 * KIB));
    const waiting = [
      writer.ready().then(() => order.push("ready")),
      writer.flushed().then(() => order.push("flushed")),
    ];
    await pass();
    assertEquals(order, []);
    await pass();
    assertEquals(order, [], "half the mark and a header wait");
    await pass();
    assertEquals(order, ["ready"]);
    await pass();
    assertEquals(order, ["ready", "flushed"]);
    await Promise.all(waiting);
    send(filled(768 * KIB));
    const closing = [writer.ready(), writer.flushed()];
    writer.close();
    await Promise.all([...closing, writer.ready(), writer.flushed()]);
  });

  it("calls a peer stalled that takes nothing for writeTimeout above the mark, not one that makes progress", async () => {
    const { clock, events, send, pass, writer } = make({ maxBufferedBytes: 2 ** 24 });
    send(filled(2_000 * KIB));
    for (let i = 0; i < 6; i++) {
      await clock.advance(9_900);
      assertEquals(events, []);
      await pass();
    }
    await clock.advance(9_900);
    assertEquals(events, []);
    await clock.advance(200);
    assertEquals(events, ["stalled: The peer took nothing for 10000 ms"]);
    writer.close();
  });

  it("calls a peer stalled that grants no credit, although PINGs still go past its messages", async () => {
    const { clock, events, send, pass, writer } = make({ maxBufferedBytes: 2 ** 24 });
    writer.scheduler.limit({ window: 1, least: 0 });
    send("x");
    await pass();
    send(filled(100 * KIB));
    for (let waited = 0; waited < 9_000; waited += 3_000) {
      writer.frame(SystemCode.PING, Flag.REQUEST, 1, new Uint8Array(0), 0, 2 ** 24, CONTROL);
      await pass();
      await clock.advance(3_000);
    }
    assertEquals(events, []);
    await clock.advance(1_100);
    assertEquals(events, ["stalled: The peer took nothing for 10000 ms"]);
    writer.close();
  });

  it("does not watch a peer that has taken enough in the meantime", async () => {
    const { clock, events, send, drain, writer } = make({ maxBufferedBytes: 2 ** 24 });
    send(filled(100 * KIB));
    await drain();
    await clock.advance(30_000);
    send(filled(60 * KIB));
    await clock.advance(30_000);
    assertEquals(events, []);
    writer.close();
  });

  it("tells of a failed write once, and of none after it was closed", async () => {
    const { events, send, writes, writer } = make();
    send("x");
    writes[0].reject(new Error("gone"));
    await turn();
    assertEquals(events, ["network-error: gone"]);
    writer.close();
    const other = make();
    other.send("x");
    other.writer.close();
    other.writes[0].reject(new Error("gone"));
    await turn();
    assertEquals(other.events, []);
  });

  it("holds nothing and counts nothing any more once it is closed, even when more is sent", async () => {
    const { writer, shared, clock, send, writes } = make();
    send(filled(100 * KIB));
    writer.close();
    assertEquals([writer.buffered, shared.total.buffered], [0, 0]);
    send(filled(100 * KIB));
    writer.encoded(frame(filled(100 * KIB)));
    assertEquals([writer.buffered, shared.total.buffered], [0, 0]);
    writes[0].resolve();
    await clock.advance(60_000);
    assertEquals([writes.length, writer.buffered, shared.total.buffered], [1, 0, 0]);
  });

  it("gives pooled buffers back only when their write is done, and keeps none while idle", async () => {
    const { shared, send, pass, writes, writer } = make();
    send("one");
    const first = writes[0].bytes.buffer;
    for (const size of POOL_SIZES.keys()) assert(shared.pool.take(size).bytes.buffer !== first);
    await pass();
    assertEquals(shared.pool.take(0).bytes.buffer, first);
    // A refused text must not leave its buffer behind.
    assertEquals(send("x".repeat(200 * KIB), 1000), -1);
    send("two");
    assert(writes[1].bytes.buffer.byteLength <= POOL_SIZES[1], "the buffer of the refused text is still there");
    await pass();
    writer.close();
  });

  it("packs what waits for credit into large buffers, and writes it so", async () => {
    const { writer, shared, send, writes, drain } = make({ maxBufferedBytes: 2 ** 30, maxTotalBufferedBytes: 2 ** 30 });
    writer.scheduler.limit({ window: 1, least: 0 });
    send(filled(64));
    await drain();
    for (let i = 0; i < 10_000; i++) send(filled(64));
    assertEquals([writes.length, writer.buffered], [1, 800_000]);
    shared.flushes.begin();
    writer.grant(2 ** 30);
    await turn();
    assertEquals((await drain()).length, 10_001);
    assert(writes.length <= 10, `${writes.length} writes`);
  });

  it("begins with a buffer for as much as went out last time, so that it is one write", async () => {
    const { shared, send, writes, drain } = make();
    const turnOf = async (count: number): Promise<number[]> => {
      const before = writes.length;
      shared.flushes.begin();
      for (let i = 0; i < count; i++) send(filled(64));
      await turn();
      await drain();
      await turn();
      return writes.slice(before).map(({ bytes }) => bytes.buffer.byteLength);
    };
    // The first time it grows: 100 frames are 8,000 bytes.
    assertEquals(await turnOf(100), [4 * KIB, 16 * KIB]);
    assertEquals(await turnOf(100), [16 * KIB]);
    // No connection begins with a large one because it was busy once.
    assertEquals((await turnOf(300)).length, 2);
    assertEquals(await turnOf(1), [4 * KIB]);
    assertEquals(await turnOf(1), [4 * KIB]);
  });

  it("holds no large buffer for a few bytes between what is shared", async () => {
    const { writer, shared, send, drain } = make({ maxBufferedBytes: 2 ** 30, maxTotalBufferedBytes: 2 ** 30 });
    const { pool } = shared;
    let lent = 0;
    const take = pool.take.bind(pool);
    const give = pool.give.bind(pool);
    pool.take = (size) => {
      lent += POOL_SIZES[size];
      return take(size);
    };
    pool.give = (buffer) => {
      lent -= buffer.bytes.length;
      give(buffer);
    };
    const large = encodeFrame(NATIVE, { code: 200, content: filled(16 * KIB), requestId: 0, flags: 0 });
    for (let i = 0; i < 100; i++) {
      send(filled(64));
      writer.encoded(large);
    }
    assert(lent <= 512 * KIB, `${lent} bytes of buffers hold ${100 * 80} bytes`);
    assertEquals((await drain()).length, 200);
  });

  it("keeps each frame of release 1.2 in a write of its own", async () => {
    const { shared, writer, writes, drain } = make({}, "1.2.1");
    const id = "00000000-0000-4000-8000-000000000000";
    shared.flushes.begin();
    for (let i = 0; i < 5; i++) writer.frame(200, 0, id, "hello", 0, 1024);
    await turn();
    assertEquals((await drain()).length, 5);
    assertEquals(writes.map(({ bytes }) => bytes.length), Array(5).fill(67));
  });
});

describe("free buffers", () => {
  it("are shared by all that live by the same event loop, until the last of them is closed", async () => {
    const loop: EventLoop = { ...anyLoop, clock: new FakeClock() };
    const first = scripted({}, loop).shared;
    const second = scripted({}, loop).shared;
    const other = scripted().shared;
    const buffer = first.pool.take(0);
    first.pool.give(buffer);
    assert(other.pool.take(0) !== buffer);
    assertStrictEquals(second.pool.take(0), buffer);
    second.pool.give(buffer);
    first.close();
    const third = scripted({}, loop).shared;
    assertStrictEquals(third.pool.take(0), buffer);
    third.pool.give(buffer);
    for (const shared of [second, third, other]) shared.close();
    // One that could not begin has used none.
    const no = (): Promise<never> => Promise.reject(new Error("taken"));
    const taken: EventLoop = { ...loop };
    const transport: Transport = { name: "taken", connect: no, listen: no, eventLoop: taken };
    const kept = scripted({}, taken).shared;
    await assertRejects(() => new Server({ port: 1, transport }).start());
    kept.pool.give(buffer);
    kept.close();
    const anew = scripted({}, taken).shared;
    assert(anew.pool.take(0) !== buffer);
    anew.close();
    const later = scripted({}, loop).shared;
    assert(later.pool.take(0) !== buffer);
    later.close();
  });
});

describe("a frame writer with sources", () => {
  /** A source of `count` frames of `size` bytes that all have the same value. */
  const source = (
    writer: FrameWriter,
    asked: number[],
    value: number,
    count: number,
    size: number,
  ): PulledSource => ({
    pull(): boolean {
      asked.push(value);
      writer.frame(120, 0, 0, filled(size - 16, value), 0, Infinity, ORDERED_CONTROL);
      return --count > 0;
    },
  });

  it("asks them in turns, and for no more than 256 KiB at a time", async () => {
    const { writer, send, pass, drain, writes } = make({ maxBufferedBytes: 2 ** 24, highWaterMark: 2 ** 24 });
    const asked: number[] = [];
    writer.pull(source(writer, asked, 1, 40, 32 * KIB));
    assertEquals([asked.length, writer.buffered], [8, 256 * KIB]);
    writer.pull(source(writer, asked, 2, 20, 32 * KIB));
    assertEquals(asked.length, 8, "there is no room for the second one");
    send("a message");
    let most = 0;
    while (asked.length < 60) {
      await pass();
      most = Math.max(most, writer.buffered);
    }
    assert(most <= 288 * KIB + 16 + 9, `${most} bytes waited`);
    const both = asked.slice(8, 48);
    assert(both.every((value, i) => value !== both[i + 1]), `no turns: ${asked}`);
    const frames = await drain();
    assertEquals(frames.length, 61);
    // The message waited for what was there before it, and for nothing else.
    assertEquals(frames.indexOf(sum(encodeUtf8("a message"))), 8);
    assert(writes.every(({ bytes }) => bytes.length <= 256 * KIB));
  });

  it("asks for 32 KiB at a time after a slow write", async () => {
    const { writer, clock, pass } = make({ maxBufferedBytes: 2 ** 24, highWaterMark: 2 ** 24 });
    const asked: number[] = [];
    writer.pull(source(writer, asked, 1, 100, 16 * KIB));
    assertEquals(asked.length, 16);
    while (asked.length === 16) {
      await clock.advance(21);
      await pass();
    }
    while (asked.length < 30) {
      assert(writer.buffered <= 48 * KIB, `${writer.buffered} bytes wait`);
      await clock.advance(21);
      await pass();
    }
    // The next write is quick.
    await pass();
    assert(writer.buffered > 200 * KIB, `${writer.buffered} bytes wait`);
  });

  it("asks for half of the high-water mark at most, so that messages find room", async () => {
    const { writer, pass, send } = make({ maxBufferedBytes: 2 ** 24, highWaterMark: 64 * KIB });
    const asked: number[] = [];
    writer.pull(source(writer, asked, 1, 100, 8 * KIB));
    assertEquals(asked.length, 4);
    send("a message");
    assert(!writer.full);
    await pass();
    assert(writer.buffered <= 40 * KIB, `${writer.buffered} bytes wait`);
  });

  it("asks for one frame at a time while all connections together have no room", async () => {
    const { writer, shared, pass } = make({ maxBufferedBytes: 2 ** 24, highWaterMark: 2 ** 24 });
    shared.total.buffered = 2 ** 31;
    const asked: number[] = [];
    writer.pull(source(writer, asked, 1, 100, 8 * KIB));
    assertEquals(asked.length, 1);
    await pass();
    assertEquals(asked.length, 2);
    shared.total.buffered = writer.buffered;
    await pass();
    assert(asked.length > 20, `${asked.length} frames`);
  });

  it("asks one that has no frame yet again after the next write, beside the others, and none after the end", async () => {
    const { writer, pass, send } = make();
    let asked = 0;
    let frames = 0;
    writer.pull({
      pull: () => {
        if (++asked === 3) send(`frame ${++frames}`);
        return asked < 3;
      },
    });
    assertEquals(asked, 1);
    const after: number[] = [];
    writer.pull(source(writer, after, 1, 2, KIB));
    assertEquals([asked, after.length], [3, 2]);
    await pass();
    assertEquals([asked, frames], [3, 1]);
    writer.pull(source(writer, after, 1, 100, 64 * KIB));
    const before = after.length;
    writer.close();
    await pass();
    writer.pull({ pull: () => ++asked > 0 });
    assertEquals([after.length, asked], [before, 3]);
  });
});
