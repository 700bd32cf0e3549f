/**
 * Floods of frames that cost their sender nothing, over raw sockets, for as long as they are told to. A connection that the
 * server ends is replaced.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { encodeFrame, Flag, protocol, SystemCode } from "@veltix/core/wire";

/** What is flooded: frames that mean nothing, some that mean something, and damaged ones. */
export type FrameFlood =
  | "cancel"
  | "credit"
  | "unknown"
  | "reply"
  | "ping"
  | "message"
  | "large"
  | "request"
  /** Frames with a wrong checksum, from a Python peer. */
  | "checksum";

/** How much is flooded. */
export interface FloodSize {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** How many connections flood at once. */
  readonly connections: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
}

/** What came of it. */
export interface FloodOutcome {
  /** Bytes that the sockets took. */
  readonly sent: number;
  /** Connections that were let in. */
  readonly let: number;
  /** Of these, how many the server ended. */
  readonly ended: number;
}

/** How much is written at once, in bytes. */
const CHUNK = 65_536;
/** The size of a large message, in bytes. */
export const LARGE = 60 * 1_024;
/** How long a connection that was ended waits before it is replaced, in milliseconds. */
const PAUSE = 20;

/** Floods a server until the time is over; then all sockets are closed. Never rejects. */
export async function floodFrames(kind: FrameFlood, { port, connections, ms }: FloodSize): Promise<FloodOutcome> {
  const until = performance.now() + ms;
  const outcome = { sent: 0, let: 0, ended: 0 };
  const chunk = chunkOf(kind);
  const python = kind === "checksum";
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < until) {
      await flood(port, chunk, python, until, outcome);
      if (performance.now() < until) await sleep(PAUSE);
    }
  }));
  return outcome;
}

/** One connection, from its handshake to its end. */
async function flood(
  port: number,
  chunk: Uint8Array,
  python: boolean,
  until: number,
  outcome: { sent: number; let: number; ended: number },
): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.setNoDelay(true);
  const gone = new Promise<void>((resolve) => {
    socket.on("error", () => {});
    socket.on("end", resolve);
    socket.on("close", resolve);
  });
  const late = sleep(until - performance.now());
  let over = false;
  void Promise.race([gone, late]).then(() => over = true);
  if (await Promise.race([agree(socket, python), gone, late]) === true) {
    outcome.let++;
    while (!over) {
      await Promise.race([new Promise<void>((resolve) => socket.write(chunk, () => resolve())), gone, late]);
      if (!over) outcome.sent += chunk.length;
      // A callback that comes at once would leave no turn for the others.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (performance.now() < until) outcome.ended++;
  }
  socket.destroy();
}

/** Speaks the handshake; true when it is over. What the server says after it is read and thrown away. */
function agree(socket: Socket, python: boolean): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const native = { versions: [1], features: { credit: { window: 4_194_304, least: 0 }, goaway: {} } };
  let there: Uint8Array = new Uint8Array(0);
  let heard = 0;
  const onData = (bytes: Uint8Array): void => {
    there = Buffer.concat([there, bytes]);
    for (;;) {
      if (there.length < 2) return;
      const size = 2 + there[0] * 256 + there[1];
      if (there.length < size) return;
      there = there.subarray(size);
      if (heard++ === 0) {
        socket.write(
          message({ v: "2.0.0", meta: python ? {} : { native: { ...native, maxMessageSize: 10_485_760 } } }),
        );
      } else {
        socket.off("data", onData);
        socket.resume();
        resolve(true);
        return;
      }
    }
  };
  socket.on("data", onData);
  return promise;
}

function message(value: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  return Buffer.concat([new Uint8Array([text.length >> 8, text.length & 255]), text]);
}

function chunkOf(kind: FrameFlood): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let size = 0, id = 1; size < CHUNK; id++) {
    const frame = frameOf(kind, id);
    frames.push(frame);
    size += frame.length;
  }
  return Buffer.concat(frames);
}

function frameOf(kind: FrameFlood, id: number): Uint8Array {
  const native = protocol("native");
  const one = new Uint8Array(1);
  const none = new Uint8Array(0);
  switch (kind) {
    case "cancel":
      return encodeFrame(native, { code: SystemCode.CANCEL, flags: 0, requestId: 7, content: none });
    case "credit":
      return encodeFrame(native, { code: SystemCode.CREDIT, flags: 0, requestId: 0, content: new Uint8Array(4) });
    case "unknown":
      return encodeFrame(native, { code: 199, flags: 0, requestId: 0, content: none });
    case "reply":
      return encodeFrame(native, { code: 300, flags: Flag.REPLY, requestId: id, content: none });
    case "ping":
      return encodeFrame(native, { code: SystemCode.PING, flags: Flag.REQUEST, requestId: id, content: none });
    case "message":
      return encodeFrame(native, { code: 300, flags: 0, requestId: 0, content: one });
    case "large":
      return encodeFrame(native, { code: 300, flags: 0, requestId: 0, content: new Uint8Array(LARGE) });
    case "request":
      return encodeFrame(native, { code: 300, flags: Flag.REQUEST, requestId: id, content: one });
    case "checksum": {
      const frame = encodeFrame(protocol("2.0.0"), { code: 300, flags: 0, requestId: 1, content: one });
      frame[frame.length - 1] ^= 1;
      return frame;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
