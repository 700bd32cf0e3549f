/**
 * The queue of a client that is not connected. It keeps messages in order, within limits, until there is a connection.
 *
 * @module
 */

import { BackpressureError, TimeoutError } from "../errors.ts";
import { optional, type OptionTable, readOptions, whole, wholeOrInfinity } from "../base/checks.ts";
import { Fifo } from "../base/fifo.ts";
import { Waiters } from "../base/waiters.ts";
import type { AnswerCodec } from "../session/requests.ts";
import type { PayloadOrigin } from "../session/sender.ts";

/** The limits of the queue while there is no connection. */
export interface QueueOptions {
  /** The most messages and requests. @default 10000 */
  readonly messages?: number;
  /** The most bytes of their payloads. @default 16777216 */
  readonly bytes?: number;
  /**
   * How long a message or request may wait for a connection, in milliseconds. An older message is dropped and counted
   * as expired. An older request rejects.
   * @default unlimited
   */
  readonly age?: number;
}

const OPTIONS = {
  messages: optional(whole(1), 10_000),
  bytes: optional(whole(1), 16 * 1024 * 1024),
  age: optional(wholeOrInfinity(1), Infinity),
} satisfies OptionTable<QueueOptions>;

/** A message or request in the queue. */
export interface QueuedMessage {
  /** The name of the message's type. */
  readonly name: string;
  /** The code of the message's type. */
  readonly code: number;
  /** The message's type, for encoders. */
  readonly origin: PayloadOrigin;
  /** The payload, which only the queue uses. */
  readonly content: Uint8Array;
  /** When the entry was added, by the clock of the connections; NaN before there is a clock. */
  at: number;
  /** The request that waits for the answer; `undefined` for a message. */
  readonly request?: QueuedRequest;
}

/** A request that waits to be sent. */
export interface QueuedRequest {
  readonly codec: AnswerCodec;
  /** True once nobody waits for it any more, see {@linkcode OutgoingQueue.leave}. */
  readonly left: boolean;
  /** Sends the request over the current connection. */
  send(message: QueuedMessage): void;
  /** Called when the request will not be sent. */
  fail(error: unknown): void;
}

/** The queue of messages and requests. */
export class OutgoingQueue {
  readonly #limits: Required<QueueOptions>;
  /** The number of bytes up to which a message of any size is taken. */
  readonly #mark: number;
  readonly #entries = new Fifo<QueuedMessage>();
  #bytes = 0;
  /** The number of entries that are requests for which nobody waits any more. The first entry is never one of them. */
  #left = 0;
  /** The number of requests for which somebody waits. */
  #requests = 0;
  readonly #onEmpty = new Waiters();
  readonly #onRoom = new Waiters();
  /** True from the moment when a message reaches the limits until the queue has fallen to half of them. */
  #full = false;

  /**
   * @param options The limits of the queue.
   * @param highWaterMark The number of bytes above which `send` returns false.
   * @throws {RangeError | TypeError} One is unknown, out of range or of the wrong type.
   */
  constructor(options: QueueOptions, highWaterMark: number) {
    this.#limits = readOptions("queueWhileDown", options, OPTIONS, "queueWhileDown.");
    this.#mark = Math.min(highWaterMark, this.#limits.bytes / 2);
  }

  /** The number of messages and requests that wait. */
  get size(): number {
    return this.#entries.size - this.#left;
  }

  /** The number of messages that wait. */
  get messages(): number {
    return this.size - this.#requests;
  }

  /** The number of bytes in the payloads that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True while the next message is taken, whatever its size. */
  get takesMore(): boolean {
    return this.size < this.#limits.messages && this.#bytes <= this.#mark;
  }

  /**
   * Adds a message or request and returns the entry. The caller must not use `content` afterwards.
   *
   * @throws {BackpressureError} `queue-full`: it was not taken.
   */
  push(
    origin: PayloadOrigin & { readonly name: string; readonly code: number },
    content: Uint8Array,
    at: number,
    request?: QueuedRequest,
  ): QueuedMessage {
    const { name, code } = origin;
    const { messages, bytes } = this.#limits;
    if (this.size >= messages || this.#bytes > this.#mark && this.#bytes + content.length > bytes) {
      this.#full = true;
      throw new BackpressureError(
        "queue-full",
        `Cannot queue "${name}": ${this.size} messages, ${this.#bytes} bytes, wait for a connection already`,
      );
    }
    const message = { name, code, origin, content, at, request };
    this.#bytes += content.length;
    if (request !== undefined) this.#requests++;
    this.#entries.push(message);
    if (!this.takesMore) this.#full = true;
    return message;
  }

  /** Called when there is a clock. The age of earlier entries counts from now on. */
  begin(now: number): void {
    for (const message of this.#entries) if (Number.isNaN(message.at)) message.at = now;
  }

  /** The first entry. */
  get first(): QueuedMessage | undefined {
    return this.#entries.first;
  }

  /** Removes `message`, if it is still the first entry. */
  shift(message: QueuedMessage): void {
    if (this.first !== message) return;
    this.#entries.shift();
    this.#forget(message);
    this.#trim();
  }

  /** Called when nobody waits for a request any more and its `left` is true. Frees its place. */
  leave(message: QueuedMessage): void {
    this.#left++;
    this.#forget(message);
    this.#trim();
    if (2 * this.#left <= this.#entries.size) return;
    const kept = this.#entries.clear().filter(({ request }) => request?.left !== true);
    for (const message of kept) this.#entries.push(message);
    this.#left = 0;
  }

  /** Removes entries that are too old. Messages among them are counted in the result. Requests fail. */
  expire(now: number): number {
    let expired = 0;
    for (let first = this.first; first !== undefined && now - first.at > this.#limits.age; first = this.first) {
      this.shift(first);
      if (first.request === undefined) expired++;
      else {first.request.fail(
          new TimeoutError("timeout", `Cannot send "${first.name}": it waited too long for a connection`),
        );}
    }
    return expired;
  }

  /** Removes all entries. Messages among them are counted in the result. Requests fail. */
  clear(error: () => unknown): number {
    const left = this.#entries.clear();
    this.#bytes = 0;
    this.#left = 0;
    this.#requests = 0;
    for (const { request } of left) request?.fail(error());
    this.#makeRoom();
    this.#onEmpty.release();
    return left.filter(({ request }) => request === undefined).length;
  }

  /**
   * Resolves when a message may be sent: at once below the limits, otherwise when the queue has fallen to half of them.
   */
  ready(): Promise<void> {
    if (!this.#full) return Promise.resolve();
    return this.#onRoom.wait();
  }

  /** Resolves when the queue is empty. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return this.#onEmpty.wait();
  }

  #forget({ content, request }: QueuedMessage): void {
    this.#bytes -= content.length;
    if (request !== undefined) this.#requests--;
    if (this.#full && this.#bytes <= this.#mark / 2 && this.size <= this.#limits.messages / 2) this.#makeRoom();
  }

  #makeRoom(): void {
    this.#full = false;
    this.#onRoom.release();
  }

  #trim(): void {
    while (this.first?.request?.left === true) {
      this.#entries.shift();
      this.#left--;
    }
    if (this.size === 0) this.#onEmpty.release();
  }
}
