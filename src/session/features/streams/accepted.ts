/**
 * A stream that the peer opened.
 *
 * @module
 */

import { Flag } from "../../../wire/frame.ts";
import type { ReceivedMetadata } from "../../../wire/received_metadata.ts";
import type { AcceptedStream } from "../../streams.ts";
import { reasonError, Stream, type StreamsShared } from "./stream.ts";

/** The streams of a session that the peer opened. */
export interface AcceptedShared extends StreamsShared {
  /** Sends the answer of a stream. Throws what sending throws. */
  answer(stream: Stream, name: string, content: Uint8Array | string): void;
  /** Answers a stream with an error. Throws what sending throws. */
  refuse(stream: Stream, error: unknown): void;
  /** Called once the handler of a stream with a head of `bytes` has settled. */
  settled(bytes: number): void;
}

/** An accepted stream. */
export class Accepted extends Stream implements AcceptedStream {
  readonly head: Uint8Array;
  readonly meta: ReceivedMetadata | undefined;
  readonly receivedAt: number;
  onGone: ((reason: unknown) => void) | undefined = undefined;
  readonly #shared: AcceptedShared;

  /** @param reserved What is taken from the budget for the window of the peer, without the head. */
  constructor(
    shared: AcceptedShared,
    id: number,
    code: number,
    head: Uint8Array,
    meta: ReceivedMetadata | undefined,
    receivedAt: number,
    reserved: number,
  ) {
    super(shared, id, `type-${code}`, code, reserved);
    this.#shared = shared;
    this.head = head;
    this.meta = meta;
    this.receivedAt = receivedAt;
  }

  get reply(): number {
    return Flag.REPLY;
  }

  get released(): boolean {
    return true;
  }

  answer(name: string, content: Uint8Array | string): void {
    if (this.over) return;
    this.writer.pushAll();
    this.#shared.answer(this, name, content);
    this.finish(undefined);
  }

  refuse(error: unknown): void {
    if (this.over) return;
    this.writer.pushAll();
    try {
      this.#shared.refuse(this, error);
    } finally {
      this.finish(error);
    }
  }

  abort(reason: unknown): void {
    const error = reason ?? new DOMException("The stream was aborted", "AbortError");
    if (this.over) return;
    try {
      this.refuse(reasonError(error));
    } finally {
      this.onGone?.(error);
    }
  }

  /** Called when the peer has given up, or when the session is over. */
  gone(error: unknown): void {
    if (this.over) return;
    this.finish(error);
    this.onGone?.(error);
  }

  settled(): void {
    // What the peer sent before its end may have been read until now, even after the stream was over.
    this.reader.release();
    this.#shared.settled(this.head.length);
  }
}
