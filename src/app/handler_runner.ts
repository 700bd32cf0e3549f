/**
 * Calls the handlers of one connection's messages, counts those that are running, and sends what they return.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { IdMap } from "../base/id_map.ts";
import { isThenable } from "../base/thenable.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import { Flag } from "../wire/frame.ts";
import { declares } from "../message/declared_errors.ts";
import { replied } from "../message/message.ts";
import { answerError } from "../session/error_reply.ts";
import { kindOf, type Observers } from "../session/observers.ts";
import type { Session } from "../session/session.ts";
import type { HandlerLoad } from "./handler_load.ts";
import { Deadline, deadlineExceeded, type DeadlineOwner } from "./deadline.ts";
import type { IncomingMessage, MessageOrigin } from "./incoming_message.ts";
import type { Route, Routes } from "./routes.ts";

/** The peer whose messages are handled. */
export interface HandlerHost extends MessageOrigin {
  /** The second argument of handlers. */
  readonly handle: unknown;
  readonly owner: {
    error(error: unknown, message?: IncomingMessage): void;
  };
}

/** The dispatcher that hands messages to a {@linkcode HandlerRunner}. */
export interface HandlerRunnerOwner {
  /** True once messages that wait are dropped instead of handed out. */
  readonly closed: boolean;
  /** Hands out messages that wait, if the limits allow it. */
  resume(): void;
  /** Called when there may be less work than before, for the callers that wait until there is none. */
  wakeIdle(): void;
}

/** The state that all handler runners of a Server or a Client share. */
export interface HandlerRunnerShared {
  readonly clock: Clock;
  readonly routes: Routes;
  /** The timers of the handlers' time limits. */
  readonly wheel: TimerWheel;
  readonly observers: Observers;
  /**
   * `dispatcher` is that of the handler that is being called right now. `waits` becomes true when this handler closes
   * its own connection and waits for that.
   */
  readonly inside: { dispatcher: HandlerRunnerOwner | undefined; waits: boolean };
  /** On a client, the running handlers of all its connections, closed ones included. */
  readonly load: HandlerLoad | undefined;
}

/** A handler whose promise is awaited. */
export interface AwaitedHandler {
  /** Called first, once its promise is settled or its time is over: it does not count any more. */
  ended(): void;
  /** Called with what its promise resolves to. */
  done(value: unknown): void;
  /** Called with what it rejects with, or with the error of its time limit. */
  failed(error: unknown): void;
  /** Called last, when its time is over. */
  abort(error: Error): void;
}

/** Runs the handlers of one connection. Created with its first message, so that idle connections do without it. */
export class HandlerRunner implements DeadlineOwner<IncomingMessage> {
  readonly #host: HandlerHost;
  readonly #session: Session;
  readonly #shared: HandlerRunnerShared;
  readonly #owner: HandlerRunnerOwner;
  // Fields and not getters: the owner reads them for every message.
  /** The number of handlers that are running. */
  running = 0;
  /** The size of the payloads in asynchronous handlers, in bytes. */
  bytes = 0;
  /**
   * The ordered routes whose handlers are running, and the types of those that have an array of messages. On a client,
   * {@linkcode HandlerLoad.busy} has them instead.
   */
  busy: Set<object> | undefined = undefined;
  /** Native requests that wait for their handler or are in an asynchronous one, by id. */
  open: IdMap<IncomingMessage> | undefined = undefined;
  /** The messages, and arrays of them, whose handlers wait for the end of their own connection. */
  #excused: Set<object> | undefined = undefined;

  constructor(host: HandlerHost, session: Session, shared: HandlerRunnerShared, owner: HandlerRunnerOwner) {
    this.#host = host;
    this.#session = session;
    this.#shared = shared;
    this.#owner = owner;
  }

  /** The number of running handlers that wait for the end of their own connection. */
  get excused(): number {
    return this.#excused === undefined ? 0 : this.#excused.size;
  }

  /** Remembers a native request until it is finished. */
  opened(message: IncomingMessage): void {
    (this.open ??= new IdMap()).set(message);
    const { deadline } = message;
    if (deadline !== undefined && deadline.tick < 0) this.#shared.wheel.add(deadline, deadline.left);
  }

