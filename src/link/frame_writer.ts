/**
 * Implements the sending side of a connection. Frames are encoded directly into the buffer that is written next. Each
 * frame is checked against the limits of the connection and of all connections together.
 *
 * @module
 */

import { BackpressureError, ConnectionError } from "../errors.ts";
import { takeOver } from "../base/hand_over.ts";
import { encodeUtf8, utf8Bound, writeUtf8 } from "../base/utf8.ts";
import type { Channel } from "./channel.ts";
import type { CloseReason } from "./close_reason.ts";
import { sealFrame } from "../wire/encoder.ts";
import type { Protocol } from "../wire/protocols.ts";
import { encodeBytes, encodeShared, queueEncoded } from "./frame_encoding.ts";
import { MESSAGE, type Priority, REPLY } from "./send_scheduler.ts";
import { LatestFrame, LatestFrames, type LatestTerms } from "./latest_frames.ts";
import { type PulledRoom, type PulledSource, PulledSources, type PushedSource } from "./pulled_sources.ts";
import { Waiters } from "../base/waiters.ts";
import type { KeptBytes } from "./kept_bytes.ts";
import type { AnswerSizes } from "./answer_sizes.ts";
import type { FlushQueue } from "./flush_queue.ts";
import { Backlog, type BacklogEvents, type BacklogShared, WRITE_SLICE } from "./backlog.ts";
import { MessageRoom, refusalOf } from "./message_room.ts";
import { type HeldAnswer, ReplyRoom, type ReplyRoomOwner, type Reserved } from "./reply_room.ts";
import { WriteLoop, type WriteLoopShared } from "./write_loop.ts";

/** What all frame writers of a Server or a Client share. */
export interface FrameWriterShared extends WriteLoopShared, BacklogShared {}

/** Receives the events of a {@linkcode FrameWriter}. */
export interface FrameWriterEvents extends BacklogEvents {
  /** Called when the buffer becomes full, and when it is no longer full; see {@linkcode FrameWriter.full}. */
  pressure(full: boolean, bufferedBytes: number): void;
  /** Called when there may be room for the answer of a handler that was not started for lack of room. */
  mayStart(): void;
}

/** Counts bytes that wait. */
interface BufferCount {
  buffered: number;
  /** Called when `bytes` no longer wait. */
  free(bytes: number): void;
}

/** The sending side of one connection. */
export class FrameWriter extends WriteLoop implements ReplyRoomOwner {
  readonly protocol: Protocol;
  readonly #shared: FrameWriterShared;
  readonly #events: FrameWriterEvents;
  #buffered = 0;
  /** Counts the waiting bytes: those of all connections together, or of this one alone while there is no connection. */
  #total: BufferCount;
  /** The number of waiting bytes above which the buffer becomes full. */
  #mark: number;
  #full = false;
  /** Exists while the buffer is full and there is a connection. */
  #backlog: Backlog | undefined = undefined;
  /** The room for answers. Created when a handler needs it. */
  #replies: ReplyRoom | undefined = undefined;
  /** The room for messages. Created when one is refused, or when a caller waits. */
  #messages: MessageRoom | undefined = undefined;
  /** Made when a feature has a source. */
  #sources: PulledSources | undefined = undefined;
  /** The frames of which only the latest counts. Created when one has to wait. */
  #latest: LatestFrames | undefined = undefined;
  #flushed: Waiters | undefined = undefined;
  /** Who is first when there is room again: 0 for messages, 1 for answers, 2 for sources. */
  #first = 0;
  /** True once the peer can grant no more credit, so that held frames will never be sent. */
  #spent = false;

  constructor(
    channel: Pick<Channel, "writeTo">,
    protocol: Protocol,
    shared: FrameWriterShared,
    events: FrameWriterEvents,
  ) {
    super(channel, shared);
    this.protocol = protocol;
    this.#shared = shared;
    this.#events = events;
    this.#mark = shared.limits.highWaterMark;
    this.#total = shared.total;
  }

  /** True while no new message, answer or piece may begin, because too much is not acknowledged. */
  get blocked(): boolean {
    return this.scheduler.blocked;
  }

  /** True while `send` may say that more may be sent. */
  get takesMore(): boolean {
    return this.#buffered <= this.#mark;
  }

  /** Leaves the connection. From now on, what is kept and what waits may be `buffer` bytes together. */
  override leave(): void {
    this.#backlog?.end();
    this.#backlog = undefined;
    super.leave();
    this.#count({ buffered: 0, free: () => {} });
    this.#limit();
  }

