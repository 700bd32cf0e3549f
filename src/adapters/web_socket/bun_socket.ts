/**
 * A WebSocket that `Bun.serve` has accepted. It cannot be paused: what the peer sends is kept until it is read.
 *
 * @module
 */

import { systemError } from "../system_errors.ts";
import { MAX_MESSAGE_SIZE, type MessageSocket, WebSocketChannel, type WebSocketInfo } from "./channel.ts";

/** The part of a WebSocket of `Bun.serve` that is used. */
export interface BunWebSocket {
  readonly data: BunArrival;
  /** Returns -1 if the bytes wait to be sent, and 0 if they are lost. */
  sendBinary(bytes: Uint8Array): number;
  close(code: number): void;
  terminate(): void;
}

/** What a request for a WebSocket becomes when the WebSocket opens. */
export interface BunArrival {
  /** Called when it is open. Returns what takes its events from then on. */
  open(socket: BunWebSocket): void;
  /** Set by `open`. */
  events: BunEvents | undefined;
}

/** What takes the events of a WebSocket. */
export interface BunEvents {
  message(data: Uint8Array | string): void;
  drain(): void;
  close(code: number, reason: string): void;
}

/**
 * The member `websocket` of the options of `Bun.serve`. Its functions serve the WebSockets of one handler or several.
 *
 * @category WebSockets
 */
export interface BunWebSocketHandlers {
  /** The most bytes of a message. */
  readonly maxPayloadLength: number;
  /** No compression: what is sent may be compressed already, or encrypted. */
  readonly perMessageDeflate: false;
  /** No limit of the bytes that wait to be sent: each write waits for the one before. */
  readonly backpressureLimit: number;
  /** Called when a WebSocket is open. */
  readonly open: (socket: object) => void;
  /** Called with each message. */
  readonly message: (socket: object, data: Uint8Array | string) => void;
  /** Called when a WebSocket can send again. */
  readonly drain: (socket: object) => void;
  /** Called when a WebSocket is closed. */
  readonly close: (socket: object, code: number, reason: string) => void;
}

/** The handlers for `Bun.serve`. They serve all WebSockets whose `data` is a {@linkcode BunArrival}. */
export const BUN_HANDLERS: BunWebSocketHandlers = {
  maxPayloadLength: MAX_MESSAGE_SIZE,
  perMessageDeflate: false,
  // A write of a connection is one message of at most 64 KiB, and it waits for `drain`.
  backpressureLimit: 0,
  open: (socket) => (socket as BunWebSocket).data.open(socket as BunWebSocket),
  message: (socket, data) => (socket as BunWebSocket).data.events?.message(data),
  drain: (socket) => (socket as BunWebSocket).data.events?.drain(),
  close: (socket, code, reason) => (socket as BunWebSocket).data.events?.close(code, reason),
};

/** Returns the channel of a WebSocket, and what takes its events. */
export function bunChannel(
  socket: BunWebSocket,
  info: WebSocketInfo,
): { readonly channel: WebSocketChannel; readonly events: BunEvents } {
  const bun = new BunSocket(socket);
  const channel = new WebSocketChannel(bun, info);
  return {
    channel,
    events: {
      message: (data) => channel.message(typeof data === "string" ? undefined : plain(data)),
      drain: () => bun.drain(),
      close: (code, reason) => {
        // There was no close frame of the peer, so the reason is Bun's.
        if (code === 1006 && reason.startsWith("Received ")) channel.failed(`sent what is none: ${reason.slice(9)}`);
        channel.closed(code, reason);
      },
    },
  };
}

/** Returns a `Buffer` as a plain `Uint8Array`, because the `slice` of a `Buffer` does not copy. */
function plain(data: Uint8Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

class BunSocket implements MessageSocket {
  readonly #socket: BunWebSocket;
  #drained: (() => void) | undefined = undefined;

  constructor(socket: BunWebSocket) {
    this.#socket = socket;
  }

  send(bytes: Uint8Array): Promise<void> | undefined {
    const sent = this.#socket.sendBinary(bytes);
    if (sent === 0 && bytes.length > 0) return Promise.reject(systemError("EPIPE"));
    if (sent >= 0) return undefined;
    return new Promise((resolve) => this.#drained = resolve);
  }

  drain(): void {
    this.#drained?.();
    this.#drained = undefined;
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
