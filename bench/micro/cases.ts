/**
 * Single functions of the library, each called many times in one go: a timer can't see a call of some nanoseconds.
 *
 * @module
 */

import * as zlib from "node:zlib";
import { bytes, Client, json, messageType, Server, text } from "../../mod.ts";
import { memoryTransport } from "../../src/adapters/memory.ts";
import { runtimeClock } from "../../src/adapters/runtime_loop.ts";
import { RequestTable } from "../../src/session/requests.ts";
import { requestIds } from "../../src/session/request_ids.ts";
import { TimerWheel } from "../../src/base/timer_wheel.ts";
import type { Connection } from "../../src/transport.ts";
import { DecodedFrame } from "../../src/wire/decoded_frame.ts";
import { crc32, encodeFrame, Flag, FrameDecoder, type Protocol, protocol } from "../../src/wire/mod.ts";
import { dispatchCases } from "./dispatch_cases.ts";
import { telemetryCases } from "./telemetry.ts";

/** One function to measure. */
export interface MicroCase {
  readonly name: string;
  /** Calls in one go. */
  readonly calls: number;
  /** Those of one group are compared. */
  readonly group: string;
  /** Whether the others of its group are compared with it: what the same work costs without the library. */
  readonly baseline: boolean;
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
  const peers = await memoryCases();
  const request = requestCase();
  const dispatch = await dispatchCases();
  const telemetry = await telemetryCases();
  const sized = SIZES.flatMap(([label, size]) => {
    const content = Uint8Array.from({ length: size }, (_, i) => i * 31);
    const [encode, decode, sum] = ["encode", "decode", "crc32"].map((what) => `${what} ${label}`);
    const calls = callsFor(size);
    return [
      baseline(encode, "copy", calls, () => copyOf(content).length, size),
      ...[NATIVE, protocol("2.0")].map((layout) => encodeCase(encode, layout, content)),
      baseline(decode, "subarray", calls, () => content.subarray(1).length, size),
      ...[NATIVE, protocol("2.0")].map((layout) => decodeCase(decode, layout, content)),
      baseline(sum, "node:zlib", calls, () => zlib.crc32(content), size),
      repeated(sum, "ours", calls, () => crc32(content), size),
    ];
  });
  return {
    cases: [...sized, ...peers.cases, ...dispatch.cases, ...request.cases, ...telemetry.cases, ...codecCases()],
    async [Symbol.asyncDispose](): Promise<void> {
      request.close();
      dispatch.close();
      await peers[Symbol.asyncDispose]();
      await telemetry[Symbol.asyncDispose]();
    },
  };
}

function copyOf(content: Uint8Array): Uint8Array {
  const copy = new Uint8Array(16 + content.length);
  copy.set(content, 16);
  return copy;
}

function encodeCase(group: string, layout: Protocol, content: Uint8Array): MicroCase {
  const frame = { code: 200, content, requestId: 0, flags: 0 };
  return repeated(
    group,
    layout.name,
    callsFor(content.length),
    () => encodeFrame(layout, frame).length,
    content.length,
  );
}

