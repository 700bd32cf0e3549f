/**
 * Strangers that send what is no handshake, connections that turn into noise once they have been let in or answer nothing,
 * credentials and JSON texts that cost more to read than to write. Raw sockets, each attack for as long as it is told to.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { encodeFrame, protocol } from "@veltix/core/wire";
import { frame, nativeAnswer, RawPeer, sleep, u32 } from "./raw_peer.ts";

/** The code of a message whose payload is JSON. */
export const JSON_CODE = 213;

/** The code of a message of four bytes: how many requests the server then sends its sender. */
export const ASK_ME_CODE = 214;

/** How to attack. */
export interface StrangerAttack {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
  /** Where everything random comes from. */
  readonly seed: number;
}

/** What strangers say who do not know the protocol. */
const GARBAGE = [
  "abc",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "\xff\xff\xff",
];
/** Strangers a second. */
const STRANGERS = 500;
/** The most that a handshake message may have, in bytes. */
const HANDSHAKE_MESSAGE = 16_384;

/** 500 connections a second that send what is no handshake. */
export async function sendGarbage({ port, ms }: StrangerAttack): Promise<string> {
  const sockets = new Set<Socket>();
  let opened = 0;
  await atRate(STRANGERS, ms, () => {
    const text = GARBAGE[opened++ % GARBAGE.length];
    const socket = stranger(port, Buffer.from(text, "latin1"), sockets);
    socket.on("end", () => socket.destroy());
  });
  for (const socket of sockets) socket.destroy();
  return `${opened} strangers`;
}

/** 20 connections at a time that are let in and send random bytes and frames with a fault, and 20 that begin so. */
export async function sendNoise({ port, ms, seed }: StrangerAttack): Promise<string> {
  const random = randomOf(seed);
  const end = performance.now() + ms;
  const sockets = new Set<Socket>();
  let let_ = 0;
  let strangers = 0;
  const inside = async (): Promise<void> => {
    while (performance.now() < end) {
      const peer = await RawPeer.open({ port });
      if (peer === undefined) {
        await sleep(20);
        continue;
      }
      let_++;
      await Promise.race([peer.send(noiseOf(random)), sleep(end - performance.now())]);
      await Promise.race([peer.gone, sleep(Math.min(200, end - performance.now()))]);
      peer.leave();
    }
  };
  const outside = async (): Promise<void> => {
    while (performance.now() < end) {
      strangers++;
      const socket = stranger(port, random.bytes(1 + random.below(2_048)), sockets);
      const gone = new Promise((resolve) => socket.on("close", resolve));
      await Promise.race([gone, sleep(100)]);
      socket.destroy();
    }
  };
  await Promise.all([...Array.from({ length: 20 }, inside), ...Array.from({ length: 20 }, outside)]);
  for (const socket of sockets) socket.destroy();
  return `${let_} let in, ${strangers} strangers`;
}

/** Connections with credentials that hold as many values as 16 KiB can: as many as there is room for handshakes. */
export async function sendCredentials({ port, ms }: StrangerAttack, count: number): Promise<string> {
  const room = HANDSHAKE_MESSAGE - nativeAnswer({}, { credentials: [] }).length;
  const message = nativeAnswer({}, { credentials: Array.from({ length: Math.floor(room / 3) }, () => ({})) });
  const sockets = new Set<Socket>();
  let opened = 0;
  // All within half of the time.
  await atRate(count / ms * 2_000, ms, () => {
    if (opened >= count) return;
    opened++;
    stranger(port, message, sockets);
  });
  const left = sockets.size;
  for (const socket of sockets) socket.destroy();
  return `${opened} strangers, ${left} of them waiting at the end`;
}

/** Ten connections that send JSON with an escape: nine 16 KiB texts full of arrays, one texts that are larger than allowed. */
export async function sendJson({ port, ms }: StrangerAttack): Promise<string> {
  const end = performance.now() + ms;
  let sent = 0;
  const pour = async (size: number): Promise<void> => {
    const text = `["\\u0041"${",[]".repeat(Math.floor((size - 10) / 3))}]`;
    const bytes = frame(JSON_CODE, 0, 0, Buffer.from(text));
    while (performance.now() < end) {
      const peer = await RawPeer.open({ port });
      while (peer !== undefined && !peer.ended && performance.now() < end) {
        if (peer.credit <= 0) {
          await sleep(5);
          continue;
        }
        peer.credit -= bytes.length;
        await Promise.race([peer.send(bytes), sleep(end - performance.now())]);
        sent++;
      }
      peer?.leave();
      await sleep(20);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, i) => pour(i === 0 ? 9 * 2 ** 20 : 16_384)));
  return `${sent} texts`;
}

/** One Python peer has the server ask it 20,000 times a second, and answers nothing. */
export async function answerNothing({ port, ms }: StrangerAttack): Promise<string> {
  const peer = await RawPeer.open({ port, python: true });
  if (peer === undefined) return "not let in";
  const times = u32(1_000);
  const bytes = encodeFrame(protocol("2.0.0"), {
    code: ASK_ME_CODE,
    flags: 0,
    requestId: 1,
    content: times,
  });
  const end = performance.now() + ms;
  let asked = 0;
  for (; performance.now() < end && !peer.ended; asked += 1_000) {
    void peer.send(bytes);
    await sleep(50);
  }
  peer.leave();
  return `asked ${asked} times`;
}

/** Random bytes, or a frame with a random code, whole or with one of its bytes changed. */
function noiseOf(random: Random): Uint8Array {
  const noise = random.bytes(1 + random.below(4_096));
  const kind = random.below(3);
  if (kind === 0) return noise;
  const framed = frame(random.below(65_536), 0, 0, noise);
  if (kind === 1) framed[random.below(framed.length)] ^= 1 << random.below(8);
  return framed;
}

/** A connection that sends bytes at once and reads what comes. */
function stranger(port: number, bytes: Uint8Array, sockets: Set<Socket>): Socket {
  const socket = connect({ host: "127.0.0.1", port }, () => socket.write(bytes));
  sockets.add(socket);
  socket.on("error", () => {});
  socket.on("close", () => sockets.delete(socket));
  socket.resume();
  return socket;
}

/** Does something so often a second, evenly; what could not be done in time is not made up for. */
async function atRate(rate: number, ms: number, work: () => void): Promise<void> {
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < ms) {
    const due = (performance.now() - start) / 1_000 * rate;
    done = Math.max(done, Math.floor(due - rate / 10));
    for (; done < due; done++) work();
    await sleep(1);
  }
}

/** Random numbers and bytes. */
interface Random {
  /** A whole number from 0 on, below `end`. */
  below(end: number): number;
  /** So many bytes. */
  bytes(size: number): Uint8Array;
}

/** Those that a seed repeats: a generator of Lehmer. */
function randomOf(seed: number): Random {
  let state = seed % 2_147_483_646 + 1;
  const below = (end: number): number => {
    state = state * 48_271 % 2_147_483_647;
    return Math.floor(state / 2_147_483_647 * end);
  };
  return { below, bytes: (size) => Uint8Array.from({ length: size }, () => below(256)) };
}
