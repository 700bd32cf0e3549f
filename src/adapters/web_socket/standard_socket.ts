/**
 * The standard `WebSocket`, as browsers, Deno and Bun have it.
 *
 * It says how many bytes wait to be sent, but not when that number changes, so a full one is looked at again and again.
 * It cannot be paused: what the peer sends is kept until it is read.
 *
 * @module
 */

import { realTime } from "../../base/real_time.ts";
import { CLOSE_CODE, type MessageSocket, WebSocketChannel, type WebSocketInfo } from "./channel.ts";

/** The part of the standard `WebSocket` that is used. */
export interface StandardWebSocket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message?: string }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(bytes: Uint8Array): void;
  close(code?: number, reason?: string): void;
  /** Only on Bun. */
  terminate?(): void;
}

/** The `readyState` of a WebSocket that can send. */
const OPEN = 1;
/** Above this number of bytes that wait to be sent, no more are sent until half of it is gone. */
const MOST_BUFFERED: number = 2 * 1024 * 1024;
/** How long to wait before the number is looked at again, in milliseconds. It doubles with each look. */
const LOOK_AGAIN = 1;
/** The longest such wait, in milliseconds. */
const LONGEST_WAIT = 64;
/** The least close code, but for 1000, that the standard allows a program to send. */
const LEAST_CODE = 3000;

/** Returns the channel of a WebSocket. Messages may come from the turn on in which this is called. */
export function standardChannel(socket: StandardWebSocket, info: WebSocketInfo): WebSocketChannel {
  socket.binaryType = "arraybuffer";
  const channel = new WebSocketChannel(new StandardSocket(socket), info);
  socket.onmessage = ({ data }) => channel.message(data instanceof ArrayBuffer ? new Uint8Array(data) : undefined);
  // `close` follows and has the code.
  socket.onerror = ({ message = "" }) => {
    for (const violation of VIOLATIONS) {
      const found = violation.exec(message);
      if (found !== null) channel.failed(`sent what is none: ${found[1]}`);
    }
  };
  socket.onclose = ({ code, reason }) => channel.closed(code, reason);
  return channel;
}

/** What Bun and Deno say about bytes that are no WebSocket. A browser says nothing. */
const VIOLATIONS = [
  / failed: Protocol error - (.*)$/,
  / failed: (Server sent .*)$/,
  /^((?:Control frame|Frame too|Invalid|Ping frame|Reserved bits) .*)$/,
];

class StandardSocket implements MessageSocket {
  readonly #socket: StandardWebSocket;
  readonly terminate: (() => void) | undefined;
  /** Looks again at the number of bytes that wait. */
  #timer: unknown = undefined;

  constructor(socket: StandardWebSocket) {
    this.#socket = socket;
    const terminate = socket.terminate?.bind(socket);
    this.terminate = terminate && (() => {
      this.#stop();
      terminate();
    });
  }

  send(bytes: Uint8Array): Promise<void> | undefined {
    // It copies the bytes.
    this.#socket.send(bytes);
    if (this.#socket.bufferedAmount <= MOST_BUFFERED) return undefined;
    return new Promise((resolve) => this.#drain(resolve, LOOK_AGAIN));
  }

  close(code: number): void {
    this.#stop();
    this.#socket.close(code === CLOSE_CODE.normal || code >= LEAST_CODE ? code : CLOSE_CODE.aborted);
  }

  #drain(resolve: () => void, wait: number): void {
    this.#timer = realTime.setTimeout(() => {
      this.#timer = undefined;
      const { bufferedAmount, readyState } = this.#socket;
      // A WebSocket that is closed never sends the rest.
      if (bufferedAmount <= MOST_BUFFERED / 2 || readyState !== OPEN) resolve();
      else this.#drain(resolve, Math.min(2 * wait, LONGEST_WAIT));
    }, wait);
  }

  /** Called when nobody waits any more. */
  #stop(): void {
    if (this.#timer !== undefined) realTime.clearTimeout(this.#timer as never);
    this.#timer = undefined;
  }
}
