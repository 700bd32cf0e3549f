/**
 * A message for the threads of a worker route, from its arrival to its answer.
 *
 * @module
 */

import type { Thread } from "../thread_seam.ts";
import type { Metadata } from "../wire/metadata.ts";
import { ownBuffer } from "./payload.ts";
import type { Payload, TaskInfo } from "./worker_messages.ts";

/** The message of a task, in the program. */
export interface TaskOrigin {
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** How long its sender still waits, in milliseconds; `undefined` if it does not say. */
  readonly timeLeft: number | undefined;
  /** Sets the metadata of its answer. Throws if that is not possible. */
  setReplyMeta(this: void, meta: Metadata): void;
}

/** A message that waits for a thread or is in one. */
export class Task {
  readonly id: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Settles with {@linkcode resolve} or {@linkcode reject}. */
  readonly answer: Promise<unknown>;
  readonly #payload: Payload;
  readonly #info: Omit<TaskInfo, "timeLeft">;
  readonly #origin: TaskOrigin;
  readonly #aborted: () => void;
  #resolve!: (reply: unknown) => void;
  #reject!: (error: unknown) => void;

  /** @param aborted Called when the signal of `origin` is aborted before the answer is there. */
  constructor(
    id: number,
    payload: Payload,
    info: Omit<TaskInfo, "timeLeft">,
    origin: TaskOrigin,
    aborted: (task: Task) => void,
  ) {
    const { signal } = origin;
    this.id = id;
    this.signal = signal;
    this.#origin = origin;
    this.#payload = payload;
    this.#info = info;
    this.#aborted = () => aborted(this);
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal.addEventListener("abort", this.#aborted, { once: true });
  }

  /** Posts the message to a thread. The buffer of its payload is transferred. */
  post(thread: Thread): void {
    const { id } = this;
    const info = { ...this.#info, timeLeft: this.#origin.timeLeft };
    const payload = this.#payload;
    try {
      thread.post({ kind: "run", id, payload, info }, [payload.buffer]);
    } catch {
      // A transport of the application may bring buffers that cannot be transferred.
      const buffer = ownBuffer(new Uint8Array(payload.buffer, payload.start), false);
      thread.post({ kind: "run", id, payload: { buffer, start: 0 }, info }, [buffer]);
    }
  }

  /** Called with what a thread answered, and the metadata that its handler has set. */
  answered(reply: ArrayBuffer | undefined, meta: Metadata | undefined): void {
    try {
      if (meta !== undefined) this.#origin.setReplyMeta(meta);
      this.resolve(reply === undefined ? undefined : new Uint8Array(reply));
    } catch (error) {
      this.reject(error);
    }
  }

  /** Called with the error of a handler, and the metadata that it has set. */
  failed(error: unknown, meta: Metadata | undefined): void {
    try {
      if (meta !== undefined) this.#origin.setReplyMeta(meta);
    } catch {
      // A peer without metadata gets no error answers either.
    }
    this.reject(error);
  }

  resolve(reply: unknown): void {
    this.signal.removeEventListener("abort", this.#aborted);
    this.#resolve(reply);
  }

  reject(error: unknown): void {
    this.signal.removeEventListener("abort", this.#aborted);
    this.#reject(error);
  }
}
