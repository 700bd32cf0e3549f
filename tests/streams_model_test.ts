/** Thousands of random streams beside a simple model, over a network that splits, delays and flips. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { BackpressureError, type Client, type ConnectedClient, json, streamType, text } from "../mod.ts";
import type { IncomingStream } from "../src/app/streams/incoming_stream.ts";
import { advanceUntil, memoryWorld, turn, until } from "./session_support.ts";
import { settled, type StreamPeers, streamPeers } from "./streams_support.ts";
import { Random, rounds } from "./wire_support.ts";

/** What one side does with a direction that it sends. */
interface Writing {
  /** Sizes of the chunks or items, one after the other. */
  readonly sizes: readonly number[];
  readonly then: "close" | "leave" | "abort";
}

/** What one side does with a direction that it reads: how many chunks it reads before it cancels; -1 for all. */
interface Plan {
  readonly number: number;
  readonly writes: Writing;
  readonly reads: number;
  /** How many turns it waits now and then. */
  readonly pace: number;
}

/** What an acceptor is told in the head. */
interface Head extends Plan {
  /** How the handler ends. */
  readonly ends: "value" | "throw" | "at once";
}

/** What became of one direction, as both its ends see it. */
interface Direction {
  /** Bytes whose write has begun. */
  written: number;
  /** True once `close()` was fulfilled, or the handler returned without closing. */
  closed: boolean;
  read: number;
  /** `undefined` until the reader saw the end. */
  end: "end" | "error" | "cancelled" | undefined;
}

interface Outcome {
  readonly number: number;
  readonly up: Direction;
  readonly down: Direction;
  handler: "none" | "running" | "returned" | "threw";
  result: string;
  /** True if no end does anything but read and write all, and close. */
  readonly good: boolean;
}

const BYTES = streamType(300, "bytes", { head: json<Head>(), result: json<number>() });
const ITEMS = streamType(301, "items", { head: json<Head>(), up: text, down: text, result: json<number>() });
const HOLD = streamType(302, "hold");
const WINDOWS = 24;

const byteAt = (number: number, salt: number, at: number): number =>
  (number * 7 + salt * 13 + at * 31 + (at >>> 7)) & 127;

function content(number: number, salt: number, from: number, size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => byteAt(number, salt, from + i));
}

/** Writes what the plan says. */
async function write(
  plan: Plan,
  salt: number,
  items: boolean,
  writable: WritableStream,
  model: Direction,
): Promise<void> {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  const pending: Promise<unknown>[] = [];
  for (const [i, size] of plan.writes.sizes.entries()) {
    const bytes = content(plan.number, salt, model.written, size);
    model.written += size;
    const write = writer.write(items ? String.fromCharCode(...bytes) : bytes);
    // Some programs wait for each write, some do not.
    if (plan.pace === 0) {
      pending.push(write);
      write.catch(() => {});
    } else await write;
    if (plan.pace > 0 && i % plan.pace === 0) await turn();
  }
  await Promise.all(pending);
  if (plan.writes.then === "abort") await writer.abort(new Error("the writer aborts"));
  if (plan.writes.then !== "close") return;
  await writer.close();
  model.closed = true;
}

/** Reads what the plan says, and compares it with what is written. */
async function read(plan: Plan, salt: number, readable: ReadableStream, model: Direction): Promise<void> {
  const reader = readable.getReader();
  reader.closed.catch(() => {});
  try {
    for (let i = 0; i !== plan.reads; i++) {
      const { done, value } = await reader.read();
      if (done) {
        model.end = "end";
        return;
      }
      const bytes: Uint8Array = typeof value === "string"
        ? Uint8Array.from(value, (character) => character.charCodeAt(0))
        : value;
      for (const byte of bytes) {
        assertEquals(byte, byteAt(plan.number, salt, model.read++), `stream ${plan.number}: byte ${model.read - 1}`);
      }
      if (plan.pace > 0 && i % plan.pace === 0) await turn();
    }
    model.end = "cancelled";
    await reader.cancel(new Error("the reader has enough"));
  } catch (error) {
    if ((error as Error).name === "AssertionError") throw error;
    model.end = "error";
  }
}

