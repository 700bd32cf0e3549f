/**
 * Peers who write into a server's log: messages that cannot be decoded, with whatever commands a terminal in them, and
 * strangers whose first bytes are no handshake. Raw sockets, so many and no more.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodeFrame, Flag, protocol, SystemCode } from "@veltix/core/wire";

/** Clears the terminal, names the window, begins a line of its own, turns the text around. */
export const HOSTILE_TEXT = "\x1b[2J\x1b]0;owned\x07\n[14:00:00.000] INFO  all is well\u2028\u202e";

/** How to write into the log by messages. */
export interface PayloadFlood {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** The code of a route whose codec refuses the content. */
  readonly code: number;
  /** How many messages, on one connection. */
  readonly messages: number;
  /** What is in them. @default no JSON, with {@linkcode HOSTILE_TEXT} in it */
  readonly content?: string;
}

/** How to write into the log by connections. */
export interface StrangerFlood {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** How many connections. */
  readonly connections: number;
  /** How many of them at once. @default 20 */
  readonly atOnce?: number;
  /** What each sends. @default an announced JSON message that is none */
  readonly garbage?: Uint8Array | string;
}

/** Frames in one write. */
const BATCH = 500;
/** How long anything may take, in milliseconds. */
const LIMIT = 30_000;

/**
 * Sends messages that the server cannot decode, and settles when all of them are dealt with: a PING after the last one is
 * answered.
 *
 * @returns How many messages were dealt with: none if the server ended the connection before.
 */
export async function floodPayloads({ port, code, messages, content }: PayloadFlood): Promise<number> {
  const native = protocol("native");
  const bytes = Buffer.from(content ?? `{"${HOSTILE_TEXT}`);
  const frame = encodeFrame(native, { code, flags: 0, requestId: 0, content: bytes });
  const socket = connect({ host: "127.0.0.1", port });
  const over = ended(socket);
  try {
    await Promise.race([agree(socket), over]);
    for (let left = messages; left > 0 && !socket.destroyed; left -= BATCH) {
      const batch = Buffer.concat(Array<Uint8Array>(Math.min(left, BATCH)).fill(frame));
      if (!socket.write(batch)) await Promise.race([once(socket, "drain"), over]);
    }
    const answer = new Promise<number>((resolve) => socket.once("data", () => resolve(messages)));
    socket.write(
      encodeFrame(native, { code: SystemCode.PING, flags: Flag.REQUEST, requestId: 1, content: Buffer.alloc(0) }),
    );
    return await Promise.race([answer, over.then(() => 0)]);
  } finally {
    socket.destroy();
  }
}

/**
 * Connects so many times, and sends what is no handshake. Settles when the server has closed all of them.
 *
 * @returns How many it closed in time.
 */
export async function floodStrangers(
  { port, connections, atOnce = 20, garbage = "\x00\x03abc" }: StrangerFlood,
): Promise<number> {
  let left = connections;
  let closed = 0;
  await Promise.all(Array.from({ length: Math.min(atOnce, connections) }, async () => {
    while (left-- > 0) {
      const socket = connect({ host: "127.0.0.1", port }, () => socket.write(garbage));
      if (await ended(socket)) closed++;
      socket.destroy();
    }
  }));
  return closed;
}

/** Whether the other side ended a connection, rather than the time limit. What comes is thrown away. */
function ended(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.setTimeout(LIMIT, () => resolve(false));
    socket.on("error", () => resolve(true));
    socket.on("end", () => resolve(true));
    socket.on("close", () => resolve(true));
    socket.resume();
  });
}

/** Speaks the native handshake, without flow control. */
async function agree(socket: Socket): Promise<void> {
  const native = { versions: [1], features: {}, maxMessageSize: 10_485_760 };
  await message(socket);
  const text = Buffer.from(JSON.stringify({ v: "2.0.0", meta: { native } }));
  socket.write(Buffer.concat([Buffer.from([text.length >> 8, text.length & 0xff]), text]));
  await message(socket);
}

/** Waits for one whole JSON message of the server. */
function message(socket: Socket): Promise<void> {
  let held = Buffer.alloc(0);
  return new Promise((resolve) => {
    const take = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return;
      socket.off("data", take);
      resolve();
    };
    socket.on("data", take);
  });
}
