/**
 * Implements the conversation over one connection. A session sends messages and requests as bytes, hands received
 * messages to the layer above, and ends once. It knows neither message types nor handlers.
 *
 * @module
 */

import { ProtocolError, type Refusal } from "../errors.ts";
import type { ByteBudget } from "../base/byte_budget.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import { closedError, type CloseReason } from "../link/close_reason.ts";
import type { Channel } from "../link/channel.ts";
import { Link, type LinkOwner } from "../link/link.ts";
import type { PulledSource } from "../link/pulled_sources.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import { FIRST_APPLICATION_CODE, Flag, MAX_PIECE, SystemCode } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { isNative, type Protocol } from "../wire/protocols.ts";
import { countersOf, type SessionCounters } from "./counters.ts";
import { Shutdown, type ShutdownHost } from "./shutdown.ts";
import { errorContent, GOING_AWAY, NO_DETAILS, UNREADABLE } from "./error_reply.ts";
import { controlFrame } from "./control_frames.ts";
import { attachFeatures, type DeferredDecoding, type FeatureHost, type FeaturePart } from "./feature.ts";
import { decodeBy, guarded, measured, type MessageMeter, meterOf, tellAll } from "./feature_hooks.ts";
import type { Parting, PeerParting } from "./parting.ts";
import { kindOf } from "./observers.ts";
import type { Inbox, SessionOwner } from "./owner.ts";
import { type Request, Sender, type SenderHost } from "./sender.ts";
import type { PayloadEncoder } from "./payload_encoding.ts";
import type { SessionShared } from "./shared.ts";
import type { Resumption, ResumptionPart } from "./resumption.ts";
import type { StreamOpener } from "./streams.ts";

/**
 * The conversation over one connection. Parts of it are created only when they are used, because most connections are
 * idle most of the time.
 */
export class Session implements ShutdownHost, FeatureHost, LinkOwner, SenderHost {
  readonly link: Link;
  /** `"native"`, or the release that the peer announced. */
  readonly protocolName: string;
  /** True if the peer speaks the native protocol. */
  readonly native: boolean;
  /** True if a feature keeps the peer from sending more than is allowed, so that reading never has to stop. */
  readonly flowControlled: boolean;
  readonly side: "client" | "server";
  readonly inbox: Inbox;
  readonly sender: Sender;
  readonly #headerSize: number;
  readonly #shared: SessionShared;
  readonly #owner: SessionOwner;
  readonly #features: readonly FeaturePart[];
  /** Counts the messages for the features that need it. */
  readonly #meter: MessageMeter | undefined;
  /** The features that look at replies. */
  readonly #replyParts: readonly FeaturePart[] | undefined;
  /**
   * The flags of the features that transform received payloads. Other frames need no decoding: neither messages nor pieces
   * of streams.
   */
  readonly #decodedFlags: number;
  /** Lets the session outlive its connection. */
  readonly #resumption: ResumptionPart | undefined;
  /** The payloads that are decoded when they are handed out. */
  readonly #deferred: DeferredDecoding | undefined;
  /** The flags of the frames of such payloads, combined with bitwise OR. A field: it is read for every frame. */
  readonly deferredFlags: number;
  /** Created when the end begins. */
  #shutdown: Shutdown | undefined = undefined;
  /** The feature that takes frames with flags of its own, and these flags. */
  readonly #taker: FeaturePart | undefined;
  readonly #taken: number;
  #framesIgnored = 0;
  /** The number of messages that came too late for a handler. Native requests are not counted: they are rejected. */
  #tooLate = 0;
  /** The number of frames that meant nothing. */
  #useless = 0;
  /** How many more of them are allowed, because the peer could not know. */
  #excused = 0;
  /** The number of bytes that compression has saved in received frames. */
  #saved = 0;
  #closed: ResettablePromise | undefined = undefined;

