/**
 * The sending side of a connection. Frames are encoded straight into the buffer that is written next. An idle connection
 * writes at once; what comes while a write is in flight, or later in the same turn, follows in one write.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import { encodeUtf8, utf8Bound, writeUtf8 } from "../base/utf8.ts";
import type { Clock } from "../base/clock.ts";
import type { Channel } from "./channel.ts";
import { reasonOf } from "./close_reason.ts";
import { sealFrame } from "../wire/encoder.ts";
import type { Protocol } from "../wire/protocols.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { type CreditTerms, MESSAGE, type Priority, REPLY, SendScheduler } from "./send_scheduler.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import { Waiters } from "../base/waiters.ts";
import type { Flushable, FlushQueue } from "./flush_queue.ts";
import type { AnswerSizes } from "./answer_sizes.ts";
import { Backlog, type BacklogEvents, WRITE_SLICE } from "./backlog.ts";
import { type HeldAnswer, ReplyRoom, type ReplyRoomOwner, type Reserved } from "./reply_room.ts";
import type { BufferLimits, RoomWaiter, TotalBuffer } from "./total_buffer.ts";

/** From here on bytes that are already encoded are passed on instead of being copied. */
const SHARE_FROM = 16 * 1024;

/** What all frame writers of a Server or a Client share. */
export interface FrameWriterShared {
  /** The time. */
  readonly clock: Clock;
  /** Where buffers come from. */
  readonly pool: BufferPool;
  /** For the write timeout. */
  readonly wheel: TimerWheel;
  /** Whose end is waited for before what was gathered is written. */
  readonly flushes: FlushQueue;
  /** Whether a write follows the one before at once. */
  readonly tuning: { readonly eager: boolean };
  /** The room of all frame writers together. */
  readonly total: TotalBuffer;
  /** Marks and limits. */
  readonly limits: BufferLimits;
}

/** Receives the events of a frame writer. */
export interface FrameWriterEvents extends BacklogEvents {
  /** Called when more than the high-water mark waits (`full`), and again when no more than half of it does. */
  pressure(full: boolean, bufferedBytes: number): void;
  /** Called when there may be room for the answer of a handler that was not started for lack of room. */
  mayStart(): void;
}

/** The sending side of one connection. */
export class FrameWriter implements Flushable, ReplyRoomOwner, RoomWaiter {
  readonly #channel: Pick<Channel, "write">;
  readonly #shared: FrameWriterShared;
  readonly #protocol: Protocol;
  readonly #events: FrameWriterEvents;
  /** There from the moment more than the high-water mark waits until half of it does. */
  #backlog: Backlog | undefined = undefined;
  readonly #scheduler: SendScheduler;
  #state: "idle" | "scheduled" | "writing" | "closed" = "idle";
  #buffered = 0;
  /** How much is being written, in bytes. */
  #writing = 0;
  #written = 0;
  /** When the last write began, by the clock. */
  lastWrite: number;
  /** The room for answers. Made when a handler needs it. */
  #replies: ReplyRoom | undefined = undefined;
  #ready: Waiters | undefined = undefined;
  /** The size of the largest message that was refused since then, in bytes. */
  #refused = 0;
  #flushed: Waiters | undefined = undefined;
  /** Whether what waits for credit is waited for in vain. */
  #spent = false;

  /**
   * @param channel Where to.
   * @param protocol How frames look.
   * @param shared What it shares with others.
   * @param events Receives events.
   */
  constructor(
    channel: Pick<Channel, "write">,
    protocol: Protocol,
    shared: FrameWriterShared,
    events: FrameWriterEvents,
  ) {
    this.#channel = channel;
    this.#protocol = protocol;
    this.#shared = shared;
    this.#events = events;
    this.#scheduler = new SendScheduler(shared.pool);
    this.lastWrite = shared.clock.now();
  }

  /** From now on messages need the peer's credit. */
  limit(terms: CreditTerms): void {
    this.#scheduler.limit(terms);
  }

