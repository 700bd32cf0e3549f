/**
 * The requests of one connection that wait for an answer. Ids belong to the connection; an answer nobody waits for, late or
 * forged, is counted and dropped.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { checkData } from "../message/codecs.ts";
import type { DecodedFrame } from "../wire/decoder.ts";
import { Flag } from "../wire/frame.ts";
import { errorOf } from "./error_reply.ts";
import type { PendingIds, RequestId, RequestIds } from "./request_ids.ts";
import { TimerEntry, type TimerWheel } from "./timer_wheel.ts";

/** What makes a value of an answer's payload. */
export interface AnswerCodec {
  /** Throws what rejects the request. */
  decode(content: Uint8Array): unknown;
}

/** Options of a request; all optional. */
export interface RequestOptions {
  /** How long to wait for the answer, in milliseconds. @default 5000 */
  readonly timeout?: number;
  /** Gives up when aborted: the request rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

class Pending extends TimerEntry {
  readonly id: RequestId;
  readonly codec: AnswerCodec;
  readonly signal: AbortSignal | undefined;
  resolve!: (value: unknown) => void;
  reject!: (reason: unknown) => void;
  onAbort: (() => void) | undefined = undefined;
  readonly what: string;
  readonly #timeout: number;
  readonly #table: PendingTable;

  constructor(
    table: PendingTable,
    id: RequestId,
    what: string,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
  ) {
    super();
    this.#table = table;
    this.id = id;
    this.what = what;
    this.codec = codec;
    this.#timeout = timeout;
    this.signal = signal;
  }

  override expire(): void {
    const error = new TimeoutError("timeout", `No answer to "${this.what}" within ${this.#timeout} ms`);
    this.#table.abandon(this, error);
  }
}

/** The table. */
export class PendingTable implements PendingIds {
  /** How requests are numbered. */
  readonly ids: RequestIds;
  readonly #wheel: TimerWheel;
  /** Made with the first request: most connections never make one. */
  #entries: Map<RequestId, Pending> | undefined = undefined;
  #dropped = 0;
  #onEmpty: (() => void)[] = [];

  /**
   * @param wheel For the timeouts.
   * @param makeIds Makes the rule that numbers requests, given which ids wait.
   */
  constructor(wheel: TimerWheel, makeIds: (pending: PendingIds) => RequestIds) {
    this.#wheel = wheel;
    this.ids = makeIds(this);
  }

  /** Whether a request of this id waits. */
  has(id: RequestId): boolean {
    return this.#entries !== undefined && this.#entries.has(id);
  }

  /** How many requests wait. */
  get size(): number {
    return this.#entries?.size ?? 0;
  }

  /** Answers that nobody waited for. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Waits for the answer to a request.
   *
   * @param id Its id, which must be free.
   * @param what What was asked, for messages.
   * @param codec Makes the value.
   * @param timeout How long it may take, in milliseconds.
   * @param signal Gives up when aborted.
   * @returns The value.
   */
  wait(
    id: RequestId,
    what: string,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const entry = new Pending(this, id, what, codec, timeout, signal);
    this.#entries ??= new Map();
    this.#entries.set(id, entry);
    this.#wheel.add(entry, timeout);
    if (signal !== undefined) {
      entry.onAbort = () => this.abandon(entry, signal.reason);
      signal.addEventListener("abort", entry.onAbort, { once: true });
    }
    return new Promise((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
  }

  /** Hands an answer to whoever waits for it. */
  settle(frame: DecodedFrame): void {
    const entry = this.#entries?.get(frame.requestId);
    if (entry === undefined) {
      this.#dropped++;
      this.ids.settle(frame.requestId);
      return;
    }
    this.#remove(entry);
    if ((frame.flags & Flag.ERROR) !== 0) {
      entry.reject(errorOf(frame.content));
      return;
    }
    let value: unknown;
    try {
      value = checkData(entry.what, entry.codec.decode(frame.content));
    } catch (error) {
      entry.reject(error);
      return;
    }
    entry.resolve(value);
  }

  /** Ends a request without an answer. */
  abandon(entry: Pending, reason: unknown): void {
    this.#remove(entry);
    this.ids.abandon(entry.id);
    entry.reject(reason);
  }

  /** Ends all requests: the connection is gone. The error is made only if there are any. */
  rejectAll(makeReason: () => Error): void {
    if (this.size === 0) return;
    const reason = makeReason();
    for (const entry of [...this.#entries!.values()]) {
      this.#remove(entry);
      entry.reject(reason);
    }
  }

  /** Settles when nothing waits. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  #remove(entry: Pending): void {
    this.#entries!.delete(entry.id);
    this.#wheel.remove(entry);
    if (entry.onAbort !== undefined) entry.signal!.removeEventListener("abort", entry.onAbort);
    if (this.size === 0 && this.#onEmpty.length > 0) {
      const waiting = this.#onEmpty;
      this.#onEmpty = [];
      for (const resolve of waiting) resolve();
    }
  }
}
