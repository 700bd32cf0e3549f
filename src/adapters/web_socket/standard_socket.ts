/**
 * The standard `WebSocket`, as browsers, Deno and Bun have it.
 *
 * It says how many bytes wait to be sent, but not when that number changes, so a full one is looked at again and again:
 * by a timer, and whenever something comes, because the timers of a page in the background are rare.
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

/** The events of pages that are used. Only pages have a document. */
interface PageEvents {
  readonly document?: object;
  addEventListener(name: "pagehide", listener: (event: { readonly persisted: boolean }) => void): void;
  removeEventListener(name: "pagehide", listener: (event: { readonly persisted: boolean }) => void): void;
}

/** The close code of a connection that broke. */
const BROKEN = 1006;
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
  const standard = new StandardSocket(socket);
  const channel = new WebSocketChannel(standard, info);
  socket.onmessage = ({ data }) => {
    standard.look();
    channel.message(data instanceof ArrayBuffer ? new Uint8Array(data) : undefined);
  };
  // `close` follows and has the code.
  socket.onerror = ({ message = "" }) => {
    for (const violation of VIOLATIONS) {
      const found = violation.exec(message);
      if (found !== null) channel.failed(`sent what is none: ${found[1]}`);
    }
  };
  const shown = whenKept(() => socket.close(CLOSE_CODE.normal));
  socket.onclose = ({ code, reason }) => {
    // To this side, it is as if the connection broke.
    channel.closed(shown() ? BROKEN : code, reason);
  };
  return channel;
}

/**
 * Calls a function when this page is left and the browser may keep it, to show it again later. Meanwhile nothing of it
 * runs, and some browsers leave its WebSockets open, so that the server would take it for one that listens.
 *
 * @returns A function that ends the watch, and returns whether `left` was called.
 */
function whenKept(left: () => void): () => boolean {
  const { addEventListener, document, removeEventListener } = globalThis as unknown as PageEvents;
  if (document === undefined) return () => false;
  let kept = false;
  const hide = ({ persisted }: { readonly persisted: boolean }): void => {
    if (!persisted) return;
    kept = true;
    left();
  };
  addEventListener("pagehide", hide);
  return () => {
    removeEventListener("pagehide", hide);
    return kept;
  };
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
  /** Ends the wait for that number. */
  #drained: (() => void) | undefined = undefined;

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
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#lookAgain(LOOK_AGAIN);
    });
  }

  close(code: number): void {
    this.#stop();
    this.#socket.close(code === CLOSE_CODE.normal || code >= LEAST_CODE ? code : CLOSE_CODE.aborted);
  }

  /** Ends the wait if enough has been sent. */
  look(): void {
    if (this.#drained === undefined) return;
    const { bufferedAmount, readyState } = this.#socket;
    // A WebSocket that is closed never sends the rest.
    if (bufferedAmount > MOST_BUFFERED / 2 && readyState === OPEN) return;
    this.#stop();
    this.#drained();
    this.#drained = undefined;
  }

  #lookAgain(wait: number): void {
    this.#timer = realTime.setTimeout(() => {
      this.#timer = undefined;
      this.look();
      if (this.#drained !== undefined) this.#lookAgain(Math.min(2 * wait, LONGEST_WAIT));
    }, wait);
  }

  /** Called when nobody waits any more. */
  #stop(): void {
    if (this.#timer !== undefined) realTime.clearTimeout(this.#timer as never);
    this.#timer = undefined;
  }
}
