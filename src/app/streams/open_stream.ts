/**
 * A stream as its opener sees it.
 *
 * @module
 */

import { wholeNumber } from "../../base/checks.ts";
import { checkPayload } from "../../base/codec_results.ts";
import { ConfigError } from "../../errors.ts";
import { closedError } from "../../link/close_reason.ts";
import type { AnyStreamType } from "../../message/stream_type.ts";
import type { AnswerCodec, RequestScope } from "../../session/requests.ts";
import type { Metadata } from "../../wire/metadata.ts";
import { requestTerms } from "../request_terms.ts";
import type { Session } from "../../session/session.ts";
import type { OpenedStream } from "../../session/streams.ts";
import { type StreamWatch, watchStream } from "./stream_watch.ts";
import { StreamLoop } from "./stream_loop.ts";
import { type AnyCodec, StreamEnds } from "./web_streams.ts";

/**
 * Options of a stream; all optional.
 *
 * @category Streams
 */
export interface OpenOptions {
  /** Aborting it ends the stream: both directions and the result fail with its reason, which the other side gets, too. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many bytes the peer may send at the beginning, before they are read. Less than `streamWindow` has no effect. The
   * window may grow.
   * @default `streamWindow`
   */
  readonly window?: number | undefined;
  /** Metadata for the handler, which reads it as `stream.meta`. @default none */
  readonly meta?: Metadata | undefined;
  /**
   * The message or the stream on whose behalf this one is opened. This one is aborted together with it. If it has a
   * deadline, the other side learns how much time is left.
   */
  readonly within?: RequestScope | undefined;
}

/**
 * A stream that this side opened. A program may use one direction, both, or only the result. What it does not use costs
 * nothing.
 *
 * It can be iterated in place of its `readable`: `for await (const item of stream)`. A loop that is left before its end
 * aborts the whole stream. An error of the other side is thrown in the loop.
 *
 * @category Streams
 */
export interface OpenStream<Up, Down, Result> extends AsyncIterable<Down> {
  /** The id of the stream on its connection. */
  readonly id: number;
  /**
   * What the other side sends: a byte stream for bytes, otherwise one of items. Canceling it asks the other side to stop
   * sending, and leaves the rest of the stream as it is. Nothing is read ahead, so `closed` of its reader resolves only
   * when somebody reads up to the end.
   */
  readonly readable: ReadableStream<Down>;
  /**
   * What this side sends. A write settles when its bytes are copied or in the outgoing buffer. Do not change them before.
   * Closing it ends the direction. Aborting it ends the whole stream.
   */
  readonly writable: WritableStream<Up>;
  /**
   * The answer, which ends the stream. It rejects with a `RemoteError` if the other side fails, or with the reason for
   * which the stream was aborted. A rejection that nobody handles does not end the process.
   */
  readonly result: Promise<Result>;
  /** Ends both directions at once. The other side gets the reason. */
  abort(reason?: unknown): void;
  /**
   * Iterates what the other side sends, and locks `readable`. Leaving the loop before its end aborts the stream.
   *
   * @throws {TypeError} The type has nothing in this direction, or `readable` is being read.
   */
  [Symbol.asyncIterator](): AsyncIterator<Down>;
}

class OpenedEnds extends StreamEnds implements OpenStream<unknown, unknown, unknown> {
  readonly #stream: OpenedStream;
  readonly #type: AnyStreamType;

  constructor(stream: OpenedStream, type: AnyStreamType, session: Session) {
    super(stream, type, type.down as AnyCodec | undefined, type.up as AnyCodec | undefined, itemLimits(session));
    this.#stream = stream;
    this.#type = type;
  }

  get id(): number {
    return this.#stream.requestId;
  }

  get result(): Promise<unknown> {
    return this.#stream.result;
  }

  abort(reason?: unknown): void {
    this.#stream.abort(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    const { down, name } = this.#type;
    if (down === undefined) throw new TypeError(`Cannot read "${name}": its type has nothing in this direction`);
    return new StreamLoop(this.readable, (reason) => this.#stream.abort(reason));
  }
}

/** Returns the largest items of both directions. */
export function itemLimits({ limits, maxMessageSize, protocol: { headerSize } }: Session): {
  readonly received: number;
  readonly sent: number;
} {
  return { received: limits.maxMessageSize - headerSize, sent: maxMessageSize - headerSize };
}

/** Opens a stream; see `Client.open`. */
export function openStream(
  session: Session,
  type: AnyStreamType,
  head: unknown,
  { meta, signal, window, within }: OpenOptions,
  watch: StreamWatch,
): OpenStream<unknown, unknown, unknown> {
  const { code, compress, down, name, result, up } = type;
  if (!session.open) throw closedError(`Cannot open "${name}"`, session.reason);
  const { limits: { maxStreamWindow }, streams } = session;
  if (streams === undefined) {
    throw new ConfigError("unsupported", `Cannot open "${name}": the peer (${session.protocolName}) has no streams`);
  }
  if (window !== undefined) wholeNumber("window", window, 1, maxStreamWindow);
  const terms = requestTerms(name, { meta, signal, within }, "open");
  const stream = streams.open({
    name,
    code,
    head: checkPayload(name, type.head.encode(head as never)),
    result: result as AnswerCodec,
    ended: up === undefined,
    unread: down === undefined,
    window,
    meta: terms.meta,
    deadline: within?.timeLeft === undefined ? undefined : terms.timeout,
    signal: terms.signal,
    compress,
  });
  const ended = watchStream(watch, "self", type, stream.requestId);
  if (ended !== undefined) stream.result.then(() => ended("answered"), () => ended("failed"));
  return new OpenedEnds(stream, type, session);
}