  /** Goes on over another connection. What is kept is written again first. Returns how many bytes that is. */
  override enter(channel: Pick<Channel, "writeTo">): number {
    this.#mark = this.#shared.limits.highWaterMark;
    this.#count(this.#shared.total);
    if (this.#full) this.#backlog = new Backlog(this, this.#events, this.#shared);
    const again = super.enter(channel);
    this.#replies?.again();
    this.#eased();
    this.#sources?.opened();
    return again;
  }

  /** Called when the peer has acknowledged all bytes before `offset`. */
  acknowledge(offset: number): void {
    const { blocked } = this;
    this.scheduler.acknowledge(this.kept!.acknowledge(offset));
    this.#backlog?.progress();
    if (this.away) this.#limit();
    if (!blocked || this.blocked || this.closed) return;
    // Messages, answers and sources may each use up all the room, so they take turns to be first.
    this.#first = (this.#first + 1) % 3;
    for (let i = 0; i < 3 && !this.blocked; i++) {
      const next = (this.#first + i) % 3;
      if (next === 0) this.scheduler.resume();
      else if (next === 1) this.#replies?.again();
      else this.#sources?.opened();
    }
    this.#eased();
    this.begin();
  }

  /** The bytes that more messages may take while there is no connection. */
  get #spare(): number {
    const { buffer, size } = this.kept!;
    return buffer - size - this.#buffered;
  }

  /** Counts the waiting bytes in `total` from now on. */
  #count(total: BufferCount): void {
    this.#total.free(this.#buffered);
    this.#total = total;
    total.buffered += this.#buffered;
  }

  /** Sets the mark for as long as there is no connection. A caller that stops at it is never refused. */
  #limit(): void {
    const { buffer, size } = this.kept!;
    // At -1 not even one message is taken.
    this.#mark = size < buffer ? Math.min(this.#shared.limits.highWaterMark, (buffer - size) / 2) : -1;
    if (this.#buffered > this.#mark) this.#fill();
  }

  /** Lets a source send frames when there is room for them. */
  pull(source: PulledSource): void {
    if (!this.closed) this.#pulled.add(source);
  }

  /**
   * Lets a source send what it has gathered, for which there was room at that time. Returns false if nothing is sent any
   * more.
   */
  push(source: PushedSource): boolean {
    if (this.closed) return false;
    this.#pulled.push(source);
    return true;
  }

  /** True if there is room for what sources send. */
  get roomy(): boolean {
    return !this.closed && this.#pulled.roomy;
  }

  /** The turns, at the end of which gathered bytes are sent. */
  get flushes(): FlushQueue {
    return this.#shared.flushes;
  }

  /** Asks no source any more: what it has sent is all. */
  endSources(): void {
    this.#sources?.close();
  }

  /** Called when the peer grants `bytes` more. */
  grant(bytes: number): void {
    if (this.closed) return;
    this.scheduler.grant(bytes);
    this.begin();
  }

  /** Called when the peer can grant nothing any more: {@linkcode flushed} does not wait for what is held. */
  ungranted(): void {
    this.#spent = true;
    this.#wake();
  }

  /** The number of bytes that wait to be sent. Answers that wait for room are left out. */
  get buffered(): number {
    return this.#buffered;
  }

  /** The number of bytes of answers that wait for room. */
  get heldBytes(): number {
    return this.#replies?.heldBytes ?? 0;
  }

  protected override get slice(): number {
    return this.#backlog === undefined ? WRITE_SLICE : this.#backlog.slice;
  }

  /**
   * True from the moment more than the high-water mark waits, or an answer finds no room, until no more than half of
   * the mark waits and no answer lacks room.
   */
  get full(): boolean {
    return this.#full;
  }

  /**
   * Returns whether a handler may start whose route has given answers of these sizes. If not, `mayStart` is called when
   * it can be tried again.
   */
  affords(sizes: AnswerSizes): boolean {
    if (sizes.largest >= 0 && sizes.largest + this.#buffered <= this.#shared.limits.highWaterMark && !this.#replies) {
      return true;
    }
    return this.#room.affords(sizes);
  }

  /** Keeps room for the answer of a handler that was started. */
  reserve(message: Reserved, sizes: AnswerSizes): void {
    if (!this.closed) this.#room.reserve(message, sizes);
  }

  /** Gives up the room that was kept for an answer. */
  release(message: Reserved, sizes: AnswerSizes): void {
    this.#replies?.release(message, sizes);
  }