/** One world of random streams. */
async function simulate(seed: number, streams: number): Promise<void> {
  const random = new Random(seed);
  const flips = seed % 4 === 0;
  const fault = () => ({
    split: { seed: random.below(2 ** 31), max: random.pick([11, 100, 5_000]) },
    delay: random.pick([0, 0, 0, 3]),
    ...(flips ? { corrupt: { byte: 5_000 + random.below(200_000), bit: random.below(8) } } : {}),
  });
  const world = memoryWorld({ faults: fault, pipeSize: random.pick([1_000, 262_144]) });
  const streamWindow = random.pick([1_024, 5_000, 65_536]);
  const peers = await advanceUntil(
    world.clock,
    streamPeers({
      streamWindow,
      maxStreamBytes: WINDOWS * streamWindow,
      maxTotalStreamBytes: WINDOWS * streamWindow,
      maxStreams: WINDOWS,
      highWaterMark: random.pick([4_096, 1_048_576]),
    }, world),
  );
  const broken: unknown[] = [];
  const outcomes: Outcome[] = [];
  for (
    const [acceptor, items, type] of [
      [peers.server, false, BYTES],
      [peers.server, true, ITEMS],
      [peers.client, false, BYTES],
      [peers.client, true, ITEMS],
    ] as const
  ) {
    acceptor.stream(type as typeof BYTES, async (stream: IncomingStream<Head, Uint8Array, Uint8Array>) => {
      const { head, readable, writable } = stream;
      const outcome = outcomes[head.number];
      outcome.handler = "running";
      try {
        if (head.ends !== "at once") {
          const parts = [write(head, 2, items, writable, outcome.down), read(head, 1, readable, outcome.up)];
          for (const part of await Promise.allSettled(parts)) {
            if (part.status === "fulfilled") continue;
            if (part.reason?.name === "AssertionError") broken.push(part.reason);
            // Whoever fails to write says so by failing.
            throw part.reason;
          }
        }
        if (head.ends === "throw") throw new Error("the handler throws");
      } catch (error) {
        outcome.handler = "threw";
        throw error;
      }
      outcome.handler = "returned";
      outcome.down.closed = true;
      return head.number;
    });
    if (!items) {
      acceptor.stream(
        HOLD,
        ({ signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
      );
    }
  }

  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: unknown[]) => (listeners++, add(...args as Parameters<typeof add>));
  signal.removeEventListener = (...args: unknown[]) => (listeners--, remove(...args as Parameters<typeof remove>));

  const one = async (opener: Client | ConnectedClient, number: number, items: boolean): Promise<void> => {
    const plan = (good: boolean): Plan => {
      const sizes = Array.from({ length: random.below(8) }, () => random.pick([1, 3, 255, 256, 1_023, 4_000, 20_000]));
      return {
        number,
        writes: { sizes, then: good ? "close" : random.pick(["close", "close", "leave", "abort"] as const) },
        reads: good ? -1 : random.pick([-1, -1, 0, 1, 3]),
        pace: random.below(4),
      };
    };
    const good = random.below(3) > 0;
    const head: Head = { ...plan(good), ends: good ? "value" : random.pick(["value", "throw", "at once"] as const) };
    const mine = plan(good);
    const outcome: Outcome = {
      number,
      up: { written: 0, closed: false, read: 0, end: undefined },
      down: { written: 0, closed: false, read: 0, end: undefined },
      handler: "none",
      result: "",
      good,
    };
    outcomes[number] = outcome;
    let stream;
    for (;;) {
      try {
        stream = opener.open((items ? ITEMS : BYTES) as typeof BYTES, head, random.below(2) === 0 ? { signal } : {});
        break;
      } catch (error) {
        if (!(error instanceof BackpressureError)) {
          outcome.result = "never opened";
          return;
        }
        await turn();
      }
    }
    // Two ends that both wait go on for ever. The opener has no patience then.
    const patience = good ? Infinity : random.below(4) === 0 ? random.below(10) : 300;
    let over = false;
    const impatient = (async () => {
      for (let turns = 0; turns < patience && !over; turns++) await turn();
      stream.abort(new Error("the opener aborts"));
    })();
    const [, reading, result] = await Promise.all([
      settled(write(mine, 1, items, stream.writable, outcome.up)),
      settled(read(mine, 2, stream.readable, outcome.down)),
      stream.result.then((value) => `value ${value}`, (error) => `${error?.code ?? error}`),
    ]);
    if (reading.startsWith("AssertionError")) broken.push(new Error(reading));
    outcome.result = result;
    over = true;
    await impatient;
  };

  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    const opener = lane % 2 === 0 ? peers.client : peers.info;
    for (let number = lane; number < streams; number += 8) await one(opener, number, lane % 4 > 1);
  });
  await advanceUntil(world.clock, Promise.all(lanes), 2);
  assertEquals(broken, []);
  const cut = flips || peers.client.state !== "connected";
  for (const outcome of outcomes) judge(outcome, cut);
  assertEquals(listeners, 0, "listeners on the signal");
  // A handler of a stream that is over may have gone on, and has its place until it has settled.
  await advanceUntil(world.clock, until(() => outcomes.every(({ handler }) => handler !== "running")), 2);
  if (peers.client.state === "connected") await leavesNothing(peers);
  await advanceUntil(world.clock, Promise.resolve(peers[Symbol.asyncDispose]()));
  assertEquals(world.clock.pending, 0, "timers");
}

