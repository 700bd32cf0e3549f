/**
 * One open connection: sends messages and requests, passes received frames to where they belong, and has one way to end. It
 * knows neither servers nor clients; they give it handlers, limits and a receiver of its events.
 *
 * @module
 */

import { ConnectionError, ProtocolError, type Refusal } from "../errors.ts";
import { checkPayload } from "../message/codecs.ts";
import type { MessageType } from "../message/message_type.ts";
import type { Recovery } from "../app/config.ts";
import type { Connection } from "../transport.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { FIRST_APPLICATION_CODE, Flag, SystemCode } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { get32 } from "../wire/integers.ts";
import { isNative, type Protocol } from "../wire/protocols.ts";
import type { AnswerSizes } from "../link/answer_sizes.ts";
import { closedError, type CloseReason, reasonOf } from "../link/close_reason.ts";
import { CreditMeter, creditTerms } from "./features/credit.ts";
import type { DeliveryCounts } from "./delivery_log.ts";
import { Departure, type DepartureHost } from "./departure.ts";
import { Dispatcher, type DispatcherHost } from "../app/dispatcher.ts";
import { answerError, errorContent, NO_DETAILS } from "./error_reply.ts";
import { Feature } from "./feature.ts";
import type { Parting } from "./features/goaway.ts";
import { Heartbeat, type HeartbeatHost } from "../link/heartbeat.ts";
import type { IncomingMessage } from "../app/incoming_message.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { AnswerCodec, RequestOptions } from "./requests.ts";
import { FrameSource, type FrameSourceEvents } from "../link/frame_source.ts";
import { noReplyCodec, Sender, type SenderHost } from "./sender.ts";
import type { SessionShared } from "../app/shared.ts";
import type { SessionStats } from "./counters.ts";
import { kindOf } from "./observers.ts";

/** Receives a connection's events. */
export interface SessionEvents {
  /** A message that no route takes. Returns promises of those who may still answer it. */
  unrouted(message: IncomingMessage): Promise<unknown>[];
  /** Something failed, and the connection goes on or ends with it. */
  error(error: unknown, message?: IncomingMessage): void;
  /** It stopped being open: nothing more can be sent. */
  closing(): void;
  /** It is over, the socket released. Called once; `why` makes the error behind it, if there is one. */
  closed(reason: CloseReason, why: () => unknown): void;
}

/** One open connection. Much of it is made only when it is used: most connections are idle most of the time. */
export class Session implements DepartureHost, DispatcherHost, HeartbeatHost, FrameSourceEvents, SenderHost {
  /** How frames look. */
  readonly protocol: Protocol;
  /** What is spoken: `"native"`, or the release that the peer announced. */
  readonly spoken: string;
  /** Whether native frames are spoken. */
  readonly native: boolean;
  /** Whether the peer needs credit to send. */
  readonly credited: boolean;
  /** The second argument of handlers. */
  readonly peer: unknown;
  /** What it speaks over. */
  readonly connection: Connection;
  /** Which end this is. */
  readonly side: "client" | "server";
  /** Whether the peer understands GOAWAY. */
  readonly polite: boolean;
  readonly #shared: SessionShared;
  readonly #events: SessionEvents;
  /** What it says. */
  readonly sender: Sender;
  /** What it hears. */
  readonly source: FrameSource;
  /** What runs. */
  readonly dispatcher: Dispatcher;
  readonly #meter: CreditMeter | undefined;
  readonly #heartbeat: Heartbeat | undefined;
  readonly #departure: Departure;
  #framesIgnored = 0;
  /** Messages that came while it was being closed, and that want no answer. */
  #tooLate = 0;
  /** Frames that meant nothing. */
  #idle = 0;
  /** Grants of the peer. */
  #grants = 0;
  #closed: ResettablePromise | undefined = undefined;
  /** Aborted when it is over. */
  #gone: AbortController | undefined = undefined;
  /** Messages with signals of their own. */
  #watched: Set<IncomingMessage> | undefined = undefined;

