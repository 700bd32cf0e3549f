/**
 * Sends what one connection has to send: messages, requests, answers, and the frames of the library itself. It turns
 * them into frames, numbers requests and waits for their answers.
 *
 * @module
 */

import type { LatestKey } from "../base/latest_index.ts";
import { free } from "../base/hand_over.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import { BackpressureError, PayloadError } from "../errors.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { FIRST_APPLICATION_CODE, Flag, SystemCode } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { type AckProbe, type DeliveriesHost, type DeliveryCounts, DeliveryLog } from "./delivery_log.ts";
import { joinMetadata } from "../wire/metadata.ts";
import type { RequestId } from "./id_rule.ts";
import { CONTROL, LIBRARY_REPLY, MESSAGE, ORDERED_CONTROL, type Priority, REPLY } from "../link/send_scheduler.ts";
import { encodeAlone, type EncodedFrame, isLarge } from "../link/frame_encoding.ts";
import type { FrameWriter, FrameWriterShared } from "../link/frame_writer.ts";
import { type AnswerCodec, Pending, type PingOptions, RequestTable, type RequestTableHost } from "./requests.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import { requestIds } from "./request_ids.ts";
import { type EncodedPayload, type PayloadEncoder, PayloadEncoders, type PayloadOrigin } from "./payload_encoding.ts";
import { kindOf, type Observers } from "./observers.ts";
import { checkTimeout, payloadTooLarge, REQUEST_TIMEOUT } from "./send_checks.ts";

/** The most bytes of a PING that are echoed. */
const MAX_PING = 64;
/** The timeout of a heartbeat's PING, in milliseconds. A PONG that arrives later counts as an unexpected answer. */
const HEARTBEAT_TIMEOUT = 60_000;
/** The timeout of a probe, in milliseconds. Its answer is useful for as long as the connection lives. */
const ENDLESS = 0x7fffffff;
const NOTHING = new Uint8Array(0);
const NO_CODEC: AnswerCodec = { decode: () => undefined };

/** What all senders of a Server or a Client share. */
export interface SenderShared extends FrameWriterShared {
  readonly observers: Observers;
}

/** How long a message may wait, and what replaces it meanwhile. */
export interface Latest {
  /** A newer message of the same type and key replaces it; `undefined` if none does. */
  readonly latest: LatestKey | undefined;
  /** How long it may wait before it is written, in milliseconds. */
  readonly maxAge: number;
}

/** The parts of a request that its answer needs. */
export interface Request {
  readonly type: PayloadOrigin & { readonly name: string; readonly code: number };
  readonly requestId: RequestId;
  /** The time at which the request was sent, for the protocols whose answers repeat it. */
  readonly sentAt: number | undefined;
  /** The members of the metadata of the answer; see `metadataMembers`. */
  readonly replyMeta?: string | undefined;
}

/** Tells when the peer has what was sent. */
export interface DeliveryMarks {
  /** Returns a probe that counts as answered when the peer has the ordered bytes so far. */
  probe(ackedMessages: number): AckProbe;
}

/** The session of a {@linkcode Sender}. */
export interface SenderHost {
  readonly native: boolean;
  /** The second argument of observers. */
  readonly handle: unknown;
  /** Called with the reason `"slow-consumer"` if the peer sends requests faster than it reads the answers. */
  ended(reason: CloseReason, error: Error): void;
}

/** The sending side of one connection, above its frame writer. */
export class Sender implements RequestTableHost, DeliveriesHost {
  /** The largest frame that the peer takes, header included, in bytes. */
  readonly maxMessageSize: number;
  readonly writer: FrameWriter;
  /** True if the peer takes metadata. Set by the feature. */
  takesMetadata = false;
  /** Tells when bytes are delivered; `undefined` if the peer does not acknowledge them. Set by the feature. */
  marks: DeliveryMarks | undefined = undefined;
  /** The number of pieces of streams sent so far. Counted by the feature. */
  pieces = 0;
  /** The requests that wait for an answer. */
  readonly pending: RequestTable;
  readonly #shared: SenderShared;
  readonly #host: SenderHost;
  #frames = 0;
  #leftOut = 0;
  #pongs = 0;
  #deliveries: DeliveryLog | undefined = undefined;
  #encoders: PayloadEncoders | undefined = undefined;
  #saved = 0;

