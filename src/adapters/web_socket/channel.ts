/**
 * A WebSocket as a {@linkcode Channel}: a stream of bytes in binary messages of any size.
 *
 * A WebSocket cannot be closed in one direction. So an empty message stands for FIN: nothing else has no bytes. The close
 * frame comes when both directions are over, or when the connection is given up.
 *
 * @module
 */

import type { Address } from "../../base/address.ts";
import { realTime } from "../../base/real_time.ts";
import { ProtocolError } from "../../errors.ts";
import type { ChunkReader, ChunkWriter, ConnectionSecurity, UpgradeRequest } from "../../transport.ts";
import { ChunkQueue } from "../chunk_queue.ts";
import { type Channel, Duplex } from "../duplex.ts";
import { systemError } from "../system_errors.ts";

/** The name of the protocol within WebSockets (`Sec-WebSocket-Protocol`). */
export const SUBPROTOCOL = "veltix.1";
/** The most bytes of a message that is sent. */
export const MESSAGE_SIZE: number = 64 * 1024;
/** The most bytes of a message that is taken. A larger one ends the connection with the close code 1009. */
export const MAX_MESSAGE_SIZE: number = 1024 * 1024;
/**
 * The most bytes that wait unread. Only where a WebSocket cannot be paused can there be so many, and only if the peer
 * does not keep to its credit.
 */
export const UNREAD_LIMIT: number = 32 * 1024 * 1024;
/** The same while nothing at all is read, as of a peer that has not been let in. It has room for any one message. */
const STOPPED_LIMIT: number = 2 * MAX_MESSAGE_SIZE;
/** Above so many unread bytes, a WebSocket that cannot be paused asks to be read without a pause. */
export const PRESSING: number = 8 * 1024 * 1024;
/** What a message that waits takes beside its bytes, with what a runtime keeps of it, as it counts towards these limits. */
const MESSAGE_COST = 1_024;
/** How long the peer has for its close frame, in milliseconds. */
export const CLOSE_TIME = 1_000;

/** The close codes that are used here. */
export const CLOSE_CODE = {
  /** Both directions are over. */
  normal: 1000,
  /** The peer broke the protocol. */
  protocolError: 1002,
  /** The peer's message is text. */
  unsupportedData: 1003,
  /** The peer's message is too large. */
  tooBig: 1009,
  /** This side gave the connection up. Browsers allow no code below 3000 for that. */
  aborted: 4000,
} as const;

/** Close codes that end the peer's direction as FIN does: the page was left, or a proxy or the peer shuts down. */
const ORDERLY: readonly number[] = [CLOSE_CODE.normal, 1001, 1005];
/** Close codes that say nothing. Deno has 0 in place of 1006. */
const BROKEN: readonly number[] = [0, 1006, CLOSE_CODE.aborted];

const EMPTY = new Uint8Array(0);

/** The part of a WebSocket that differs between runtimes. */
export interface MessageSocket {
  /**
   * Sends one binary message. Returns a promise if the bytes are borrowed, or if no more should be sent until it
   * resolves. It need not settle once the socket is closed.
   */
  send(bytes: Uint8Array): Promise<void> | undefined;
  /** Sends what waits, and then a close frame. */
  close(code: number): void;
  /** Ends the connection at once, if that is possible. */
  terminate?(): void;
  /** Stops taking messages, if that is possible; a few more may come. */
  pause?(): void;
  /** Takes messages again. */
  resume?(): void;
  /** Lets the process exit, if that is possible. */
  unref?(): void;
  /** Returns how many bytes have arrived, if that is known. */
  received?(): number;
}

/** What is known about a WebSocket when it opens. */
export interface WebSocketInfo {
  readonly local: Address;
  readonly remote: Address;
  /** How many bytes wait before the socket is paused. */
  readonly bufferSize: number;
}

/** A WebSocket. Its adapter calls `message`, `failed` and `closed`. */
export class WebSocketChannel implements Channel {
  readonly local: Address;
  readonly remote: Address;
  readonly #socket: MessageSocket;
  readonly #chunks: ChunkQueue;
  /** How much may wait unread at the moment. */
  #limit = UNREAD_LIMIT;
  /** Why nothing can be sent any more. */
  #failure: Error | undefined = undefined;
  /** Rejects the promise of the write that waits. */
  #cut: ((error: Error) => void) | undefined = undefined;
  /** What is wrong with what the peer has sent. */
  #fault: Error | undefined = undefined;
  /** True once the peer's FIN was taken. */
  #finished = false;
  /** True once a close frame was sent. */
  #closing = false;
  #closed = false;
  #released = false;
  #timer: unknown = undefined;
  /** How many bytes had arrived when {@linkcode moved} was called last. */
  #received = 0;

  /**
   * @param socket The WebSocket, which is open.
   * @param info What is known about it.
   */
  constructor(socket: MessageSocket, { local, remote, bufferSize }: WebSocketInfo) {
    this.#socket = socket;
    this.local = local;
    this.remote = remote;
    const pause = (): void => socket.pause?.();
    this.#chunks = new ChunkQueue(bufferSize, { pause, resume: () => socket.resume?.() });
  }

  get finishes(): true {
    return true;
  }

  /** True if much waits unread although the socket cannot be paused. */
  get pressing(): boolean {
    return this.#socket.pause === undefined && this.#unread > PRESSING;
  }

