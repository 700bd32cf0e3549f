/**
 * Floods of the frames of streams, and streams that nobody reads, over raw sockets, each for as long as it is told to. A
 * connection that the server ends is replaced.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Flag, protocol, SystemCode } from "@veltix/core/wire";
import { sealFrame } from "../../../src/wire/encoder.ts";
import { RawPeer, sleep, u32 } from "./raw_peer.ts";

/** What a server has to serve for these attacks: codes of streams. */
export const STREAM_CODES = {
  /** Whose handler reads nothing, until the stream is over. */
  unread: 320,
  /** Whose handler sends back what comes. */
  echo: 321,
} as const;

/** What is flooded. */
export type StreamFlood = "cancel" | "pieces" | "empty" | "window" | "ended" | "max";

/** How much is flooded. */
export interface StreamFloodSize {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** How many connections flood at once. */
  readonly connections: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
}

const NATIVE = protocol("native");
const FEATURES = {
  credit: { window: 4_194_304, least: 0 },
  goaway: {},
  streams: { window: 65_536, max: 128, least: 256 },
};
const NOTHING = new Uint8Array(0);
const ONE = new Uint8Array(1);
/** How many streams a batch opens. */
const BATCH = 20;

/** A frame of streams, which `encodeFrame` does not know. */
function streamFrame(code: number, flags: number, id: number, content: Uint8Array = NOTHING): Uint8Array {
  const bytes = new Uint8Array(NATIVE.headerSize + content.length);
  bytes.set(content, NATIVE.headerSize);
  sealFrame(NATIVE, new DataView(bytes.buffer), 0, code, flags, id, content.length, 0);
  return bytes;
}

/** What one stream of a flood is. */
function framesOf(kind: StreamFlood, id: number): Uint8Array[] {
  const { echo, unread } = STREAM_CODES;
  const open = (code: number): Uint8Array => streamFrame(code, Flag.REQUEST | Flag.STREAM, id);
  const piece = (content: Uint8Array, flags = 0): Uint8Array => streamFrame(echo, Flag.STREAM | flags, id, content);
  const cancel = streamFrame(SystemCode.CANCEL, 0, id);
  switch (kind) {
    case "cancel":
      return [open(echo), cancel];
    case "pieces":
      return [open(echo), ...Array.from({ length: 200 }, () => piece(ONE)), cancel];
    case "empty":
      return [open(echo), piece(NOTHING)];
    case "window":
      return [open(echo), ...Array.from({ length: 50 }, () => streamFrame(SystemCode.WINDOW, 0, id, u32(0x7fffff00)))];
    case "ended":
      return [open(echo), streamFrame(SystemCode.STOP, 0, id), piece(ONE, Flag.END), piece(ONE)];
    case "max":
      return [open(unread)];
  }
}

/** Floods a server until the time is over. Tells what came of it. */
export async function floodStreams(
  kind: StreamFlood,
  { port, connections, ms }: StreamFloodSize,
): Promise<string> {
  const until = performance.now() + ms;
  let entered = 0;
  let ended = 0;
  let streams = 0;
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < until) {
      const peer = await RawPeer.open({ port, features: FEATURES });
      if (peer === undefined) continue;
      entered++;
      for (let id = 1; performance.now() < until && !peer.ended;) {
        if (peer.credit <= 0) {
          await sleep(5);
          continue;
        }
        const frames: Uint8Array[] = [];
        for (let i = 0; i < BATCH; i++) frames.push(...framesOf(kind, id++));
        // An opening costs what the least frame costs.
        peer.credit -= BATCH * LEAST;
        streams += BATCH;
        await Promise.race([peer.send(Buffer.concat(frames)), sleep(until - performance.now())]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (peer.ended) ended++;
      peer.leave();
      await sleep(20);
    }
  }));
  return `${entered} let in, ${ended} ended, ${streams} streams`;
}

/** What an opening costs of the credit that a server of default options grants, in bytes. */
const LEAST = 256;

/** Connections that open all streams they may, and fill the window of each. Nobody reads any. */
export async function fillWindows({ port, connections, ms }: StreamFloodSize): Promise<string> {
  const end = performance.now() + ms;
  const content = new Uint8Array(65_536);
  const peers: RawPeer[] = [];
  while (peers.length < connections && performance.now() < end) {
    const more = await Promise.all(
      Array.from({ length: 20 }, () => RawPeer.open({ port, features: FEATURES })),
    );
    for (const peer of more) if (peer !== undefined) peers.push(peer);
  }
  let sent = 0;
  await Promise.race([
    sleep(end - performance.now()),
    Promise.all(peers.map(async (peer) => {
      for (let id = 1; id <= 128 && !peer.ended && performance.now() < end; id++) {
        const frames = [
          streamFrame(STREAM_CODES.unread, Flag.REQUEST | Flag.STREAM, id),
          streamFrame(STREAM_CODES.unread, Flag.STREAM, id, content),
        ];
        await peer.send(Buffer.concat(frames));
        sent++;
      }
    })),
  ]);
  await sleep(end - performance.now());
  const ended = peers.filter((peer) => peer.ended).length;
  for (const peer of peers) peer.leave();
  return `${peers.length} let in, ${ended} ended, ${sent} windows filled`;
}