/** Compares what both ends saw with what may be. */
function judge(outcome: Outcome, cut: boolean): void {
  const { down, good, handler, number, result, up } = outcome;
  const what = `stream ${JSON.stringify(outcome)}`;
  for (const direction of [up, down]) {
    assert(direction.read <= direction.written, what);
    if (direction.end !== "end") continue;
    // A reader sees the end only of what was ended, and then nothing of it is missing.
    assert(direction.closed, what);
    assertEquals(direction.read, direction.written, what);
  }
  if (result.startsWith("value")) {
    assertEquals([result, handler], [`value ${number}`, "returned"], what);
  } else if (handler === "none" && !cut) assert(result !== "", what);
  // "too-many-streams" is an answer, too: a handler of a stream that is over may still run.
  if (!good || cut || result === "too-many-streams") return;
  assertEquals([up.end, down.end, result], ["end", "end", `value ${number}`], what);
}

/** Checks that every window, place and entry is free again. */
async function leavesNothing({ client, info, server, world }: StreamPeers): Promise<void> {
  await advanceUntil(world.clock, client.ping(), 2);
  for (const [opener, acceptor] of [[client, server], [info, client]] as const) {
    // All windows of the server and of the connection are in use now, on both sides.
    const held = Array.from({ length: WINDOWS }, () => opener.open(HOLD));
    const ends = held.map(({ result }) => result.catch((error) => error.message));
    await advanceUntil(world.clock, client.ping(), 2);
    assertEquals(opener.stats()!.openStreams, WINDOWS);
    for (const stream of held) stream.abort(new Error("released"));
    assertEquals(await Promise.all(ends), Array(WINDOWS).fill("released"), `${acceptor === server}`);
    await advanceUntil(world.clock, client.ping(), 2);
    await advanceUntil(world.clock, client.ping(), 2);
  }
  for (const side of [client, info]) {
    const { openStreams, pendingRequests } = side.stats()!;
    assertEquals([openStreams, pendingRequests], [0, 0]);
  }
}

describe("random streams", () => {
  const first = Math.floor(Math.random() * 2 ** 30);
  const count = rounds(36);
  for (let seed = first; seed < first + count; seed++) {
    it(`lose nothing, bring nothing twice or out of order, and leave nothing, ${seed - first + 1} of ${count}`, async () => {
      try {
        await simulate(seed, 80);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    });
  }
});