  /** The bytes that wait unread, and those that their messages take. */
  get #unread(): number {
    return this.#chunks.size + MESSAGE_COST * this.#chunks.count;
  }

  /** Takes a message; `undefined` for one of text. The bytes must be the caller's no more. */
  message(data: Uint8Array | undefined): void {
    if (this.#released || this.#closing) return;
    if (data === undefined) {
      return this.#refuse("sent a text message, and only binary ones are allowed", CLOSE_CODE.unsupportedData);
    }
    if (this.#finished) return this.#refuse("sent a message after its last one", CLOSE_CODE.protocolError);
    if (data.length === 0) {
      this.#finished = true;
      return this.#chunks.end();
    }
    if (data.length > MAX_MESSAGE_SIZE) {
      return this.#refuse(`sent a message above ${MAX_MESSAGE_SIZE} bytes`, CLOSE_CODE.tooBig);
    }
    this.#chunks.push(data);
    this.#checkUnread();
  }

  /** Takes what is wrong with the bytes of the peer. The adapter has sent a close frame, or none can be sent. */
  failed(text: string): void {
    this.#closing = true;
    this.#broken(this.#fault = brokenProtocol(text));
    this.#expect();
  }

  /**
   * Takes the end of the WebSocket.
   *
   * @param code The close code; 0 or 1006 if there was no close frame.
   * @param reason The text of the close frame.
   * @param error The error of the runtime, if there is one.
   */
  closed(code: number, reason: string = "", error?: unknown): void {
    this.#closed = true;
    if (this.#timer !== undefined) realTime.clearTimeout(this.#timer as never);
    this.#timer = undefined;
    // On Bun, this comes while the close frame is sent.
    if (this.#released || this.#fault !== undefined) return;
    if (error !== undefined) return this.#broken(error);
    if (ORDERLY.includes(code)) {
      this.#fail(systemError("EPIPE"));
      return this.#chunks.end();
    }
    const text = reason === "" ? "" : ` (${JSON.stringify(reason.slice(0, 123))})`;
    this.#broken(
      BROKEN.includes(code)
        ? systemError("ECONNRESET")
        : new Error(`the WebSocket was closed with the code ${code}${text}`),
    );
  }

  read(reader: ChunkReader): void {
    this.#limit = UNREAD_LIMIT;
    this.#chunks.read(reader);
  }

  stopReading(): void {
    this.#limit = STOPPED_LIMIT;
    this.#chunks.stop();
    this.#checkUnread();
  }

  write(bytes: Uint8Array, writer: ChunkWriter): Promise<void> | undefined {
    const sent = bytes.length <= MESSAGE_SIZE ? this.#send(bytes) : this.#sendAll(bytes);
    if (sent === undefined) writer.taken();
    return sent;
  }

  async finish(): Promise<void> {
    await this.#send(EMPTY);
  }

  release(reason: Error | undefined): void {
    this.#released = true;
    this.#chunks.clear();
    // The peer may still be about to read why it is refused.
    if (this.#closed || this.#closing) return;
    if (reason === undefined) return this.#close(CLOSE_CODE.normal);
    if (this.#socket.terminate !== undefined) this.#socket.terminate();
    else this.#socket.close(CLOSE_CODE.aborted);
  }

  /** Returns whether bytes have arrived since the last call, such as those of a message that is not complete. */
  moved(): boolean {
    const before = this.#received;
    this.#received = this.#socket.received?.() ?? 0;
    return this.#received !== before;
  }

  unref(): void {
    this.#socket.unref?.();
  }

  async #sendAll(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; from += MESSAGE_SIZE) {
      await this.#send(bytes.subarray(from, from + MESSAGE_SIZE));
    }
  }

  #send(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const sent = this.#socket.send(bytes);
    if (sent === undefined) return undefined;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#cut = undefined;
        resolve();
      };
      this.#cut = reject;
      sent.then(settle, reject);
    });
  }

  #checkUnread(): void {
    if (this.#unread <= this.#limit) return;
    this.#chunks.clear();
    const text = `more than ${this.#limit} bytes wait unread, and the WebSocket cannot be paused`;
    this.#expel(new Error(text), CLOSE_CODE.aborted);
  }

  #refuse(text: string, code: number): void {
    this.#expel(brokenProtocol(text), code);
  }

  #expel(error: Error, code: number): void {
    this.#fault = error;
    // Before anybody hears of it, and releases the WebSocket.
    this.#close(code);
    this.#broken(error);
  }

  #close(code: number): void {
    this.#closing = true;
    // A socket that is paused would not see the peer's close frame.
    this.#socket.resume?.();
    this.#socket.close(code);
    this.#expect();
  }

  /** Ends the connection if the peer's close frame does not come. */
  #expect(): void {
    if (this.#closed || this.#timer !== undefined || this.#socket.terminate === undefined) return;
    this.#timer = realTime.setTimeout(() => this.#socket.terminate!(), CLOSE_TIME);
  }

  #broken(error: unknown): void {
    this.#fail(error as Error);
    this.#chunks.end(error);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#cut?.(this.#failure);
    this.#cut = undefined;
  }
}

function brokenProtocol(text: string): ProtocolError {
  return new ProtocolError("protocol-error", `The peer broke the protocol of WebSockets: it ${text}`);
}

/** A connection over a WebSocket. */
export class WebSocketConnection extends Duplex {
  readonly security: ConnectionSecurity | undefined;
  readonly request: UpgradeRequest | undefined;
  readonly #channel: WebSocketChannel;

  /**
   * @param channel The WebSocket.
   * @param security What protects the connection; `undefined` if nothing does.
   * @param request The request that asked for it, on a server.
   */
  constructor(channel: WebSocketChannel, security: ConnectionSecurity | undefined, request?: UpgradeRequest) {
    super(channel);
    this.#channel = channel;
    this.security = security;
    this.request = request;
  }

  moved(): boolean {
    return this.#channel.moved();
  }

  get pressing(): boolean {
    return this.#channel.pressing;
  }
}