  /**
   * Begins to work at once; call {@linkcode run} to begin to read.
   *
   * @param connection What it speaks over.
   * @param outcome What the handshake brought.
   * @param side Which end this is.
   * @param shared What it shares with others.
   * @param recovery What a torn stream of a Python peer does.
   * @param events Receives events.
   * @param peer The second argument of handlers.
   */
  constructor(
    connection: Connection,
    outcome: HandshakeOutcome,
    side: "client" | "server",
    shared: SessionShared,
    recovery: Recovery,
    events: SessionEvents,
    peer: unknown,
  ) {
    const { protocol, release, features } = outcome;
    const { clock } = shared;
    this.protocol = protocol;
    this.native = isNative(protocol);
    this.spoken = this.native ? "native" : release || protocol.name;
    this.peer = peer;
    this.connection = connection;
    this.side = side;
    this.polite = features.has(Feature.GOAWAY);
    this.#shared = shared;
    this.#events = events;
    this.sender = new Sender(connection, outcome, side, shared, this);
    this.source = new FrameSource(connection, protocol, shared.limits.maxMessageSize, recovery, shared, this);
    this.dispatcher = new Dispatcher(this, shared);
    this.#departure = new Departure(this);
    const credit = features.get(Feature.CREDIT);
    this.credited = credit !== undefined;
    if (credit !== undefined) this.sender.writer.limit(creditTerms(credit));
    this.#meter = credit === undefined ? undefined : new CreditMeter(shared.credit, clock);
    const tuning = this.native ? shared.tuning.heartbeat : shared.tuning.pythonHeartbeat;
    this.#heartbeat = tuning === undefined ? undefined : new Heartbeat(this, shared.wheel, clock, tuning);
  }

  /** For time limits. */
  get wheel(): TimerWheel {
    return this.#shared.wheel;
  }

  /** Settles, never rejects, when it is over. */
  get closed(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new ResettablePromise();
      if (this.#departure.over) this.#closed.release();
    }
    return this.#closed.promise;
  }

  /** Whether messages can be sent. */
  get open(): boolean {
    return this.#departure.open;
  }

  /** True from the moment that the peer says that it goes away until it is over. */
  get leaving(): boolean {
    return this.#departure.leaving;
  }

  /** How long a peer that goes away may take at most, in milliseconds. */
  get maxDrain(): number {
    return this.#shared.limits.maxDrain;
  }

  /** Why it ended, as soon as it does. */
  get reason(): CloseReason | undefined {
    return this.#departure.reason;
  }

  /** When the peer that goes away may be asked again, in milliseconds; 0 where it did not say. */
  get retryAfter(): number {
    return this.#departure.retryAfter;
  }

  /** What the peer said that shut this side out. */
  get refusal(): Refusal | undefined {
    return this.#departure.refusal;
  }

  /** Messages that came, and whose handlers were not called because it ended. */
  get unhandled(): number {
    return this.dispatcher.left + this.#tooLate;
  }

  /** Bytes that wait to be sent. */
  get buffered(): number {
    return this.sender.writer.buffered;
  }

  /** The largest frame that the peer takes, header included, in bytes. */
  get maxMessageSize(): number {
    return this.sender.maxMessageSize;
  }

  /** Counters. */
  get stats(): SessionStats {
    const { writer, pending } = this.sender;
    return {
      framesSent: this.sender.frames,
      framesReceived: this.source.frames,
      bytesSent: writer.written,
      bytesReceived: this.source.bytes,
      bufferedBytes: writer.buffered + writer.heldBytes,
      queuedMessages: this.dispatcher.waiting,
      runningHandlers: this.dispatcher.running,
      repliesDropped: pending.dropped,
      repliesLeftOut: this.sender.leftOut,
      framesDropped: this.source.dropped,
      bytesSkipped: this.source.skipped,
      framesIgnored: this.#framesIgnored,
      pendingRequests: pending.size,
    };
  }

  /** What became of the messages, where that is tracked. */
  get deliveries(): DeliveryCounts | undefined {
    return this.sender.deliveries;
  }

  /** From now on counts what becomes of messages. */
  track(): void {
    this.sender.track();
  }

  /** Begins with what came behind the handshake, and reads on. */
  run(rest: Uint8Array): void {
    this.source.run(rest);
  }