function decodeCase(group: string, layout: Protocol, content: Uint8Array): MicroCase {
  const frame = encodeFrame(layout, { code: 200, content, requestId: 0, flags: 0 });
  const calls = callsFor(content.length);
  // As a socket hands them over: chunks of up to 64 KB.
  const each = Math.max(1, Math.min(calls, Math.floor(65_536 / frame.length)));
  const chunk = new Uint8Array(each * frame.length);
  for (let i = 0; i < each; i++) chunk.set(frame, i * frame.length);
  const decoder = new FrameDecoder(layout);
  const chunks = Math.ceil(calls / each);
  return {
    name: `${group}, ${layout.name}`,
    group,
    baseline: false,
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

/** Two peers in memory, beside bare connections that carry as much. */
async function memoryCases(): Promise<MicroCases> {
  const calls = 1000;
  const content = new Uint8Array(64);
  const message = messageType(200, "message");
  const echo = messageType(201, "echo", bytes, bytes);
  const transport = memoryTransport();
  const server = new Server({ port: 0, hostname: "127.0.0.1", transport });
  let left = 0;
  let done = (): void => {};
  server.route(message, () => {
    if (--left === 0) done();
  });
  server.route(echo, ({ data }) => data);
  await server.start();
  const client = new Client({ ...server.addresses[0], transport });
  await client.connect();
  const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, { value: far }] = await Promise.all([
    transport.connect(listener.address),
    listener[Symbol.asyncIterator]().next(),
  ]);
  const several = (group: string, name: string, run: () => Promise<void>): MicroCase => ({
    name: `${group}, ${name}`,
    group,
    baseline: name === "bare",
    calls,
    run,
  });
  const read = async (connection: Connection, size: number): Promise<void> => {
    for (let came = 0; came < size;) came += (await connection.read())!.length;
  };
  const cases = [
    several("send and dispatch 64 B", "bare", async () => {
      const whole = new Uint8Array(calls * (NATIVE.headerSize + content.length));
      await Promise.all([near.write(whole), read(far, whole.length)]);
    }),
    several("send and dispatch 64 B", "veltix", async () => {
      const all = new Promise<void>((resolve) => done = resolve);
      left = calls;
      for (let i = 0; i < calls; i++) client.send(message, content);
      await all;
    }),
    several("round trip 64 B", "bare", async () => {
      for (let i = 0; i < calls; i++) {
        await Promise.all([near.write(content), read(far, content.length)]);
        await Promise.all([far.write(content), read(near, content.length)]);
      }
    }),
    several("round trip 64 B", "veltix", async () => {
      for (let i = 0; i < calls; i++) await client.request(echo, content);
    }),
  ];
  return {
    cases,
    async [Symbol.asyncDispose](): Promise<void> {
      near.abort();
      far.abort();
      await listener.close();
      await client.close();
      await server.close();
    },
  };
}

/** A request's entry: made, timed, found by its answer and taken out. */
function requestCase(): Pick<MicroCases, "cases"> & { close(): void } {
  const clock = runtimeClock();
  const wheel = new TimerWheel(clock);
  const nothing = (): void => {};
  const host = { wheel, startedAt: -1, answered: nothing, abandoned: nothing, settled: nothing };
  const outcome = { protocol: NATIVE, numbering: undefined } as unknown as Parameters<typeof requestIds>[0];
  const table = new RequestTable((pending) => requestIds(outcome, "client", pending, clock), host);
  const codec = { decode: (content: Uint8Array): Uint8Array => content };
  const call = (): number => {
    const { requestId } = table.add(table.ids.next(), "echo", codec, 5000, undefined);
    table.settle(new DecodedFrame(200, Flag.REPLY, requestId, undefined, NOTHING, 0, 0));
    return table.size;
  };
  const map = new Map<number, object>();
  let id = 0;
  const bare = (): number => {
    map.set(++id, codec);
    map.delete(id);
    return map.size;
  };
  const group = "request and answer, table";
  return {
    cases: [baseline(group, "Map", 1000, bare), repeated(group, "ours", 1000, call)],
    close: () => wheel.close(),
  };
}

function codecCases(): MicroCase[] {
  const line = "What a message of a chat may look like, in words: ä, ö and ü.";
  const value = { id: 17, name: "player", position: [1.5, 2.25, -3], alive: true };
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const size = (encoded: Uint8Array | string): number => encoded.length;
  const asJson = JSON.stringify(value);
  const [lineBytes, jsonBytes] = [line, asJson].map((text) => encoder.encode(text));
  const coded = json<typeof value>();
  return [
    baseline("text decode", "TextDecoder", 1000, () => decoder.decode(lineBytes)),
    repeated("text decode", "ours", 1000, () => text.decode(lineBytes)),
    baseline("json encode", "JSON.stringify", 1000, () => JSON.stringify(value).length),
    repeated("json encode", "ours", 1000, () => size(coded.encode(value))),
    baseline("json decode", "JSON.parse", 1000, () => JSON.parse(asJson)),
    repeated("json decode", "ours", 1000, () => coded.decode(jsonBytes)),
  ];
}

/** Some 100 µs of work: enough to see, little enough for many rounds. */
function callsFor(size: number): number {
  return size > 10_000 ? 10 : 1000;
}

function baseline(group: string, name: string, calls: number, call: () => unknown, bytes?: number): MicroCase {
  return { ...repeated(group, name, calls, call, bytes), baseline: true };
}

function repeated(group: string, name: string, calls: number, call: () => unknown, bytes?: number): MicroCase {
  return {
    name: `${group}, ${name}`,
    group,
    baseline: false,
    calls,
    bytes,
    run(): unknown {
      let last: unknown;
      for (let i = 0; i < calls; i++) last = call();
      return last;
    },
  };
}
