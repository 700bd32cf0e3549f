/**
 * Defines streams as the layer above a session sees them: bytes in both directions, and an answer. The feature `streams`
 * implements them.
 *
 * @module
 */

import type { ReceivedMetadata } from "../wire/received_metadata.ts";
import type { AnswerCodec } from "./requests.ts";

/** The state of one direction of a stream. `"failed"` says that it did not come to its end. */
export type DirectionState = "open" | "ended" | "failed";

/** The direction of a stream that this side reads. */
export interface StreamReader {
  /** What was received may still be taken while it is `"ended"`. */
  readonly state: DirectionState;
  /** Why it failed; `undefined` unless it has. */
  readonly error: unknown;
  /** Called when bytes have arrived, at the end, and when the direction has failed. */
  onChange: (() => void) | undefined;
  /** Returns the next bytes, which then belong to the caller; `undefined` if none are there. */
  take(): Uint8Array | undefined;
  /** Copies the next bytes into `view`. Returns how many; 0 if none are there. */
  takeInto(view: Uint8Array): number;
  /**
   * Asks for room to gather an item of `size` bytes, which are taken from the window as they arrive. Returns false if
   * items of other streams have the room. `onChange` is called when it can be tried again.
   */
  gathers(size: number): boolean;
  /** Gives that room back. */
  gathered(): void;
  /** Reads no more: the peer is asked to stop. */
  stop(reason: unknown): void;
}

/** The direction of a stream that this side writes. */
export interface StreamWriter {
  readonly state: DirectionState;
  /** Why it failed; `undefined` unless it has. */
  readonly error: unknown;
  /** Called when the direction has failed. */
  onFailure: (() => void) | undefined;
  /**
   * Writes bytes, those of `before` first. They must not change until that is done, except those of `before`. Returns
   * `undefined` if they are in the outgoing buffer, and a promise of that otherwise. It must not be called again
   * before. The promise rejects if the direction fails.
   */
  write(bytes: Uint8Array, before?: Uint8Array): Promise<void> | undefined;
  /** Ends the direction. Returns what {@linkcode write} returns. */
  end(): Promise<void> | undefined;
}

/** A stream. */
export interface SessionStream {
  readonly requestId: number;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  /** True once it has its answer, or will have none. */
  readonly over: boolean;
  /** Ends both directions at once, for a reason that the peer is told. Does nothing if the stream is over. */
  abort(reason: unknown): void;
}

/** A stream that this side opened. */
export interface OpenedStream extends SessionStream {
  /** Resolves with the value of the answer. A rejection that nobody handles is no error of the program. */
  readonly result: Promise<unknown>;
}

/** A stream that the peer opened. */
export interface AcceptedStream extends SessionStream {
  readonly code: number;
  /** False if nothing that is sent must be compressed. Set by the layer above, which knows the type. */
  compress: boolean;
  /** The content of the opening, a view that may be kept. */
  readonly head: Uint8Array;
  /** What came beside it. */
  readonly meta: ReceivedMetadata | undefined;
  /** When the opening arrived, in milliseconds since 1970. */
  readonly receivedAt: number;
  /** Called once, if the stream ends before it was answered: the opener gave up, it was aborted, or the session is over. */
  onGone: ((reason: unknown) => void) | undefined;
  /** Sends the answer, after everything that was written. Does nothing if the stream is over. */
  answer(name: string, content: Uint8Array | string): void;
  /** Answers with an error, which ends both directions. Does nothing if the stream is over. */
  refuse(error: unknown): void;
  /** Called once the handler has settled: only then the stream's place is free. */
  settled(): void;
}

/** What a stream is opened with. */
export interface Opening {
  readonly name: string;
  readonly code: number;
  /** The content of the opening. */
  readonly head: Uint8Array | string;
  /** Decodes the answer. */
  readonly result: AnswerCodec;
  /** The members of the metadata, see `metadataMembers`; empty for none. */
  readonly meta: string;
  /** How much time the peer has, in milliseconds; `undefined` if it is not to know. */
  readonly deadline: number | undefined;
  /** True if this side sends no pieces. */
  readonly ended: boolean;
  /** True if this side reads no pieces. */
  readonly unread: boolean;
  /** How much the peer may send before something is read, in bytes; `undefined` for what was agreed on. */
  readonly window: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** False if nothing of the stream must be compressed. */
  readonly compress: boolean;
}

/** Opens streams. */
export interface StreamOpener {
  /** The number of streams of both sides that are not over. */
  readonly size: number;
  /**
   * Opens a stream.
   *
   * @throws {BackpressureError} `too-many-streams`, or what sending a request throws.
   * @throws {PayloadError} The head is larger than the peer takes.
   */
  open(opening: Opening): OpenedStream;
  /** Returns whether the peer has a stream with this id. */
  has(id: number | string): boolean;
}
