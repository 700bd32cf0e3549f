/**
 * A WebSocket of the package `ws`.
 *
 * @module
 */

import { ConfigError } from "../../errors.ts";
import { systemError } from "../system_errors.ts";
import { type MessageSocket, WebSocketChannel, type WebSocketInfo } from "./channel.ts";

/** The part of a WebSocket of `ws` that is used. */
export interface WsWebSocket {
  readonly protocol: string;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): void;
  on(event: "close", listener: (code: number, reason: Uint8Array) => void): void;
  on(event: "error", listener: (error: Error & { readonly code?: unknown }) => void): void;
  on(event: "ping", listener: (data: Uint8Array) => void): void;
  send(bytes: Uint8Array, options: { binary: true; compress: false }, sent: Sent): void;
  pong(data: Uint8Array, mask: undefined, sent: Sent): void;
  close(code: number): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

type SentError = Error & { readonly code?: unknown } | null | undefined;

/** Called when bytes were passed to the socket, or could not be. */
type Sent = (error?: SentError) => void;

/** The part of the package that is used. */
export interface WsPackage {
  readonly WebSocket: new (url: string, protocols: string[], options: object) => WsWebSocket & WsClientEvents;
  readonly WebSocketServer: { new (options: object): WsServer; readonly prototype: WsServer };
}

/** The part of a server of `ws` that is used. */
export interface WsServer {
  handleUpgrade(request: object, socket: object, head: Uint8Array, done: (socket: WsWebSocket) => void): void;
  on(event: "headers", listener: (headers: string[]) => void): void;
}

/** What a WebSocket of a client tells before it is open. */
export interface WsClientEvents {
  once(event: "open", listener: () => void): void;
  once(event: "unexpected-response", listener: (request: object, response: { statusCode?: number }) => void): void;
}

/** A socket below a WebSocket. */
export interface Carrier {
  readonly bytesRead?: number;
  pause(): unknown;
  resume(): unknown;
  unref?(): unknown;
}

/** The options of the package on both sides. Its own answers to pings would pile up while the peer reads nothing. */
export const WS_OPTIONS = { perMessageDeflate: false, autoPong: false } as const;

const BINARY = { binary: true, compress: false } as const;

/**
 * Loads the package.
 *
 * @throws {ConfigError} `unsupported`: it is not installed, or may not be loaded.
 */
export async function loadWs(): Promise<WsPackage> {
  try {
    return await import("ws") as unknown as WsPackage;
  } catch (error) {
    const { message, name } = error as Error;
    const state = name === "NotCapable"
      // An error of Deno's permissions. It names the one that is missing.
      ? `the package "ws" may not be loaded: ${message}`
      : 'the package "ws" is not installed';
    throw new ConfigError("unsupported", `Cannot use WebSockets: ${state}`, { cause: error });
  }
}

/**
 * Returns the channel of a WebSocket.
 *
 * @param socket The WebSocket, which is open.
 * @param info What is known about it.
 * @param carrier The socket below it.
 * @param tap What is paused while messages wait, where it must not be the WebSocket.
 */
export function wsChannel(
  socket: WsWebSocket,
  info: WebSocketInfo,
  carrier: Carrier,
  tap?: Carrier,
): WebSocketChannel {
  const channel = new WebSocketChannel(new WsSocket(socket, carrier, tap), info);
  const pongs = new Pongs(socket);
  socket.on("message", (data, isBinary) => channel.message(isBinary ? plain(data) : undefined));
  socket.on("ping", (data) => pongs.answer(data));
  let failure: Error | undefined;
  socket.on("error", (error) => {
    // The event `close` follows. After an error of the peer it may wait for the peer's close frame.
    if (isViolation(error)) channel.failed(`sent what is none: ${error.message}`);
    else failure = error;
  });
  socket.on("close", (code, reason) => {
    channel.closed(code, new TextDecoder().decode(reason), code === 1006 ? failure : undefined);
  });
  return channel;
}

/** Returns whether an error of `ws` is about the bytes of the peer. */
function isViolation({ code }: { readonly code?: unknown }): boolean {
  return String(code).startsWith("WS_ERR_");
}

/** Returns a `Buffer` as a plain `Uint8Array`, because the `slice` of a `Buffer` does not copy. */
function plain(data: Uint8Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Answers pings. While an answer is on its way, only the last ping that has come is answered next. */
class Pongs {
  readonly #socket: WsWebSocket;
  #busy = false;
  #last: Uint8Array | undefined = undefined;

  constructor(socket: WsWebSocket) {
    this.#socket = socket;
  }

  answer(data: Uint8Array): void {
    if (this.#busy) {
      this.#last = data;
      return;
    }
    this.#busy = true;
    this.#socket.pong(data, undefined, () => {
      this.#busy = false;
      const last = this.#last;
      this.#last = undefined;
      if (last !== undefined) this.answer(last);
    });
  }
}

class WsSocket implements MessageSocket {
  readonly #socket: WsWebSocket;
  readonly #carrier: Carrier;
  readonly #tap: Carrier | undefined;

  constructor(socket: WsWebSocket, carrier: Carrier, tap: Carrier | undefined) {
    this.#socket = socket;
    this.#carrier = carrier;
    this.#tap = tap;
  }

  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(bytes, BINARY, (error: SentError) => {
        // Without a code, it is only that the WebSocket is being closed.
        if (error) reject(error.code === undefined ? systemError("EPIPE") : error);
        else resolve();
      });
    });
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    if (this.#tap === undefined) this.#socket.pause();
    else this.#tap.pause();
  }

  resume(): void {
    if (this.#tap === undefined) this.#socket.resume();
    else this.#tap.resume();
  }

  unref(): void {
    this.#carrier.unref?.();
  }

  received(): number {
    return this.#carrier.bytesRead ?? 0;
  }
}
