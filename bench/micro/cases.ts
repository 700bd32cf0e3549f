/**
 * Single functions of the library, each called many times in one go: a timer can't see a call of some nanoseconds.
 *
 * @module
 */

import { Client, json, messageType, Server, text } from "../../mod.ts";
import { memoryTransport } from "../../src/adapters/memory.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { PendingTable } from "../../src/session/pending.ts";
import { requestIds } from "../../src/session/request_ids.ts";
import { TimerWheel } from "../../src/tools/timer_wheel.ts";
import { DecodedFrame } from "../../src/wire/decoded_frame.ts";
import { crc32, encodeFrame, Flag, FrameDecoder, type Protocol, protocol } from "../../src/wire/mod.ts";

/** One function to measure. */
export interface MicroCase {
  readonly name: string;
  /** Calls in one go. */
  readonly calls: number;
  /** Bytes of a call, where they say more than calls. */
  readonly bytes?: number;
  /** Makes so many calls. Returns something that depends on them, so that none is optimized away. */
  run(): unknown;
}

/** The cases, and the end of what they keep open. */
export interface MicroCases extends AsyncDisposable {
  readonly cases: readonly MicroCase[];
}

const SIZES = [["64 B", 64], ["1 KB", 1024], ["64 KB", 65_536]] as const;
const NATIVE = protocol("native");
const NOTHING = new Uint8Array(0);

/** Makes them. */
export async function microCases(): Promise<MicroCases> {
  const dispatch = await dispatchCase();
  const request = requestCase();
  const sized = SIZES.flatMap(([label, size]) => {
    const content = Uint8Array.from({ length: size }, (_, i) => i * 31);
    return [
      ...[NATIVE, protocol("2.0")].map((layout) => encodeCase(`encode ${label}, ${layout.name}`, layout, content)),
      ...[NATIVE, protocol("2.0")].map((layout) => decodeCase(`decode ${label}, ${layout.name}`, layout, content)),
      repeated(`crc32 ${label}`, callsFor(size), () => crc32(content), size),
    ];
  });
  return {
    cases: [...sized, dispatch, request, ...codecCases()],
    async [Symbol.asyncDispose](): Promise<void> {
      request.close();
      await dispatch.close();
    },
  };
}

function encodeCase(name: string, layout: Protocol, content: Uint8Array): MicroCase {
  const frame = { code: 200, content, requestId: 0, flags: 0 };
  return repeated(name, callsFor(content.length), () => encodeFrame(layout, frame).length, content.length);
}

function decodeCase(name: string, layout: Protocol, content: Uint8Array): MicroCase {
  const frame = encodeFrame(layout, { code: 200, content, requestId: 0, flags: 0 });
  const calls = callsFor(content.length);
  // As a socket hands them over: chunks of up to 64 KB.
  const each = Math.max(1, Math.min(calls, Math.floor(65_536 / frame.length)));
  const chunk = new Uint8Array(each * frame.length);
  for (let i = 0; i < each; i++) chunk.set(frame, i * frame.length);
  const decoder = new FrameDecoder(layout);
  const chunks = Math.ceil(calls / each);
  return {
    name,
    calls: chunks * each,
    bytes: content.length,
    run(): number {
      let frames = 0;
      for (let i = 0; i < chunks; i++) for (const _ of decoder.push(chunk)) frames++;
      if (frames !== chunks * each) throw new Error(`Lost frames: ${frames} of ${chunks * each} came`);
      return frames;
    },
  };
}

/** A message from `send` to its handler: framing, routing and handing out, without a socket. */
async function dispatchCase(): Promise<MicroCase & { close(): Promise<void> }> {
  const calls = 1000;
  const content = new Uint8Array(64);
  const type = messageType(200, "message");
  const socketCore = memoryTransport();
  const server = new Server({ port: 0, hostname: "127.0.0.1", socketCore });
  let left = 0;
  let done = (): void => {};
  server.route(type, () => {
    if (--left === 0) done();
  });
  await server.start();
  const client = new Client({ ...server.addresses[0], socketCore });
  await client.connect();
  return {
    name: "send and dispatch 64 B",
    calls,
    async run(): Promise<void> {
      const all = new Promise<void>((resolve) => done = resolve);
      left = calls;
      for (let i = 0; i < calls; i++) client.send(type, content);
      await all;
    },
    async close(): Promise<void> {
      await client.close();
      await server.close();
    },
  };
}

/** A request's entry: made, timed, found by its answer and taken out. */
function requestCase(): MicroCase & { close(): void } {
  const clock = systemClock();
  const wheel = new TimerWheel(clock);
  const nothing = (): void => {};
  const host = { since: -1, answered: nothing, abandoned: nothing, settled: nothing };
  const outcome = { protocol: NATIVE, numbering: undefined } as unknown as Parameters<typeof requestIds>[0];
  const table = new PendingTable(wheel, (pending) => requestIds(outcome, "client", pending, clock), host);
  const codec = { decode: (content: Uint8Array): Uint8Array => content };
  const call = (): number => {
    const { requestId } = table.add(table.ids.next(), "echo", codec, 5000, undefined);
    table.settle(new DecodedFrame(200, Flag.REPLY, requestId, undefined, NOTHING, 0, 0, undefined));
    return table.size;
  };
  return { ...repeated("request and answer, table", 1000, call), close: () => wheel.close() };
}

function codecCases(): MicroCase[] {
  const line = "What a message of a chat may look like, in words: ä, ö and ü.";
  const value = { id: 17, name: "player", position: [1.5, 2.25, -3], alive: true };
  const cases = [["text", text, line], ["json", json<typeof value>(), value]] as const;
  return cases.flatMap(([name, codec, sample]) => {
    const encoded = codec.encode(sample as never);
    const bytes = typeof encoded === "string" ? new TextEncoder().encode(encoded) : encoded;
    return [
      repeated(`${name} encode`, 1000, () => codec.encode(sample as never).length),
      repeated(`${name} decode`, 1000, () => codec.decode(bytes)),
    ];
  });
}

/** Some 100 µs of work: enough to see, little enough for many rounds. */
function callsFor(size: number): number {
  return size > 10_000 ? 10 : 1000;
}

function repeated(name: string, calls: number, call: () => unknown, bytes?: number): MicroCase {
  return {
    name,
    calls,
    bytes,
    run(): unknown {
      let last: unknown;
      for (let i = 0; i < calls; i++) last = call();
      return last;
    },
  };
}
