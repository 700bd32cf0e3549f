/**
 * The rules for ids of 16 bits, from release 2.0 on. A Python peer numbers all its frames, and takes whatever has the id of a
 * request of its own for the answer: so this side numbers its requests where the peer never comes, or comes last.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import type { Clock } from "../transport.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { Numbering } from "../wire/numbering.ts";
import type { PendingIds, RequestId, RequestIds } from "./id_rule.ts";

/** The rule for a peer that numbers its frames like this. */
export function shortIds(
  numbering: Numbering,
  side: "client" | "server",
  pending: PendingIds,
  clock: Clock,
): RequestIds {
  const resting = new RestingIds(clock);
  return numbering.kind === "whole"
    ? new FarIds(pending, resting)
    : new RangeIds(pending, resting, rangeOf(numbering, side));
}

/** The id of a server's frame that is nobody's request. */
export const NOBODY = 65535;

/** The ids of this side's requests, and of its other frames. */
interface IdRange {
  /** The first one. */
  readonly first: number;
  /** The last one; below `first` where there is none. */
  readonly last: number;
  /** From one to the next. */
  readonly step: 1 | 2;
  /** That of a frame that is no request. */
  readonly plain: number;
}

/** The ids that a peer leaves. */
function rangeOf(numbering: Exclude<Numbering, { kind: "whole" }>, side: "client" | "server"): IdRange {
  // A server of 3.0.1 or later takes ids up to 65535 for its own, and its clients may pass on low ones to others.
  if (numbering.kind === "halves" && side === "client") return { first: 16384, last: 32766, step: 1, plain: 32767 };
  const low = Math.max(numbering.kind === "halves" ? 0 : numbering.size, 32768);
  // Odd for a client and even for a server, so that neither side takes the other's for its own.
  const parity = side === "client" ? 1 : 0;
  const first = low % 2 === parity ? low : low + 1;
  return { first, last: 65534 - parity, step: 2, plain: NOBODY };
}

/** How long the id of an unanswered request rests where ids have 16 bits, in milliseconds. */
const REST = 10 * 60_000;

/** Ids of unanswered requests: each rests until its late answer comes, or for 10 minutes. */
class RestingIds {
  readonly #clock: Clock;
  /** In the order in which they may be used again, with the time they may. */
  readonly #until = new Map<RequestId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(id: RequestId): boolean {
    return this.#until.has(id);
  }

  add(id: RequestId): void {
    this.#until.set(id, this.#clock.now() + REST);
  }

  delete(id: RequestId): void {
    this.#until.delete(id);
  }

  /** Lets go of those that have rested. */
  wake(): void {
    if (this.#until.size === 0) return;
    const now = this.#clock.now();
    for (const [id, until] of this.#until) {
      if (until > now) return;
      this.#until.delete(id);
    }
  }
}

/** Sixteen bits, of which the peer leaves a range: whatever has an id of that is an answer. */
class RangeIds implements RequestIds {
  readonly #pending: PendingIds;
  readonly #resting: RestingIds;
  readonly #range: IdRange;
  #next: number;

  constructor(pending: PendingIds, resting: RestingIds, range: IdRange) {
    this.#pending = pending;
    this.#resting = resting;
    this.#range = range;
    this.#next = range.first;
  }

  next(): number {
    const { first, last, step } = this.#range;
    this.#resting.wake();
    const count = Math.max(0, (last - first) / step + 1);
    for (let tries = 0; tries < count; tries++) {
      const id = this.#next;
      this.#next = id >= last ? first : id + step;
      if (!this.#pending.has(id) && !this.#resting.has(id)) return id;
    }
    throw exhausted(count);
  }

  plain(): number {
    return this.#range.plain;
  }

  answers({ requestId }: ReceivedFrame): boolean {
    const { first, last, step } = this.#range;
    const id = requestId as number;
    return id >= first && id <= last && (id - first) % step === 0;
  }

  met(): void {}

  abandon(id: RequestId): void {
    this.#resting.add(id);
  }

  settle(id: RequestId): void {
    this.#resting.delete(id);
  }
}

/** How many ids a client of 3.0.0 counts through. */
const RING = 65535;
/** How many of them, half a ring ahead of it, are in use for requests to it. */
const SPREAD = 16384;

/**
 * A client of 3.0.0 leaves no id: it counts from 0 to 65534 and begins anew. So requests have those that it comes to last, and
 * only a frame whose id waits or rests is an answer. That goes wrong with more than some 16,000 frames under way, and with a client
 * that comes back with its counter just there and is asked before it says anything; 3.0.1 does not need it.
 */
class FarIds implements RequestIds {
  readonly #pending: PendingIds;
  readonly #resting: RestingIds;
  /** Where the peer's counter stands; `undefined` before it has said anything. */
  #counter: number | undefined = undefined;
  #turn = 0;

  constructor(pending: PendingIds, resting: RestingIds) {
    this.#pending = pending;
    this.#resting = resting;
  }

  next(): number {
    this.#resting.wake();
    const far = (this.#counter ?? 0) + (RING + 1) / 2;
    for (let tries = 0; tries < SPREAD; tries++) {
      const id = (far + this.#turn) % RING;
      this.#turn = (this.#turn + 1) % SPREAD;
      if (!this.#pending.has(id) && !this.#resting.has(id)) return id;
    }
    throw exhausted(SPREAD);
  }

  plain(): number {
    return NOBODY;
  }

  answers({ requestId }: ReceivedFrame): boolean {
    return this.#pending.has(requestId) || this.#resting.has(requestId);
  }

  /** Takes part only in small steps forward: second answers have ids of this side. */
  met(id: RequestId): void {
    if (id === NOBODY) return;
    const ahead = ((id as number) - (this.#counter ?? (id as number)) + RING) % RING;
    if (ahead < SPREAD) this.#counter = id as number;
  }

  abandon(id: RequestId): void {
    this.#resting.add(id);
  }

  settle(id: RequestId): void {
    this.#resting.delete(id);
  }
}

function exhausted(count: number): BackpressureError {
  return new BackpressureError(
    "ids-exhausted",
    `Cannot send the request: ${
      count === 0
        ? "the peer's release leaves no ids for our requests, its id_window takes all"
        : `all ${count} ids that the peer's release leaves are waiting for an answer`
    }`,
  );
}
