/**
 * The streams of one session: it opens them, accepts those of the peer, and hands the frames of all of them on.
 *
 * @module
 */

import { IdMap } from "../../../base/id_map.ts";
import type { TimerWheel } from "../../../base/timer_wheel.ts";
import { BackpressureError, PayloadError, ProtocolError } from "../../../errors.ts";
import { CONTROL, ORDERED_CONTROL, REPLY } from "../../../link/send_scheduler.ts";
import type { Flushable } from "../../../link/flush_queue.ts";
import type { PulledSource, PushedSource } from "../../../link/pulled_sources.ts";
import type { ReceivedFrame } from "../../../wire/decoded_frame.ts";
import { Flag, MAX_PIECE, SystemCode } from "../../../wire/frame.ts";
import { get32 } from "../../../wire/integers.ts";
import { errorOf, RATE_LIMITED, TOO_MANY_STREAMS, UNREADABLE } from "../../error_reply.ts";
import type { FeatureHost } from "../../feature.ts";
import type { OpenedStream, Opening, StreamOpener } from "../../streams.ts";
import { Accepted, type AcceptedShared } from "./accepted.ts";
import { Opened, StreamRequest } from "./opened.ts";
import type { ItemHolder } from "./receiving.ts";
import type { Stream } from "./stream.ts";

/** The most bytes that the streams of one connection gather in one turn. */
const MOST_GATHERED = 65_536;

/** What one side offers the other. */
export interface StreamTerms {
  /** How many bytes a new stream may send before it is granted more. */
  readonly window: number;
  /** How many streams the other side may have open. */
  readonly max: number;
  /** What a piece costs at least, in bytes. */
  readonly least: number;
}

/** The streams of one session. */
export class StreamTable implements StreamOpener, AcceptedShared {
  readonly ours: StreamTerms;
  readonly theirs: StreamTerms;
  readonly #host: FeatureHost;
  /** The streams that this side opened, and those that the peer opened. Created with the first. */
  #own: IdMap<Opened> | undefined = undefined;
  #peers: IdMap<Accepted> | undefined = undefined;
  /** The bytes of small writes that wait for the end of the turn. */
  #gathered = 0;
  /** The number of handlers that have not settled. */
  #handlers = 0;
  /** What the windows of this session have taken, in bytes. */
  #windows = 0;
  /** The number of WINDOW frames that the peer has sent. */
  #grants = 0;

  /** The bytes of the items that are gathered and are larger than a window. */
  #items = 0;
  /** The streams that wait for room for such an item. Created with the first one. */
  #waiting: Set<ItemHolder> | undefined = undefined;

  constructor(ours: StreamTerms, theirs: StreamTerms, host: FeatureHost) {
    this.ours = ours;
    this.theirs = theirs;
    this.#host = host;
  }

