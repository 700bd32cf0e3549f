/**
 * The requests of one connection that wait for an answer. Ids belong to the connection; an answer nobody waits for, late or
 * forged, is counted and dropped.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { checkData } from "../base/codec_results.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag } from "../wire/frame.ts";
import { errorOf } from "./error_reply.ts";
import type { PendingIds, RequestId, RequestIds } from "./id_rule.ts";
import { IdMap } from "../base/id_map.ts";
import { TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";
import { Waiters } from "../base/waiters.ts";

/** What makes a value of an answer's payload. */
export interface AnswerCodec {
  /** Throws what rejects the request. */
  decode(content: Uint8Array): unknown;
}

/** Options of a request; all optional. */
export interface RequestOptions {
  /** How long to wait for the answer, in milliseconds. @default 5000 */
  readonly timeout?: number | undefined;
  /** Gives up when aborted: the request rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Is told what becomes of requests. */
export interface RequestTableHost {
  /** When a request begins, by the clock; -1 where nobody wants to know. */
  readonly since: number;
  /** Its answer came. */
  answered(entry: Pending): void;
  /** It ended without one, and the connection goes on. */
  abandoned(entry: Pending): void;
  /** It is over. */
  settled(entry: Pending, outcome: "answered" | "failed" | "timeout" | "cancelled"): void;
}

/** A request that waits for its answer. */
export class Pending extends TimerEntry {
  /** Its id. */
  readonly requestId: RequestId;
  /** Makes the value. */
  readonly codec: AnswerCodec;
  /** Gives up when aborted. */
  readonly signal: AbortSignal | undefined;
  /** The value. */
  readonly promise: Promise<unknown>;
  /** Settles the promise. */
  resolve!: (value: unknown) => void;
  /** Settles the promise. */
  reject!: (reason: unknown) => void;
  /** Where it ends in the frame writer; -1 where it can't be cancelled. */
  end = -1;
  /** How many messages an answer to it shows to be delivered. */
  covers = -1;
  /** When it began; -1 where nobody wants to know. */
  since = -1;
  /** Whether its end is waited for by nobody, not even by `close`. */
  readonly quiet: boolean;
  /** Listens to the signal. */
  onAbort: (() => void) | undefined = undefined;
  /** What was asked, for messages. */
  readonly what: string;
  readonly #timeout: number;
  readonly #table: RequestTable;

  constructor(
    table: RequestTable,
    id: RequestId,
    what: string,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
    quiet: boolean,
  ) {
    super();
    this.quiet = quiet;
    this.#table = table;
    this.requestId = id;
    this.what = what;
    this.codec = codec;
    this.#timeout = timeout;
    this.signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** Nobody answered. */
  override expire(): void {
    const error = new TimeoutError("timeout", `No answer to "${this.what}" within ${this.#timeout} ms`);
    this.#table.abandon(this, error, "timeout");
  }
}

/** The reason of what was waited for by nobody. */
const OUTDATED = new Error("Something later was answered");

/** The table. */
export class RequestTable implements PendingIds {
  /** How requests are numbered. */
  readonly ids: RequestIds;
  readonly #wheel: TimerWheel;
  readonly #host: RequestTableHost;
  /** Made with the first request: most connections never make one. */
  #entries: IdMap<Pending> | undefined = undefined;
  #size = 0;
  #asked = 0;
  #dropped = 0;
  #onEmpty: Waiters | undefined = undefined;

  /**
   * @param wheel For the timeouts.
   * @param makeIds Makes the rule that numbers requests, given which ids wait.
   * @param host Is told what becomes of requests.
   */
  constructor(wheel: TimerWheel, makeIds: (pending: PendingIds) => RequestIds, host: RequestTableHost) {
    this.#wheel = wheel;
    this.#host = host;
    this.ids = makeIds(this);
  }

  /** Whether a request of this id waits. */
  has(id: RequestId): boolean {
    return this.#entries?.get(id) !== undefined;
  }

  /** The ids of all requests that wait. */
  waiting(): RequestId[] {
    return this.#entries?.values().map(({ requestId }) => requestId) ?? [];
  }

  /** How many requests wait that anybody waits for. */
  get size(): number {
    return this.#size;
  }

  /** How many requests there were. */
  get asked(): number {
    return this.#asked;
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
   * @param quiet Whether nobody waits for it to end.
   * @returns The request; its promise has the value.
   */
  add(
    id: RequestId,
    what: string,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
    quiet = false,
  ): Pending {
    const entry = new Pending(this, id, what, codec, timeout, signal, quiet);
    (this.#entries ??= new IdMap()).set(entry);
    if (!quiet) this.#size++;
    this.#asked++;
    this.#wheel.add(entry, timeout);
    if (signal !== undefined) {
      entry.onAbort = () => this.abandon(entry, signal.reason, "cancelled");
      signal.addEventListener("abort", entry.onAbort, { once: true });
    }
    entry.since = this.#host.since;
    return entry;
  }

  /** Hands an answer to whoever waits for it; false if nobody does. */
  settle(frame: ReceivedFrame): boolean {
    const entry = this.#entries?.get(frame.requestId);
    if (entry === undefined) {
      this.#dropped++;
      this.ids.settle(frame.requestId);
      return false;
    }
    this.forget(entry);
    this.#host.answered(entry);
    try {
      if ((frame.flags & Flag.ERROR) !== 0) throw errorOf(frame.content);
      const value = checkData(entry.what, entry.codec.decode(frame.content));
      this.#host.settled(entry, "answered");
      entry.resolve(value);
    } catch (error) {
      this.#host.settled(entry, "failed");
      entry.reject(error);
    }
    return true;
  }

  /** Rejects the request whose answer came and cannot be read. Nothing happens if nobody waits for it. */
  fail(id: RequestId, error: unknown): void {
    const entry = this.#entries?.get(id);
    if (entry === undefined) return;
    this.forget(entry);
    this.#host.answered(entry);
    this.#host.settled(entry, "failed");
    entry.reject(error);
  }

  /** It was not sent. */
  forget(entry: Pending): void {
    this.#remove(entry);
    this.ids.free(entry.requestId);
  }

  /** Nobody waits for it any more; its answer may come, or has come. */
  outdated(entry: Pending): void {
    if (this.#entries?.get(entry.requestId) === entry) this.abandon(entry, OUTDATED, "cancelled");
  }

  /** Ends a request without an answer. */
  abandon(entry: Pending, reason: unknown, outcome: "timeout" | "cancelled"): void {
    this.#remove(entry);
    this.ids.abandon(entry.requestId);
    this.#host.abandoned(entry);
    this.#host.settled(entry, outcome);
    entry.reject(reason);
  }

  /** Ends all requests: the connection is gone. The error is made only if there are any. */
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

  /** Settles when nobody waits. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return (this.#onEmpty ??= new Waiters()).wait();
  }

  #remove(entry: Pending): void {
    this.#entries!.delete(entry.requestId);
    if (!entry.quiet) this.#size--;
    this.#wheel.remove(entry);
    if (entry.onAbort !== undefined) entry.signal!.removeEventListener("abort", entry.onAbort);
    if (this.size === 0 && this.#onEmpty !== undefined) {
      this.#onEmpty.release();
      this.#onEmpty = undefined;
    }
  }
}
