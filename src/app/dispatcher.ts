/**
 * Hands the messages of one connection to their handlers in the order they came. They wait in a bounded queue while enough
 * asynchronous handlers are running.
 *
 * @module
 */

import { ProtocolError, TimeoutError } from "../errors.ts";
import { isThenable } from "../base/thenable.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { bytes } from "../message/codecs.ts";
import { replied } from "../message/message.ts";
import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag } from "../wire/frame.ts";
import type { BatchBudget, BatchWaiter } from "../link/batch_budget.ts";
import type { HandlerLoad } from "./handler_load.ts";
import { IdMap } from "../base/id_map.ts";
import type { AnswerSizes } from "../link/answer_sizes.ts";
import { answerError } from "../session/error_reply.ts";
import { IncomingMessage, type MessageOrigin } from "./incoming_message.ts";
import { type MessageMaker, MessageQueue, type Received } from "./message_queue.ts";
import { RateLimiter, type RateLimiterHost } from "./rate_limiter.ts";
import type { Rate } from "./token_buckets.ts";
import type { Session } from "../session/session.ts";
import type { Inbox } from "../session/owner.ts";
import type { Route, Routes } from "./routes.ts";
import { DispatcherWaiters } from "./dispatcher_waiters.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import { kindOf, type Observers } from "../session/observers.ts";

/** The peer whose messages are dispatched. */
export interface DispatcherHost extends MessageOrigin {
  /** The second argument of handlers. */
  readonly handle: unknown;
  readonly owner: {
    unrouted(message: IncomingMessage): Promise<unknown>[];
    error(error: unknown, message: IncomingMessage): void;
  };
}

/** What all dispatchers of a Server or a Client share. */
export interface DispatcherShared {
  /** Where turns end. */
  readonly clock: Clock;
  /** Which handler takes what. */
  readonly routes: Routes;
  /** How much is handed out before others have their turn. */
  readonly budget: BatchBudget;
  /** For the time limits of handlers. */
  readonly wheel: TimerWheel;
  /** Who watches single messages. */
  readonly observers: Observers;
  /** How much a peer may send; `undefined` for no limit. */
  readonly rate: Rate | undefined;
  /** Whose handler is being called right now, and whether it closes what it runs on and waits for that. */
  readonly inside: { dispatcher: Dispatcher | undefined; waits: boolean };
  /** On a client: the handlers at work for all its connections, those that are over included. */
  readonly load: HandlerLoad | undefined;
  /** How many handlers may run, and how much may wait, in messages and bytes. */
  readonly limits: {
    readonly maxConcurrentHandlers: number;
    readonly maxQueuedMessages: number;
    readonly maxQueuedBytes: number;
    readonly maxHandlerBytes: number;
  };
}

/** Hands the messages of one connection to their handlers. */
export class Dispatcher implements BatchWaiter, Inbox, MessageMaker, RateLimiterHost {
  readonly #host: DispatcherHost;
  /** Set by {@linkcode serve}. */
  #session!: Session;
  readonly #shared: DispatcherShared;
  /** What waits for a handler. Made when something does. */
  #queue: MessageQueue | undefined = undefined;
  #running = 0;
  /** Bytes of payloads in asynchronous handlers. */
  #runningBytes = 0;
  #closed = false;
  #left = 0;
  #pumping = false;
  /** Made when somebody does. */
  #waiters: DispatcherWaiters | undefined = undefined;
  /** Ordered routes at work, but on a client. Made when it is needed, as is the next one. */
  #busy: Set<Route> | undefined = undefined;
  /** Native requests that are queued or in an asynchronous handler, by id. */
  #open: IdMap<IncomingMessage> | undefined = undefined;
  /** Where there is a rate limit. */
  readonly #rateLimiter: RateLimiter | undefined;

  /**
   * @param host The connection.
   * @param shared What it shares with others.
   */
  constructor(host: DispatcherHost, shared: DispatcherShared) {
    this.#host = host;
    this.#shared = shared;
    if (shared.load !== undefined) shared.load.waiting = this;
    this.#rateLimiter = shared.rate === undefined ? undefined : new RateLimiter(shared.rate, shared, this);
  }

  /** Begins with the messages of `session`. */
  serve(session: Session): void {
    this.#session = session;
  }