  get size(): number {
    return (this.#own?.size ?? 0) + (this.#peers?.size ?? 0);
  }

  has(id: number | string): boolean {
    return this.#peers?.get(id) !== undefined;
  }

  open(opening: Opening): OpenedStream {
    const { name } = opening;
    if ((this.#own?.size ?? 0) >= this.theirs.max) {
      throw tooMany(`Cannot open "${name}": ${this.theirs.max} streams are open, which is all that the peer takes`);
    }
    // The peer may send as much as was agreed on before it learns of a larger window.
    const window = opening.unread ? 0 : this.ours.window;
    const more = opening.unread ? 0 : Math.max(0, (opening.window ?? 0) - this.ours.window);
    if (!this.takeWindow(window + more)) {
      throw tooMany(`Cannot open "${name}": the windows of all open streams are at their limit`);
    }
    const { sender } = this.#host;
    const { pending } = sender;
    const described = opening.meta !== "" || opening.deadline !== undefined && sender.takesMetadata;
    const request = new StreamRequest(pending, opening, pending.ids.next() as number, this.maxPiece);
    const flags = Flag.REQUEST | Flag.STREAM | (opening.ended ? Flag.END : 0) | (described ? Flag.META : 0);
    try {
      const { code, deadline, head, meta } = opening;
      const content = described ? sender.withMetadata(name, head, meta, deadline) : head;
      sender.open(request, code, flags, content, opening);
    } catch (error) {
      this.giveWindow(window + more);
      throw error;
    }
    const released = (request: StreamRequest): boolean => sender.released(request);
    const stream = new Opened(this, opening, request, pending, window, released);
    (this.#own ??= new IdMap()).set(stream);
    if (opening.ended) stream.writer.state = "ended";
    if (opening.unread) stream.reader.ignore();
    if (more > 0) stream.reader.widen(more);
    // An observer of `sent` may have aborted the request, and a connection that takes no more ends while it is sent.
    if (!pending.has(request.requestId)) stream.finish(request.failure);
    return stream;
  }

  // For the part of the session; see `FeaturePart`.

  take(frame: ReceivedFrame, receivedAt: number): void {
    const { flags } = frame;
    if ((flags & Flag.REQUEST) !== 0) return this.#accept(frame, receivedAt);
    // A compressed piece has the size already to which it inflates.
    const { size } = frame;
    if (size > MAX_PIECE || size === 0 && (flags & Flag.END) === 0) {
      throw new ProtocolError("protocol-error", `The peer sent a piece of ${size} bytes`);
    }
    const stream = this.#find(frame);
    if (stream === undefined) {
      this.#host.useless(frame);
      return;
    }
    if (stream.code !== frame.code) {
      throw new ProtocolError("protocol-error", `The peer sent a piece with the code ${frame.code} of another stream`);
    }
    if (size > 0 && stream.reader.takes(size)) this.#piece(stream, frame);
    if ((flags & Flag.END) !== 0) stream.reader.end();
  }

  control(frame: ReceivedFrame): boolean {
    const { code, content, size } = frame;
    if (code === SystemCode.CANCEL) {
      if ((frame.flags & Flag.REPLY) !== 0) return false;
      const stream = this.#peers?.get(frame.requestId);
      stream?.gone(
        size === 0 ? new DOMException("The sender cancelled the stream", "AbortError") : errorOf(content),
      );
      return stream !== undefined;
    }
    if (code !== SystemCode.WINDOW && code !== SystemCode.STOP) return false;
    const stream = this.#find(frame);
    if (stream === undefined) return false;
    if (code === SystemCode.STOP) {
      const stopped = stream.writer.state === "open";
      stream.writer.fail(size === 0 ? new DOMException("The receiver reads no more", "AbortError") : errorOf(content));
      return stopped;
    }
    if (size !== 4 || get32(content, 0) === 0) return false;
    stream.writer.grant(get32(content, 0));
    // A peer has a reason to grant more only after it got pieces, and once at the beginning. More of them are charged.
    if (++this.#grants > this.#host.sender.frames + this.size) this.#host.inbox.permits(frame);
    return true;
  }

  finished(makeError: () => Error): void {
    // Whoever has ended its direction before may still wait for the answer.
    for (const stream of this.#peers?.values() ?? []) if (stream.reader.state === "open") stream.gone(makeError());
  }

  close(makeError: () => Error): void {
    // Those that this side has opened ended with their requests.
    for (const stream of this.#peers?.values() ?? []) stream.gone(makeError());
  }

  // For the streams.

  get wheel(): TimerWheel {
    return this.#host.wheel;
  }

  get maxPiece(): number {
    const { maxMessageSize, writer: { protocol } } = this.#host.sender;
    return Math.min(MAX_PIECE, maxMessageSize - protocol.headerSize);
  }

  get maxWindow(): number {
    return this.#host.limits.maxStreamWindow;
  }

  pull(source: PulledSource): void {
    this.#host.pull(source);
  }

  gathers(bytes: number): boolean {
    if (this.#gathered + bytes > MOST_GATHERED || !this.#host.sender.writer.roomy) return false;
    this.#gathered += bytes;
    return true;
  }

  gathered(bytes: number): void {
    this.#gathered -= bytes;
  }

  later(source: Flushable): void {
    this.#host.sender.writer.flushes.add(source);
  }

  notLater(source: Flushable): void {
    this.#host.sender.writer.flushes.remove(source);
  }

  push(source: PushedSource): boolean {
    return this.#host.sender.writer.push(source);
  }

  piece(stream: Stream, flags: number, content: Uint8Array): void {
    const { name, code, requestId } = stream;
    this.#host.sender.pieces++;
    this.#host.sender.frame(name, code, flags, requestId, content, CONTROL, undefined, stream);
  }

  send({ name, released, requestId }: Stream, code: number, flags: number, content: Uint8Array | string): void {
    this.#host.sender.frame(name, code, flags, requestId, content, released ? CONTROL : ORDERED_CONTROL);
  }

  answer(stream: Stream, name: string, content: Uint8Array | string): void {
    const { code, requestId } = stream;
    this.#host.sender.frame(name, code, Flag.REPLY, requestId, content, REPLY, undefined, stream);
  }

  refuse(stream: Stream, error: unknown): void {
    this.#host.refuse({ type: stream, requestId: stream.requestId, sentAt: undefined }, error);
  }

  streamOver(stream: Stream, pieces: number): void {
    (stream.reply === 0 ? this.#own : this.#peers)?.delete(stream.requestId);
    this.#host.excuse(pieces + CONTROL_FRAMES);
  }

  settled(bytes: number): void {
    this.#handlers--;
    this.giveWindow(bytes);
  }

  delay(bytes: number): number {
    return this.#host.inbox.delay(bytes);
  }

  takeWindow(bytes: number, grows = false): boolean {
    const { limits: { maxStreamBytes }, streamBudget } = this.#host;
    if (this.#windows + bytes > (grows ? maxStreamBytes / 2 : maxStreamBytes)) return false;
    if (grows && streamBudget.left - bytes < streamBudget.size / 2 || !streamBudget.take(bytes)) return false;
    this.#windows += bytes;
    return true;
  }

  giveWindow(bytes: number): void {
    this.#windows -= bytes;
    this.#host.streamBudget.give(bytes);
  }

  takeItem(stream: ItemHolder, bytes: number): boolean {
    // One item of any size may always be gathered.
    if (this.#items > 0 && this.#items + bytes > this.#host.limits.maxStreamBytes) {
      (this.#waiting ??= new Set()).add(stream);
      return false;
    }
    this.#items += bytes;
    return true;
  }

  giveItem(stream: ItemHolder, bytes: number): void {
    this.#items -= bytes;
    this.#waiting?.delete(stream);
    if (bytes === 0 || this.#waiting === undefined) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const other of waiting) other.retry();
  }

  now(): number {
    return this.#host.sender.now;
  }

  roundTrip(done: () => void): boolean {
    return this.#host.sender.roundTrip(done);
  }

  /** Returns the stream of a frame that is no opening; `undefined` if it is over. */
  #find({ flags, requestId }: ReceivedFrame): Stream | undefined {
    return ((flags & Flag.REPLY) === 0 ? this.#peers : this.#own)?.get(requestId);
  }

  #accept(frame: ReceivedFrame, receivedAt: number): void {
    const { code, flags, requestId } = frame;
    if (this.has(requestId) || this.#host.inbox.asked(requestId)) {
      throw new ProtocolError("protocol-error", `The peer used the request id ${requestId} twice`);
    }
    const reserved = (flags & Flag.END) === 0 ? this.ours.window : 0;
    // The head is kept until the handler has settled, so it counts as well. It is inflated only if the stream is taken.
    const taken = reserved + frame.size;
    const refusal = !this.#host.inbox.permits(frame)
      ? RATE_LIMITED
      : this.#handlers >= this.ours.max || !this.takeWindow(taken)
      ? TOO_MANY_STREAMS
      : undefined;
    if (refusal !== undefined) {
      this.#reject(frame, refusal);
      return;
    }
    let opening: ReceivedFrame;
    try {
      opening = this.#host.decode(frame);
    } catch (error) {
      this.giveWindow(taken);
      if (!(error instanceof ProtocolError)) this.#reject(frame, UNREADABLE);
      throw error;
    }
    const { content, meta } = opening;
    this.giveWindow(frame.size - content.length);
    const head = new Uint8Array(content);
    const stream = new Accepted(this, requestId as number, code, head, meta, receivedAt, reserved);
    if (reserved === 0) stream.reader.end();
    (this.#peers ??= new IdMap()).set(stream);
    this.#handlers++;
    this.#host.inbox.opened(stream);
  }

  /** Answers an opening that becomes no stream. Its pieces may be under way already. */
  #reject(opening: ReceivedFrame, refusal: Error & { readonly code: string }): void {
    this.#host.excuse(Math.ceil(this.ours.window / Math.max(1, this.ours.least)) + 1 + CONTROL_FRAMES);
    this.#host.rejectRequest(opening, refusal);
  }

  /** Hands a piece to its stream, which ends if the piece cannot be decoded: nobody would notice the gap. */
  #piece(stream: Stream, frame: ReceivedFrame): void {
    let piece: ReceivedFrame;
    try {
      piece = this.#host.decode(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        stream.abort(new PayloadError("invalid-payload", "A piece of the stream cannot be decoded", { cause: error }));
      }
      throw error;
    }
    stream.reader.piece(piece);
  }
}

/** How many WINDOW, STOP and CANCEL frames of a stream may be under way when it is over. */
const CONTROL_FRAMES = 6;

function tooMany(text: string): BackpressureError {
  return new BackpressureError("too-many-streams", text);
}