  /**
   * @param outcome The result of the handshake.
   * @param recovery What a torn frame of a Python peer does.
   * @param owner The layer above.
   */
  constructor(
    channel: Channel,
    outcome: HandshakeOutcome,
    side: "client" | "server",
    shared: SessionShared,
    recovery: Recovery,
    owner: SessionOwner,
  ) {
    const { protocol, release } = outcome;
    const agreed = shared.features.agreed(outcome);
    this.native = isNative(protocol);
    this.protocolName = this.native ? "native" : release || protocol.name;
    this.side = side;
    this.inbox = owner.inbox;
    this.#headerSize = protocol.headerSize;
    this.#shared = shared;
    this.#owner = owner;
    this.link = new Link(channel, protocol, recovery, agreed, shared, this);
    this.sender = new Sender(this.link.writer, outcome, side, shared, this);
    const features = this.#features = attachFeatures(agreed, outcome, this, shared.clock);
    this.flowControlled = features.some((part) => part.limitsPeer === true);
    const encoders = features.filter((part): part is FeaturePart & PayloadEncoder => part.encode !== undefined);
    if (encoders.length > 0) this.sender.transform(encoders);
    this.#meter = meterOf(features, (error) => this.#hookFailed(error), (error) => this.#owner.error(error));
    const taker = this.#taker = features.find((part) => part.take !== undefined);
    this.#taken = taker?.takes ?? 0;
    this.#resumption = features.find((part) => part.resumption !== undefined)?.resumption;
    const replyParts = features.filter((part) => part.reply !== undefined);
    this.#replyParts = replyParts.length > 0 ? replyParts : undefined;
    this.#decodedFlags = features.some((part) => part.decode !== undefined) ? agreed.flags & ~this.#taken : 0;
    this.#deferred = features.findLast((part) => part.deferred !== undefined)?.deferred;
    this.deferredFlags = this.#deferred?.flags ?? 0;
  }

  /** Opens streams; `undefined` if the peer does not speak them. */
  get streams(): StreamOpener | undefined {
    return this.#taker?.opener;
  }

  get limits(): SessionShared["limits"] {
    return this.#shared.limits;
  }

  get streamBudget(): ByteBudget {
    return this.#shared.streamBudget;
  }

  get protocol(): Protocol {
    return this.link.writer.protocol;
  }

  /** The second argument of observers. */
  get handle(): unknown {
    return this.#owner.handle;
  }

