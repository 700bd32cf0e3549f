/**
 * What one connection says: messages, requests and answers, and the frames of the library itself. It makes frames of them,
 * numbers requests and waits for their answers.
 *
 * @module
 */

import { BackpressureError, PayloadError } from "../errors.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { FIRST_APPLICATION_CODE, Flag, SystemCode } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { type Barrier, type DeliveriesHost, type DeliveryCounts, DeliveryLog } from "./delivery_log.ts";
import type { RequestId } from "./id_rule.ts";
import { CONTROL, LIBRARY_REPLY, MESSAGE, ORDERED_CONTROL, type Priority, REPLY } from "../link/send_scheduler.ts";
import type { FrameWriter, FrameWriterShared } from "../link/frame_writer.ts";
import {
  type AnswerCodec,
  type Pending,
  type RequestOptions,
  RequestTable,
  type RequestTableHost,
} from "./requests.ts";
import { requestIds } from "./request_ids.ts";
import { kindOf, type Observers } from "./observers.ts";

/** The most bytes of a PING that are echoed. */
const MAX_PING = 64;
/** How long the PONG of a heartbeat is known as one, in milliseconds. */
const BEAT_TIMEOUT = 60_000;
/** The answer to a barrier is worth waiting for as long as the connection lives. */
const ENDLESS = 0x7fffffff;
const NOTHING = new Uint8Array(0);
const NO_CODEC: AnswerCodec = { decode: () => undefined };

/** What all senders of a Server or a Client share. */
export interface SenderShared extends FrameWriterShared {
  readonly observers: Observers;
}

/** What an answer needs to know of its request. */
export interface Request {
  readonly type: { readonly name: string; readonly code: number };
  readonly requestId: RequestId;
  /** When the request was sent, for the protocols whose answers repeat that. */
  readonly sentAt: number | undefined;
}

/** A payload with the flags that say what was done to it. */
export interface EncodedPayload {
  readonly flags: number;
  readonly content: Uint8Array;
}

/** Transforms payloads on their way out. */
export interface PayloadEncoder {
  /** Transforms the payload of a message, request or reply that is sent. Returns `undefined` to leave it as it is. */
  encode(code: number, flags: number, content: Uint8Array | string): EncodedPayload | undefined;
}

/** The session that sends. */
export interface SenderHost {
  readonly native: boolean;
  /** The second argument of observers. */
  readonly handle: unknown;
  /** Called with the reason `"slow-consumer"` if the peer asks more than it reads the answers of. */
  ended(reason: CloseReason, error: Error): void;
}

