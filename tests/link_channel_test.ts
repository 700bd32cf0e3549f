/** A channel gives each byte to exactly one reader, whoever reads, peeks, or pushes bytes back. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connectionPair } from "../src/adapters/memory.ts";
import { FakeClock } from "../src/adapters/fake_clock.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import { anyLoop } from "../src/base/event_loop.ts";
import { negotiate } from "../src/link/handshake.ts";
import type { StrangerTurns } from "../src/link/stranger_turns.ts";
import type { HandshakeStep } from "../src/wire/handshake/terms.ts";
import { Channel, LINGER_BYTES, LINGER_TIME } from "../src/link/channel.ts";
import type { ChunkReader, Connection } from "../src/transport.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** A connection that gives these chunks, then FIN, by promises alone or by callback too. */
function chunks(by: "read" | "readTo", ...given: Uint8Array[]): Connection {
  const next = (): Uint8Array | null => given.shift() ?? null;
  const read = { read: () => Promise.resolve(next()) };
  return (by === "read" ? read : { ...read, readTo: (reader: ChunkReader) => reader.received(next()) }) as Connection;
}

/** Reads everything by callback. */
async function drain(channel: Channel): Promise<(number[] | null)[]> {
  const got: (number[] | null)[] = [];
  for (;;) {
    const chunk = await new Promise<Uint8Array | null>((resolve, reject) =>
      channel.readTo({ received: (chunk, error) => error === undefined ? resolve(chunk) : reject(error) })
    );
    got.push(chunk === null ? null : [...chunk]);
    if (chunk === null) return got;
  }
}

describe("a handshake that has to wait for its turn", () => {
  for (const waits of [true, false]) {
    it(
      waits ? "has the connection read no more meanwhile" : "leaves the connection as it is if it need not",
      async () => {
        const log: string[] = [];
        const connection = Object.assign(chunks("read", bytes(1), bytes(2)), {
          stopReading: () => void log.push("stop"),
        });
        const clock = new FakeClock();
        const turn = Promise.withResolvers<void>();
        const step = (state: string): HandshakeStep => ({ state, rest: bytes(), outcome: {} }) as never;
        const machine = {
          start: () => step("waiting"),
          push: ([byte]: Uint8Array) => (log.push(`push ${byte}`), step(byte === 2 ? "open" : "waiting")),
          unfinished: () => "",
        };
        const turns = {
          next: () => (log.push("next"), waits ? turn.promise : undefined),
          begin: () => 0,
          end: () => {},
        } as unknown as StrangerTurns;
        const wheel = new TimerWheel(clock, anyLoop);
        const done = negotiate(new Channel(connection), machine, { turns, wheel, timeout: 1_000 });
        if (waits) {
          await clock.settle();
          assertEquals(log, ["next", "stop"]);
          turn.resolve();
        }
        await done;
        wheel.close();
        const first = waits ? ["next", "stop"] : ["next"];
        assertEquals(log, [...first, "push 1", ...first, "push 2"]);
      },
    );
  }
});

describe("Channel", () => {
  for (const by of ["read", "readTo"] as const) {
    it(`gives what was peeked at to the next reader, over a connection with ${by}`, async () => {
      const channel = new Channel(chunks(by, bytes(1), bytes(2)));
      assertEquals(await channel.peek(), bytes(1));
      assertEquals(await channel.peek(), bytes(1));
      assertEquals(await drain(channel), [[1], [2], null]);
    });

    it(`gives pushed back bytes first, to each way of reading, over a connection with ${by}`, async () => {
      const channel = new Channel(chunks(by, bytes(1, 2), bytes(4)));
      assertEquals(await channel.read(), bytes(1, 2));
      channel.unread(bytes(2));
      assertEquals(await channel.peek(), bytes(2));
      assertEquals(await channel.read(), bytes(2));
      channel.unread(bytes(2, 3));
      assertEquals(await drain(channel), [[2, 3], [4], null]);
    });
  }

  it("gives a peeked chunk within one readTo, and keeps a read that is pending for the next reader", async () => {
    let give = (_: Uint8Array | null): void => {};
    let reads = 0;
    const channel = new Channel({
      read: () => {
        reads++;
        return new Promise((resolve) => give = resolve);
      },
    } as Connection);
    const peeked = channel.peek();
    const got: unknown[] = [];
    channel.readTo({ received: (chunk) => void got.push(chunk) });
    give(bytes(7));
    assertEquals(await peeked, bytes(7));
    await Promise.resolve();
    assertEquals([reads, got], [1, [bytes(7)]]);
  });

  it("hands pushed back bytes out within the call", () => {
    const channel = new Channel(chunks("readTo"));
    channel.unread(bytes(1));
    const got: unknown[] = [];
    channel.readTo({ received: (chunk) => void got.push(chunk) });
    assertEquals(got, [bytes(1)]);
  });

  for (const way of ["read", "readTo"] as const) {
    it(`gives pushed back bytes before a chunk that is read ahead, to ${way}`, async () => {
      const channel = new Channel(chunks("readTo", bytes(2), bytes(3)));
      const ahead = channel.peek();
      channel.unread(bytes(1));
      if (way === "read") {
        assertEquals([await channel.read(), await ahead, await channel.read()], [bytes(1), bytes(2), bytes(2)]);
      }
      assertEquals(await drain(channel), way === "read" ? [[3], null] : [[1], [2], [3], null]);
    });
  }

  it("pushes nothing back for no bytes, and refuses to push back twice", async () => {
    const channel = new Channel(chunks("read", bytes(1)));
    channel.unread(bytes());
    assertEquals(await channel.peek(), bytes(1));
    channel.unread(bytes(2));
    assertThrows(() => channel.unread(bytes(3)), Error, "twice");
    assertEquals(await drain(channel), [[2], [1], null]);
  });

  it("tells a reader of an error of the connection, also where that is undefined", async () => {
    for (const [thrown, told] of [[new Error("reset"), "reset"], [undefined, "without saying why"]] as const) {
      const channel = new Channel({ read: () => Promise.reject(thrown) } as unknown as Connection);
      await assertRejects(() => drain(channel), Error, told);
    }
  });

  it("lingers: says FIN, drops what comes until the peer's, and releases the socket", async () => {
    const [ours, theirs] = connectionPair();
    const wheel = new TimerWheel(new FakeClock());
    const channel = new Channel(ours);
    const left = channel.linger(wheel);
    assertEquals(await theirs.read(), null);
    await theirs.write(new Uint8Array(10));
    await theirs.closeWrite();
    await left;
    await ours.closed;
    wheel.close();
  });

  it("lingers no longer than it may, in bytes and in time", async () => {
    const [ours, theirs] = connectionPair();
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const flooded = new Channel(ours).linger(wheel);
    const flood = theirs.write(new Uint8Array(2 * LINGER_BYTES)).catch(() => {});
    await flooded;
    await flood;
    assertEquals(clock.now(), 0);
    const [silent] = connectionPair();
    const left = new Channel(silent).linger(wheel);
    await clock.advance(LINGER_TIME + 100);
    await left;
    wheel.close();
  });
});