  /**
   * @param outcome The result of the handshake.
   */
  constructor(
    writer: FrameWriter,
    outcome: HandshakeOutcome,
    side: "client" | "server",
    shared: SenderShared,
    host: SenderHost,
  ) {
    this.maxMessageSize = outcome.maxMessageSize;
    this.#shared = shared;
    this.#host = host;
    this.writer = writer;
    const { clock } = shared;
    // Do not keep the outcome itself: it holds all messages of the handshake.
    const { protocol, numbering } = outcome;
    const ids = { protocol, numbering };
    this.pending = new RequestTable((pending) => requestIds(ids, side, pending, clock), this);
  }

  get wheel(): TimerWheel {
    return this.#shared.wheel;
  }

  /** The time by the clock, in milliseconds. */
  get now(): number {
    return this.#shared.clock.now();
  }

  /** The number of frames sent so far. */
  get frames(): number {
    return this.#frames - (this.writer.latestFrames?.expired ?? 0);
  }

  /** The number of PINGs answered so far. */
  get pongs(): number {
    return this.#pongs;
  }

  /** The number of the library's own answers that were left out because all connections together had no room. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** The number of bytes that compression has saved in sent frames. */
  get saved(): number {
    return this.#saved + (this.writer.latestFrames?.saved ?? 0);
  }

  /** Starts to record what becomes of messages. Requests are left out, because each of them reports its own outcome. */
  startTracking(): void {
    this.#deliveries = new DeliveryLog(this.writer, this.#shared.wheel, this);
  }

  /** What became of the messages; `undefined` unless {@linkcode startTracking} was called. */
  get deliveries(): DeliveryCounts | undefined {
    return this.#deliveries?.counts;
  }

  /** Sends a last probe after all messages, so that none remains uncertain after an orderly end. */
  requestAck(): void {
    // The peer acknowledges bytes in its own time, which may be after the end.
    this.#deliveries?.requestAck(true, this.marks !== undefined);
  }

  /** Sends a probe after all messages so far. Returns `undefined` if it cannot be sent. */
  ackProbe(last: boolean): AckProbe | undefined {
    const { marks } = this;
    const { sent } = this.#deliveries!;
    // A latest frame is not among the ordered bytes, and the end of a session does not wait for acknowledgements.
    const pinged = last || marks === undefined || (this.writer.latestFrames?.waiting ?? 0) > 0;
    return pinged ? this.#background(ORDERED_CONTROL, ENDLESS, false, sent) : marks.probe(sent);
  }

  /** Stops waiting for the answer of a probe. */
  outdated(probe: AckProbe): void {
    if (probe instanceof Pending) this.pending.outdated(probe);
  }

  /** Counts the first `count` messages as delivered. */
  delivered(count: number): void {
    this.#deliveries?.deliver(count);
  }

  /**
   * Sends a message. Returns false if more than the high-water mark waits, so that the caller should send no more.
   *
   * @param origin Its type, for encoders.
   */
  send(name: string, code: number, content: Uint8Array | string, origin?: PayloadOrigin): boolean {
    this.frame(name, code, 0, this.pending.ids.plain(), content, MESSAGE, undefined, origin);
    this.#deliveries?.take();
    return this.writer.takesMore;
  }

