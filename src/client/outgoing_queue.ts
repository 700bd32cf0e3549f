/**
 * The queue of a client that is not connected. It keeps messages in order, within limits, until there is a connection.
 *
 * @module
 */

import { BackpressureError, TimeoutError } from "../errors.ts";
import { optional, type OptionTable, readOptions, whole, wholeOrInfinity } from "../base/checks.ts";
import { Fifo } from "../base/fifo.ts";
import { LatestIndex } from "../base/latest_index.ts";
import { Waiters } from "../base/waiters.ts";
import type { AnswerCodec } from "../session/requests.ts";
import type { Latest } from "../session/sender.ts";
import type { PayloadOrigin } from "../session/payload_encoding.ts";

/**
 * The limits of the queue while there is no connection.
 *
 * @category Client
 */
export interface QueueOptions {
  /** The most messages and requests. @default 10000 */
  readonly messages?: number;
  /** The most bytes of their payloads and metadata. @default 16777216 */
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

/** The type of a message that is queued. */
type QueuedType = PayloadOrigin & { readonly name: string; readonly code: number };

/** A message or request in the queue. */
export interface QueuedMessage {
  /** The name of the message's type. */
  readonly name: string;
  /** The code of the message's type. */
  readonly code: number;
  /** The message's type, for encoders. */
  origin: PayloadOrigin;
  /** The payload, which only the queue uses. */
  content: Uint8Array;
  /** The members of its metadata, see `metadataMembers`. */
  meta: string;
  /** When the entry was added, by the clock of the connections; NaN before there is a clock. */
  at: number;
  /** The request that waits for the answer; `undefined` for a message. */
  readonly request?: QueuedRequest | undefined;
  /** How long the message may wait, and what replaces it; `undefined` for one that always counts. */
  latest?: Latest | undefined;
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
  /** The messages that newer ones would replace. */
  readonly #index = new LatestIndex<QueuedMessage>();
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

  /** The number of bytes in the payloads and metadata that wait. */
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
    origin: QueuedType,
    content: Uint8Array,
    meta: string,
    at: number,
    request?: QueuedRequest,
  ): QueuedMessage {
    const { name, code } = origin;
    const size = content.length + meta.length;
    if (this.size >= this.#limits.messages || !this.#takes(size)) throw this.#fullFor(name);
    const message: QueuedMessage = { name, code, origin, content, meta, at, request };
    this.#bytes += size;
    if (request !== undefined) this.#requests++;
    this.#entries.push(message);
    if (!this.takesMore) this.#full = true;
    return message;
  }

  /**
   * Adds a message of which only the latest counts, in the place of the one that it replaces if there is one. Returns
   * whether it has replaced one. The caller must not use `content` afterwards.
   *
   * @throws {BackpressureError} `queue-full`: it was not taken.
   */
  pushLatest(origin: QueuedType, content: Uint8Array, meta: string, at: number, latest: Latest): boolean {
    const { name, code } = origin;
    const { latest: key } = latest;
    const older = key === undefined ? undefined : this.#index.find(code, key);
    if (older === undefined) {
      const message = this.push(origin, content, meta, at);
      message.latest = latest;
      if (key !== undefined) this.#index.add(code, key, message);
      return false;
    }
    const growth = content.length + meta.length - older.content.length - older.meta.length;
    if (growth > 0 && !this.#takes(growth)) throw this.#fullFor(name);
    this.#bytes += growth;
    Object.assign(older, { origin, content, meta, at, latest });
    if (!this.takesMore) this.#full = true;
    return true;
  }

  /** Returns whether a message waits that such a one would replace. */
  replaces(code: number, { latest }: Latest): boolean {
    return latest !== undefined && this.#index.find(code, latest) !== undefined;
  }

  /** Removes the first entry if it is a message that has waited longer than it may. Returns whether it was. */
  expireFirst(now: number): boolean {
    const first = this.first;
    if (first?.latest === undefined || !(now - first.at > first.latest.maxAge)) return false;
    this.shift(first);
    return true;
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
    this.#keep(({ request }) => request?.left !== true);
    this.#left = 0;
  }

  /** Removes entries that are too old. Messages among them are counted in the result. Requests fail. */
  expire(now: number): number {
    const old = [...this.#entries].filter((entry) => entry.request?.left !== true && this.#tooOld(entry, now));
    if (old.length === 0) return 0;
    const gone = new Set(old);
    this.#keep((entry) => !gone.has(entry));
    for (const entry of old) this.#forget(entry);
    this.#trim();
    for (const { name, request } of old) {
      request?.fail(new TimeoutError("timeout", `Cannot send "${name}": it waited too long for a connection`));
    }
    return old.filter(({ request }) => request === undefined).length;
  }

  /** Removes all entries. Messages among them are counted in the result. Requests fail. */
  clear(error: () => unknown): number {
    const left = this.#entries.clear();
    this.#index.clear();
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

  #takes(bytes: number): boolean {
    return this.#bytes <= this.#mark || this.#bytes + bytes <= this.#limits.bytes;
  }

  #fullFor(name: string): BackpressureError {
    this.#full = true;
    return new BackpressureError(
      "queue-full",
      `Cannot queue "${name}": ${this.size} messages, ${this.#bytes} bytes, wait for a connection already`,
    );
  }

  #tooOld({ at, latest }: QueuedMessage, now: number): boolean {
    return now - at > Math.min(this.#limits.age, latest?.maxAge ?? Infinity);
  }

  #keep(stays: (message: QueuedMessage) => boolean): void {
    for (const message of this.#entries.clear()) if (stays(message)) this.#entries.push(message);
  }

  #forget({ code, content, latest, meta, request }: QueuedMessage): void {
    this.#bytes -= content.length + meta.length;
    if (latest?.latest !== undefined) this.#index.remove(code, latest.latest);
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
