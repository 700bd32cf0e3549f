/**
 * Tells the listeners of `stream` of streams that are opened and that are over.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import type { AnyStreamType } from "../../message/stream_type.ts";
import type { Observers, StreamInfo } from "../../session/observers.ts";

/** What is needed to tell of the streams of one connection. */
export interface StreamWatch {
  readonly clock: Clock;
  readonly observers: Observers;
  /** The second argument of observers. */
  readonly handle: unknown;
}

/** Tells that a stream is opened. Returns a function that tells that it is over; `undefined` if nobody listens. */
export function watchStream(
  { clock, handle, observers }: StreamWatch,
  opener: StreamInfo["opener"],
  { code, name }: Pick<AnyStreamType, "code" | "name">,
  id: number,
): ((outcome: "answered" | "failed") => void) | undefined {
  if (observers.stream === undefined) return undefined;
  const from = clock.now();
  observers.stream({ action: "opened", opener, name, code, id }, handle);
  return (outcome) => {
    observers.stream?.({ action: "ended", opener, name, code, id, outcome, ms: clock.now() - from }, handle);
  };
}
