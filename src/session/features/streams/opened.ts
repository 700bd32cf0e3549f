/**
 * A stream that this side opened. It is a request that waits for its answer, and has pieces in both directions
 * meanwhile.
 *
 * @module
 */

import { Pending, type RequestTable } from "../../requests.ts";
import type { OpenedStream, Opening } from "../../streams.ts";
import { reasonContent, Stream, type StreamsShared } from "./stream.ts";

/** The request of an opened stream. */
export class StreamRequest extends Pending {
  /** Called when the stream is over; `error` is `undefined` if it was answered with a value. */
  onOver: ((error: unknown) => void) | undefined = undefined;
  /** Why it failed; `undefined` unless it has. */
  failure: unknown = undefined;
  readonly #most: number;

  /** @param most The most bytes of content that the peer takes. */
  constructor(table: RequestTable, { name, code, result, signal }: Opening, id: number, most: number) {
    super(table, id, name, result, Infinity, signal, false);
    this.answerCode = code;
    this.#most = most;
    const { resolve, reject } = this;
    this.resolve = (value) => {
      this.onOver?.(undefined);
      resolve(value);
    };
    this.reject = (error) => {
      this.failure = error;
      this.onOver?.(error);
      reject(error);
    };
    // Whoever looks at one of the directions learns of the error there.
    this.promise.catch(() => {});
  }

  override cancelContent(reason: unknown): string {
    return reasonContent(reason, this.#most);
  }
}

/** An opened stream. */
export class Opened extends Stream implements OpenedStream {
  readonly result: Promise<unknown>;
  readonly #request: StreamRequest;
  readonly #table: RequestTable;
  readonly #isReleased: (request: StreamRequest) => boolean;

  /** @param isReleased Returns whether the opening is on its way. */
  constructor(
    shared: StreamsShared,
    opening: Opening,
    request: StreamRequest,
    table: RequestTable,
    reserved: number,
    isReleased: (request: StreamRequest) => boolean,
  ) {
    super(shared, request.requestId as number, opening.name, opening.code, reserved);
    this.result = request.promise;
    this.#request = request;
    this.#table = table;
    this.#isReleased = isReleased;
    this.compress = opening.compress;
    request.onOver = (error) => this.finish(error);
  }

  override finish(error: unknown): void {
    super.finish(error);
    // What was received may still be read. It is the program's own now, as it has no more than one window of each stream.
    this.reader.release();
  }

  get reply(): number {
    return 0;
  }

  get released(): boolean {
    return this.#isReleased(this.#request);
  }

  abort(reason: unknown): void {
    const error = reason ?? new DOMException("The stream was aborted", "AbortError");
    if (!this.over) this.#table.abandon(this.#request, error, "cancelled");
  }
}