  /** Sends a message; see `Client.send`. */
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: In): boolean {
    this.#checkOpen(`Cannot send "${type.name}"`);
    return this.sender.message(type, payload);
  }

  /** The same with a payload that is encoded already. */
  sendContent(name: string, code: number, content: Uint8Array | string): boolean {
    this.#checkOpen(`Cannot send "${name}"`);
    return this.sender.content(name, code, content);
  }

  /** Sends whole frames that are encoded already; throws a `BackpressureError` when there is no room. */
  sendEncoded(frames: Uint8Array): void {
    this.sender.encoded(frames);
  }

  /** Sends a request; see `Client.request`. Never throws: what keeps it from being sent rejects. */
  request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
  ): Promise<ReplyOut> {
    try {
      const { name, code, reply } = type;
      this.#checkOpen(`Cannot request "${name}"`);
      if (reply === undefined) throw noReplyCodec(name);
      const content = checkPayload(name, type.payload.encode(payload));
      return this.sender.ask(name, code, content, reply, options) as Promise<ReplyOut>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same with a payload that is encoded already. Throws what keeps it from being sent. */
  ask(
    name: string,
    code: number,
    content: Uint8Array | string,
    codec: AnswerCodec,
    options: RequestOptions,
  ): Promise<unknown> {
    this.#checkOpen(`Cannot request "${name}"`);
    return this.sender.ask(name, code, content, codec, options);
  }

  /** Sends a PING; settles with the round trip in milliseconds. Never throws. */
  ping(options: RequestOptions): Promise<number> {
    try {
      this.#checkOpen("Cannot ping");
      return this.sender.ping(options) as Promise<number>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Settles when few enough bytes wait, or when it is over; never rejects. */
  ready(): Promise<void> {
    return this.sender.writer.ready();
  }

  /**
   * Ends it: running handlers and own requests finish and what was sent goes out, for at most `drain` milliseconds; then it
   * is cut. A native peer is asked to leave, and what it has sent is still handed out and answered. A second call can only
   * make it sooner. Settles when it is over.
   */
  close(reason: CloseReason, drain: number, how: Omit<Parting, "drain"> = {}): Promise<void> {
    this.#departure.close(reason, { ...how, drain });
    return this.closed;
  }

  /** Settles when it is over, or when only handlers that wait for that are under way; never rejects. */
  ends(): Promise<void> {
    return Promise.race([this.closed, this.dispatcher.quiet()]);
  }

  /**
   * What the caller of a `close()` waits for: `end`, or, if that is a handler of this connection, for which the end waits in
   * turn, {@linkcode ends}.
   */
  awaited(end: Promise<void>): Promise<void> {
    const { inside } = this.#shared;
    if (inside.dispatcher !== this.dispatcher) return end;
    inside.waits = true;
    return Promise.race([end, this.ends()]);
  }

  /** Lets the process end although it is open. */
  unref(): void {
    this.#departure.unref();
    this.connection.unref();
  }

  // Called by the dispatcher.

  get congested(): boolean {
    return this.sender.writer.full;
  }

  affords(sizes: AnswerSizes): boolean {
    return this.sender.writer.affords(sizes);
  }

  reserve(message: IncomingMessage, sizes: AnswerSizes): void {
    this.sender.writer.reserve(message, sizes);
  }

  release(message: IncomingMessage, sizes: AnswerSizes): void {
    this.sender.writer.release(message, sizes);
  }

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.#departure.over) this.#gone.abort(closedError("Nobody waits for the message", this.reason));
    }
    return this.#gone.signal;
  }

  watch(message: IncomingMessage): void {
    if (this.#departure.over) message.gone(closedError("Nobody waits for the message", this.reason));
    else (this.#watched ??= new Set()).add(message);
  }

  unwatch(message: IncomingMessage): void {
    this.#watched?.delete(message);
  }

  taken(size: number): void {
    if (this.#meter === undefined || this.#departure.over) return;
    const grant = this.#meter.taken(this.protocol.headerSize + size);
    if (grant > 0) this.sender.grant(grant);
  }

  overrate(): void {
    this.#departure.expel("rate-limited");
  }

  answer(message: IncomingMessage, payload: unknown): void {
    const { name, reply } = message.type;
    if (this.#departure.over) throw closedError(`Cannot reply to "${name}"`, this.reason);
    const content = checkPayload(name, reply!.encode(payload as never));
    const size = this.sender.answer(message, this.native ? Flag.REPLY : 0, content);
    (message.route?.answers ?? this.#shared.routes.unrouted).seen(size);
  }

  refuse(message: IncomingMessage, error: unknown): void {
    message.answered = true;
    if (!this.native || this.#departure.over) return;
    for (const content of [errorContent(error), NO_DETAILS]) {
      try {
        this.sender.answer(message, Flag.REPLY | Flag.ERROR, content);
        return;
      } catch (failure) {
        // A peer that takes tiny frames only may take the shorter one.
        if (content === NO_DETAILS) this.#events.error(failure, message);
      }
    }
  }

  turnAway(frame: ReceivedFrame, error: Error & { readonly code: string }): void {
    try {
      this.sender.reply(error.code, frame.code, Flag.REPLY | Flag.ERROR, frame, errorContent(error));
    } catch (failure) {
      this.#events.error(failure);
    }
  }

  unrouted(message: IncomingMessage): Promise<unknown>[] {
    return this.#events.unrouted(message);
  }

  failed(error: unknown, message: IncomingMessage): void {
    this.#events.error(error, message);
  }

  // Called by the frame source.

  frame(frame: ReceivedFrame, receivedAt: number): void {
    const { code, flags, requestId, size } = frame;
    this.#shared.observers.received?.({ code, size, requestId, kind: kindOf(code, flags) }, this.peer);
    const { pending } = this.sender;
    if (code < FIRST_APPLICATION_CODE) this.#system(frame);
    else if (pending.ids.answers(frame)) this.#answered(frame);
    else {
      if (!this.native) pending.ids.met(requestId);
      if (this.#meter?.received(this.protocol.headerSize + size) === false) {
        throw new ProtocolError("protocol-error", "The peer sent a message beyond the credit it was granted");
      }
      if (this.#departure.open) this.dispatcher.accept(frame, receivedAt);
      else this.#late(frame, receivedAt);
    }
  }

  full(): boolean {
    return this.dispatcher.full;
  }

  room(): Promise<void> {
    return this.dispatcher.room();
  }

  dropped(error: ProtocolError): void {
    this.#events.error(error);
    // The gap behind the last frame is told of when nothing is read any more.
    if (!this.source.discarding) this.#useless();
  }

  broken(error: ProtocolError): void {
    this.#events.error(error);
    this.#departure.broken(error);
  }

  finished(partial: number): void {
    if (this.open && partial > 0) {
      this.lost(new ConnectionError("closed", `The connection ended ${partial} bytes into a frame`));
      return;
    }
    // Nothing can be heard any more.
    this.#heartbeat?.stop();
    this.#departure.finished();
  }

  // Called by the frame source, and by the sender.

  lost(error: Error): void {
    this.#departure.drop(error, reasonOf(error));
  }

  // Called by the frame source, and by the heartbeat.

  dead(error: ConnectionError): void {
    this.#departure.drop(error, "heartbeat");
  }

  // Called by the sender.

  filled(bufferedBytes: number): void {
    this.#shared.observers.pressure?.({ full: true, bufferedBytes }, this.peer);
  }

  drained(bufferedBytes: number): void {
    this.#shared.observers.pressure?.({ full: false, bufferedBytes }, this.peer);
    this.dispatcher.resume();
  }

  overrun(error: Error): void {
    this.#departure.drop(error, "slow-consumer");
  }

  // Called by the heartbeat.

  get lastSent(): number {
    return this.sender.writer.lastWrite;
  }

  get lastReceived(): number {
    return this.source.lastRead;
  }

  get paused(): boolean {
    return this.source.paused;
  }

  // Python answers a PING from another thread, in the middle of what the first one sends.
  get fragile(): boolean {
    return !this.native && this.source.partial > 0;
  }

  beat(): void {
    this.sender.beat();
  }

  writeStalled(): void {
    const { writeTimeout } = this.#shared.limits;
    this.#departure.drop(
      new ConnectionError("timed-out", `The peer took nothing for ${writeTimeout} ms`),
      "slow-consumer",
    );
  }

  crowdsOut(): void {
    this.#departure.drop(
      new ConnectionError(
        "timed-out",
        `The peer takes its ${this.buffered} bytes too slowly, and others need the room`,
      ),
      "slow-consumer",
    );
  }

  mayStart(): void {
    this.dispatcher.resume();
  }

  #checkOpen(what: string): void {
    if (!this.open) throw closedError(what, this.reason);
  }

  /** A frame of the library itself. */
  #system(frame: ReceivedFrame): void {
    const { code, flags, requestId } = frame;
    const { pending } = this.sender;
    if (code === SystemCode.PING && (!this.native || (flags & Flag.REQUEST) !== 0)) {
      if (!this.native) pending.ids.met(requestId);
      if (this.dispatcher.permits(frame)) this.sender.pong(frame);
    } else if (pending.ids.answers(frame)) this.#answered(frame);
    else if (!this.native || !this.#control(frame)) {
      this.#framesIgnored++;
      if (this.#useless()) this.dispatcher.permits(frame);
    }
  }

  /** A frame that steers a native connection; false if it means nothing here. */
  #control(frame: ReceivedFrame): boolean {
    // Whoever cancels has sent a request for it, which counts.
    if (frame.code === SystemCode.CANCEL) return this.dispatcher.cancel(frame.requestId, cancelled);
    if (frame.code === SystemCode.CREDIT && this.credited && frame.size === 4) {
      const bytes = get32(frame.content, 0);
      if (bytes === 0) return false;
      this.sender.writer.grant(bytes);
      // What we send is what makes a peer grant more.
      if (++this.#grants > this.sender.frames) this.dispatcher.permits(frame);
      return true;
    }
    if (frame.code !== SystemCode.GOAWAY || !this.polite || !this.#departure.leave(frame.content)) return false;
    this.dispatcher.permits(frame);
    return true;
  }

  /** An answer, or what looks like one. */
  #answered(frame: ReceivedFrame): void {
    if (!this.sender.pending.settle(frame) && this.#useless()) this.dispatcher.permits(frame);
  }

  /**
   * Counts a frame that meant nothing; false if that ends the connection. A peer may have sent some in good faith: a CANCEL
   * crosses the answer, and an answer comes when its request was given up. So each other frame of it permits one more, and
   * each request of ours.
   */
  #useless(): boolean {
    const { frames, dropped } = this.source;
    const all = frames + dropped;
    if (++this.#idle <= USELESS + (all - this.#idle) + this.sender.pending.asked) return true;
    this.broken(
      new ProtocolError(
        "protocol-error",
        `The peer sent too many frames that mean nothing: ${this.#idle} of ${all}, such as CANCEL of no request, ` +
          "answers that nobody waits for and frames with a wrong checksum",
      ),
    );
    return false;
  }

  /** A message for a connection that is being closed: its handler is called only where both sides take part in the end. */
  #late(frame: ReceivedFrame, receivedAt: number): void {
    if (this.#departure.told) {
      throw new ProtocolError("protocol-error", "The peer sent a message after it said that it goes away");
    }
    if (this.#departure.serving) return this.dispatcher.accept(frame, receivedAt);
    this.#framesIgnored++;
    this.taken(frame.size);
    if (!this.native || (frame.flags & Flag.REQUEST) === 0) {
      this.#tooLate++;
      return;
    }
    this.turnAway(frame, GOING_AWAY);
  }

  // Called by the departure.

  closing(): void {
    this.#events.closing();
  }

  over(reason: CloseReason, why: () => unknown): void {
    this.#heartbeat?.stop();
    const gone = (): Error => closedError("Nobody waits for the message", reason, why());
    this.#gone?.abort(gone());
    for (const message of this.#watched ?? []) message.gone(gone());
    this.#watched = undefined;
    this.#closed?.release();
    this.#events.closed(reason, why);
  }
}

/** How many frames may mean nothing, beside one for each that meant something. */
const USELESS = 1_000;
const GOING_AWAY = answerError("going-away", "The connection is being closed");

function cancelled(): DOMException {
  return new DOMException("The sender cancelled the request", "AbortError");
}