  get wheel(): TimerWheel {
    return this.#shared.wheel;
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new ResettablePromise();
      if (this.over) this.#closed.release();
    }
    return this.#closed.promise;
  }

  /** True while new messages can be sent. */
  get open(): boolean {
    return this.link.state === "open";
  }

  /** True once nothing is read or written any more. */
  get over(): boolean {
    return this.link.state === "closed";
  }

  /** True from the moment the peer says that it goes away until the end, unless this side began the end. */
  get leaving(): boolean {
    return this.#shutdown?.leaving ?? false;
  }

  /** The most time that a peer that goes away may ask for, in milliseconds. */
  get maxDrain(): number {
    return this.#shared.limits.maxDrain;
  }

  /** The reason for the end, from its beginning on; `undefined` before. */
  get reason(): CloseReason | undefined {
    return this.#shutdown?.reason;
  }

  /** The time after which this side may connect again, in milliseconds; 0 if the peer did not say. */
  get retryAfter(): number {
    return this.#shutdown?.retryAfter ?? 0;
  }

  /** What the peer said if it shut this side out; `undefined` otherwise. */
  get refusal(): Refusal | undefined {
    return this.#shutdown?.refusal;
  }

  /** The number of messages that came too late for a handler, without native requests, which are rejected. */
  get tooLate(): number {
    return this.#tooLate;
  }

  /** The number of bytes that wait to be sent, without answers that wait for room. */
  get buffered(): number {
    return this.link.writer.buffered;
  }

  /** The largest frame that the peer takes, header included, in bytes. */
  get maxMessageSize(): number {
    return this.sender.maxMessageSize;
  }

  /** The counters of frames, bytes and requests. */
  get counters(): SessionCounters {
    return countersOf(this.link, this.sender, this.#framesIgnored, this.#saved, this.streams?.size ?? 0);
  }

  /** Starts the heartbeat and begins to read. Called again after {@linkcode resume}. */
  run(): void {
    this.link.run();
  }

  /** How the session outlives its connection; `undefined` if it does not. */
  get resumption(): Resumption | undefined {
    return this.#resumption;
  }

  /**
   * Leaves the connection that the session still has. It is aborted, nothing of it is read or written from here on, and
   * `SessionOwner.suspended` is called. Does nothing if the session is suspended already.
   */
  suspend(reason: CloseReason, error?: Error): void {
    if (this.#resumption === undefined || this.link.away || this.over) return;
    this.link.leave(error);
    this.#resumption.left();
    // The write that was cut may have been one too many.
    if (this.over) return;
    this.#owner.suspended(reason, () => error);
  }

  /** True if `received` is possible: between what the peer has acknowledged and what was written. */
  resumable(received: number): boolean {
    const resumption = this.#resumption;
    return resumption !== undefined && received >= resumption.acknowledged && received <= resumption.written;
  }

  /**
   * Goes on over another connection, on which the handshake is done. Nothing is read before {@linkcode run}. Returns the
   * number of bytes that are sent again.
   *
   * @param received How many bytes of this side's frames the peer has received.
   * @throws {ProtocolError} `protocol-error`: it cannot have received so many, or it had received more. The session is
   * over then.
   */
  resume(channel: Channel, received: number): number {
    const resumption = this.#resumption!;
    if (!this.resumable(received)) {
      const { acknowledged, written } = resumption;
      const error = new ProtocolError(
        "protocol-error",
        `The peer says that it has received ${received} bytes: it had acknowledged ${acknowledged}, and ${written} were written`,
      );
      channel.abort(error);
      this.lose("protocol-error", error);
      throw error;
    }
    resumption.acknowledge(received);
    resumption.entered();
    return this.link.enter(channel);
  }

  /** Ends a suspended session for good. */
  lose(reason: CloseReason, error: Error): void {
    this.#end.drop(error, reason);
  }

  /**
   * Ends the session. For at most `drain` milliseconds, running handlers and this side's requests may finish, and what
   * was sent is written. Then the connection is closed. A peer with the feature `goaway` is asked to leave, and what it
   * has sent is still handled and answered. A second call can only make the end come sooner. A session that is suspended
   * is over at once. Resolves when the session is over; never rejects.
   */
  close(reason: CloseReason, drain: number, how: Omit<Parting, "drain"> = {}): Promise<void> {
    if (this.link.away) this.#end.drop(undefined, reason);
    else this.#end.close(reason, { ...how, drain });
    return this.closed;
  }

  /** Lets the process exit even while the session is open. */
  unref(): void {
    this.link.unref();
  }

  // For features.

  leave(parting: PeerParting): boolean {
    return this.#end.leave(parting);
  }

  decode(frame: ReceivedFrame): ReceivedFrame {
    if ((frame.flags & this.#decodedFlags) === 0) return frame;
    // The budget of a turn is counted in frames, and this one may take as long as thousands.
    if ((frame.flags & this.deferredFlags) !== 0) this.#shared.budget.inflated(frame.size);
    return decodeBy(this.#features, frame);
  }

  useless(frame: ReceivedFrame): void {
    this.#framesIgnored++;
    if (this.#excused > 0) this.#excused--;
    else if (this.#countUseless()) this.inbox.permits(frame);
  }

  excuse(frames: number): void {
    this.#excused += frames;
  }

  pull(source: PulledSource): void {
    this.link.writer.pull(guarded(source, (error) => this.#owner.error(error)));
  }

  // For the layer above.

  /**
   * Decodes a message whose payload was left as it was received: one with a flag of `deferredFlags`. Returns `undefined`
   * if it cannot be read. It is rejected then, or the session is over.
   */
  unpack(frame: ReceivedFrame): ReceivedFrame | undefined {
    try {
      return this.#decoded(frame);
    } catch (error) {
      this.#broken(error as ProtocolError);
      return undefined;
    }
  }

  /** Called when a message of `size` bytes of payload no longer waits: it was handed to its handler, or left out. */
  taken(size: number): void {
    if (this.#meter === undefined || this.over) return;
    try {
      this.#meter.handled(this.#headerSize + size, this);
    } catch (error) {
      this.#owner.error(error);
    }
  }

  /** Closes a peer that sent more than its rate limit allows. */
  rateExceeded(): void {
    this.#end.expel("rate-limited");
  }

  /**
   * Answers a request with the error of its handler. A Python peer gets no answer, because it does not know errors.
   * Throws what sending throws.
   */
  refuse(request: Request, error: unknown): void {
    if (!this.native || this.over) return;
    const flags = Flag.REPLY | Flag.ERROR;
    try {
      this.sender.answer(request, flags, errorContent(error));
    } catch {
      // A peer that takes only tiny frames may still take the shorter one.
      const { type, requestId, sentAt } = request;
      this.sender.answer({ type, requestId, sentAt }, flags, NO_DETAILS);
    }
  }

  /** Answers a native request that is handed to no handler. A peer that does not read these answers is closed. */
  rejectRequest(frame: ReceivedFrame, error: Error & { readonly code: string }): void {
    try {
      this.sender.reply(error.code, frame.code, Flag.REPLY | Flag.ERROR, frame, errorContent(error));
    } catch (failure) {
      this.#owner.error(failure);
    }
  }

  // Called by the link.

  frame(received: ReceivedFrame, receivedAt: number): void {
    const { code, flags, requestId } = received;
    this.#shared.observers.received?.(
      { code, size: received.size, requestId, kind: kindOf(code, flags) },
      this.handle,
    );
    const frame = (flags & this.deferredFlags) === 0 ? received : this.#measured(received);
    const { size } = frame;
    const { pending } = this.sender;
    if (this.inbox.gathering && !this.#joins(frame)) {
      this.inbox.handOut();
      // The handler may have ended the session.
      if (this.link.source.discarding) return;
    }
    if (code < FIRST_APPLICATION_CODE) this.#system(frame);
    else if ((flags & this.#taken) !== 0) this.#take(frame, receivedAt);
    else if (pending.ids.answers(frame)) this.#answered(frame);
    else {
      if (!this.native) pending.ids.seenFromPeer(requestId);
      this.#charge(size);
      if (this.open || this.#serves(frame)) this.#accept(frame, receivedAt);
    }
  }

  skipped(error: ProtocolError): void {
    this.inbox.handOut();
    this.#owner.error(error);
    // The gap after the last frame may be reported after the end has begun. It does not count then.
    if (!this.link.source.discarding) this.#countUseless();
  }

  ended(reason: CloseReason, error?: Error): void {
    // The end of the connection reports the error that caused it once more.
    if (this.over) return;
    if (this.link.away && error !== undefined) {
      // What was read before the connection was left may break the protocol.
      this.#owner.error(error);
      this.#end.drop(error, reason);
    } else if (error === undefined) this.#end.finished();
    else if (error instanceof ProtocolError) this.#broken(error);
    else this.#end.drop(error, reason);
  }

  survives(reason: CloseReason, error?: Error): boolean {
    if (this.#resumption === undefined || !this.open || !CUTS.has(reason)) return false;
    this.suspend(reason, error);
    return true;
  }

  suspected(): void {
    this.#owner.suspected();
  }

  sendHeartbeat(): void {
    this.sender.sendHeartbeat();
  }

  get #end(): Shutdown {
    return this.#shutdown ??= new Shutdown(this);
  }

  #broken(error: ProtocolError): void {
    this.#owner.error(error);
    if (this.link.away) this.#end.drop(error, error.code);
    else this.#end.broken(error);
  }

  /** Returns whether a frame is a message that goes to the same call of a handler as those that are gathered. */
  #joins(frame: ReceivedFrame): boolean {
    return !this.sender.pending.ids.answers(frame) && this.inbox.joins(frame);
  }

  /** Handles a frame with a system code. Features get those that the session does not know. */
  #system(frame: ReceivedFrame): void {
    if (controlFrame(frame, this)) return;
    if (frame.code === SystemCode.PONG && this.sender.pending.ids.answers(frame)) return this.#answered(frame);
    for (const part of this.#features) {
      try {
        if (part.control?.(frame, this) === true) return;
      } catch (error) {
        return this.#hookFailed(error);
      }
    }
    // A native answer has the code of its request, so no system frame but PONG is one.
    if (!this.native && this.sender.pending.ids.answers(frame)) this.#answered(frame);
    else this.useless(frame);
  }

  /** Hands a frame to the feature whose flags it has. A request with them costs credit like any other. */
  #take(frame: ReceivedFrame, receivedAt: number): void {
    const request = (frame.flags & Flag.REQUEST) !== 0;
    if (request) {
      this.#charge(frame.size);
      if (!this.open && !this.#serves(frame)) return;
    }
    this.#shared.budget.postpone(request ? OPENING_MS : PIECE_MS + frame.size * BYTE_MS);
    try {
      this.#taker!.take!(frame, receivedAt, this);
    } catch (error) {
      this.#hookFailed(error);
    }
    if (request) this.taken(frame.size);
  }

  /** Tells the features that a message of `size` bytes of payload has arrived. */
  #charge(size: number): void {
    try {
      this.#meter?.message(this.#headerSize + size);
    } catch (error) {
      this.#hookFailed(error);
    }
  }

  /** Passes a message or a request to the layer above. */
  #accept(frame: ReceivedFrame, receivedAt: number): void {
    const { flags } = frame;
    if ((flags & this.#decodedFlags) === 0 || (flags & this.deferredFlags) !== 0) {
      this.inbox.accept(frame, receivedAt);
      return;
    }
    const decoded = this.#decoded(frame);
    if (decoded === undefined) this.taken(frame.size);
    else this.inbox.accept(decoded, receivedAt);
  }

  /** Decodes a message or a request. Returns `undefined` if it cannot be read. A request is rejected then. */
  #decoded(frame: ReceivedFrame): ReceivedFrame | undefined {
    try {
      return this.decode(frame);
    } catch (error) {
      this.#hookFailed(error);
      if ((frame.flags & Flag.REQUEST) !== 0) this.rejectRequest(frame, UNREADABLE);
      return undefined;
    }
  }

  /** Returns a frame whose payload is decoded later, with the size that it will have. */
  #measured(frame: ReceivedFrame): ReceivedFrame {
    const size = this.#deferred!.measure(frame);
    this.#saved += size - frame.size;
    return measured(frame, size);
  }

  /** Settles the request that a frame answers, if there is one. */
  #answered(frame: ReceivedFrame): void {
    const { pending } = this.sender;
    let answer = frame;
    try {
      if (this.#replyParts?.some((part) => part.reply!(frame, this)) === true) return;
      const { code, flags, requestId } = frame;
      const coded = (flags & this.#decodedFlags) !== 0 && code >= FIRST_APPLICATION_CODE;
      // An answer that nobody waits for is not worth the time that decoding it late would take.
      if (coded && ((flags & this.deferredFlags) === 0 || pending.has(requestId))) answer = this.decode(frame);
    } catch (error) {
      this.#hookFailed(error);
      pending.fail(frame.requestId, error);
      return;
    }
    if (!pending.settle(answer) && this.#countUseless()) this.inbox.permits(frame);
  }

  /** Called when a hook of a feature threw. Only a `ProtocolError` ends the session; it is thrown again. */
  #hookFailed(error: unknown): void {
    if (error instanceof ProtocolError) throw error;
    this.#owner.error(error);
  }

  /**
   * Counts a frame that meant nothing. Returns false if there were too many, which ends the connection. A peer may have
   * sent some of them in good faith: a CANCEL may cross the answer, and an answer may arrive after its request was
   * given up. Each other frame of the peer and each request of this side therefore permits one more.
   */
  #countUseless(): boolean {
    const { frames, dropped } = this.link.source;
    const all = frames + dropped;
    const useless = ++this.#useless;
    if (useless <= USELESS + (all - useless) + this.sender.pending.asked) return true;
    this.#broken(
      new ProtocolError(
        "protocol-error",
        `The peer sent too many frames that mean nothing: ${this.#useless} of ${all}, such as CANCEL of no request, ` +
          "answers that nobody waits for and frames with a wrong checksum",
      ),
    );
    return false;
  }

  /**
   * Returns whether a message that came while the session is being closed is handled: only if both sides take part in
   * the end. Otherwise it is refused.
   */
  #serves(frame: ReceivedFrame): boolean {
    if (this.#shutdown?.told === true) {
      throw new ProtocolError("protocol-error", "The peer sent a message after it said that it goes away");
    }
    if (this.#shutdown?.serving === true) return true;
    this.#framesIgnored++;
    this.taken(frame.size);
    if (!this.native || (frame.flags & Flag.REQUEST) === 0) this.#tooLate++;
    else this.rejectRequest(frame, GOING_AWAY);
    return false;
  }

  // For the shutdown.

  get canGoAway(): boolean {
    return this.#features.some((part) => part.leave !== undefined);
  }

  #tellAll(tell: (part: FeaturePart) => void): void {
    tellAll(this.#features, tell, (error) => this.#owner.error(error));
  }

  peerFinished(makeError: () => Error): void {
    this.sender.pending.rejectAll(makeError);
    this.#tellAll((part) => part.finished?.(makeError));
  }

  goAway(reason: CloseReason, how: Parting): void {
    this.#tellAll((part) => part.leave?.(reason, how, this));
  }

  closing(): void {
    this.#owner.closing();
  }

  released(reason: CloseReason, getError: () => unknown): void {
    const makeError = (): Error => closedError("The stream was cut", reason, getError());
    this.#tellAll((part) => part.close?.(makeError));
    this.#closed?.release();
    this.#owner.closed(reason, getError);
  }
}

/** The reasons for the end of a connection that a session with `resume` survives. */
const CUTS: ReadonlySet<CloseReason> = new Set<CloseReason>([
  "decryption-failed",
  "heartbeat",
  "network-error",
  "peer-closed",
  "replaced",
  "truncated",
]);

/** The number of frames that may mean nothing, in addition to those that `#countUseless` permits for other frames. */
const USELESS = 1_000;
/**
 * What the opening of a stream, a piece and a byte of it count for, in milliseconds: Web Streams and handlers do their work
 * in microtasks after the batch. These are estimates. With a quarter to a half of them, on Deno, floods of streams delay
 * others by more than 100 ms (`deno task soak --only hostile --attack stream-cancel,stream-pieces`).
 */
const OPENING_MS = 0.15;
const PIECE_MS = 0.01;
const BYTE_MS = 0.2 / MAX_PIECE;
