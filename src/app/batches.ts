/**
 * Gathers the messages of one connection whose route takes many in one call, and hands them out together. They are
 * gathered while a chunk or the queue is worked through, and handed out before anything that comes after them.
 *
 * @module
 */

import { isThenable } from "../base/thenable.ts";
import { BATCH_FRAMES } from "../link/batch_budget.ts";
import type { Session } from "../session/session.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag } from "../wire/frame.ts";
import type { HandlerHost, HandlerRunner, HandlerRunnerOwner, HandlerRunnerShared } from "./handler_runner.ts";
import { IncomingMessage } from "./incoming_message.ts";
import type { Route } from "./routes.ts";

/** The flags of frames that are no plain messages. */
const APART = Flag.REQUEST | Flag.REPLY | Flag.ERROR | Flag.STREAM;

/** The state that all batches of a Server or a Client share. */
export interface BatchesShared extends HandlerRunnerShared {
  readonly limits: { readonly maxHandlerBytes: number };
}

/** The messages of one connection that are gathered. Created with the first one. */
export class Batches {
  readonly #host: HandlerHost;
  readonly #session: Session;
  readonly #shared: BatchesShared;
  readonly #owner: HandlerRunnerOwner;
  readonly #runner: HandlerRunner;
  /** The route of the messages that are gathered; `undefined` if there are none. */
  #route: Route | undefined = undefined;
  #messages: IncomingMessage[] = [];
  /** The size of their payloads, in bytes. */
  #bytes = 0;
  /** The calls of ordered routes that are under way, by their types. */
  #ordered: Map<object, Promise<unknown>> | undefined = undefined;

  constructor(
    host: HandlerHost,
    session: Session,
    shared: BatchesShared,
    owner: HandlerRunnerOwner,
    runner: HandlerRunner,
  ) {
    this.#host = host;
    this.#session = session;
    this.#shared = shared;
    this.#owner = owner;
    this.#runner = runner;
  }

  /** The number of messages that are gathered. */
  get size(): number {
    return this.#messages.length;
  }

  /** Returns whether a message that has just come can be gathered with the others. */
  joins({ code, flags, size }: ReceivedFrame): boolean {
    return (flags & APART) === 0 && this.#shared.routes.get(code) === this.#route && this.#takes(size);
  }

  /** Returns whether a message that has waited can be gathered with the others. */
  fits({ size, type: { code }, wantsReply }: IncomingMessage): boolean {
    return this.#shared.routes.get(code) === this.#route && !wantsReply && this.#takes(size);
  }

  #takes(size: number): boolean {
    const { limits: { maxHandlerBytes }, load } = this.#shared;
    const others = (load ?? this.#runner).bytes;
    return this.#messages.length < BATCH_FRAMES && others + this.#bytes + size <= maxHandlerBytes;
  }

  /**
   * Makes a message of a frame that {@linkcode joins} others and has only a payload, and gathers it: what
   * `HandlerRunner.hand` does, without what such messages do not need. Returns false if it needs more than that.
   */
  take(frame: ReceivedFrame, receivedAt: number): boolean {
    const route = this.#route!;
    const { size } = frame;
    if (route.handler !== route.own) return false;
    this.#session.taken(size);
    const message = new IncomingMessage(route.type, route, frame, receivedAt, false, this.#host);
    if (!route.raw) {
      try {
        message.decode();
      } catch (error) {
        this.#runner.failed(message, error);
        return true;
      }
    }
    message.finished = true;
    // The codec, or an observer of the credit for it, may have had the others handed out.
    this.#route = route;
    this.#messages.push(message);
    this.#bytes += size;
    return true;
  }

  /**
   * Calls the handler with a message whose middleware has gone on later, alone. That of an ordered route waits for the call
   * that is under way. Returns what the handler returns.
   */
  single(message: IncomingMessage): unknown {
    const { batch, type } = message.route!;
    const call = (): unknown => batch!([message] as never, this.#host.handle as never);
    return this.#ordered?.get(type)?.then(call) ?? call();
  }

  /** Gathers a message. */
  add(message: IncomingMessage): void {
    this.#route = message.route;
    this.#messages.push(message);
    this.#bytes += message.content.length;
  }

  /** Calls the handler with the messages that are gathered. */
  handOut(): void {
    const route = this.#route!;
    const messages = this.#messages;
    const bytes = this.#bytes;
    // The handler may do what makes others be gathered.
    this.#route = undefined;
    this.#messages = [];
    this.#bytes = 0;
    const runner = this.#runner;
    const { inside } = this.#shared;
    // The handler may keep or change the array.
    const [first] = messages;
    const limited = route.timeout === undefined ? undefined : this.#reopen(messages.slice());
    const { dispatcher, waits } = inside;
    let result: unknown;
    let later = false;
    let failure: { readonly error: unknown } | undefined;
    runner.running++;
    inside.dispatcher = this.#owner;
    inside.waits = false;
    try {
      result = route.batch!(messages as never, this.#host.handle as never);
      later = isThenable(result);
    } catch (error) {
      failure = { error };
    }
    const excused = inside.waits;
    // A middleware that has ended the session may be under way.
    inside.dispatcher = dispatcher;
    inside.waits = waits;
    if (later) {
      this.#await(route, messages, first, limited, bytes, result);
      if (excused) runner.excuse(messages);
      return;
    }
    runner.running--;
    this.#close(limited);
    if (failure !== undefined) runner.failed(first, failure.error);
    this.#owner.wakeIdle();
  }

  /** Waits for the promise of a handler. `limited` are its messages if there is a time limit. */
  #await(
    route: Route,
    messages: readonly IncomingMessage[],
    first: IncomingMessage,
    limited: readonly IncomingMessage[] | undefined,
    bytes: number,
    result: unknown,
  ): void {
    const runner = this.#runner;
    // Not the route: that may stand there for a message whose middleware goes on.
    const busy = route.ordered ? route.type : undefined;
    runner.begin(bytes, busy);
    const { promise, resolve } = Promise.withResolvers<void>();
    if (busy !== undefined) (this.#ordered ??= new Map()).set(busy, promise);
    runner.settle(result, route, {
      ended: () => {
        runner.end(messages, bytes, busy);
        this.#close(limited);
        if (this.#ordered?.get(route.type) === promise) this.#ordered.delete(route.type);
        resolve();
      },
      done: () => {},
      // It may have stopped because the signal of any of its messages was aborted.
      failed: (error) =>
        runner.failed(limited?.find((message) => message.watched && message.stopped(error)) ?? first, error),
      abort: (error) => {
        for (const message of limited!) message.abort(error);
      },
    });
  }

  /** Lets messages have signals that the time limit of their handler aborts. Returns the messages. */
  #reopen(messages: readonly IncomingMessage[]): readonly IncomingMessage[] {
    for (const message of messages) {
      message.finished = false;
      // A middleware has read it.
      if (message.watched) this.#host.watch(message);
    }
    return messages;
  }

  /** Undoes {@linkcode #reopen} when the handler has ended. */
  #close(messages: readonly IncomingMessage[] | undefined): void {
    for (const message of messages ?? []) {
      message.finished = true;
      if (message.watched) this.#host.unwatch(message);
    }
  }
}
