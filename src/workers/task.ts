/**
 * A message for the threads of a worker route, from its arrival to its answer.
 *
 * @module
 */

import type { Thread } from "../thread_seam.ts";
import { ownBuffer, type Payload, type TaskInfo } from "./worker_messages.ts";

/** A message that waits for a thread or is in one. */
export class Task {
  readonly id: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Settles with {@linkcode resolve} or {@linkcode reject}. */
  readonly answer: Promise<unknown>;
  readonly #payload: Payload;
  readonly #info: TaskInfo;
  readonly #aborted: () => void;
  #resolve!: (reply: unknown) => void;
  #reject!: (error: unknown) => void;

  /** @param aborted Called when `signal` is aborted before the answer is there. */
  constructor(id: number, payload: Payload, info: TaskInfo, signal: AbortSignal, aborted: (task: Task) => void) {
    this.id = id;
    this.signal = signal;
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
    const info = this.#info;
    const payload = this.#payload;
    try {
      thread.post({ kind: "run", id, payload, info }, [payload.buffer]);
    } catch {
      // A transport of the application may bring buffers that cannot be transferred.
      const buffer = ownBuffer(new Uint8Array(payload.buffer, payload.start), false);
      thread.post({ kind: "run", id, payload: { buffer, start: 0 }, info }, [buffer]);
    }
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