  /**
   * Called when the sender of a message waits no longer. Its handler still counts as running: the peer chooses the time,
   * and must not start more handlers than may run.
   */
  expired(message: IncomingMessage): void {
    if (!message.awaited) return;
    const error = deadlineExceeded(`Cannot answer "${message.type.name}"`);
    try {
      this.#session.refuse(message, error);
    } catch (failure) {
      this.#host.owner.error(failure, message);
    }
    message.abort(error);
  }

  /** Returns whether nobody waits for a message any more whose handler is about to be called. */
  #over(message: IncomingMessage): boolean {
    if (message.deadline?.left === 0) this.expired(message);
    return message.aborted !== undefined;
  }

  /** Stops the timers of all deadlines. */
  stopDeadlines(): void {
    for (const { deadline } of this.open?.values() ?? []) {
      if (deadline !== undefined) this.#shared.wheel.remove(deadline);
    }
  }

  /** Calls the handler of a message. */
  hand(message: IncomingMessage): void {
    const { route } = message;
    const session = this.#session;
    session.taken(message.charged);
    if (!message.plain && (this.#over(message) || message.packed !== 0 && !this.#unpack(message))) {
      this.#finished(message);
      this.#owner.wakeIdle();
      return;
    }
    const { handle } = this.#host;
    const { inside, observers: { routed } } = this.#shared;
    if (routed !== undefined && route !== undefined) {
      const { content, requestId, type: { code } } = message;
      const flags = session.native && message.wantsReply ? Flag.REQUEST : 0;
      routed({ code, size: content.length, requestId, kind: kindOf(code, flags) }, handle);
    }
    let result: unknown;
    let later: boolean;
    // Count the handler before it is called: if it closes its own connection, the end waits for it.
    this.running++;
    try {
      if (route !== undefined && !route.raw) message.decode();
      inside.dispatcher = this.#owner;
      inside.waits = false;
      result = (route ?? this.#shared.routes.catchAll).handler(message as never, handle as never);
      inside.dispatcher = undefined;
      later = isThenable(result);
    } catch (error) {
      inside.dispatcher = undefined;
      this.running--;
      this.failed(message, error);
      this.#owner.wakeIdle();
      return;
    }
    if (later) {
      this.#started(message);
      if (inside.waits) this.excuse(message);
      if (session.native && message.wantsReply) this.opened(message);
      this.#await(message, route, result);
      return;
    }
    this.running--;
    this.#answer(message, result);
    this.#owner.wakeIdle();
  }

  /**
   * Decodes a message that was left as it was received. Only then its deadline is known, which counts from its arrival.
   * Returns false if that failed, or if nobody waits for it any more.
   */
  #unpack(message: IncomingMessage): boolean {
    const { charged: size, content, packed: flags, requestId, sentAt, type: { code } } = message;
    const frame = this.#session.unpack({ code, flags, requestId, sentAt, size, content });
    if (frame === undefined) return false;
    const { content: decoded, meta } = frame;
    message.content = decoded;
    message.packed = 0;
    if (meta === undefined) return true;
    message.metadata = meta;
    const { deadline } = meta;
    if (deadline === undefined || !message.wantsReply) return true;
    message.deadline = new Deadline(message, deadline, this.#shared.clock, this, message.arrivedAt);
    return !this.#over(message);
  }

  /** Waits for the promise of a message's handler. */
  #await(message: IncomingMessage, route: Route | undefined, result: unknown): void {
    this.settle(result, route, {
      ended: () => this.#ended(message),
      done: (value) => this.#answer(message, value),
      failed: (error) => this.failed(message, error),
      abort: (error) => message.abort(error),
    });
  }

  /** Waits for the promise of a handler, up to the time limit of its route. */
  settle(result: unknown, route: Route | undefined, handled: AwaitedHandler): void {
    const { wheel } = this.#shared;
    let limit: Timeout | undefined;
    let over = false;
    const end = (finish: () => void): void => {
      if (over) return;
      over = true;
      if (limit !== undefined) wheel.remove(limit);
      handled.ended();
      finish();
      this.resume();
    };
    if (route?.timeout !== undefined) {
      const { timeout, type } = route;
      limit = new Timeout(() => {
        const error = new TimeoutError("timeout", `The handler of "${type.name}" took longer than ${timeout} ms`);
        end(() => handled.failed(error));
        handled.abort(error);
      });
      wheel.add(limit, timeout);
    }
    // Any thenable may come here. `Promise.resolve` makes sure that it settles only once, later, and without throwing.
    Promise.resolve(result).then(
      (value) => end(() => handled.done(value)),
      (error) => end(() => handled.failed(error)),
    );
  }

  /**
   * Counts a handler that goes on asynchronously.
   *
   * @param bytes The size of what it has, in bytes.
   * @param busy What {@linkcode busy} has of it, if its route is ordered.
   */
  begin(bytes: number, busy: object | undefined): void {
    const { load } = this.#shared;
    this.bytes += bytes;
    if (load !== undefined) {
      load.running++;
      load.bytes += bytes;
    }
    if (busy !== undefined) ((load ?? this).busy ??= new Set()).add(busy);
  }

  /** Undoes what {@linkcode begin} and {@linkcode excuse} counted, and the count of the handler of `handled` itself. */
  end(handled: object, bytes: number, busy: object | undefined): void {
    const { load } = this.#shared;
    this.running--;
    this.#excused?.delete(handled);
    this.bytes -= bytes;
    if (load !== undefined) {
      load.running--;
      load.bytes -= bytes;
    }
    if (busy !== undefined) (load ?? this).busy?.delete(busy);
  }

  /** Called when the handler of a message, or of an array of them, waits for the end of its own connection. */
  excuse(handled: object): void {
    (this.#excused ??= new Set()).add(handled);
    this.#owner.wakeIdle();
  }

  /** Counts the message of a handler that goes on asynchronously. */
  #started(message: IncomingMessage): void {
    const { routes } = this.#shared;
    const { route } = message;
    // Keep the size: a worker route may transfer the payload's buffer meanwhile.
    message.kept = message.content.length;
    message.started = true;
    this.begin(message.kept, route?.ordered === true ? route : undefined);
    if (message.wantsReply) this.#session.sender.writer.reserve(message, route?.answers ?? routes.unrouted);
  }

  /** Undoes what {@linkcode #started} counted, and the count of the handler itself. */
  #ended(message: IncomingMessage): void {
    const { routes } = this.#shared;
    const { route } = message;
    this.end(message, message.kept, route?.ordered === true ? route : undefined);
    if (message.reserved !== 0) this.#session.sender.writer.release(message, route?.answers ?? routes.unrouted);
  }

  /** Hands out messages that waited for an asynchronous handler. */
  resume(): void {
    this.#owner.resume();
    // On a client, messages of the next connection may have waited for this handler.
    if (this.#owner.closed) this.#shared.load?.waiting?.resume();
  }

  /** Sends the value that a handler returned, if its message is to be answered. */
  #answer(message: IncomingMessage, value: unknown): void {
    if (message.awaited && value !== replied) {
      if (message.route === undefined) {
        // No listener has answered, and none will.
        this.#refuse(message, answerError("no-route", `No route for code ${message.type.code}`));
      } else if (message.type.reply === undefined) {
        this.#refuse(message, answerError("no-reply-codec", `"${message.type.name}" is not answered here`));
      } else if (!this.#owner.closed) {
        try {
          message.answer(value);
        } catch (error) {
          this.failed(message, error);
          return;
        }
      }
    }
    this.#finished(message);
  }

  /** Answers with the error of a handler, and reports it, unless it is a declared one that the sender was told. */
  failed(message: IncomingMessage, error: unknown): void {
    // Nobody is told of errors in a Python protocol.
    const told = message.awaited && this.#session.native && !this.#session.over;
    if (message.awaited) this.#refuse(message, error);
    this.#finished(message);
    if (told && declares(message.type, error)) return;
    // A handler that stops because its message was aborted has not failed.
    if ((message.aborted !== undefined || this.#owner.closed) && message.stopped(error)) return;
    this.#host.owner.error(error, message);
  }

  /** Answers with an error, if the peer's protocol has error answers. */
  #refuse(message: IncomingMessage, error: unknown): void {
    message.answered = true;
    try {
      this.#session.refuse(message, error);
    } catch (failure) {
      this.#host.owner.error(failure, message);
    }
  }

  /** Forgets a message whose handler has ended or will not be called. */
  #finished(message: IncomingMessage): void {
    const { requestId } = message;
    message.finished = true;
    if (this.open?.get(requestId) === message) this.open.delete(requestId);
    if (message.plain) return;
    if (message.watched) this.#host.unwatch(message);
    if (message.deadline !== undefined) this.#shared.wheel.remove(message.deadline);
  }
}