/** The sending side of one connection, above its frame writer. */
export class Sender implements RequestTableHost, DeliveriesHost {
  /** The largest frame that the peer takes, header included, in bytes. */
  readonly maxMessageSize: number;
  /** Where frames go. */
  readonly writer: FrameWriter;
  /** Who waits for answers. */
  readonly pending: RequestTable;
  readonly #shared: SenderShared;
  readonly #host: SenderHost;
  #frames = 0;
  #leftOut = 0;
  #deliveries: DeliveryLog | undefined = undefined;
  #encoders: readonly PayloadEncoder[] | undefined = undefined;

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
    // Not the outcome itself, which has all messages of the handshake.
    const { protocol, numbering } = outcome;
    const ids = { protocol, numbering };
    this.pending = new RequestTable(shared.wheel, (pending) => requestIds(ids, side, pending, clock), this);
  }

  /** Frames sent so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Answers of our own that found no room for all connections together. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** From now on counts what becomes of messages. Requests tell their own end. */
  track(): void {
    this.#deliveries = new DeliveryLog(this.writer, this.#shared.wheel, this);
  }

  /** What became of them. */
  get deliveries(): DeliveryCounts | undefined {
    return this.#deliveries?.counts;
  }

  /** Sends a last barrier after all messages, so that an orderly end leaves none uncertain. */
  cover(): void {
    this.#deliveries?.cover(true);
  }

  /** Sends a barrier after all messages so far. */
  barrier(): Pending | undefined {
    return this.#background(ORDERED_CONTROL, ENDLESS, false, this.#deliveries!.sent);
  }

  /** The answer of a barrier is not waited for any more. */
  outdated(barrier: Barrier): void {
    this.pending.outdated(barrier as Pending);
  }

  /** Sends a message. Returns true if more may follow. */
  send(name: string, code: number, content: Uint8Array | string): boolean {
    this.#frame(name, code, 0, this.pending.ids.plain(), content, MESSAGE);
    this.#deliveries?.take();
    return this.writer.buffered <= this.#shared.limits.highWaterMark;
  }

  /** Sends whole frames that are encoded already; throws a `BackpressureError` when there is no room. */
  encoded(frames: Uint8Array): void {
    this.writer.encoded(frames);
    this.#frames++;
  }

  /** Sends a request; throws what keeps it from being sent. */
  ask(
    name: string,
    code: number,
    content: Uint8Array | string,
    codec: AnswerCodec,
    { timeout = 5_000, signal }: RequestOptions,
  ): Promise<unknown> {
    checkTimeout(name, timeout);
    signal?.throwIfAborted();
    const entry = this.#ask(name, code, content, MESSAGE, codec, timeout, signal);
    entry.end = this.writer.scheduler.taken;
    if (this.#deliveries !== undefined) entry.covers = this.#deliveries.sent;
    // Whoever hears that it is sent may give it up.
    if (!this.pending.has(entry.requestId)) this.abandoned(entry);
    return entry.promise;
  }

  /** Sends a PING past whatever waits; settles with the round trip in milliseconds. */
  ping({ timeout = 5_000, signal }: RequestOptions): Promise<unknown> {
    checkTimeout("ping", timeout);
    signal?.throwIfAborted();
    const { clock } = this.#shared;
    const sent = clock.now();
    const codec = { decode: () => clock.now() - sent };
    return this.#ask("ping", SystemCode.PING, NOTHING, LIBRARY_REPLY, codec, timeout, signal).promise;
  }

  /** Sends the PING of a heartbeat, if there is room: where there is none, the peer has enough to answer. */
  beat(): void {
    this.#background(LIBRARY_REPLY, BEAT_TIMEOUT, true);
  }

  /** Sends the answer of a handler, at once or when there is room for it. Returns its size, header included. */
  answer({ type, requestId, sentAt }: Request, flags: number, content: Uint8Array | string): number {
    return this.#frame(type.name, type.code, flags, requestId, content, REPLY, sentAt);
  }

  /**
   * Sends an answer of our own. A peer that asks and does not read the answers is closed before they pile up. Where it is others
   * that leave no room, the answer is left out: this peer is not to blame for it.
   */
  reply(name: string, code: number, flags: number, to: ReceivedFrame, content: Uint8Array | string): void {
    try {
      this.#frame(name, code, flags, to.requestId, content, LIBRARY_REPLY, to.sentAt);
    } catch (error) {
      if (error instanceof PayloadError) throw error;
      if (error instanceof BackpressureError && error.code === "total-buffer-full") this.#leftOut++;
      else this.#host.ended("slow-consumer", error as Error);
    }
  }

  /** Answers a PING. */
  pong(ping: ReceivedFrame): void {
    const most = this.#host.native ? Math.min(MAX_PING, this.maxMessageSize - this.writer.protocol.headerSize) : 0;
    const content = ping.content.length <= most ? ping.content : NOTHING;
    this.reply("pong", SystemCode.PONG, this.#host.native ? Flag.REPLY : 0, ping, content);
  }

  /**
   * Sends a frame of the library to a native peer. It is short, and the session would not go on without it.
   *
   * @param name What it is, for errors.
   * @param ordered True if it must come after all messages so far. Otherwise it overtakes those that wait for credit.
   */
  control(name: string, code: number, id: number, content: Uint8Array | string, ordered = false): void {
    this.#frame(name, code, 0, id, content, ordered ? ORDERED_CONTROL : CONTROL);
  }

  /** From now on payloads go through these encoders. */
  transform(parts: readonly PayloadEncoder[]): void {
    this.#encoders = parts;
  }

  /** True if payloads are transformed: then one encoded frame does not fit several peers. */
  get transforms(): boolean {
    return this.#encoders !== undefined;
  }

  /** A request ended without an answer: its handler may stop. */
  abandoned({ requestId, end, what }: Pending): void {
    if (!this.#host.native || end < 0) return;
    const priority = end > this.writer.scheduler.released ? ORDERED_CONTROL : CONTROL;
    this.#frame(what, SystemCode.CANCEL, 0, requestId, NOTHING, priority);
  }

  /** An answer came: whatever was sent before the request has arrived. */
  answered({ covers }: Pending): void {
    if (covers > 0) this.#deliveries?.deliver(covers);
  }

  /** A request is over, for whoever watches. */
  settled({ what, requestId, since }: Pending, outcome: "answered" | "failed" | "timeout" | "cancelled"): void {
    const tap = this.#shared.observers.settled;
    if (tap === undefined || since < 0) return;
    tap({ name: what, requestId, outcome, ms: this.#shared.clock.now() - since }, this.#host.handle);
  }

  /** When a request begins, where anybody wants to know. */
  get since(): number {
    return this.#shared.observers.settled === undefined ? -1 : this.#shared.clock.now();
  }

  /** Stops the timers of deliveries. */
  close(): void {
    this.#deliveries?.stop();
  }

  get #request(): number {
    return this.#host.native ? Flag.REQUEST : 0;
  }

  /** A PING that nobody awaits. */
  #background(priority: Priority, timeout: number, quiet: boolean, covers = -1): Pending | undefined {
    try {
      const entry = this.#ask("ping", SystemCode.PING, NOTHING, priority, NO_CODEC, timeout, undefined, quiet);
      entry.covers = covers;
      entry.promise.catch(() => {});
      return entry;
    } catch {
      // No room, or no id: the next one will do.
      return undefined;
    }
  }

  /** Sends a request and waits for its answer; throws what keeps it from being sent. */
  #ask(
    what: string,
    code: number,
    content: Uint8Array | string,
    priority: Priority,
    codec: AnswerCodec,
    timeout: number,
    signal: AbortSignal | undefined,
    quiet = false,
  ): Pending {
    const entry = this.pending.add(this.pending.ids.next(), what, codec, timeout, signal, quiet);
    try {
      this.#frame(what, code, this.#request, entry.requestId, content, priority);
    } catch (error) {
      this.pending.forget(entry);
      throw error;
    }
    return entry;
  }

  #frame(
    name: string,
    code: number,
    flags: number,
    id: RequestId,
    content: Uint8Array | string,
    priority: Priority,
    sentAt?: number,
  ): number {
    const { protocol } = this.writer;
    if (this.#encoders !== undefined && code >= FIRST_APPLICATION_CODE) {
      for (const encoder of this.#encoders) {
        const encoded = encoder.encode(code, flags, content);
        if (encoded === undefined) continue;
        flags |= encoded.flags;
        content = encoded.content;
      }
    }
    // The library's own frames are short: no sensible peer is too small for them.
    const maxMessageSize = code < FIRST_APPLICATION_CODE ? Infinity : this.maxMessageSize;
    const time = protocol.layout.timestamp < 0 ? 0 : sentAt ?? Date.now();
    const size = this.writer.frame(code, flags, id, content, time, maxMessageSize, priority);
    if (size < 0) throw payloadTooLarge(name, content, maxMessageSize);
    this.#frames++;
    const { sent } = this.#shared.observers;
    if (sent !== undefined && size > 0) {
      sent({ code, size: size - protocol.headerSize, requestId: id, kind: kindOf(code, flags) }, this.#host.handle);
    }
    return size;
  }
}

/** The error for a payload that the peer does not take, as it takes frames of `most` bytes. */
export function payloadTooLarge(name: string, content: Uint8Array | string, most: number): PayloadError {
  const unit = typeof content === "string" ? "characters" : "bytes";
  return new PayloadError(
    "payload-too-large",
    `Cannot send "${name}": its ${content.length} ${unit} and the header are above the ${most} bytes that the peer takes`,
  );
}

/** @throws {RangeError} It is no time to wait for. */
export function checkTimeout(what: string, timeout: number): void {
  if (typeof timeout === "number" && timeout > 0 && timeout <= 0x7fffffff) return;
  throw new RangeError(`Cannot request "${what}": timeout must be above 0 and at most 2147483647 ms, not ${timeout}`);
}
