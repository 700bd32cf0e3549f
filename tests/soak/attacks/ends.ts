/**
 * Attacks around the end of a connection: clients that say that they go away and stay, and a server that ends each connection
 * of a client after one message. Raw sockets; only the frames are the library's.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { encodeFrame, Flag, protocol, SystemCode } from "@veltix/core/wire";
import { sleep } from "../../processes/waiting.ts";

const NATIVE = protocol("native");
const FEATURES = { credit: { window: 4_194_304, least: 0 }, goaway: {} };
/** How long a ghost waits before it is replaced, and between two requests, in milliseconds. */
const PAUSE = 20;
/** How long a handshake may take, in milliseconds. */
const HANDSHAKE = 5_000;

/** How to haunt a server. */
export interface GhostAttack {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** How many connections at once. */
  readonly connections: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
  /** The code of a route whose handler does not end by itself: each ghost asks there once. */
  readonly code: number;
  /** Whether it goes on asking after it said that it goes away. */
  readonly asks: boolean;
  /** The drain that it announces, in milliseconds. */
  readonly drain: number;
}

/** What came of the ghosts. */
export interface GhostOutcome {
  /** Connections that were let in. */
  readonly let: number;
  /** Of these, how many the server ended. */
  readonly ended: number;
  /** The longest that one stayed after it said that it goes away, in milliseconds. */
  readonly longest: number;
}

/** Says GOAWAY on so many connections, and stays, until the time is over; then all sockets are closed. Never rejects. */
export async function haunt({ port, connections, ms, code, asks, drain }: GhostAttack): Promise<GhostOutcome> {
  const until = performance.now() + ms;
  const outcome = { let: 0, ended: 0, longest: 0 };
  const leave = Buffer.concat([
    frame(code, Flag.REQUEST, 1),
    frame(SystemCode.GOAWAY, 0, 0, JSON.stringify({ code: "manual", drain })),
  ]);
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < until) {
      const socket = connect({ port, host: "127.0.0.1" });
      const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.on("error", () => {});
      if (await agree(socket)) {
        outcome.let++;
        const begin = performance.now();
        socket.resume();
        socket.write(leave);
        for (let id = 2; !socket.destroyed && performance.now() < until; id++) {
          if (asks) socket.write(frame(code, Flag.REQUEST, id));
          await Promise.race([over, sleep(PAUSE)]);
        }
        if (socket.destroyed) outcome.ended++;
        outcome.longest = Math.max(outcome.longest, performance.now() - begin);
      }
      socket.destroy();
      if (performance.now() < until) await sleep(PAUSE);
    }
  }));
  return outcome;
}

/** A server that cuts. */
export interface CuttingServer extends AsyncDisposable {
  /** Where clients find it, at 127.0.0.1. */
  readonly port: number;
  /** How many connections it has cut so far. */
  readonly cut: number;
}

/**
 * Starts a server that lets every client in, sends one message of type `code` with `size` bytes, and cuts the connection `after`
 * milliseconds. Disposing of it closes all.
 */
export async function cutAfterEach(code: number, size: number, after: number): Promise<CuttingServer> {
  const message = frame(code, 0, 0, new Uint8Array(size));
  const sockets = new Set<Socket>();
  let cut = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    const native = { versions: [1], features: FEATURES, maxMessageSize: 10_485_760, nonce: "n" };
    socket.write(text({ v: "2.0.0", pv: "1.0", meta: { id_window: 30_000, native } }));
    // The first that a client says is its whole answer to the greeting: it is short, and nothing may follow before the result.
    socket.once("data", () => {
      socket.resume();
      socket.write(Buffer.concat([text({ result: "ok", native: { version: 1, features: FEATURES } }), message]));
      setTimeout(() => {
        cut++;
        socket.resetAndDestroy();
      }, after);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get cut(): number {
      return cut;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Greets a server; whether it lets the peer in. */
async function agree(socket: Socket): Promise<boolean> {
  let held = Buffer.alloc(0);
  let said = false;
  const limit = setTimeout(() => socket.destroy(), HANDSHAKE);
  const agreed = await new Promise<boolean>((resolve) => {
    socket.once("close", () => resolve(false));
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const size = held.readUInt16BE(0);
        const { result } = JSON.parse(held.subarray(2, 2 + size).toString());
        held = held.subarray(2 + size);
        if (said) return resolve(result === "ok");
        said = true;
        const native = { versions: [1], features: FEATURES, maxMessageSize: 10_485_760 };
        socket.write(text({ v: "2.0.0", meta: { native } }));
      }
    });
  });
  clearTimeout(limit);
  socket.removeAllListeners("data");
  return agreed;
}

/** A native frame. */
function frame(code: number, flags: number, requestId: number, content: Uint8Array | string = ""): Uint8Array {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return encodeFrame(NATIVE, { code, flags, requestId, content: bytes });
}

/** A message of the JSON handshake. */
function text(value: unknown): Uint8Array {
  const json = Buffer.from(JSON.stringify(value));
  return Buffer.concat([new Uint8Array([json.length >> 8, json.length & 255]), json]);
}
