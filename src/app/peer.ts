/**
 * A connected peer as the application sees it. It sends typed messages and requests, and receives routed messages. A
 * `Client` has one for its server, a `Server` has one for each client.
 *
 * @module
 */

import { checkPayload } from "../base/codec_results.ts";
import { free, givenAway } from "../base/hand_over.ts";
import { closedError, type CloseReason } from "../link/close_reason.ts";
import { replied } from "../message/message.ts";
import type { MessageType } from "../message/message_type.ts";
import type { SessionStats } from "../session/counters.ts";
import type { DeliveryCounts } from "../session/delivery_log.ts";
import type { Parting } from "../session/parting.ts";
import type { SessionOwner } from "../session/owner.ts";
import {
  type Answer,
  type AnswerCodec,
  AnswerReader,
  type PingOptions,
  type RequestOptions,
} from "../session/requests.ts";
import { noReplyCodec } from "../session/send_checks.ts";
import type { Latest } from "../session/sender.ts";
import type { PayloadOrigin } from "../session/payload_encoding.ts";
import { Session } from "../session/session.ts";
import type { Channel } from "../link/channel.ts";
import type { ConnectionSecurity, PeerCertificate } from "../transport.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import { Flag } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import type { AnyStreamType } from "../message/stream_type.ts";
import { type OpenOptions, type OpenStream, openStream } from "./streams/open_stream.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { HandlerHost } from "./handler_runner.ts";
import type { IncomingMessage } from "./incoming_message.ts";
import { isPlainRequest, requestTerms, timelyAnswer } from "./request_terms.ts";
import type { SendTerms } from "./send_options.ts";
import type { PeerShared } from "./shared.ts";

/** The Server or Client that a peer belongs to. */
export interface PeerOwner {
  /** Offers a message without a route to the listeners. Returns the promises of those that may still answer it. */
  unrouted(message: IncomingMessage): Promise<unknown>[];
  /** Called with each error. The connection goes on, or ends because of it. */
  error(error: unknown, message?: IncomingMessage): void;
  /** Called when nothing more can be sent. */
  closing(): void;
  /** Called when the connection is lost and the session waits for another one; see `SessionOwner`. */
  suspended(reason: CloseReason, getError: () => unknown): void;
  /** Called on a client when the connection may be dead; see `SessionOwner`. */
  suspected(): void;
  /**
   * Called once, when the connection is over and its socket is released. `getError` creates the error that ended the
   * connection, if there is one.
   */
  closed(reason: CloseReason, getError: () => unknown): void;
}

/** A connected peer. It reads nothing before `session.run`. */
export class Peer implements HandlerHost, SessionOwner {
  readonly session: Session;
  readonly inbox: Dispatcher;
  readonly owner: PeerOwner;
  /** The second argument of handlers and observers: a `ConnectedClient`, or the `Client`. */
  readonly handle: unknown;
  readonly #shared: PeerShared;
  /** The source of {@linkcode signal}. Created when it is read. */
  #gone: AbortController | undefined = undefined;
  /** The messages with signals of their own. */
  #watched: Set<IncomingMessage> | undefined = undefined;

  /**
   * @param outcome The result of the handshake.
   * @param recovery What happens when the stream of a Python peer is damaged.
   * @param handle The second argument of handlers and observers.
   */
  constructor(
    channel: Channel,
    outcome: HandshakeOutcome,
    side: "client" | "server",
    shared: PeerShared,
    recovery: Recovery,
    owner: PeerOwner,
    handle: unknown,
  ) {
    this.#shared = shared;
    this.owner = owner;
    this.handle = handle;
    this.inbox = new Dispatcher(this, shared);
    this.session = new Session(channel, outcome, side, shared, recovery, this);
    this.inbox.serve(this.session);
  }

  /** The number of received messages whose handlers were not called because the connection ended. */
  get unhandled(): number {
    return this.inbox.left + this.session.tooLate;
  }

