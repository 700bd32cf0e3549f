/**
 * A request that waits for a connection and is sent when there is one.
 *
 * @module
 */

import type { Peer } from "../app/peer.ts";
import type { PeerShared } from "../app/shared.ts";
import { Timeout } from "../base/timer_entry.ts";
import { TimeoutError } from "../errors.ts";
import type { RequestTerms } from "../app/request_terms.ts";
import type { AnswerCodec } from "../session/requests.ts";
import type { OutgoingQueue, QueuedMessage, QueuedRequest } from "./outgoing_queue.ts";

/** What a request needs to be sent once there is a connection. */
export interface RequestWay {
  /** The peer at the other end, while there is a connection. */
  readonly current: Peer | undefined;
  /** The time, by the client's clock. */
  readonly now: number;
}

/** A request that waits for a connection. Its timeout runs meanwhile. */
export class WaitingRequest implements QueuedRequest {
  readonly codec: AnswerCodec;
  readonly #way: RequestWay;
  readonly #terms: RequestTerms;
  readonly #whole: boolean;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #limit: Timeout | undefined = undefined;
  #stop = (): void => {};
  #until = 0;
  #over = false;
  left = false;

  /** @param whole True if the whole answer is wanted. */
  constructor(
    way: RequestWay,
    codec: AnswerCodec,
    terms: RequestTerms,
    whole: boolean,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#way = way;
    this.codec = codec;
    this.#terms = terms;
    this.#whole = whole;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Called when there is a clock. The timeout starts. */
  begin(message: QueuedMessage, queue: OutgoingQueue, shared: PeerShared): void {
    const { signal, timeout } = this.#terms;
    const { clock, wheel } = shared;
    this.#until = clock.now() + timeout;
    const giveUp = (error: unknown): void => {
      this.fail(error);
      this.left = true;
      queue.leave(message);
    };
    this.#limit = new Timeout(() =>
      giveUp(new TimeoutError("timeout", `No connection to send "${message.name}" within ${timeout} ms`))
    );
    wheel.add(this.#limit, timeout);
    const abort = (): void => giveUp(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#stop = () => {
      wheel.remove(this.#limit!);
      signal?.removeEventListener("abort", abort);
    };
    // It may have been aborted before there was a clock.
    if (signal?.aborted) abort();
  }

  send({ name, code, content, meta, origin }: QueuedMessage): void {
    if (this.#over) return;
    const peer = this.#way.current!;
    const timeout = Math.max(1, this.#until - this.#way.now);
    const { deadline, signal } = this.#terms;
    const codec = this.#whole ? peer.reader(this.codec) : this.codec;
    const answer = peer.ask(name, code, content, codec, { timeout, signal }, meta, deadline, origin);
    this.#over = true;
    this.#stop();
    answer.then(this.#resolve, this.#reject);
  }

  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop();
    this.#reject(error);
  }
}
