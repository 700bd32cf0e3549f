/**
 * Hands the messages of one connection to their handlers, in the order in which they came. While as many asynchronous
 * handlers are running as may run, further messages wait in a bounded queue.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { bytes } from "../message/codecs.ts";
import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag } from "../wire/frame.ts";
import type { BatchBudget, BatchWaiter } from "../link/batch_budget.ts";
import { RATE_LIMITED } from "../session/error_reply.ts";
import {
  type HandlerHost,
  HandlerRunner,
  type HandlerRunnerOwner,
  type HandlerRunnerShared,
} from "./handler_runner.ts";
import { Batches } from "./batches.ts";
import { Deadline } from "./deadline.ts";
import { IncomingMessage } from "./incoming_message.ts";
import { keepable, type MessageMaker, MessageQueue, type Received } from "./message_queue.ts";
import { RateLimiter, type RateLimiterHost } from "./rate_limiter.ts";
import type { Rate } from "./token_buckets.ts";
import type { Session } from "../session/session.ts";
import type { Inbox } from "../session/owner.ts";
import type { AcceptedStream } from "../session/streams.ts";
import { StreamRunner } from "./streams/stream_runner.ts";
import type { Route } from "./routes.ts";
import { DispatcherWaiters } from "./dispatcher_waiters.ts";

/** The state that all dispatchers of a Server or a Client share. */
export interface DispatcherShared extends HandlerRunnerShared {
  readonly clock: Clock;
  /** Limits how much one connection hands out before other connections get their turn. */
  readonly budget: BatchBudget;
  /** How much a peer may send; `undefined` for no limit. */
  readonly rate: Rate | undefined;
  /** How many handlers may run and how many messages may wait, also in bytes of payload. */
  readonly limits: {
    readonly maxConcurrentHandlers: number;
    readonly maxQueuedMessages: number;
    readonly maxQueuedBytes: number;
    readonly maxHandlerBytes: number;
    readonly maxStreams: number;
  };
}

/** Hands the messages of one connection to their handlers. */
export class Dispatcher implements BatchWaiter, HandlerRunnerOwner, Inbox, MessageMaker, RateLimiterHost {
  readonly #host: HandlerHost;
  /** Set by {@linkcode serve}. */
  #session!: Session;
  readonly #shared: DispatcherShared;
  /** The messages that wait for a handler. Created when one has to wait. */
  #queue: MessageQueue | undefined = undefined;
  /** Created by {@linkcode accept}, with the first message. */
  #runner: HandlerRunner | undefined = undefined;
  /** Created with the first message of a route with `batch`. */
  #batches: Batches | undefined = undefined;
  gathering = false;
  /** Created with the first stream of the peer. */
  #streams: StreamRunner | undefined = undefined;
  /** True once {@linkcode close} was called. A field and not a getter: it is read for every answer. */
  closed = false;
  #left = 0;
  /** True while the queue waits for the turns of other connections. */
  #pumping = false;
  /** Created for the first caller that waits. */
  #waiters: DispatcherWaiters | undefined = undefined;
  /** `undefined` without a rate limit. */
  readonly #rateLimiter: RateLimiter | undefined;

  /**
   * @param host The connection.
   * @param shared The state that all dispatchers of the Server or Client share.
   */
  constructor(host: HandlerHost, shared: DispatcherShared) {
    this.#host = host;
    this.#shared = shared;
    if (shared.load !== undefined) shared.load.waiting = this;
    this.#rateLimiter = shared.rate === undefined ? undefined : new RateLimiter(shared.rate, shared, this);
  }

  /** Sets the session whose messages are dispatched. */
  serve(session: Session): void {
    this.#session = session;
  }

  /** True while the queue is at its limit. Flow control stops a peer by itself, so the queue does not count then. */
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

  /** Called when the peer sent more than its rate limit allows. Closes the connection. */
  rateExceeded(): void {
    this.#session.rateExceeded();
  }