  /** The peer grants `bytes` more. */
  grant(bytes: number): void {
    if (this.#state === "closed") return;
    this.#scheduler.grant(bytes);
    this.#begin();
  }

  /** The peer grants nothing any more: {@linkcode flushed} does not wait for what is held. */
  ungranted(): void {
    this.#spent = true;
    this.#wake();
  }

  /** Where the next message begins, in bytes of all ordered frames so far. */
  get taken(): number {
    return this.#scheduler.taken;
  }

  /** How many of these bytes were passed to the socket. */
  get passed(): number {
    return this.#scheduler.passed;
  }

  /** How many of these bytes go before an unordered frame that is taken now. */
  get released(): number {
    return this.#scheduler.released;
  }

  /** Bytes taken and not yet passed to the socket, answers that wait for room left out. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Bytes of answers that wait for room. */
  get heldBytes(): number {
    return this.#replies?.heldBytes ?? 0;
  }

  /** Returns whether a handler may start whose route answers like this; `mayStart` is called when it may try again. */
  affords(sizes: AnswerSizes): boolean {
    if (sizes.largest >= 0 && sizes.largest + this.#buffered <= this.#shared.limits.highWaterMark && !this.#replies) {
      return true;
    }
    return this.#room.affords(sizes);
  }

  /** Keeps room for the answer of a handler that was started. */
  reserve(message: Reserved, sizes: AnswerSizes): void {
    if (this.#state !== "closed") this.#room.reserve(message, sizes);
  }

  /** Gives up the room that was kept for an answer. */
  release(message: Reserved, sizes: AnswerSizes): void {
    this.#replies?.release(message, sizes);
  }

  /** Whether more than the high-water mark waits, or did and half of it is left. */
  get full(): boolean {
    return this.#backlog !== undefined;
  }

  /** Bytes passed to the socket so far. */
  get written(): number {
    return this.#written;
  }

  /**
   * Takes one frame.
   *
   * @param most The largest frame the peer takes; a larger one returns -1 and takes nothing.
   * @param priority How it is queued.
   * @returns Its size, header included.
   * @throws {BackpressureError} The buffer, or all of them together, are full; nothing is taken.
   */
  frame(
    code: number,
    flags: number,
    requestId: number | string,
    payload: Uint8Array | string,
    sentAt: number,
    most: number,
    priority: Priority = MESSAGE,
  ): number {
    // A connection that was cut while it handed out a chunk may still answer the rest of it.
    if (this.#state === "closed") return 0;
    const { headerSize } = this.#protocol;
    // Long text is encoded first: a bound of three bytes a character would ask for too much room.
    const content = typeof payload === "string" && payload.length > WRITE_SLICE ? encodeUtf8(payload) : payload;
    const bound = headerSize + (typeof content === "string" ? utf8Bound(content) : content.length);
    if (priority === REPLY && !this.#answers(bound)) {
      return this.#answerLater(code, flags, requestId, content, sentAt, bound, most);
    }
    if (typeof content === "string") return this.#text(code, flags, requestId, content, sentAt, bound, most, priority);
    if (bound > most) return -1;
    this.#admit(bound, priority);
    this.#bytes(code, flags, requestId, content, sentAt, bound, priority);
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
    const { headerSize } = this.#protocol;
    const segment = this.#scheduler.room(bound, priority, this.#alone);
    const at = segment.used;
    const size = writeUtf8(content, segment.bytes, at + headerSize);
    const total = headerSize + size;
    if (total > most) {
      this.#scheduler.trim(priority);
      return -1;
    }
    this.#admit(total, priority);
    sealFrame(this.#protocol, segment.buffer.view, at, code, flags, requestId, size, sentAt);
    segment.used = at + total;
    this.#scheduler.add(total, priority);
    this.#taken(total);
    // A release without framing (1.2) takes one frame a read.
    if (this.#protocol.maxFrameSize !== undefined) this.#scheduler.seal();
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
  ): void {
    const { headerSize, integrity, maxFrameSize } = this.#protocol;
    // Another thread may write to a shared one meanwhile, or make it longer. It is looked at once: the checksum is that of the copy.
    const shared = !(content.buffer instanceof ArrayBuffer);
    const size = total - headerSize;
    const source = shared ? content.subarray(0, size) : content;
    if (total > WRITE_SLICE && integrity !== "sha256") {
      this.#pieces(code, flags, requestId, shared ? new Uint8Array(source) : source, sentAt, priority);
      return;
    }
    const segment = this.#scheduler.room(total, priority, this.#alone);
    const at = segment.used;
    segment.bytes.set(source, at + headerSize);
    const { view } = segment.buffer;
    sealFrame(this.#protocol, view, at, code, flags, requestId, size, sentAt, shared ? undefined : content);
    segment.used = at + total;
    this.#scheduler.add(total, priority);
    this.#taken(total);
    if (maxFrameSize !== undefined) this.#scheduler.seal();
  }

  /** Writes a large frame in pieces: what was sent of it is kept no longer. */
  #pieces(
    code: number,
    flags: number,
    requestId: number | string,
    bytes: Uint8Array,
    sentAt: number,
    priority: Priority,
  ): void {
    const { headerSize } = this.#protocol;
    const size = bytes.length;
    for (let from = 0; from < size;) {
      const before = from === 0 ? headerSize : 0;
      const part = Math.min(WRITE_SLICE - before, size - from);
      const segment = this.#scheduler.room(before + part, priority, false);
      const at = segment.used;
      segment.bytes.set(bytes.subarray(from, from + part), at + before);
      if (from === 0) sealFrame(this.#protocol, segment.buffer.view, at, code, flags, requestId, size, sentAt, bytes);
      segment.used = at + before + part;
      from += part;
    }
    this.#scheduler.add(headerSize + size, priority);
    this.#taken(headerSize + size);
  }

  /** Takes whole frames that are encoded already and that nobody will change. Throws like {@linkcode frame}. */
  encoded(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#admit(bytes.length, MESSAGE);
    if (bytes.length >= SHARE_FROM) {
      this.#scheduler.share(bytes);
    } else {
      const segment = this.#scheduler.room(bytes.length, MESSAGE, this.#alone);
      segment.bytes.set(bytes, segment.used);
      segment.used += bytes.length;
      this.#scheduler.add(bytes.length, MESSAGE);
      if (this.#protocol.maxFrameSize !== undefined) this.#scheduler.seal();
    }
    this.#taken(bytes.length);
  }

  /**
   * Settles when a message may be sent: at once below the high-water mark, else when half of it is left. Where one was refused
   * before, there is room for it by then. It settles, too, when the connection is over.
   */
  ready(): Promise<void> {
    if (this.#state === "closed" || !this.full && this.retry()) return Promise.resolve();
    return (this.#ready ??= new Waiters()).wait();
  }

  /** The room that a refused message lacks, in bytes. */
  get lacks(): number {
    return this.#refused;
  }

  /** Lets those who wait for {@linkcode ready} go on. Returns false while all connections together have no room for them. */
  retry(): boolean {
    // It goes on when this connection has room itself.
    if (this.full) return true;
    if (!this.#shared.total.takesMessage(this.#buffered, this.#refused)) {
      this.#shared.total.waitFor("message", this);
      return false;
    }
    this.#refused = 0;
    this.#goOn();
    return true;
  }

  /** Settles when nothing waits any more that can go, or when the connection is over. */
  flushed(): Promise<void> {
    if (this.#waiting === 0 || this.#state === "closed") return Promise.resolve();
    return (this.#flushed ??= new Waiters()).wait();
  }

  /** Forgets what waits; whoever waits goes on. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const { total } = this.#shared;
    const left = this.#buffered;
    this.#buffered = 0;
    this.#scheduler.clear();
    this.#backlog?.end();
    this.#replies?.close();
    total.leave(this);
    total.free(left);
    this.#shared.flushes.remove(this);
    this.#wake();
  }

  /**
   * Looks whether there is room for a frame of `size` bytes.
   *
   * @throws {BackpressureError} There is none.
   */
  #admit(size: number, { limited }: Priority): void {
    if (!limited) return;
    const { limits, total } = this.#shared;
    if (this.#buffered + size <= limits.highWaterMark) return;
    // Below the mark it takes one message of any size: `send` has said that more may be sent.
    if (this.#buffered > limits.highWaterMark && this.#buffered + size > limits.maxBufferedBytes) {
      this.#refused = Math.max(this.#refused, size);
      throw new BackpressureError(
        "buffer-full",
        `Cannot take the message: ${this.#buffered} bytes wait for this peer already, await ready() first`,
      );
    }
    if (total.takesMessage(this.#buffered, size)) return;
    total.press(size);
    // What was closed for it may have made room.
    if (total.takesMessage(this.#buffered, size)) return;
    this.#refused = Math.max(this.#refused, size);
    throw new BackpressureError(
      "total-buffer-full",
      `Cannot take the message: ${total.buffered} bytes wait for all peers together`,
    );
  }

  /** Returns whether there is room for an answer of `size` bytes. */
  #answers(size: number): boolean {
    const replies = this.#replies;
    if (replies !== undefined && replies.heldBytes > 0) return false;
    return this.#buffered + size <= this.#shared.limits.highWaterMark || this.#room.takes(size);
  }

  /**
   * Takes an answer for which there may be no room: then it is kept until there is. The peer has to take something for that,
   * as when the buffer is full. Returns what {@linkcode frame} does.
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
    const size = text ? this.#protocol.headerSize + content.length : bound;
    if (size > most) return -1;
    // A text takes less room than its bound.
    if (text && this.#answers(size)) this.#bytes(code, flags, requestId, content, sentAt, size, REPLY);
    else {
      // What was made of a text is nobody else's. Not `slice()`: that of a `Buffer` is a view.
      if (!text) content = new Uint8Array(content.subarray(0, size - this.#protocol.headerSize));
      this.#fill();
      this.#room.hold({ code, flags, requestId, content, sentAt, size });
    }
    return size;
  }

  /** Takes an answer that waited for room. */
  put({ code, flags, requestId, content, sentAt, size }: HeldAnswer): void {
    this.#bytes(code, flags, requestId, content, sentAt, size, REPLY);
  }

  /** There may be room for what waits to be started. */
  mayStart(): void {
    this.#events.mayStart();
  }

  get #room(): ReplyRoom {
    const { clock, limits, total } = this.#shared;
    return this.#replies ??= new ReplyRoom(this, total, limits, clock);
  }

  #taken(size: number): void {
    this.#buffered += size;
    this.#shared.total.buffered += size;
    if (!this.full && this.#buffered > this.#shared.limits.highWaterMark) this.#fill();
    this.#begin();
  }

  /** The buffer is full: from now on the peer has to take something in time. */
  #fill(): void {
    if (this.full) return;
    this.#backlog = new Backlog(this, this.#events, this.#shared);
    this.#events.pressure(true, this.#buffered);
  }

  /** Whether the next frame is written at once. */
  get #alone(): boolean {
    const { flushes } = this.#shared;
    return this.#state === "idle" && !flushes.open && !flushes.patient;
  }

  /** Writes at once when idle, or with whatever else this turn brings when its end is waited for. */
  #begin(): void {
    if (this.#state !== "idle") return;
    if (this.#alone) this.#write();
    else {
      this.#state = "scheduled";
      this.#shared.flushes.add(this);
    }
  }

  /** The end of a turn. */
  flush(): void {
    if (this.#state === "scheduled") this.#write();
  }

  #write(): void {
    const bytes = this.#scheduler.next(this.#backlog === undefined ? WRITE_SLICE : this.#backlog.slice);
    if (bytes === undefined) {
      this.#state = "idle";
      return;
    }
    this.#state = "writing";
    this.#writing = bytes.length;
    this.#scheduler.pass(bytes.length);
    this.lastWrite = this.#shared.clock.now();
    this.#channel.write(bytes).then(() => this.#wrote(), (error) => this.#failed(error));
  }

  #wrote(): void {
    if (this.#state !== "writing") return;
    const more = this.#scheduler.advance(this.#writing);
    this.#written += this.#writing;
    this.#buffered -= this.#writing;
    this.#backlog?.wrote(this.lastWrite, this.#scheduler.overtaking);
    this.#shared.total.free(this.#writing);
    this.#replies?.again();
    if (this.#state !== "writing") return;
    const backlog = this.#backlog;
    if (
      backlog !== undefined && this.#buffered <= this.#shared.limits.highWaterMark / 2 && this.heldBytes === 0
    ) {
      backlog.end();
      this.#backlog = undefined;
      this.#wake();
      this.#events.pressure(false, this.#buffered);
    }
    if (this.#flushed !== undefined) this.#wake();
    if (more || this.#shared.tuning.eager) this.#write();
    else {
      // At most one write a turn: what else this turn sends goes into the next one.
      this.#state = "scheduled";
      this.#shared.flushes.add(this);
    }
  }

  #failed(error: Error): void {
    if (this.#state === "writing") this.#events.failed(error, reasonOf(error));
  }

  get #waiting(): number {
    const held = this.#spent && this.#state !== "closed" ? this.#scheduler.heldBytes : 0;
    return this.#buffered + this.heldBytes - held;
  }

  #wake(): void {
    if (this.#state === "closed") this.#goOn();
    else if (this.#ready !== undefined && !this.full) this.retry();
    if (this.#waiting > 0) return;
    this.#flushed?.release();
    this.#flushed = undefined;
  }

  #goOn(): void {
    this.#ready?.release();
    this.#ready = undefined;
  }
}
