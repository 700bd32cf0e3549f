/**
 * A WebSocket of the package `ws`. The package opens and closes it, and reads. What is sent is written to the stream below
 * it, which the package does not mind: without compression it writes each of its own frames at once.
 *
 * @module
 */

import { ConfigError } from "../../errors.ts";
import { systemError } from "../system_errors.ts";
import { type FrameStream, type MaskKeys, writeMessage } from "./binary_frames.ts";
import { CLOSE_TIME, type MessageSocket, WebSocketChannel, type WebSocketInfo } from "./channel.ts";

/** The part of a WebSocket of `ws` that is used. */
export interface WsWebSocket {
  readonly protocol: string;
  readonly readyState: number;
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

/** Called when bytes were passed to the socket, or could not be. */
type Sent = (error?: Error | null) => void;

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

/** What is below a WebSocket, and how it is used. */
export interface WsStream {
  /** The stream of the side's frames. */
  readonly stream: FrameStream;
  /** The masking keys, on the side of the client. */
  readonly keys?: MaskKeys;
  /** The socket of TCP. */
  readonly socket: Carrier;
  /** What is paused while messages wait, where it must not be the WebSocket. */
  readonly tap?: Carrier | undefined;
}

/** A socket, as it is used. */
export interface Carrier {
  readonly bytesRead?: number;
  pause(): unknown;
  resume(): unknown;
  unref?(): unknown;
}

/**
 * The options of the package on both sides. Its own answers to pings would pile up while the peer reads nothing. It tells of
 * a close frame only when the connection is closed, for which the peer has the time of `closeTimeout`.
 */
export const WS_OPTIONS: {
  readonly perMessageDeflate: boolean;
  readonly autoPong: boolean;
  readonly closeTimeout: number;
} = { perMessageDeflate: false, autoPong: false, closeTimeout: CLOSE_TIME };

/** The `readyState` of a WebSocket that can send. */
const OPEN = 1;
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
 * @param below What is below it, and how it is used.
 * @param info What is known about it.
 */
export function wsChannel(socket: WsWebSocket, below: WsStream, info: WebSocketInfo): WebSocketChannel {
  const channel = new WebSocketChannel(new WsSocket(socket, below), info);
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
  readonly #below: WsStream;
  /** The stream to write to; `undefined` if only the package can. */
  readonly #stream: FrameStream | undefined;
  /** The number of messages whose bytes may still be borrowed. */
  #unsent = 0;
  /** Settles when there are none. */
  #waiting: PromiseWithResolvers<void> | undefined = undefined;
  /** Called for each message. One function for all saves each of them a closure. */
  readonly #sent: Sent;

  constructor(socket: WsWebSocket, below: WsStream) {
    this.#socket = socket;
    this.#below = below;
    // The package that Bun has in place of `ws` gives the stream away.
    this.#stream = "Bun" in globalThis ? undefined : below.stream;
    this.#sent = (error) => {
      this.#unsent--;
      // Without a promise, `close` follows and reports the error.
      if (error) this.#waiting?.reject(error);
      else if (this.#unsent === 0) this.#waiting?.resolve();
      else return;
      this.#waiting = undefined;
    };
  }

  send(bytes: Uint8Array): Promise<void> | undefined {
    const stream = this.#stream;
    if (this.#socket.readyState !== OPEN) return Promise.reject(systemError("EPIPE"));
    this.#unsent++;
    if (stream === undefined) this.#socket.send(bytes, BINARY, this.#sent);
    else {
      writeMessage(stream, bytes, this.#below.keys, this.#sent);
      // Node passes bytes on at once if it can. Then the callback only follows in a later turn.
      if (stream.writableLength === 0) return undefined;
    }
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    (this.#below.tap ?? this.#socket).pause();
  }

  resume(): void {
    (this.#below.tap ?? this.#socket).resume();
  }

  unref(): void {
    this.#below.socket.unref?.();
  }

  received(): number {
    return this.#below.socket.bytesRead ?? 0;
  }
}
