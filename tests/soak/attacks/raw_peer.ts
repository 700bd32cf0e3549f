/**
 * A native peer without the library: a raw socket that has been let in, and then does what it is told.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { encodeFrame, protocol } from "@veltix/core/wire";

/** The flag of a request. */
export const REQUEST = 1;
/** The code of a CREDIT frame. */
const CREDIT = 5;
/** The size of a header, in bytes. */
const HEADER = 16;
/** How long a handshake may take, in milliseconds. */
const HANDSHAKE_LIMIT = 5_000;

/** What a peer says in its handshake. */
export interface RawPeerConfig {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** Its features. @default credit of 4 MiB, and GOAWAY */
  readonly features?: unknown;
  /** Speaks as Python 2.0.0 does. @default false */
  readonly python?: boolean;
}

/** A frame of the native protocol. */
export function frame(code: number, flags: number, requestId: number, content: Uint8Array = EMPTY): Uint8Array {
  return encodeFrame(NATIVE, { code, flags, requestId, content });
}

/** A JSON message of a handshake. */
export function handshakeMessage(value: unknown): Uint8Array {
  const text = Buffer.from(JSON.stringify(value));
  return Buffer.concat([new Uint8Array([text.length >> 8, text.length & 255]), text]);
}

/** What a native client answers to a greeting. */
export function nativeAnswer(features: unknown, more: object = {}): Uint8Array {
  const native = { versions: [1], features, maxMessageSize: 10_485_760, ...more };
  return handshakeMessage({ v: "2.0.0", meta: { native } });
}

/** A big-endian number of four bytes. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Waits `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const NATIVE = protocol("native");
const USUAL = { credit: { window: 4_194_304, least: 0 }, goaway: {} };
const EMPTY = new Uint8Array(0);

/** One that has been let in. */
export class RawPeer {
  /** The socket. What arrives is thrown away until it is paused. */
  readonly socket: Socket;
  /** Settles when the server has ended the connection, or it broke. */
  readonly gone: Promise<void>;
  /** True when {@linkcode gone} has settled. */
  ended = false;
  /** Bytes of messages that the server lets it send. */
  credit: number;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, gone: Promise<void>, credit: number) {
    this.socket = socket;
    this.gone = gone;
    this.credit = credit;
    void gone.then(() => this.ended = true);
  }

  /** Comes in; `undefined` where the server does not let it. */
  static async open({ port, features = USUAL, python = false }: RawPeerConfig): Promise<RawPeer | undefined> {
    const socket = connect({ host: "127.0.0.1", port });
    socket.setNoDelay(true);
    const gone = new Promise<void>((resolve) => {
      socket.on("error", () => {});
      socket.on("end", resolve);
      socket.on("close", () => resolve());
    });
    const verdict = await Promise.race([
      agree(socket, python ? handshakeMessage({ v: "2.0.0", meta: {} }) : nativeAnswer(features)),
      gone,
      sleep(HANDSHAKE_LIMIT),
    ]);
    if (verdict?.result !== "ok") {
      socket.destroy();
      return undefined;
    }
    const peer = new RawPeer(socket, gone, verdict.native?.features?.credit?.window ?? 0);
    if (!python) socket.on("data", (chunk) => peer.#take(chunk));
    socket.resume();
    return peer;
  }

  /** Sends bytes; resolves when the socket has taken them, or the connection has ended. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.ended) return;
    await Promise.race([new Promise<void>((resolve) => this.socket.write(bytes, () => resolve())), this.gone]);
  }

  /** Reads nothing any more. */
  pause(): void {
    this.socket.pause();
  }

  /** Leaves at once. */
  leave(): void {
    this.socket.destroy();
  }

  /** Adds up the credit that the server grants. */
  #take(chunk: Uint8Array): void {
    let bytes = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEADER) {
      const size = HEADER + bytes.readUInt32BE(4);
      if (bytes.length < size) break;
      if (bytes.readUInt16BE(2) === CREDIT && size >= HEADER + 4) this.credit += bytes.readUInt32BE(HEADER);
      bytes = bytes.subarray(size);
    }
    this.#rest = bytes;
  }
}

/** What a server says at last. */
interface HandshakeVerdict {
  readonly result?: string;
  readonly native?: { readonly features?: { readonly credit?: { readonly window?: number } } };
}

/** Speaks the handshake. */
function agree(socket: Socket, answer: Uint8Array): Promise<HandshakeVerdict> {
  const { promise, resolve } = Promise.withResolvers<HandshakeVerdict>();
  let bytes = Buffer.alloc(0);
  let heard = 0;
  const onData = (chunk: Uint8Array): void => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const size = 2 + bytes.readUInt16BE(0);
      const text = bytes.toString("utf8", 2, size);
      bytes = bytes.subarray(size);
      if (heard++ === 0) {
        socket.write(answer);
        continue;
      }
      socket.off("data", onData);
      socket.pause();
      if (bytes.length > 0) socket.unshift(bytes);
      try {
        resolve(JSON.parse(text));
      } catch {
        resolve({});
      }
      return;
    }
  };
  socket.on("data", onData);
  return promise;
}
