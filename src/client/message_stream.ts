/**
 * Messages of one type as an async iterator. While the loop is busy with one, the next one waits as it would for a slow
 * handler, and all others behind it, so that in the end the server stops sending.
 *
 * @module
 */

import { type Message, type Replied, replied } from "../message/message.ts";

/** A message, and what lets the next one come. */
interface Waiting<Received> {
  readonly message: Received;
  readonly taken: (replied: Replied) => void;
}

/** An iterator that a route fills. */
export class MessageStream<Out, ReplyIn> implements AsyncIterableIterator<Message<Out, ReplyIn>> {
  readonly #onLeave: () => void;
  /** Mostly one; more where connections were lost with one waiting. */
  #waiting: Waiting<Message<Out, ReplyIn>>[] = [];
  #asking: ((result: IteratorResult<Message<Out, ReplyIn>>) => void)[] = [];
  #ended = false;

  /** @param onLeave Called when the loop is left. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /** The handler of the route: settles when the loop has taken the message. The loop answers by `reply()`. */
  handle(message: Message<Out, ReplyIn>): Promise<Replied> | Replied {
    const asking = this.#asking.shift();
    if (asking !== undefined) {
      asking({ done: false, value: message });
      return replied;
    }
    return new Promise((taken) => this.#waiting.push({ message, taken }));
  }

  /** The next message. */
  next(): Promise<IteratorResult<Message<Out, ReplyIn>>> {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.taken(replied);
      return Promise.resolve({ done: false, value: next.message });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#asking.push(resolve));
  }

  /** Leaves the loop. */
  return(): Promise<IteratorResult<Message<Out, ReplyIn>>> {
    this.end();
    for (const { taken } of this.#waiting) taken(replied);
    this.#waiting = [];
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Nothing comes any more. What waits is still handed out. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onLeave();
    for (const resolve of this.#asking) resolve({ done: true, value: undefined });
    this.#asking = [];
  }

  /** The same, for `for await`. */
  [Symbol.asyncIterator](): this {
    return this;
  }
}