  /** What protects the connection. */
  get security(): "none" | ConnectionSecurity["kind"] {
    return this.session.link.source.channel.security?.kind ?? "none";
  }

  /** The certificate that the peer has shown; `undefined` if it has shown none. */
  get certificate(): PeerCertificate | undefined {
    return this.session.link.source.channel.security?.certificate;
  }

  /** The public key of the peer's identity; `undefined` if it has shown none. */
  get publicKey(): string | undefined {
    return this.session.link.source.channel.security?.publicKey;
  }

  get stats(): SessionStats {
    return { ...this.session.counters, queuedMessages: this.inbox.waiting, runningHandlers: this.inbox.running };
  }

  /** How many sent messages were delivered, uncertain or lost; `undefined` if deliveries are not tracked. */
  get deliveries(): DeliveryCounts | undefined {
    return this.session.sender.deliveries;
  }

  /** Sends a message; see `Client.send`. */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    terms?: SendTerms,
  ): boolean {
    const { name, code } = type;
    if (!this.session.open) throw closedError(`Cannot send "${name}"`, this.session.reason);
    const content = checkPayload(name, type.payload.encode(payload));
    if (terms === undefined) return this.session.sender.send(name, code, content, type);
    const { latest, meta, transfer } = terms;
    if (!transfer) return this.sendContent(name, code, content, meta, type, latest);
    const given = givenAway(`Cannot send "${name}"`, content);
    if (latest === undefined && meta === "") return this.session.sender.sendGiven(name, code, given, type);
    const more = this.sendContent(name, code, given, meta, type, latest);
    free(given);
    return more;
  }

  /**
   * Sends a message whose payload is encoded already.
   *
   * @param meta The members of its metadata.
   * @param origin Its type, for encoders.
   * @param latest How long it may wait, if only the latest one counts.
   * @param at When it was made, by the clock.
   */
  sendContent(
    name: string,
    code: number,
    content: Uint8Array | string,
    meta: string,
    origin: PayloadOrigin,
    latest?: Latest,
    at?: number,
  ): boolean {
    if (!this.session.open) throw closedError(`Cannot send "${name}"`, this.session.reason);
    const { sender } = this.session;
    if (latest === undefined) return sender.sendWithMetadata(name, code, content, meta, origin);
    return sender.sendLatest(name, code, content, meta, latest, origin, at);
  }

  /** Sends a request; see `Client.request`. Never throws. If it cannot be sent, the promise rejects. */
  request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
  ): Promise<ReplyOut> {
    return this.#request(type, payload, options, false) as Promise<ReplyOut>;
  }

  /** Does the same, and resolves with the whole answer. */
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
  ): Promise<Answer<ReplyOut>> {
    return this.#request(type, payload, options, true) as Promise<Answer<ReplyOut>>;
  }

  /** Returns the codec for a request that is sent now and whose whole answer is wanted. */
  reader(codec: AnswerCodec): AnswerCodec {
    return new AnswerReader(codec, this.#shared.clock);
  }

  /** Sends a request whose payload is encoded already. Throws if it cannot be sent. */
  ask(
    name: string,
    code: number,
    content: Uint8Array | string,
    codec: AnswerCodec,
    options: PingOptions,
    meta: string,
    deadline: boolean,
    origin: PayloadOrigin,
  ): Promise<unknown> {
    if (!this.session.open) throw closedError(`Cannot request "${name}"`, this.session.reason);
    return this.session.sender.ask(name, code, content, codec, options, meta, deadline, origin);
  }

  /** True if the peer takes metadata. */
  get takesMetadata(): boolean {
    return this.session.sender.takesMetadata;
  }

  /** Opens a stream; see `Client.open`. */
  open(type: AnyStreamType, head: unknown, options: OpenOptions): OpenStream<unknown, unknown, unknown> {
    const { clock, observers } = this.#shared;
    return openStream(this.session, type, head, options, { clock, observers, handle: this.handle });
  }

  /** Sends a PING. Resolves with the time until its answer, in milliseconds. Never throws. */
  ping(options: PingOptions): Promise<number> {
    try {
      if (!this.session.open) throw closedError("Cannot ping", this.session.reason);
      return this.session.sender.ping(options) as Promise<number>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Settles when more may be sent, or when the connection is over. Never rejects. */
  ready(): Promise<void> {
    return this.session.sender.writer.ready();
  }

  /** Ends the connection; see `Session.close`. Settles when it is over. */
  close(reason: CloseReason, drain: number, how: Omit<Parting, "drain"> = {}): Promise<void> {
    return this.session.close(reason, drain, how);
  }

  /** Settles when the connection is over, or when only handlers that wait for its end are running. Never rejects. */
  ends(): Promise<void> {
    return Promise.race([this.session.closed, this.inbox.quiet()]);
  }

  /**
   * Returns what the caller of a `close()` waits for: `end`, or {@linkcode ends} if the caller is a handler of this
   * connection, for which the end waits in turn.
   */
  awaited(end: Promise<void>): Promise<void> {
    const { inside } = this.#shared;
    if (inside.dispatcher !== this.inbox) return end;
    inside.waits = true;
    return Promise.race([end, this.ends()]);
  }

  // For messages.

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.session.over) this.#gone.abort(this.#goneError());
    }
    return this.#gone.signal;
  }

  watch(message: IncomingMessage): void {
    if (this.session.over) message.gone(this.#goneError());
    else (this.#watched ??= new Set()).add(message);
  }

  unwatch(message: IncomingMessage): void {
    this.#watched?.delete(message);
  }

  offer(message: IncomingMessage): unknown {
    const pending = this.owner.unrouted(message);
    const outcome = (): unknown => message.answered ? replied : undefined;
    return pending.length === 0 ? outcome() : Promise.all(pending).then(outcome);
  }

  gather(message: IncomingMessage): unknown {
    return this.inbox.gather(message);
  }

  checkMetadata(what: string): void {
    this.session.sender.checkMetadata(what);
  }

  answer(message: IncomingMessage, payload: unknown): void {
    const { session } = this;
    const { name, reply } = message.type;
    if (session.over) throw closedError(`Cannot reply to "${name}"`, session.reason);
    const content = checkPayload(name, reply!.encode(payload as never));
    const size = session.sender.answer(message, session.native ? Flag.REPLY : 0, content);
    (message.route?.answers ?? this.#shared.routes.unrouted).seen(size);
  }

  // For the session.

  error(error: unknown): void {
    this.owner.error(error);
  }

  closing(): void {
    this.owner.closing();
  }

  suspended(reason: CloseReason, getError: () => unknown): void {
    this.owner.suspended(reason, getError);
  }

  suspected(): void {
    this.owner.suspected();
  }

  closed(reason: CloseReason, getError: () => unknown): void {
    const gone = (): Error => closedError("Nobody waits for the message", reason, getError());
    this.#gone?.abort(gone());
    for (const message of this.#watched ?? []) message.gone(gone());
    this.#watched = undefined;
    this.owner.closed(reason, getError);
  }

  /** Sends a request. If `whole` is true, the promise resolves with the whole answer. */
  #request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
    whole: boolean,
  ): Promise<unknown> {
    try {
      const { name, code, reply } = type;
      if (!this.session.open) throw closedError(`Cannot request "${name}"`, this.session.reason);
      if (reply === undefined) throw noReplyCodec(name);
      const content = checkPayload(name, type.payload.encode(payload));
      const codec = whole ? this.reader(reply) : reply;
      const { sender } = this.session;
      if (isPlainRequest(options)) return sender.ask(name, code, content, codec, options, "", false, type);
      const terms = requestTerms(name, options);
      const { deadline, meta } = terms;
      return timelyAnswer(name, terms, sender.ask(name, code, content, codec, terms, meta, deadline, type));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #goneError(): Error {
    return closedError("Nobody waits for the message", this.session.reason);
  }
}
