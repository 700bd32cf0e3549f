/**
 * Keeps the requests of one connection that wait for an answer. Their ids belong to the connection. An answer without a
 * pending request, late or forged, is counted and dropped.
 *
 * @module
 */

import { ProtocolError, TimeoutError } from "../errors.ts";
import { checkData } from "../base/codec_results.ts";
import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag } from "../wire/frame.ts";
import { type Metadata, NO_METADATA } from "../wire/metadata.ts";
import { errorOf } from "./error_reply.ts";
import type { PendingIds, RequestId, RequestIds } from "./id_rule.ts";
import { IdMap } from "../base/id_map.ts";
import { TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";
import { Waiters } from "../base/waiters.ts";

/** Decodes the payload of an answer. */
export interface AnswerCodec {
  /** Returns the value of the answer. The request rejects with whatever it throws. */
  decode(content: Uint8Array): unknown;
}

/**
 * Options of a ping; all optional.
 *
 * @category Requests
 */
export interface PingOptions {
  /** How long to wait for the answer, in milliseconds. @default 5000 */
  readonly timeout?: number | undefined;
  /** Aborting it gives up the request, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What a request is made on behalf of, such as a message in its handler.
 *
 * @category Requests
 */
export interface RequestScope {
  /** Aborted when the answer is of no use any more. */
  readonly signal: AbortSignal;
  /** The time that is left, in milliseconds; `undefined` if that is not known. */
  readonly timeLeft?: number | undefined;
}

/**
 * Options of a request; all optional. A native peer that is asked with a `timeout` or `within` a message learns how much
 * time it has.
 *
 * @category Requests
 */
export interface RequestOptions extends PingOptions {
  /** Metadata for the handler, which reads it as `message.meta`. @default none */
  readonly meta?: Metadata | undefined;
  /**
   * The message that the request is made for. The request gets no more time than the message has left, and is given up
   * when the message is aborted.
   */
  readonly within?: RequestScope | undefined;
}

/**
 * The whole answer to a request.
 *
 * @category Requests
 */
export interface Answer<Data> {
  /** The decoded payload. */
  readonly data: Data;
  /** The metadata that the handler has set: a frozen object without a prototype, empty if there is none. */
  readonly meta: Metadata;
  /** The time from sending the request until its answer arrived, in milliseconds, by a monotonic clock. */
  readonly latency: number;
}

/** The codec of a request that wants to know the whole answer. Created when the request is sent. */
export class AnswerReader implements AnswerCodec {
  readonly #codec: AnswerCodec;
  readonly #clock: Clock;
  readonly #sentAt: number;

  constructor(codec: AnswerCodec, clock: Clock) {
    this.#codec = codec;
    this.#clock = clock;
    this.#sentAt = clock.now();
  }

  decode(content: Uint8Array): unknown {
    return this.#codec.decode(content);
  }

  /** Returns the whole answer to the request `name`. Throws what the codec throws. */
  read(name: string, { content, meta }: ReceivedFrame): Answer<unknown> {
    const latency = this.#clock.now() - this.#sentAt;
    return { data: checkData(name, this.decode(content)), meta: meta?.names ?? NO_METADATA, latency };
  }
}

/** Receives the events of a {@linkcode RequestTable}. */
export interface RequestTableHost {
  /** Runs the timeouts. */
  readonly wheel: TimerWheel;
  /** The time at which a request begins, by the clock; -1 if nobody observes requests. */
  readonly startedAt: number;
  /** Called when the answer to a request has arrived. */
  answered(entry: Pending): void;
  /** Called when a request ended without an answer while the connection goes on; `reason` is why. */
  abandoned(entry: Pending, reason: unknown): void;
  /** Called when a request is over. */
  settled(entry: Pending, outcome: "answered" | "failed" | "timeout" | "cancelled"): void;
}

/** A request that waits for its answer. */
export class Pending extends TimerEntry {
  readonly requestId: RequestId;
  readonly codec: AnswerCodec;
  readonly signal: AbortSignal | undefined;
  /** Resolves with the value of the answer. */
  readonly promise: Promise<unknown>;
  resolve!: (value: unknown) => void;
  reject!: (reason: unknown) => void;
  /** The position at which its frame ends in the ordered bytes of the send scheduler; -1 if it cannot be canceled. */
  end = -1;
  /** The number of messages that an answer to it proves to be delivered; -1 if it proves nothing. */
  ackedMessages = -1;
  /** The type code that an answer to it must have; -1 for any. */
  answerCode = -1;
  /** The time at which it began, by the clock; -1 if nobody observes requests. */
  startedAt = -1;
  /** True if nothing waits for its end, not even `close`. */
  readonly background: boolean;
  /** The listener that was added to `signal`. */
  onAbort: (() => void) | undefined = undefined;
  /** The name of what was requested, for error messages. */
  readonly name: string;
  readonly #timeout: number;
  readonly #table: RequestTable;

  constructor(
    table: RequestTable,
    id: RequestId,
    name: string,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
    background: boolean,
  ) {
    super();
    this.background = background;
    this.#table = table;
    this.requestId = id;
    this.name = name;
    this.codec = codec;
    this.#timeout = timeout;
    this.signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** Returns the content of the CANCEL that tells the peer why it is given up. */
  cancelContent(_reason: unknown): Uint8Array | string {
    return NOTHING;
  }

  /** Called when no answer has arrived in time. */
  override expire(): void {
    const error = new TimeoutError("timeout", `No answer to "${this.name}" within ${this.#timeout} ms`);
    this.#table.abandon(this, error, "timeout");
  }
}

const NOTHING = new Uint8Array(0);

/** The reason with which a probe rejects whose answer is no longer needed. */
const OUTDATED = new Error("Something later was answered");

/** The requests of one connection that wait for an answer. */
export class RequestTable implements PendingIds {
  /** The rule that numbers the requests. */
  readonly ids: RequestIds;
  readonly #host: RequestTableHost;
  /** Created with the first request, because most connections never send one. */
  #entries: IdMap<Pending> | undefined = undefined;
  #size = 0;
  #asked = 0;
  #dropped = 0;
  #onEmpty: Waiters | undefined = undefined;

  /**
   * @param makeIds Creates the rule that numbers the requests, given the ids of those that wait.
   * @param host Receives events.
   */
  constructor(makeIds: (pending: PendingIds) => RequestIds, host: RequestTableHost) {
    this.#host = host;
    this.ids = makeIds(this);
  }

  /** Returns whether a request with this id waits. */
  has(id: RequestId): boolean {
    return this.#entries?.get(id) !== undefined;
  }

  /** Returns the ids of all requests that wait. */
  waiting(): RequestId[] {
    return this.#entries?.values().map(({ requestId }) => requestId) ?? [];
  }

  /** The number of requests that wait, without background requests. */
  get size(): number {
    return this.#size;
  }

  /** The number of requests added so far. */
  get asked(): number {
    return this.#asked;
  }

  /** The number of answers without a pending request. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Adds a request and begins its timeout.
   *
   * @param id Its id, which must be free.
   * @param name The name of what is requested, for error messages.
   * @param codec Decodes the answer.
   * @param timeout The time to wait for the answer, in milliseconds.
   * @param signal Aborting it gives up the request.
   * @param background True if nothing waits for its end.
   * @returns The request. Its promise resolves with the value of the answer.
   */
  add(
    id: RequestId,
    name: string,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
    background = false,
  ): Pending {
    const entry = new Pending(this, id, name, codec, timeout, signal, background);
    this.insert(entry);
    this.#host.wheel.add(entry, timeout);
    return entry;
  }

  /** Adds a request without a timeout. */
  insert(entry: Pending): void {
    (this.#entries ??= new IdMap()).set(entry);
    if (!entry.background) this.#size++;
    this.#asked++;
    const { signal } = entry;
    if (signal !== undefined) {
      entry.onAbort = () => this.abandon(entry, signal.reason, "cancelled");
      signal.addEventListener("abort", entry.onAbort, { once: true });
    }
    entry.startedAt = this.#host.startedAt;
  }

  /** Settles the request that a frame answers. Returns false if there is none. */
  settle(frame: ReceivedFrame): boolean {
    const entry = this.#entries?.get(frame.requestId);
    if (entry === undefined) {
      this.#dropped++;
      this.ids.settle(frame.requestId);
      return false;
    }
    if (entry.answerCode >= 0 && entry.answerCode !== frame.code) {
      throw new ProtocolError("protocol-error", `The peer answered "${entry.name}" with the code ${frame.code}`);
    }
    this.forget(entry);
    this.#host.answered(entry);
    try {
      if ((frame.flags & Flag.ERROR) !== 0) throw errorOf(frame.content, frame.meta?.names);
      const { codec, name } = entry;
      const value = codec instanceof AnswerReader
        ? codec.read(name, frame)
        : checkData(name, codec.decode(frame.content));
      this.#host.settled(entry, "answered");
      entry.resolve(value);
    } catch (error) {
      this.#host.settled(entry, "failed");
      entry.reject(error);
    }
    return true;
  }

  /** Rejects the request whose answer arrived but cannot be read. Does nothing if there is none. */
  fail(id: RequestId, error: unknown): void {
    const entry = this.#entries?.get(id);
    if (entry === undefined) return;
    this.forget(entry);
    this.#host.answered(entry);
    this.#host.settled(entry, "failed");
    entry.reject(error);
  }

  /** Removes a request that was answered, or never sent. Its promise does not settle. */
  forget(entry: Pending): void {
    this.#remove(entry);
    this.ids.free(entry.requestId);
  }

  /** Ends a request whose answer is no longer needed. Does nothing if it has ended. */
  outdated(entry: Pending): void {
    if (this.#entries?.get(entry.requestId) === entry) this.abandon(entry, OUTDATED, "cancelled");
  }

  /** Ends a request without an answer, and rejects it. */
  abandon(entry: Pending, reason: unknown, outcome: "timeout" | "cancelled"): void {
    this.#remove(entry);
    this.ids.abandon(entry.requestId);
    this.#host.abandoned(entry, reason);
    this.#host.settled(entry, outcome);
    entry.reject(reason);
  }

  /** Rejects all requests because no answer can arrive any more. `makeReason` is called only if there are any. */
  rejectAll(makeReason: () => Error): void {
    const entries = this.#entries?.values() ?? [];
    if (entries.length === 0) return;
    const reason = makeReason();
    for (const entry of entries) {
      this.#remove(entry);
      this.#host.settled(entry, "failed");
      entry.reject(reason);
    }
  }

  /** Resolves when no request waits, background requests aside. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return (this.#onEmpty ??= new Waiters()).wait();
  }

  #remove(entry: Pending): void {
    this.#entries!.delete(entry.requestId);
    if (!entry.background) this.#size--;
    this.#host.wheel.remove(entry);
    if (entry.onAbort !== undefined) entry.signal!.removeEventListener("abort", entry.onAbort);
    if (this.size === 0 && this.#onEmpty !== undefined) {
      this.#onEmpty.release();
      this.#onEmpty = undefined;
    }
  }
}