  /**
   * Takes one frame.
   *
   * @param most The largest frame that the peer takes, header included, in bytes.
   * @param cost What a frame of bytes costs in credit; 0 for its size.
   * @returns The size of the frame, header included; -1 if it is larger than `most`, and 0 if the connection is over.
   * Nothing is taken then.
   * @throws {BackpressureError} There is no room on this connection, or none for all together. Nothing is taken.
   */
  frame(
    code: number,
    flags: number,
    requestId: number | string,
    payload: Uint8Array | string,
    sentAt: number,
    most: number,
    priority: Priority = MESSAGE,
    cost = 0,
  ): number {
    // A connection that was cut while it handed out a chunk may still answer the rest of it.
    if (this.closed) return 0;
    const { headerSize } = this.protocol;
    // Long text is encoded first, because a bound of three bytes a character would need too much room.
    const content = typeof payload === "string" && payload.length > WRITE_SLICE ? encodeUtf8(payload) : payload;
    const bound = headerSize + (typeof content === "string" ? utf8Bound(content) : content.length);
    if (priority === REPLY && !this.#answers(bound)) {
      return this.#answerLater(code, flags, requestId, content, sentAt, bound, most);
    }
    if (typeof content === "string") return this.#text(code, flags, requestId, content, sentAt, bound, most, priority);
    if (bound > most) return -1;
    if (!this.#admit(bound, priority)) return 0;
    this.#bytes(code, flags, requestId, content, sentAt, bound, priority, cost === 0 ? bound : cost);
    return bound;
  }

  /** Writes a frame of text of at most `bound` bytes. Returns what {@linkcode frame} does, and throws the same. */
  #text(
    code: number,
    flags: number,
    requestId: number | string,
    content: string,
    sentAt: number,
    bound: number,
    most: number,
    priority: Priority,
  ): number {
    const { headerSize } = this.protocol;
    const segment = this.scheduler.room(bound, priority, this.alone);
    const at = segment.used;
    const size = writeUtf8(content, segment.bytes, at + headerSize);
    const total = headerSize + size;
    if (total > most) {
      this.scheduler.trim(priority);
      return -1;
    }
    if (!this.#admit(total, priority)) return 0;
    sealFrame(this.protocol, segment.buffer.view, at, code, flags, requestId, size, sentAt);
    segment.used = at + total;
    this.scheduler.add(total, priority);
    this.#taken(total);
    // A release without framing (1.2) takes one frame a read.
    if (this.protocol.maxFrameSize !== undefined) this.scheduler.seal();
    return total;
  }

  /** Writes a frame of bytes, of `total` bytes with its header. */
  #bytes(
    code: number,
    flags: number,
    requestId: number | string,
    content: Uint8Array,
    sentAt: number,
    total: number,
    priority: Priority,
    cost: number,
  ): void {
    const { alone, protocol, scheduler } = this;
    encodeBytes(scheduler, protocol, code, flags, requestId, content, sentAt, total, priority, alone, cost);
    this.#taken(total);
  }