  /**
   * Sends a message whose payload was given away. A large one is written from where it lies. The memory of any other one is
   * freed. Returns and throws what {@linkcode send} does.
   */
  sendGiven(name: string, code: number, content: Uint8Array<ArrayBuffer>, origin?: PayloadOrigin): boolean {
    const { protocol } = this.writer;
    if (this.#encoders !== undefined || !isLarge(protocol, content.length)) {
      const more = this.send(name, code, content, origin);
      free(content);
      return more;
    }
    const id = this.pending.ids.plain();
    const time = protocol.layout.timestamp < 0 ? 0 : Date.now();
    const size = this.writer.given(code, id, content, time, this.maxMessageSize);
    if (size < 0) throw payloadTooLarge(name, content, this.maxMessageSize);
    this.#sent(code, 0, id, size);
    this.#deliveries?.take();
    return this.writer.takesMore;
  }

  /** Sends a message with metadata, whose members are `meta`; see `metadataMembers`. It has some if that is not empty. */
  sendWithMetadata(
    name: string,
    code: number,
    content: Uint8Array | string,
    meta: string,
    origin?: PayloadOrigin,
  ): boolean {
    if (meta === "") return this.send(name, code, content, origin);
    this.frame(name, code, Flag.META, 0, this.withMetadata(name, content, meta), MESSAGE, undefined, origin);
    this.#deliveries?.take();
    return this.writer.takesMore;
  }

