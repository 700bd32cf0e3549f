/**
 * The messages of one type as an async iterator. While the loop is busy with a message, the next one waits as for a
 * slow handler, and all others wait after it, so that in the end the server stops sending.
 *
 * @module
 */

import { type Message, type Replied, replied } from "../message/message.ts";
import type { IncomingMessage } from "../app/incoming_message.ts";

/** A message, and the functions that settle its handler. */
interface Waiting<Received> {
  readonly message: Received;
  readonly done: (replied: Replied) => void;
  readonly fail: (error: unknown) => void;
}

/** An async iterator over the messages of a route. */
export class MessageStream<Out, ReplyIn> implements AsyncIterableIterator<Message<Out, ReplyIn>> {
  readonly #onLeave: () => void;
  /** Holds at most one message. The next one waits for it, even if it comes on another connection. */
  #waiting: Waiting<Message<Out, ReplyIn>>[] = [];
  #asking: ((result: IteratorResult<Message<Out, ReplyIn>>) => void)[] = [];
  /** Ends the request that the loop is busy with. */
  #end = (): void => {};
  /** Ends that request when it can no longer be answered. */
  #drop = (): void => {};
  #ended = false;

  /** @param onLeave Called when the loop is left. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /**
   * Handles a message of the route. A message is done when the loop takes it. A request is done when the loop has
   * answered it or asks for the next message.
   */
  handle(message: Message<Out, ReplyIn>): Promise<Replied> {
    if (this.#ended) return Promise.reject(notRead(message));
    const { promise, resolve: done, reject: fail } = Promise.withResolvers<Replied>();
    const next = { message, done, fail };
    const asking = this.#asking.shift();
    if (asking === undefined) this.#waiting.push(next);
    else this.#hand(next, asking);
    return promise;
  }

  /** Returns the next message. */
  next(): Promise<IteratorResult<Message<Out, ReplyIn>>> {
    this.#end();
    const { promise, resolve } = Promise.withResolvers<IteratorResult<Message<Out, ReplyIn>>>();
    const next = this.#waiting.shift();
    if (next !== undefined) this.#hand(next, resolve);
    else if (this.#ended) resolve({ done: true, value: undefined });
    else this.#asking.push(resolve);
    return promise;
  }

  /** Leaves the loop. Messages that wait are not read any more. */
  return(): Promise<IteratorResult<Message<Out, ReplyIn>>> {
    this.#end();
    for (const { message, fail } of this.#waiting) fail(notRead(message));
    this.#waiting = [];
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Called when no more messages come. Those that wait are still handed out. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    // Nobody can be answered any more, and a message that is never taken must not count as running work forever.
    this.#drop();
    for (const { done } of this.#waiting) done(replied);
    this.#onLeave();
    for (const resolve of this.#asking) resolve({ done: true, value: undefined });
    this.#asking = [];
  }

  /** Returns this iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(
    { message, done, fail }: Waiting<Message<Out, ReplyIn>>,
    asking: (result: IteratorResult<Message<Out, ReplyIn>>) => void,
  ): void {
    const request = message as unknown as IncomingMessage;
    if (request.wantsReply && request.type.reply !== undefined) {
      this.#drop = () => done(replied);
      request.onDone(this.#drop);
      this.#end = () => request.answered ? done(replied) : fail(notAnswered(message));
    } else done(replied);
    asking({ done: false, value: message });
  }
}

function notRead({ type }: Message): Error {
  return Object.assign(new Error(`Nobody reads "${type.name}" any more`), { code: "no-route" });
}

function notAnswered({ type }: Message): Error {
  return Object.assign(new Error(`The loop over "${type.name}" did not call reply()`), { code: "not-answered" });
}
