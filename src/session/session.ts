/**
 * One open connection: sends messages and requests, passes received frames to where they belong, and has one way to end. It
 * knows neither servers nor clients; they give it handlers, limits and a receiver of its events.
 *
 * @module
 */

import { ConnectionError, MessageTypeError, PayloadError, type ProtocolError } from "../errors.ts";
import { checkPayload } from "../message/codecs.ts";
import type { MessageType } from "../message/message_type.ts";
import type { Connection } from "../transport.ts";
import type { DecodedFrame } from "../wire/decoder.ts";
import { FIRST_APPLICATION_CODE, Flag, SystemCode } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake.ts";
import { isNative, type Protocol } from "../wire/protocols.ts";
import { closedError, type CloseReason, reasonOf } from "./close_reason.ts";
import { Dispatcher, type DispatcherHost } from "./dispatcher.ts";
import { Ending } from "./ending.ts";
import { errorContent, NO_DETAILS } from "./error_reply.ts";
import { LINGER_BYTES, LINGER_TIME } from "./farewell.ts";
import type { IncomingMessage } from "./incoming_message.ts";
import { Latch } from "./latch.ts";
import { Outbox, type OutboxEvents } from "./outbox.ts";
import { type AnswerCodec, PendingTable, type RequestOptions } from "./pending.ts";
import { Receiver, type ReceiverEvents } from "./receiver.ts";
import { type RequestId, requestIds } from "./request_ids.ts";
import type { SessionShared } from "./shared.ts";
import type { SessionStats } from "./stats.ts";

/** The most bytes of a PING that are echoed. */
const MAX_PING = 64;
/** How long running handlers may still answer a peer that has finished sending, in milliseconds. */
const PEER_DRAIN = 5_000;
const NOTHING = new Uint8Array(0);

/** Receives a connection's events. */
export interface SessionEvents {
  /** A message that no route takes. */
  unrouted(message: IncomingMessage): void;
  /** Something failed, and the connection goes on or ends with it. */
  error(error: unknown, message?: IncomingMessage): void;
  /** It stopped being open: nothing more can be sent. */
  closing(): void;
  /** It is over, the socket released. Called once. */
  closed(reason: CloseReason, error: unknown): void;
}

/** One open connection. Much of it is made only when it is used: most connections are idle most of the time. */
export class Session implements DispatcherHost, ReceiverEvents, OutboxEvents {
  /** How frames look. */
  readonly protocol: Protocol;
  /** What is spoken: `"native"`, or the release that the peer announced. */
  readonly spoken: string;
  /** The largest frame that the peer takes, header included, in bytes. */
  readonly maxMessageSize: number;
  /** Whether native frames are spoken. */
  readonly native: boolean;
  /** The second argument of handlers. */
  readonly peer: unknown;
  readonly #connection: Connection;
  readonly #shared: SessionShared;
  readonly #events: SessionEvents;
  readonly #outbox: Outbox;
  readonly #receiver: Receiver;
  readonly #pending: PendingTable;
  readonly #dispatcher: Dispatcher;
  #state: "open" | "closing" | "closed" = "open";
  #reason: CloseReason | undefined = undefined;
  #framesSent = 0;
  #framesIgnored = 0;
  #closed: Latch | undefined = undefined;
  /** Aborted when it is over. */
  #gone: AbortController | undefined = undefined;
  #ending: Ending | undefined = undefined;
  #unref = false;