  /**
   * Sends a message of which only the latest counts. Returns and throws what {@linkcode send} does.
   *
   * @param meta The members of its metadata; empty for none.
   * @param origin Its type, for encoders.
   * @param at When the message was made, by the clock. Default: now.
   */
  sendLatest(
    name: string,
    code: number,
    content: Uint8Array | string,
    meta: string,
    how: Latest,
    origin?: PayloadOrigin,
    at?: number,
  ): boolean {
    if (this.writer.idle) return this.sendWithMetadata(name, code, content, meta, origin);
    const flags = meta === "" ? 0 : Flag.META;
    const whole = meta === "" ? content : this.withMetadata(name, content, meta);
    const requestId = this.pending.ids.plain();
    const frame = this.encodedFrame(code, flags, whole, requestId, origin);
    const { bytes } = frame;
    if (bytes.length > this.maxMessageSize) throw payloadTooLarge(name, content, this.maxMessageSize);
    this.#latest(code, frame, how, at);
    const { sent } = this.#shared.observers;
    if (sent !== undefined && !this.writer.closed) {
      const size = bytes.length - this.writer.protocol.headerSize;
      sent({ code, size, requestId, kind: kindOf(code, flags) }, this.#host.handle);
    }
    return this.writer.takesMore;
  }

  /** Sends a complete frame of which only the latest counts. Throws a `BackpressureError` if there is no room. */
  encodedLatest(code: number, frame: EncodedFrame, how: Latest): void {
    if (this.writer.idle) this.encoded(frame);
    else this.#latest(code, frame, how);
  }

  /** Sends a complete frame that is encoded already. Throws a `BackpressureError` if there is no room. */
  encoded({ bytes, cost }: EncodedFrame): void {
    this.writer.encoded(bytes, cost);
    this.#frames++;
    this.#saved += cost - bytes.length;
  }

  /**
   * Returns a payload after metadata, as the content of a frame with the flag META.
   *
   * @param meta The members of the metadata; empty for none.
   * @param deadline The time that is left for a request, in milliseconds.
   * @throws {PayloadError} `metadata-unsupported`: the peer takes none.
   */
  withMetadata(name: string, content: Uint8Array | string, meta: string, deadline?: number): Uint8Array {
    this.checkMetadata(`Cannot send "${name}"`);
    return joinMetadata(meta, deadline, content);
  }

  /** Throws a `PayloadError` `metadata-unsupported` if the peer takes no metadata. `what` begins its message. */
  checkMetadata(what: string): void {
    if (this.takesMetadata) return;
    const why = this.#host.native ? "the peer does not take it" : "the protocols of Python have none";
    throw new PayloadError("metadata-unsupported", `${what} with metadata: ${why}`);
  }

  /**
   * Sends a request. The promise resolves with the value of the answer. Throws if the request cannot be sent.
   *
   * @param meta The members of its metadata; empty for none.
   * @param deadline True if the peer is to know the timeout. One that takes no metadata gets a CANCEL alone.
   */
  ask(
    name: string,
    code: number,
    content: Uint8Array | string,
    codec: AnswerCodec,
    { timeout = REQUEST_TIMEOUT, signal }: PingOptions,
    meta: string = "",
    deadline: boolean = false,
    origin?: PayloadOrigin,
  ): Promise<unknown> {
    checkTimeout(name, timeout);
    signal?.throwIfAborted();
    let flags = 0;
    if (meta !== "" || deadline && this.takesMetadata) {
      content = this.withMetadata(name, content, meta, deadline ? timeout : undefined);
      flags = Flag.META;
    }
    const entry = this.#ask(name, code, flags, content, MESSAGE, codec, timeout, signal, false, origin);
    if (this.#deliveries !== undefined) entry.ackedMessages = this.#deliveries.sent;
    this.#sentRequest(entry);
    return entry.promise;
  }

  /** Sends a PING, which overtakes messages without credit. Resolves with the round-trip time, in milliseconds. */
  ping({ timeout = REQUEST_TIMEOUT, signal }: PingOptions): Promise<unknown> {
    checkTimeout("ping", timeout);
    signal?.throwIfAborted();
    const { clock } = this.#shared;
    const sent = clock.now();
    const codec = { decode: () => clock.now() - sent };
    return this.#ask("ping", SystemCode.PING, 0, NOTHING, LIBRARY_REPLY, codec, timeout, signal).promise;
  }

  /** Sends the PING of a heartbeat if there is room. Without room, the peer has enough to react to already. */
  sendHeartbeat(): void {
    this.#background(LIBRARY_REPLY, HEARTBEAT_TIMEOUT, true);
  }

  /** Sends the answer of a handler, at once or when there is room for it. Returns its size, header included. */
  answer({ type, requestId, sentAt, replyMeta = "" }: Request, flags: number, content: Uint8Array | string): number {
    if (replyMeta !== "") {
      content = this.withMetadata(type.name, content, replyMeta);
      flags |= Flag.META;
    }
    return this.frame(type.name, type.code, flags, requestId, content, REPLY, sentAt, type);
  }

  /**
   * Sends an answer of the library itself. A peer that sends requests and does not read the answers is closed before
   * they pile up. If other connections have used up the shared room, this peer is not to blame, so the answer is left
   * out.
   */
  reply(name: string, code: number, flags: number, to: ReceivedFrame, content: Uint8Array | string): void {
    try {
      this.frame(name, code, flags, to.requestId, content, LIBRARY_REPLY, to.sentAt);
    } catch (error) {
      if (error instanceof PayloadError) throw error;
      if (error instanceof BackpressureError && error.code === "total-buffer-full") this.#leftOut++;
      else this.#host.ended("slow-consumer", error as Error);
    }
  }

  /** Answers a PING. */
  pong(ping: ReceivedFrame): void {
    this.#pongs++;
    const most = this.#host.native ? Math.min(MAX_PING, this.maxMessageSize - this.writer.protocol.headerSize) : 0;
    const content = ping.content.length <= most ? ping.content : NOTHING;
    this.reply("pong", SystemCode.PONG, this.#host.native ? Flag.REPLY : 0, ping, content);
  }

  /**
   * Sends a control frame of the library to a native peer. It is sent even if there is no room, because it is short and
   * the session could not go on without it.
   *
   * @param name Its name, for error messages.
   * @param ordered True if it must come after all messages so far. Otherwise it overtakes those that wait for credit.
   */
  control(name: string, code: number, id: number, content: Uint8Array | string, ordered = false): void {
    this.frame(name, code, 0, id, content, ordered ? ORDERED_CONTROL : CONTROL);
  }

  /** Makes all payloads pass through these encoders from now on. */
  transform(parts: readonly PayloadEncoder[]): void {
    this.#encoders = new PayloadEncoders(parts);
  }

  /**
   * Two senders with the same name transform messages alike, so that a frame can be encoded for both: `""` if they leave
   * them as they are. A sender without a name needs frames of its own.
   */
  get sharing(): string | undefined {
    return this.#encoders === undefined ? "" : this.#encoders.sharing;
  }

  /** Returns a whole message, with its payload transformed. Every sender with the same {@linkcode sharing} may send it. */
  encodedFrame(
    code: number,
    flags: number,
    content: Uint8Array | string,
    id: RequestId,
    origin: PayloadOrigin | undefined,
  ): EncodedFrame {
    const { protocol } = this.writer;
    const encoded = this.encode(code, flags, content, origin);
    const payload = encoded?.content ?? content;
    const whole = typeof payload === "string" ? encodeUtf8(payload) : payload;
    const sentAt = protocol.layout.timestamp < 0 ? 0 : Date.now();
    const bytes = encodeAlone(protocol, code, flags | (encoded?.flags ?? 0), id, whole, sentAt);
    return { bytes, cost: encoded?.size === undefined ? bytes.length : protocol.headerSize + encoded.size };
  }

  /** Passes a payload through the encoders. Returns `undefined` if they leave it as it is. */
  encode(
    code: number,
    flags: number,
    content: Uint8Array | string,
    origin: PayloadOrigin | undefined,
  ): EncodedPayload | undefined {
    return this.#encoders?.encode(code, flags, content, origin);
  }

  /** Sends a CANCEL for a request that ended without an answer, so that its handler may stop. */
  abandoned(entry: Pending, reason: unknown): void {
    if (!this.#host.native || entry.end < 0) return;
    const priority = this.released(entry) ? CONTROL : ORDERED_CONTROL;
    this.frame(entry.name, SystemCode.CANCEL, 0, entry.requestId, entry.cancelContent(reason), priority);
  }

  /** Returns whether a control frame that is sent now comes after a request. */
  released({ end }: Pending): boolean {
    return end <= this.writer.scheduler.released;
  }

  /** Adds a request that was made already, and sends its frame. Throws if it cannot be sent. */
  open(entry: Pending, code: number, flags: number, content: Uint8Array | string, origin: PayloadOrigin): void {
    entry.signal?.throwIfAborted();
    this.pending.insert(entry);
    try {
      this.frame(entry.name, code, flags, entry.requestId, content, MESSAGE, undefined, origin);
    } catch (error) {
      this.pending.forget(entry);
      throw error;
    }
    this.#sentRequest(entry);
  }

  /** Sends a PING and calls `done` at its answer. Returns false if it cannot be sent. */
  roundTrip(done: () => void): boolean {
    return this.#background(LIBRARY_REPLY, HEARTBEAT_TIMEOUT, true, -1, { decode: done }) !== undefined;
  }

  /** Counts the messages that were sent before an answered request as delivered. */
  answered({ ackedMessages }: Pending): void {
    if (ackedMessages > 0) this.#deliveries?.deliver(ackedMessages);
  }

  /** Reports a request that is over to the observers. */
  settled({ name, requestId, startedAt }: Pending, outcome: "answered" | "failed" | "timeout" | "cancelled"): void {
    const tap = this.#shared.observers.settled;
    if (tap === undefined || startedAt < 0) return;
    tap({ name, requestId, outcome, ms: this.#shared.clock.now() - startedAt }, this.#host.handle);
  }

  /** The current time, as the beginning of a request; -1 if nobody observes requests. */
  get startedAt(): number {
    return this.#shared.observers.settled === undefined ? -1 : this.#shared.clock.now();
  }

  /** Stops the timer of the delivery log. */
  close(): void {
    this.#deliveries?.stop();
  }

  /** Called when the frame of a request was sent. */
  #sentRequest(entry: Pending): void {
    entry.end = this.writer.scheduler.taken;
    // An observer of `sent` may have aborted the request before `end` was set. The CANCEL is sent only now.
    if (!this.pending.has(entry.requestId)) this.abandoned(entry, entry.signal?.reason);
  }

  get #request(): number {
    return this.#host.native ? Flag.REQUEST : 0;
  }

  /** Sends a PING that nobody awaits. Returns `undefined` if it cannot be sent. */
  #background(
    priority: Priority,
    timeout: number,
    background: boolean,
    ackedMessages = -1,
    codec: AnswerCodec = NO_CODEC,
  ): Pending | undefined {
    try {
      const entry = this.#ask("ping", SystemCode.PING, 0, NOTHING, priority, codec, timeout, undefined, background);
      entry.ackedMessages = ackedMessages;
      entry.promise.catch(() => {});
      return entry;
    } catch {
      // There is no room or no free id. The next PING will do.
      return undefined;
    }
  }

  /** Adds a request to those that wait, and sends it. Throws if it cannot be sent. */
  #ask(
    name: string,
    code: number,
    flags: number,
    content: Uint8Array | string,
    priority: Priority,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
    background = false,
    origin?: PayloadOrigin,
  ): Pending {
    const entry = this.pending.add(this.pending.ids.next(), name, codec, timeout, signal, background);
    try {
      this.frame(name, code, this.#request | flags, entry.requestId, content, priority, undefined, origin);
    } catch (error) {
      this.pending.forget(entry);
      throw error;
    }
    return entry;
  }

  #latest(
    code: number,
    { bytes, cost }: EncodedFrame,
    { latest, maxAge }: Latest,
    at = this.#shared.clock.now(),
  ): void {
    const waiting = this.writer.latest(code, bytes, cost, { key: latest, at, maxAge });
    if (waiting === undefined) return;
    this.#frames++;
    this.#deliveries?.take(waiting);
  }

  /**
   * Sends a frame. Returns its size, header included; 0 if the connection is over.
   *
   * @throws {PayloadError} It is larger than the peer takes.
   * @throws {BackpressureError} There is no room for a frame of this priority.
   */
  frame(
    name: string,
    code: number,
    flags: number,
    id: RequestId,
    content: Uint8Array | string,
    priority: Priority,
    sentAt?: number,
    origin?: PayloadOrigin,
  ): number {
    const { protocol } = this.writer;
    let cost = 0;
    if (this.#encoders !== undefined && code >= FIRST_APPLICATION_CODE) {
      const encoded = this.encode(code, flags, content, origin);
      if (encoded !== undefined) {
        flags |= encoded.flags;
        content = encoded.content;
        if (encoded.size !== undefined) cost = protocol.headerSize + encoded.size;
      }
    }
    // The library's own frames are not checked: they are so short that any sensible peer takes them.
    const maxMessageSize = code < FIRST_APPLICATION_CODE ? Infinity : this.maxMessageSize;
    const time = protocol.layout.timestamp < 0 ? 0 : sentAt ?? Date.now();
    const size = this.writer.frame(code, flags, id, content, time, maxMessageSize, priority, cost);
    if (size < 0) throw payloadTooLarge(name, content, maxMessageSize);
    if (cost > 0 && size > 0) this.#saved += cost - size;
    this.#sent(code, flags, id, size);
    return size;
  }

  /** Counts a frame of `size` bytes, header included, and reports it to the observers; 0 if the connection is over. */
  #sent(code: number, flags: number, requestId: RequestId, size: number): void {
    this.#frames++;
    const { sent } = this.#shared.observers;
    if (sent === undefined || size === 0) return;
    const { headerSize } = this.writer.protocol;
    sent({ code, size: size - headerSize, requestId, kind: kindOf(code, flags) }, this.#host.handle);
  }
}
