/**
 * A stream as its handler sees it.
 *
 * @module
 */

import type { AnyStreamType } from "../../message/stream_type.ts";
import type { Session } from "../../session/session.ts";
import type { AcceptedStream } from "../../session/streams.ts";
import { type Metadata, NO_METADATA } from "../../wire/metadata.ts";
import type { Deadline } from "../deadline.ts";
import { itemLimits } from "./open_stream.ts";
import { type AnyCodec, StreamEnds } from "./web_streams.ts";

/**
 * A stream that the peer opened.
 *
 * @category Streams
 */
export interface IncomingStream<Head, Up, Down> {
  /** Distinguishes a stream from a message, for middleware that gets both. */
  readonly kind: "stream";
  /** The type of the stream. */
  readonly type: AnyStreamType;
  /** What the opener said at the beginning. */
  readonly head: Head;
  /**
   * What the opener sends: a byte stream for bytes, otherwise one of items. Canceling it asks the opener to stop
   * sending, and leaves the rest of the stream as it is. Nothing is read ahead, so `closed` of its reader resolves only
   * when somebody reads up to the end.
   */
  readonly readable: ReadableStream<Up>;
  /**
   * What is sent to the opener. A write settles when its bytes are copied or in the outgoing buffer. Do not change them
   * before. Closing it ends the direction. Aborting it ends the whole stream.
   */
  readonly writable: WritableStream<Down>;
  /**
   * Aborted when the opener gives up or its time is over, when the stream is aborted, or when the connection is gone. If
   * the handler is a generator, it is also aborted when the opener reads no more.
   */
  readonly signal: AbortSignal;
  /** The metadata of the opening: a frozen object without a prototype, empty if there is none. */
  readonly meta: Metadata;
  /**
   * How much time the opener still gives, in milliseconds; `undefined` if it does not say. When it is over, the stream
   * fails.
   */
  readonly timeLeft: number | undefined;
  /** The opener's id of the stream. */
  readonly id: number;
  /** When it was opened, in milliseconds since 1970. */
  readonly receivedAt: number;
}

/** A stream in its handler. */
export class AcceptedEnds extends StreamEnds implements IncomingStream<unknown, unknown, unknown> {
  readonly type: AnyStreamType;
  head: unknown;
  /** True once its handler has ended. */
  finished = false;
  readonly #stream: AcceptedStream;
  /** When the opener stops waiting; `undefined` if it does not say. */
  deadline: Deadline<AcceptedEnds> | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  /** Why the signal is aborted. */
  #gone: { readonly reason: unknown } | undefined = undefined;

  constructor(stream: AcceptedStream, type: AnyStreamType, head: unknown, session: Session) {
    super(stream, type, type.up as AnyCodec | undefined, type.down as AnyCodec | undefined, itemLimits(session));
    this.type = type;
    this.head = head;
    this.#stream = stream;
    stream.onGone = (reason) => this.stop(reason);
  }

  /** Aborts the signal. */
  stop(reason: unknown): void {
    if (this.#gone !== undefined) return;
    this.#gone = { reason };
    this.#controller?.abort(reason);
  }

  get kind(): "stream" {
    return "stream";
  }

  /** Replaces the head that its handler gets. */
  change(head: unknown): void {
    this.head = head;
  }

  get id(): number {
    return this.#stream.requestId;
  }

  get meta(): Metadata {
    return this.#stream.meta?.names ?? NO_METADATA;
  }

  get timeLeft(): number | undefined {
    return this.deadline?.left;
  }

  get receivedAt(): number {
    return this.#stream.receivedAt;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone !== undefined) this.#controller.abort(this.#gone.reason);
    }
    return this.#controller.signal;
  }

  /** Returns whether a handler failed only because the opener gave up, or no longer reads or writes. */
  stopped(error: unknown): boolean {
    const { reader, writer } = this.#stream;
    // The disk of this side is full, say: a pipe has handed the error on, but the opener is not its cause.
    if (this.isOwn(error)) return false;
    if (error !== undefined && (error === reader.error || error === writer.error)) return true;
    if (this.#gone === undefined) return false;
    try {
      return error === this.#gone.reason || (error as Error | undefined)?.name === "AbortError";
    } catch {
      // Anything can be thrown, even an object whose members cannot be read.
      return false;
    }
  }
}
