/**
 * A WebSocket of the package `ws`.
 *
 * @module
 */

import { ConfigError } from "../../errors.ts";
import { type MessageSocket, WebSocketChannel, type WebSocketInfo } from "./channel.ts";

/** The part of a WebSocket of `ws` that is used. */
export interface WsWebSocket {
  readonly protocol: string;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): void;
  on(event: "close", listener: (code: number, reason: Uint8Array) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  send(bytes: Uint8Array, options: { binary: true; compress: false }, sent: (error?: Error | null) => void): void;
  close(code: number): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

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
  once(event: "upgrade", listener: (response: object) => void): void;
  once(event: "unexpected-response", listener: (request: object, response: { statusCode?: number }) => void): void;
}

const BINARY = { binary: true, compress: false } as const;

/**
 * Loads the package.
 *
 * @throws {ConfigError} `unsupported`: it is not installed.
 */
export async function loadWs(): Promise<WsPackage> {
  try {
    return await import("ws") as unknown as WsPackage;
  } catch (error) {
    throw new ConfigError("unsupported", 'Cannot use WebSockets: the package "ws" is not installed', { cause: error });
  }
}

/**
 * Returns the channel of a WebSocket.
 *
 * @param socket The WebSocket, which is open.
 * @param info What is known about it.
 * @param unref Lets the process exit while the WebSocket is open.
 */
export function wsChannel(socket: WsWebSocket, info: WebSocketInfo, unref: () => void): WebSocketChannel {
  const channel = new WebSocketChannel(new WsSocket(socket, unref), info);
  let failure: Error | undefined;
  socket.on("message", (data, isBinary) => channel.message(isBinary ? plain(data) : undefined));
  socket.on("error", (error) => failure = error);
  socket.on("close", (code, reason) => {
    channel.closed(code, new TextDecoder().decode(reason), code === 1006 ? failure : undefined);
  });
  return channel;
}

/** Returns a `Buffer` as a plain `Uint8Array`, because the `slice` of a `Buffer` does not copy. */
function plain(data: Uint8Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

class WsSocket implements MessageSocket {
  readonly #socket: WsWebSocket;
  readonly unref: () => void;

  constructor(socket: WsWebSocket, unref: () => void) {
    this.#socket = socket;
    this.unref = unref;
  }

  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(bytes, BINARY, (error) => error ? reject(error) : resolve());
    });
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