  /** Whether as much waits as may. A peer that needs credit stops by itself. */
  get full(): boolean {
    if (this.#rateLimiter?.held === true) return true;
    if (this.#session.flowControlled) return false;
    const { maxQueuedBytes, maxQueuedMessages } = this.#shared.limits;
    const queue = this.#queue;
    return queue !== undefined && (queue.size >= maxQueuedMessages || queue.bytes >= maxQueuedBytes);
  }

  /** The second argument of handlers. */
  get handle(): unknown {
    return this.#host.handle;
  }

  /** The peer sent more than it may. */
  rateExceeded(): void {
    this.#session.rateExceeded();
  }

  /** Messages that wait for a handler. */
  get waiting(): number {
    return this.#queue === undefined ? 0 : this.#queue.size;
  }

  /** Messages that waited when it was closed: nobody handles them any more. */
  get left(): number {
    return this.#left;
  }

  /** Asynchronous handlers at work. */
  get running(): number {
    return this.#running;
  }

  /** Messages that wait for a handler, and those in asynchronous ones. */
  get busy(): number {
    return this.waiting + this.#running;
  }

  /**
   * Takes a message.
   *
   * @throws {ProtocolError} A native request has the id of one that is not answered yet.
   */
  accept(frame: ReceivedFrame, receivedAt: number): void {
    const request = this.#session.native && (frame.flags & Flag.REQUEST) !== 0;
    const before = request ? this.#open?.get(frame.requestId) : undefined;
    if (before !== undefined && !before.answered && before.aborted === undefined) {
      throw new ProtocolError("protocol-error", `The peer used the request id ${frame.requestId} twice`);
    }
    const route = this.#shared.routes.get(frame.code);
    const asks = this.#asks(route, request);
    if (this.#rateLimiter?.admits(frame) === false) {
      this.#session.taken(frame.size);
      if (request && !this.#closed) this.#session.rejectRequest(frame, RATE_LIMITED);
      return;
    }
    if (this.waiting === 0 && this.#free(route, asks, frame.code, frame.content.length)) {
      this.#hand(this.#message(frame, route, receivedAt, asks));
      return;
    }
    const queue = this.#queue ??= new MessageQueue(this);
    // A packed message is charged for its content alone.
    if (!request && frame.size === frame.content.length && queue.pack(frame, receivedAt)) return;
    // A small payload would keep the whole chunk it came in alive while it waits. Credit counts payloads, not chunks.
    const { code, content, requestId, sentAt, size } = frame;
    const share = this.#session.flowControlled ? 16 / 15 : 4;
    const whole = content.buffer.byteLength;
    const large = content.length * share >= whole;
    const kept = { code, content: large ? content : content.slice(), requestId, sentAt, size };
    const message = this.#message(kept, route, receivedAt, asks);
    if (request) this.#opened(message);
    queue.push(message, large ? whole : content.length);
  }

  /** Makes a message that was packed while it waited. */
  unpacked(received: Received, receivedAt: number): IncomingMessage {
    const route = this.#shared.routes.get(received.code);
    return this.#message(received, route, receivedAt, this.#asks(route, false));
  }

  /** The sender of a request does not wait for it any more. Returns false if there is no such request, or if it was cancelled before. */
  cancel(id: number | string): boolean {
    const message = this.#open?.get(id);
    if (message === undefined || message.aborted !== undefined) return false;
    message.abort(new DOMException("The sender cancelled the request", "AbortError"));
    return true;
  }

  /** Counts a frame that is no message, but costs as much. False if it is not to be answered. */
  permits(frame: ReceivedFrame): boolean {
    return this.#rateLimiter?.counts(frame) ?? true;
  }

  /** Settles when more may come, or when it is closed. */
  room(): Promise<void> {
    return this.#waits.room.wait();
  }

  /** Settles when nothing waits and no handler runs, or when it is closed. */
  idle(): Promise<void> {
    if (this.busy === 0 || this.#closed) return Promise.resolve();
    return this.#waits.idle.wait();
  }

  /** Settles when handlers wait for the end, and nothing but them is under way; never rejects. */
  quiet(): Promise<void> {
    const quiet = this.#waits.quiet.wait();
    this.#wakeIdle();
    return quiet;
  }

  get #waits(): DispatcherWaiters {
    return this.#waiters ??= new DispatcherWaiters();
  }

  /** Forgets what waits. */
  close(): void {
    this.#closed = true;
    const { load } = this.#shared;
    if (load?.waiting === this) load.waiting = undefined;
    this.#rateLimiter?.close();
    this.#left += this.waiting;
    this.#queue?.clear();
    this.#wake();
  }

  /** Whether a message of `size` bytes may be handed out now; `asks`: whether an answer will be sent. */
  #free(route: Route | undefined, asks: boolean, code: number, size: number): boolean {
    if (asks && this.#session.sender.writer.full) return false;
    if (this.#rateLimiter?.flows(code) === false) return false;
    const { limits: { maxHandlerBytes, maxConcurrentHandlers }, load } = this.#shared;
    const running = load === undefined ? this.#running : load.running;
    if (running > 0) {
      const runningBytes = load === undefined ? this.#runningBytes : load.bytes;
      if (running >= maxConcurrentHandlers || runningBytes + size > maxHandlerBytes) return false;
      const busy = load === undefined ? this.#busy : load.busy;
      if (route?.ordered === true && busy?.has(route) === true) return false;
    }
    return !asks || this.#session.sender.writer.affords(this.#sizes(route));
  }

  #sizes(route: Route | undefined): AnswerSizes {
    return route === undefined ? this.#shared.routes.unrouted : route.answers;
  }

  /** Counts a handler that goes on by itself. */
  #started(message: IncomingMessage): void {
    const { load } = this.#shared;
    const { route } = message;
    // A worker route may give the payload away meanwhile.
    message.kept = message.content.length;
    this.#runningBytes += message.kept;
    if (load !== undefined) {
      load.running++;
      load.bytes += message.kept;
    }
    if (route?.ordered === true) {
      if (load === undefined) (this.#busy ??= new Set()).add(route);
      else (load.busy ??= new Set()).add(route);
    }
    if (message.wantsReply) this.#session.sender.writer.reserve(message, this.#sizes(route));
  }

  /** Takes it off. */
  #ended(message: IncomingMessage): void {
    const { load } = this.#shared;
    const { route } = message;
    this.#running--;
    this.#waiters?.excused.delete(message);
    this.#runningBytes -= message.kept;
    if (load !== undefined) {
      load.running--;
      load.bytes -= message.kept;
    }
    if (route?.ordered === true) (load === undefined ? this.#busy : load.busy)?.delete(route);
    if (message.reserved !== 0) this.#session.sender.writer.release(message, this.#sizes(route));
  }

  /** A message that waited, for whoever takes its type by now. */
  #current(message: IncomingMessage): IncomingMessage {
    const { charged: size, content, receivedAt, requestId, sentAt, type: { code } } = message;
    const route = this.#shared.routes.get(code);
    if (route === message.route || message.aborted !== undefined) return message;
    const asks = this.#asks(route, message.wantsReply);
    const current = this.#message({ code, content, requestId, sentAt, size }, route, receivedAt, asks);
    current.kept = message.kept;
    if (this.#open?.get(requestId) === message) this.#opened(current);
    return current;
  }

  /** Whether a message is to be answered: a native one says so, another one's route does. */
  #asks(route: Route | undefined, request: boolean): boolean {
    return this.#session.native ? request : route === undefined || route.type.reply !== undefined;
  }

  /** Makes a message. `size` is that of its payload as it came, where that may be another than its content's. */
  #message(
    frame: Received & { readonly size?: number },
    route: Route | undefined,
    receivedAt: number,
    asks: boolean,
  ): IncomingMessage {
    const type = route === undefined ? unknownType(frame.code) : route.type;
    const message = new IncomingMessage(type, route, frame, receivedAt, asks, this.#host);
    if (frame.size !== undefined && frame.size !== message.content.length) message.charged = frame.size;
    return message;
  }

  /** Gives a message to its handler. */
  #hand(message: IncomingMessage): void {
    const { route } = message;
    const { handle, owner } = this.#host;
    const session = this.#session;
    const size = message.content.length;
    this.#rateLimiter?.handed(size);
    session.taken(message.charged);
    if (message.aborted !== undefined) {
      this.#finished(message);
      this.#wakeIdle();
      return;
    }
    if (route === undefined) {
      const pending = owner.unrouted(message);
      if (pending.length === 0) this.#unanswered(message);
      else {
        this.#running++;
        this.#started(message);
        if (message.wantsReply) this.#opened(message);
        void Promise.all(pending).then(() => {
          this.#ended(message);
          this.#unanswered(message);
          this.resume();
          if (this.#closed) this.#shared.load?.waiting?.resume();
        });
      }
      return;
    }
    const { routed } = this.#shared.observers;
    if (routed !== undefined) {
      const { requestId, type: { code } } = message;
      const flags = session.native && message.wantsReply ? Flag.REQUEST : 0;
      routed({ code, size, requestId, kind: kindOf(code, flags) }, handle);
    }
    let result: unknown;
    let later: boolean;
    // It runs from the first: who closes the connection inside it waits for it.
    this.#running++;
    const { inside } = this.#shared;
    try {
      if (!route.raw) message.decode();
      inside.dispatcher = this;
      inside.waits = false;
      result = route.handler(message as never, handle as never);
      inside.dispatcher = undefined;
      later = isThenable(result);
    } catch (error) {
      inside.dispatcher = undefined;
      this.#running--;
      this.#failed(message, error);
      this.#wakeIdle();
      return;
    }
    if (later) {
      this.#started(message);
      if (inside.waits) {
        this.#waits.excused.add(message);
        this.#wakeIdle();
      }
      if (session.native && message.wantsReply) this.#opened(message);
      this.#await(message, route, result);
      return;
    }
    this.#running--;
    this.#answer(message, result);
    this.#wakeIdle();
  }

  /** Waits for an asynchronous handler, for as long as its route allows. */
  #await(message: IncomingMessage, route: Route, result: unknown): void {
    const { wheel } = this.#shared;
    let limit: Timeout | undefined;
    let over = false;
    const end = (finish: () => void): void => {
      if (over) return;
      over = true;
      if (limit !== undefined) wheel.remove(limit);
      this.#ended(message);
      finish();
      this.resume();
      if (this.#closed) this.#shared.load?.waiting?.resume();
    };
    if (route.timeout !== undefined) {
      const { timeout, type } = route;
      limit = new Timeout(() => {
        const error = new TimeoutError("timeout", `The handler of "${type.name}" took longer than ${timeout} ms`);
        end(() => this.#failed(message, error));
        message.abort(error);
      });
      wheel.add(limit, timeout);
    }
    // Whatever it is: settled once, later, and without throwing.
    Promise.resolve(result).then(
      (value) => end(() => this.#answer(message, value)),
      (error) => end(() => this.#failed(message, error)),
    );
  }

  #answer(message: IncomingMessage, value: unknown): void {
    if (message.awaited && value !== replied) {
      if (message.type.reply === undefined) {
        this.#refuse(message, answerError("no-reply-codec", `"${message.type.name}" is not answered here`));
      } else if (!this.#closed) {
        try {
          message.answer(value);
        } catch (error) {
          this.#failed(message, error);
          return;
        }
      }
    }
    this.#finished(message);
  }

  #failed(message: IncomingMessage, error: unknown): void {
    if (message.awaited) this.#refuse(message, error);
    this.#finished(message);
    // That a handler stops because it was told to is no failure.
    if ((message.aborted !== undefined || this.#closed) && message.stopped(error)) return;
    this.#host.owner.error(error, message);
  }

  /** No listener has answered a message without a route, and none will. */
  #unanswered(message: IncomingMessage): void {
    if (message.awaited) this.#refuse(message, answerError("no-route", `No route for code ${message.type.code}`));
    this.#finished(message);
  }

  /** Answers with an error, where the peer understands one. */
  #refuse(message: IncomingMessage, error: unknown): void {
    message.answered = true;
    try {
      this.#session.refuse(message, error);
    } catch (failure) {
      this.#host.owner.error(failure, message);
    }
  }

  #opened(message: IncomingMessage): void {
    (this.#open ??= new IdMap()).set(message);
  }

  #finished(message: IncomingMessage): void {
    const { requestId } = message;
    message.finished = true;
    if (this.#open?.get(requestId) === message) this.#open.delete(requestId);
    if (message.watched) this.#host.unwatch(message);
  }

  /** The others had their turn. */
  proceed(): void {
    this.#pumping = false;
    this.resume();
  }

  /** Hands out what waited, as far as it may, a batch at a time. */
  resume(): void {
    if (this.#pumping) return;
    const { budget } = this.#shared;
    budget.start(this.waiting > 1);
    const queue = this.#queue;
    while (queue !== undefined && queue.size > 0) {
      const message = this.#current(queue.first!);
      const { content, route, type, wantsReply } = message;
      if (!this.#free(route, wantsReply, type.code, content.length)) break;
      queue.shift(message);
      this.#hand(message);
      if (!budget.spend()) continue;
      this.#pumping = true;
      budget.wait(this);
      break;
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#waiters === undefined) return;
    if (this.#closed || !this.full) this.#waiters.room.release();
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    this.#waiters?.settle(this.busy, this.#closed);
  }
}

const RATE_LIMITED = answerError("rate-limited", "More messages than the receiver takes");

function unknownType(code: number): AnyMessageType {
  return { code, name: `type-${code}`, description: "", payload: bytes as never, reply: bytes as never };
}