  /** The number of messages that wait for a handler. */
  get waiting(): number {
    return this.#queue === undefined ? 0 : this.#queue.size;
  }

  /** The number of messages that waited when the dispatcher was closed. No handler gets them. */
  get left(): number {
    return this.#left;
  }

  /** The number of handlers that are running. */
  get running(): number {
    return this.#runner === undefined ? 0 : this.#runner.running;
  }

  get queuedBytes(): number {
    return this.#queue?.bytes ?? 0;
  }

  /** The number of messages that wait for a handler, are gathered for one or are in one, and of streams that are in one. */
  get busy(): number {
    const gathered = this.gathering ? this.#batches!.size : 0;
    return this.waiting + gathered + this.running + (this.#streams?.running ?? 0);
  }

  /** Takes a stream that the peer has opened. */
  opened(stream: AcceptedStream): void {
    this.#streams ??= new StreamRunner(this.#host, this.#session, this.#shared, this);
    this.#streams.opened(stream);
  }

  /** Counts bytes of streams against the rate limit. Returns how long the next ones have to wait, in milliseconds. */
  delay(bytes: number): number {
    return this.#rateLimiter?.delay(bytes) ?? 0;
  }

  /**
   * Takes a message.
   *
   * @throws {ProtocolError} A native request has the id of one that is not answered yet.
   */
  accept(frame: ReceivedFrame, receivedAt: number): void {
    if (this.gathering && this.#join(frame, receivedAt)) return;
    const runner = this.#runner ??= new HandlerRunner(this.#host, this.#session, this.#shared, this);
    const request = this.#session.native && (frame.flags & Flag.REQUEST) !== 0;
    if (request && (this.asked(frame.requestId) || this.#streamed(frame.requestId))) {
      throw new ProtocolError("protocol-error", `The peer used the request id ${frame.requestId} twice`);
    }
    const route = this.#shared.routes.get(frame.code);
    const asks = this.#asks(route, request);
    if (this.#rateLimiter?.admits(frame) === false) {
      this.#session.taken(frame.size);
      if (request && !this.closed) this.#session.rejectRequest(frame, RATE_LIMITED);
      return;
    }
    const packed = (frame.flags & this.#session.deferredFlags) !== 0;
    const bytes = packed ? frame.size : frame.content.length;
    if (this.waiting === 0 && this.#free(route, asks, frame.code, bytes)) {
      this.#rateLimiter?.handed(frame.size);
      runner.hand(this.#message(frame, route, receivedAt, asks));
      return;
    }
    const queue = this.#queue ??= new MessageQueue(this);
    // A packed message is charged for the size of its content, so others cannot be packed.
    if (!request && !packed && frame.size === frame.content.length && queue.pack(frame, receivedAt)) return;
    const { code, flags, meta, requestId, sentAt, size } = frame;
    const content = keepable(frame.content, this.#session.flowControlled);
    const message = this.#message({ code, flags, content, meta, requestId, sentAt, size }, route, receivedAt, asks);
    if (request) runner.opened(message);
    queue.push(message);
  }

  /** Gathers a message that joins others, if it needs nothing but its payload decoded. Returns false otherwise. */
  #join(frame: ReceivedFrame, receivedAt: number): boolean {
    const { observers: { routed } } = this.#shared;
    if (frame.flags !== 0 || routed !== undefined || this.#rateLimiter !== undefined || this.waiting > 0) return false;
    if (!this.#batches!.take(frame, receivedAt)) return false;
    this.gathering = this.#batches!.size > 0;
    return true;
  }

  /** Gathers a message whose middleware has gone on, or which has none; see `MessageOrigin.gather`. */
  gather(message: IncomingMessage): unknown {
    const batches = this.#batches ??= new Batches(this.#host, this.#session, this.#shared, this, this.#runner!);
    if (message.started) return batches.single(message);
    batches.add(message);
    this.gathering = true;
    return undefined;
  }

  joins(frame: ReceivedFrame): boolean {
    return this.#batches!.joins(frame);
  }

  handOut(): void {
    if (!this.gathering) return;
    this.gathering = false;
    this.#batches!.handOut();
  }

  /** Makes a message of its parts, which were packed while it waited. */
  unpacked(received: Received, receivedAt: number): IncomingMessage {
    const route = this.#shared.routes.get(received.code);
    return this.#message(received, route, receivedAt, this.#asks(route, false));
  }

  asked(id: number | string): boolean {
    const message = this.#runner?.open?.get(id);
    return message !== undefined && !message.answered && message.aborted === undefined;
  }

  /** Returns whether a stream of the peer has this id. */
  #streamed(id: number | string): boolean {
    return this.#streams !== undefined && this.#session.streams?.has(id) === true;
  }

  /** Aborts a request. Returns false if there is no such request, or if it was aborted before. */
  cancel(id: number | string): boolean {
    const message = this.#runner?.open?.get(id);
    if (message === undefined || message.aborted !== undefined) return false;
    message.abort(new DOMException("The sender cancelled the request", "AbortError"));
    return true;
  }

  /** Counts a frame that is no message against the rate limit. Returns false if the frame must not be answered. */
  permits(frame: ReceivedFrame): boolean {
    return this.#rateLimiter?.counts(frame) ?? true;
  }

  /** Settles when the queue takes more messages, or when the dispatcher is closed. */
  room(): Promise<void> {
    return this.#waits.room.wait();
  }

  /** Settles when no message waits and no handler runs, or when the dispatcher is closed. */
  idle(): Promise<void> {
    if (this.busy === 0 || this.closed) return Promise.resolve();
    return this.#waits.idle.wait();
  }

  /** Settles when the only work left is handlers that wait for the end of this connection. Never rejects. */
  quiet(): Promise<void> {
    const quiet = this.#waits.quiet.wait();
    this.wakeIdle();
    return quiet;
  }

  get #waits(): DispatcherWaiters {
    return this.#waiters ??= new DispatcherWaiters();
  }

  /** Hands out the messages that are gathered, and drops those that wait. */
  close(): void {
    this.handOut();
    this.closed = true;
    const { load } = this.#shared;
    if (load?.waiting === this) load.waiting = undefined;
    this.#runner?.stopDeadlines();
    this.#rateLimiter?.close();
    this.#left += this.waiting;
    this.#queue?.clear();
    this.#wake();
  }

  /**
   * Returns whether a message may be handed out now.
   *
   * @param asks True if an answer will be sent.
   * @param size The size of its payload, in bytes.
   */
  #free(route: Route | undefined, asks: boolean, code: number, size: number): boolean {
    if (asks && this.#session.sender.writer.full) return false;
    if (this.#rateLimiter?.flows(code) === false) return false;
    const { limits: { maxHandlerBytes, maxConcurrentHandlers }, load } = this.#shared;
    const work = load ?? this.#runner!;
    if (work.running > 0) {
      if (work.running >= maxConcurrentHandlers || work.bytes + size > maxHandlerBytes) return false;
      if (route?.ordered === true && (work.busy?.has(route) === true || work.busy?.has(route.type) === true)) {
        return false;
      }
    }
    return !asks || this.#session.sender.writer.affords(route?.answers ?? this.#shared.routes.unrouted);
  }

  /**
   * Returns a message that waited, for the handler that its type has now. The first in line is asked for it again as long as
   * it may not be handled.
   */
  #current(first: IncomingMessage): IncomingMessage {
    const message = first.successor ?? first;
    const { charged: size, content, deadline, receivedAt, requestId, sentAt, type: { code } } = message;
    const route = this.#shared.routes.get(code);
    if (route === message.route || message.aborted !== undefined) return message;
    const asks = this.#asks(route, message.wantsReply);
    const flags = message.packed;
    const current = this.#message({ code, flags, content, requestId, sentAt, size }, route, receivedAt, asks);
    current.kept = message.kept;
    if (flags !== 0) current.arrivedAt = message.arrivedAt;
    if (message.metadata !== undefined) current.metadata = message.metadata;
    if (deadline !== undefined) {
      current.deadline = deadline;
      deadline.message = current;
    }
    if (this.#runner?.open?.get(requestId) === message) this.#runner.opened(current);
    first.successor = current;
    return current;
  }

  /** Returns whether a message is to be answered. Native messages say it themselves, for others the route decides. */
  #asks(route: Route | undefined, request: boolean): boolean {
    return this.#session.native ? request : route === undefined || route.type.reply !== undefined;
  }

  /** Makes a message. `frame.size` is what its sender is charged for, which may differ from the size of its content. */
  #message(
    frame: Received & { readonly size?: number; readonly flags?: number },
    route: Route | undefined,
    receivedAt: number,
    asks: boolean,
  ): IncomingMessage {
    const type = route === undefined ? unknownType(frame.code) : route.type;
    const message = new IncomingMessage(type, route, frame, receivedAt, asks, this.#host);
    if (frame.size !== undefined && frame.size !== message.content.length) message.charged = frame.size;
    // Most messages are asked once whether anything but their payload is known.
    if (frame.flags !== undefined && frame.flags > Flag.REQUEST) this.#describe(message, frame.flags, frame.meta);
    return message;
  }

  /** Tells a message what the flags of features say of it. */
  #describe(message: IncomingMessage, flags: number, meta: Received["meta"]): void {
    const asks = message.wantsReply;
    if ((flags & this.#session.deferredFlags) !== 0) {
      message.packed = flags;
      // Its metadata is compressed as well. It is not known yet whether it has a deadline.
      if (asks && (flags & Flag.META) !== 0) message.arrivedAt = this.#shared.clock.now();
    }
    if (meta === undefined) return;
    message.metadata = meta;
    const { deadline } = meta;
    if (asks && deadline !== undefined) {
      message.deadline = new Deadline(message, deadline, this.#shared.clock, this.#runner!);
    }
  }

  /** Goes on with the queue after other connections had their turn. */
  proceed(): void {
    this.#pumping = false;
    this.resume();
  }

  /** Hands out messages that wait, one batch at a time, until the limits allow no more. */
  resume(): void {
    if (this.#pumping) return;
    const { budget } = this.#shared;
    budget.start(this.waiting > 1);
    const queue = this.#queue;
    while (queue !== undefined && queue.size > 0) {
      if (this.gathering && !this.#batches!.fits(queue.first!)) {
        // Its handler may end the session or start others.
        this.handOut();
        continue;
      }
      const message = this.#current(queue.first!);
      const { charged, route, size, type, wantsReply } = message;
      if (!this.#free(route, wantsReply, type.code, size)) break;
      queue.shift(message);
      this.#rateLimiter?.handed(charged);
      this.#runner!.hand(message);
      if (!budget.spend()) continue;
      this.#pumping = true;
      budget.wait(this);
      break;
    }
    this.handOut();
    this.#wake();
  }

  #wake(): void {
    if (this.#waiters === undefined) return;
    if (this.closed || !this.full) this.#waiters.room.release();
    this.wakeIdle();
  }

  /** Lets the callers of {@linkcode idle} and {@linkcode quiet} go on, if what they wait for has come. */
  wakeIdle(): void {
    this.#waiters?.settle(this.busy, (this.#runner?.excused ?? 0) + (this.#streams?.excused ?? 0), this.closed);
  }
}

function unknownType(code: number): AnyMessageType {
  const raw = bytes as never;
  return { code, name: `type-${code}`, description: "", payload: raw, reply: raw, compress: true };
}
