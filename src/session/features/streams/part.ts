/**
 * The part that streams have in a session. Most connections are idle and have none, so their table is made when one of the
 * two sides opens the first stream.
 *
 * @module
 */

import type { ReceivedFrame } from "../../../wire/decoded_frame.ts";
import { Flag } from "../../../wire/frame.ts";
import type { FeatureHost, FeaturePart } from "../../feature.ts";
import type { OpenedStream, Opening, StreamOpener } from "../../streams.ts";
import { StreamTable, type StreamTerms } from "./table.ts";

/** The streams of one session, if there are any. */
export class StreamsPart implements FeaturePart, StreamOpener {
  readonly #ours: StreamTerms;
  readonly #theirs: StreamTerms;
  readonly #host: FeatureHost;
  #table: StreamTable | undefined = undefined;

  constructor(ours: StreamTerms, theirs: StreamTerms, host: FeatureHost) {
    this.#ours = ours;
    this.#theirs = theirs;
    this.#host = host;
  }

  get takes(): number {
    return Flag.STREAM | Flag.END;
  }

  get opener(): StreamOpener {
    return this;
  }

  get size(): number {
    return this.#table?.size ?? 0;
  }

  has(id: number | string): boolean {
    return this.#table?.has(id) === true;
  }

  open(opening: Opening): OpenedStream {
    return this.#made.open(opening);
  }

  take(frame: ReceivedFrame, receivedAt: number): void {
    this.#made.take(frame, receivedAt);
  }

  control(frame: ReceivedFrame): boolean {
    return this.#table?.control(frame) === true;
  }

  finished(makeError: () => Error): void {
    this.#table?.finished(makeError);
  }

  close(makeError: () => Error): void {
    this.#table?.close(makeError);
  }

  get #made(): StreamTable {
    return this.#table ??= new StreamTable(this.#ours, this.#theirs, this.#host);
  }
}