  /**
   * Takes one message whose payload was given away, and for which `isLarge` holds. It is written from where it lies.
   * Returns and throws what {@linkcode frame} does. The payload is taken only if the message is.
   */
  given(
    code: number,
    requestId: number | string,
    payload: Uint8Array<ArrayBuffer>,
    sentAt: number,
    most: number,
  ): number {
    if (this.closed) return 0;
    const { alone, protocol, scheduler } = this;
    const total = protocol.headerSize + payload.length;
    if (total > most) return -1;
    if (!this.#admit(total, MESSAGE)) return 0;
    const own = takeOver(payload);
    if (own === undefined) this.#bytes(code, 0, requestId, payload, sentAt, total, MESSAGE, total);
    else {
      encodeShared(scheduler, protocol, code, requestId, own, sentAt, alone);
      this.#taken(total);
    }
    return total;
  }

  /**
   * Takes frames that are encoded already and that nobody will change. `cost` is what they cost in credit. Throws like
   * {@linkcode frame}.
   */
  encoded(bytes: Uint8Array, cost: number = bytes.length): void {
    if (this.closed) return;
    if (!this.#admit(bytes.length, MESSAGE)) return;
    queueEncoded(this.scheduler, this.protocol, bytes, this.alone, cost);
    this.#taken(bytes.length);
  }

  /**
   * Checks that a message to many connections, of `size` bytes, may wait here. One without a connection gets no more than it
   * may keep: all of them together would hold many times what is allowed.
   *
   * @throws {BackpressureError} It may not.
   */
  checkCopy(size: number): void {
    if (this.away && size > this.#spare) throw this.#fullAway();
  }

  /** True if a message that is taken now is written at once. */
  get idle(): boolean {
    return this.alone && this.scheduler.open;
  }

  /** The frames of which only the latest counts; `undefined` if none ever had to wait. */
  get latestFrames(): LatestFrames | undefined {
    return this.#latest;
  }

  /**
   * Takes a frame that is encoded already, that nobody will change, and of which only the latest counts. It takes the
   * place of one with the same code and key that still waits. `cost` is what it costs in credit. Returns the frame if it
   * has a place of its own, and `undefined` if it has replaced one or the connection is over. Throws like
   * {@linkcode frame}.
   */
  latest(code: number, bytes: Uint8Array, cost: number, terms: LatestTerms): LatestFrame | undefined {
    if (this.closed) return undefined;
    const latest = this.#latest ??= new LatestFrames(this.#shared.clock, this.protocol.maxFrameSize !== undefined);
    const older = latest.find(code, terms.key);
    const growth = bytes.length - (older?.bytes.length ?? 0);
    if (growth > 0 && !this.#admit(growth, MESSAGE)) return undefined;
    if (older !== undefined) {
      latest.replace(older, bytes, cost, terms);
      if (growth > 0) this.#taken(growth);
      else if (growth < 0) this.#freed(-growth);
      return undefined;
    }
    const frame = new LatestFrame(code, bytes, cost, terms);
    latest.push(frame);
    this.scheduler.place(latest);
    this.#taken(bytes.length);
    return frame;
  }

  /**
   * Resolves when a message may be sent: at once while the buffer is not {@linkcode full}, otherwise when it is no
   * longer full. If a message was refused before, there is room for it by then. It also resolves when the connection is
   * over.
   */
  ready(): Promise<void> {
    if (this.closed || !this.full && this.#messages?.retry() !== false) return Promise.resolve();
    return this.#messageRoom.wait();
  }

  /** Resolves when nothing that can be sent waits any more, or when the connection is over. */
  flushed(): Promise<void> {
    if (this.#waiting === 0 || this.closed) return Promise.resolve();
    return (this.#flushed ??= new Waiters()).wait();
  }

  /** Drops what waits to be sent, and lets all callers that wait go on. */
  close(): void {
    if (this.closed) return;
    this.stop();
    const left = this.#buffered;
    this.#buffered = 0;
    this.scheduler.clear();
    this.#backlog?.end();
    this.#replies?.close();
    this.#messages?.close();
    this.#sources?.close();
    this.#total.free(left);
    this.#wake();
  }

  // For the write loop.

  protected override wrote(bytes: number): void {
    this.#backlog?.wrote(this.lastWrite, this.scheduler.overtaking);
    this.#freed(bytes);
    if (this.kept !== undefined && this.kept.excessive) {
      this.#events.failed(notAcknowledged(this.kept), "slow-consumer");
    }
    if (this.closed) return;
    this.#sources?.wrote(this.#shared.clock.now() - this.lastWrite);
    if (this.#flushed !== undefined) this.#wake();
  }

  protected override dropped(bytes: number): void {
    if (this.closed) return;
    this.#freed(bytes);
    if (this.#flushed !== undefined) this.#wake();
  }

  protected override failed(error: Error, reason: CloseReason): void {
    this.#events.failed(error, reason);
  }

  /**
   * Checks that there is room for a frame of `size` bytes. Returns false if this connection was closed to make some.
   *
   * @throws {BackpressureError} There is none.
   */
  #admit(size: number, { limited }: Priority): boolean {
    if (!limited || this.#buffered + size <= this.#mark) return true;
    const { limits, total } = this.#shared;
    const refusal = this.away ? this.#refusalAway(size) : refusalOf(size, this, limits, total);
    if (this.closed) return false;
    if (refusal === undefined) return true;
    // Whoever awaits `ready()` then waits for the connection.
    if (this.away) this.#fill();
    this.#messageRoom.refuse(size);
    throw refusal;
  }

  /** Returns the error for a message for which there is no room while there is no connection. */
  #refusalAway(size: number): BackpressureError | undefined {
    // While `send` says that more may be sent, one message of any size is taken.
    return this.#buffered <= this.#mark || size <= this.#spare ? undefined : this.#fullAway();
  }

  #fullAway(): BackpressureError {
    const bytes = this.kept!.size + this.#buffered;
    return new BackpressureError(
      "buffer-full",
      `Cannot take the message: ${bytes} bytes wait for the connection to come back, await ready() first`,
    );
  }

  /** Returns whether there is room for an answer of `size` bytes. */
  #answers(size: number): boolean {
    if (this.blocked) return false;
    const replies = this.#replies;
    if (replies !== undefined && replies.heldBytes > 0) return false;
    return this.#buffered + size <= this.#shared.limits.highWaterMark || this.#room.takes(size);
  }

  /**
   * Takes an answer for which there may be no room. It is then kept until there is room, and the peer must take
   * something in time, as when the buffer is full. Returns what {@linkcode frame} does.
   */
  #answerLater(
    code: number,
    flags: number,
    requestId: number | string,
    payload: Uint8Array | string,
    sentAt: number,
    bound: number,
    most: number,
  ): number {
    const text = typeof payload === "string";
    let content = text ? encodeUtf8(payload) : payload;
    const size = text ? this.protocol.headerSize + content.length : bound;
    if (size > most) return -1;
    // A text takes less room than its bound.
    if (text && this.#answers(size)) this.#bytes(code, flags, requestId, content, sentAt, size, REPLY, size);
    else {
      // The caller may change its bytes, so they are copied; those of an encoded text belong to nobody else. `slice()`
      // would not copy a `Buffer`: its result is a view.
      if (!text) content = new Uint8Array(content.subarray(0, size - this.protocol.headerSize));
      this.#fill();
      this.#room.hold({ code, flags, requestId, content, sentAt, size });
    }
    return size;
  }

  /** Takes an answer that waited for room. */
  put({ code, flags, requestId, content, sentAt, size }: HeldAnswer): void {
    this.#bytes(code, flags, requestId, content, sentAt, size, REPLY, size);
  }

  /** Called when there may be room for the answer of a handler that was not started. */
  mayStart(): void {
    this.#events.mayStart();
  }

  get #pulled(): PulledSources {
    return this.#sources ??= new PulledSources(this.scheduler, this.#sourceRoom());
  }

  /** The room for sources. They never fill the buffer, so that messages still find room. */
  #sourceRoom(): PulledRoom {
    const { limits: { highWaterMark, maxTotalBufferedBytes }, total } = this.#shared;
    return {
      most: Math.max(1, highWaterMark / 2),
      crowded: () => total.buffered > maxTotalBufferedBytes,
      closed: () => this.blocked || this.away,
    };
  }

  get #messageRoom(): MessageRoom {
    return this.#messages ??= new MessageRoom(this, this.#shared.total);
  }

  get #room(): ReplyRoom {
    const { clock, limits, total } = this.#shared;
    return this.#replies ??= new ReplyRoom(this, total, limits, clock);
  }

  #taken(size: number): void {
    this.#buffered += size;
    this.#total.buffered += size;
    if (!this.#full && this.#buffered > this.#mark) this.#fill();
    this.begin();
  }

  /** Called when `bytes` no longer wait. */
  #freed(bytes: number): void {
    this.#buffered -= bytes;
    this.#total.free(bytes);
    this.#replies?.again();
    if (!this.closed) this.#eased();
  }

  /** Called when the buffer may no longer be full. */
  #eased(): void {
    if (!this.#full || this.#buffered > this.#mark / 2 || this.heldBytes > 0 || this.away) return;
    this.#full = false;
    this.#backlog?.end();
    this.#backlog = undefined;
    this.#wake();
    this.#events.pressure(false, this.#buffered);
  }

  /** Called when the buffer is full: from now on the peer has to take something in time. */
  #fill(): void {
    if (this.#full) return;
    this.#full = true;
    if (!this.away) this.#backlog = new Backlog(this, this.#events, this.#shared);
    this.#events.pressure(true, this.#buffered);
  }

  /** The number of bytes that wait and can still be sent. */
  get #waiting(): number {
    const held = this.#spent && !this.closed ? this.scheduler.heldBytes : 0;
    return this.#buffered + this.heldBytes - held;
  }

  #wake(): void {
    if (!this.closed && !this.full && this.#messages?.awaited === true) this.#messages.retry();
    if (this.#waiting > 0) return;
    this.#flushed?.release();
    this.#flushed = undefined;
  }
}

function notAcknowledged({ size }: KeptBytes): ConnectionError {
  return new ConnectionError("timed-out", `The peer has not acknowledged ${size} bytes`);
}