  /**
   * Begins to work at once; call {@linkcode run} to begin to read.
   *
   * @param connection What it speaks over.
   * @param outcome What the handshake brought.
   * @param side Which end this is.
   * @param shared What it shares with others.
   * @param events Receives events.
   * @param peer The second argument of handlers.
   */
  constructor(
    connection: Connection,
    outcome: HandshakeOutcome,
    side: "client" | "server",
    shared: SessionShared,
    events: SessionEvents,
    peer: unknown,
  ) {
    const { protocol, release, maxMessageSize } = outcome;
    this.protocol = protocol;
    this.maxMessageSize = maxMessageSize;
    this.native = isNative(protocol);
    this.spoken = this.native ? "native" : release || protocol.name;
    this.peer = peer;
    this.#connection = connection;
    this.#shared = shared;
    this.#events = events;
    this.#outbox = new Outbox(connection, protocol, shared, this);
    this.#receiver = new Receiver(connection, protocol, shared.limits.maxMessageSize, shared, this);
    const { clock } = shared.transport;
    this.#pending = new PendingTable(shared.wheel, (pending) => requestIds(outcome, side, pending, clock));
    this.#dispatcher = new Dispatcher(this, shared);
  }

  /** Settles, never rejects, when it is over. */
  get closed(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new Latch();
      if (this.#state === "closed") this.#closed.release();
    }
    return this.#closed.promise;
  }

  /** Whether messages can be sent. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Why it ended, as soon as it does. */
  get reason(): CloseReason | undefined {
    return this.#reason;
  }

  /** Bytes that wait to be sent. */
  get buffered(): number {
    return this.#outbox.buffered;
  }

  /** Counters. */
  get stats(): SessionStats {
    return {
      framesSent: this.#framesSent,
      framesReceived: this.#receiver.frames,
      bytesSent: this.#outbox.written,
      bytesReceived: this.#receiver.bytes,
      bufferedBytes: this.#outbox.buffered,
      repliesDropped: this.#pending.dropped,
      framesDropped: this.#receiver.dropped,
      framesIgnored: this.#framesIgnored,
      pendingRequests: this.#pending.size,
    };
  }

  /** Begins with what came behind the handshake, and reads on. */
  run(rest: Uint8Array): void {
    void this.#receiver.run(rest);
  }

  /** Sends a message; see `Client.send`. */
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: In): boolean {
    this.#checkOpen(`Cannot send "${type.name}"`);
    this.#frame(
      type.name,
      type.code,
      0,
      this.#pending.ids.plain(),
      checkPayload(type.name, type.payload.encode(payload)),
    );
    return this.#outbox.buffered <= this.#shared.limits.highWaterMark;
  }

  /** Sends whole frames that are encoded already; throws a `BackpressureError` when there is no room. */
  sendEncoded(frames: Uint8Array): void {
    this.#outbox.encoded(frames);
    this.#framesSent++;
  }

  /** Sends a request; see `Client.request`. Never throws: what keeps it from being sent rejects. */
  request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
  ): Promise<ReplyOut> {
    const { name, code, reply } = type;
    try {
      this.#checkOpen(`Cannot request "${name}"`);
      if (reply === undefined) {
        throw new MessageTypeError("no-reply-codec", `Cannot request "${name}": its type has no reply, use send`);
      }
      const content = checkPayload(type.name, type.payload.encode(payload));
      return this.#ask(name, code, content, reply, options) as Promise<ReplyOut>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sends a PING; settles with the round trip in milliseconds. Never throws. */
  ping(options: RequestOptions): Promise<number> {
    const { clock } = this.#shared.transport;
    const sent = clock.now();
    const codec = { decode: (): number => clock.now() - sent };
    try {
      this.#checkOpen("Cannot ping");
      return this.#ask("ping", SystemCode.PING, NOTHING, codec, options) as Promise<number>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Settles when few enough bytes wait, or when it is over; never rejects. */
  ready(): Promise<void> {
    return this.#outbox.ready();
  }

  /**
   * Ends it: running handlers and own requests finish and what was sent goes out, for at most `drain` milliseconds; then it
   * is cut. A second call can only make it sooner. Settles when it is over.
   */
  close(reason: CloseReason, drain: number): Promise<void> {
    if (this.#state === "open") void this.#end(reason, undefined, drain);
    else this.#ending?.hurry(drain);
    return this.closed;
  }

  /** Lets the process end although it is open. */
  unref(): void {
    this.#unref = true;
    this.#connection.unref();
  }

  // Called by the dispatcher.

  get congested(): boolean {
    return this.#outbox.full;
  }

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.#state === "closed") this.#gone.abort(closedError("Nobody waits for the message", this.#reason));
    }
    return this.#gone.signal;
  }

  answer(message: IncomingMessage, payload: unknown): void {
    const { name, reply } = message.type;
    if (this.#state === "closed") throw closedError(`Cannot reply to "${name}"`, this.#reason);
    const content = checkPayload(name, reply!.encode(payload as never));
    this.#answer(message, this.native ? Flag.REPLY : 0, content);
  }

  refuse(message: IncomingMessage, error: unknown): void {
    message.answered = true;
    if (!this.native || this.#state === "closed") return;
    for (const content of [errorContent(error), NO_DETAILS]) {
      try {
        this.#answer(message, Flag.REPLY | Flag.ERROR, content);
        return;
      } catch (failure) {
        // A peer that takes tiny frames only may take the shorter one.
        if (content === NO_DETAILS) this.#events.error(failure, message);
      }
    }
  }

  unrouted(message: IncomingMessage): void {
    this.#events.unrouted(message);
  }

  failed(error: unknown, message: IncomingMessage): void {
    this.#events.error(error, message);
  }

  // Called by the receiver.

  frame(frame: DecodedFrame, receivedAt: number): void {
    if (frame.code < FIRST_APPLICATION_CODE) this.#system(frame);
    else if (this.#pending.ids.answers(frame)) this.#pending.settle(frame);
    else if (this.#state === "open") this.#dispatcher.accept(frame, receivedAt);
    else this.#late(frame);
  }

  full(): boolean {
    return this.#dispatcher.full;
  }

  room(): Promise<void> {
    return this.#dispatcher.room();
  }

  dropped(error: ProtocolError): void {
    this.#events.error(error);
  }

  broken(error: ProtocolError): void {
    // What was sent before goes out, then FIN; what comes is thrown away.
    this.#receiver.discard(LINGER_BYTES);
    this.#events.error(error);
    this.#pending.rejectAll(() => closedError("No answer will come", reasonOf(error), error));
    void this.#end(reasonOf(error), error, LINGER_TIME);
  }

  finished(partial: number): void {
    if (this.#state === "open" && partial > 0) {
      this.lost(new ConnectionError("closed", `The connection ended ${partial} bytes into a frame`));
      return;
    }
    this.#pending.rejectAll(() => closedError("No answer will come", "peer-closed"));
    void this.#end("peer-closed", undefined, PEER_DRAIN);
  }

  lost(error: Error): void {
    this.#drop(error, reasonOf(error));
  }

  stalled(error: ConnectionError): void {
    this.#drop(error, "heartbeat");
  }

  // Called by the outbox.

  drained(): void {
    this.#dispatcher.resume();
  }

  writeFailed(error: Error): void {
    this.#drop(error, reasonOf(error));
  }

  writeStalled(): void {
    const { writeTimeout } = this.#shared.limits;
    this.#drop(new ConnectionError("timed-out", `The peer took nothing for ${writeTimeout} ms`), "slow-consumer");
  }

  // Sending.

  #checkOpen(what: string): void {
    if (this.#state !== "open") throw closedError(what, this.#reason);
  }

  #frame(
    name: string,
    code: number,
    flags: number,
    id: RequestId,
    content: Uint8Array | string,
    sentAt?: number,
    reply = false,
  ): void {
    const { protocol, maxMessageSize } = this;
    const time = protocol.layout.timestamp < 0 ? 0 : sentAt ?? Date.now();
    if (this.#outbox.frame(code, flags, id, content, time, maxMessageSize, reply) < 0) {
      throw new PayloadError(
        "payload-too-large",
        `Cannot send "${name}": its ${content.length} ${typeof content === "string" ? "characters" : "bytes"} ` +
          `and the header are above the ${maxMessageSize} bytes that the peer takes`,
      );
    }
    this.#framesSent++;
  }

  /** Sends the answer of a handler. No limit keeps it out: what bounds answers is that the next one has to wait. */
  #answer({ type, frame }: IncomingMessage, flags: number, content: Uint8Array | string): void {
    this.#frame(type.name, type.code, flags, frame.requestId, content, frame.sentAt, true);
  }

  /** Sends an answer of our own; a peer that asks and does not read the answers is closed before they pile up. */
  #reply(name: string, code: number, flags: number, to: DecodedFrame, content: Uint8Array | string): void {
    try {
      this.#frame(name, code, flags, to.requestId, content, to.sentAt);
    } catch (error) {
      if (error instanceof PayloadError) throw error;
      this.#drop(error as Error, "slow-consumer");
    }
  }

  #ask(
    what: string,
    code: number,
    content: Uint8Array | string,
    codec: AnswerCodec,
    { timeout = 5_000, signal }: RequestOptions,
  ): Promise<unknown> {
    if (!(typeof timeout === "number" && timeout > 0 && timeout <= 0x7fffffff)) {
      throw new RangeError(
        `Cannot request "${what}": timeout must be above 0 and at most 2147483647 ms, not ${timeout}`,
      );
    }
    signal?.throwIfAborted();
    const id = this.#pending.ids.next();
    this.#frame(what, code, this.native ? Flag.REQUEST : 0, id, content);
    return this.#pending.wait(id, what, codec, timeout, signal);
  }

  // Receiving.

  #system(frame: DecodedFrame): void {
    if (frame.code === SystemCode.PING) {
      if (this.native && (frame.flags & Flag.REQUEST) === 0) this.#framesIgnored++;
      else {
        const { maxMessageSize, protocol } = this;
        const most = this.native ? Math.min(MAX_PING, maxMessageSize - protocol.headerSize) : 0;
        const content = frame.content.length <= most ? frame.content : NOTHING;
        this.#reply("pong", SystemCode.PONG, this.native ? Flag.REPLY : 0, frame, content);
      }
    } else if (this.#pending.ids.answers(frame)) this.#pending.settle(frame);
    else this.#framesIgnored++;
  }

  /** A message for a connection that is being closed: its handler is not called any more. */
  #late(frame: DecodedFrame): void {
    this.#framesIgnored++;
    if (!this.native || (frame.flags & Flag.REQUEST) === 0) return;
    const content = JSON.stringify({ code: "going-away", message: "The connection is being closed" });
    try {
      this.#reply("going-away", frame.code, Flag.REPLY | Flag.ERROR, frame, content);
    } catch (error) {
      this.#events.error(error);
    }
  }

  // Ending.

  /** The connection is of no use any more. */
  #drop(error: Error, reason: CloseReason): void {
    if (this.#state === "closed") return;
    this.#leaveOpen(reason);
    this.#connection.abort(error);
    this.#over(error);
  }

  #leaveOpen(reason: CloseReason): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#reason = reason;
    this.#events.closing();
  }

  async #end(reason: CloseReason, error: Error | undefined, drain: number): Promise<void> {
    if (this.#state !== "open") return;
    this.#leaveOpen(reason);
    this.#ending = new Ending(this.#shared.wheel, !this.#unref);
    await this.#ending.run(drain, {
      work: async () => {
        if (error === undefined) await Promise.all([this.#dispatcher.idle(), this.#pending.empty()]);
      },
      flushed: () => this.#outbox.flushed(),
      finish: () => {
        this.#receiver.discard();
        return Promise.all([this.#connection.closeWrite().catch(() => {}), this.#receiver.over()]);
      },
    });
    this.#connection.abort(error);
    this.#over(error);
  }

  #over(error: unknown): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#ending?.cut();
    this.#outbox.close();
    this.#dispatcher.close();
    this.#receiver.discard();
    this.#pending.rejectAll(() => closedError("No answer will come", this.#reason, error));
    this.#gone?.abort(closedError("Nobody waits for the message", this.#reason, error));
    this.#closed?.release();
    this.#events.closed(this.#reason!, error);
  }
}
