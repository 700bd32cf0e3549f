/**
 * The rules for ids of 16 bits, from release 2.0 on. A Python peer numbers all its frames, and takes whatever has the id of a
 * request of its own for the answer: so this side numbers its requests where the peer never comes, or comes last.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { Numbering } from "../wire/python/id_numbering.ts";
import type { PendingIds, RequestId, RequestIds } from "./id_rule.ts";

/** The rule for a peer that numbers its frames like this. */
export function shortIds(
  numbering: Numbering,
  side: "client" | "server",
  pending: PendingIds,
  clock: Clock,
): RequestIds {
  return numbering.kind === "whole"
    ? new RotatingIds(pending, clock)
    : new RangeIds(pending, clock, rangeOf(numbering, side));
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

/** From this many taken ids on each has a bit, so that a free one is found 32 at a time. */
const MANY = 256;
/** With fewer than this the bits are forgotten again: a connection that was busy once holds no more than others. */
const FEW = 64;

/**
 * Which of the ids `first`, `first + step` and so on are taken: by a request that waits, or by one that ended without an answer,
 * whose id rests until the late answer comes, or for 10 minutes. They are named by their place, from 0 on.
 */
class TakenIds {
  readonly #pending: PendingIds;
  readonly #clock: Clock;
  readonly #first: number;
  readonly #step: number;
  readonly #size: number;
  /** Ids that rest, in the order in which they may be used again, with the time they may. */
  readonly #until = new Map<RequestId, number>();
  /** How many are taken. */
  #count = 0;
  /** A bit for each id, set while it is taken. Made when many are. */
  #bits: Int32Array | undefined = undefined;

  constructor(pending: PendingIds, clock: Clock, first: number, step: number, size: number) {
    this.#pending = pending;
    this.#clock = clock;
    this.#first = first;
    this.#step = step;
    this.#size = size;
  }

  /** Takes the first free one of the `length` ids from the place `from` on, which go on at 0 after the last; -1 if there is none. */
  take(from: number, length: number): number {
    this.#wake();
    // Where all are taken, none has to be looked at.
    if (this.#count >= this.#size) return -1;
    if (this.#bits === undefined && this.#count >= MANY) this.#bits = this.#marked();
    const bits = this.#bits;
    for (let tries = 0; tries < length;) {
      const place = (from + tries) % this.#size;
      // A word with the end of the range in it is never full.
      if (bits !== undefined && bits[place >>> 5] === -1) tries += 32 - (place & 31);
      else if (this.#has(place)) tries++;
      else {
        this.#count++;
        if (bits !== undefined) bits[place >>> 5] |= 1 << place;
        return place;
      }
    }
    return -1;
  }

  /** Whether an id rests. */
  rests(id: RequestId): boolean {
    return this.#until.has(id);
  }

  /** A taken id begins to rest. */
  rest(id: RequestId): void {
    this.#until.set(id, this.#clock.now() + REST);
  }

  /** An id rests no longer, if it did. */
  settle(id: RequestId): void {
    if (this.#until.delete(id)) this.free(id);
  }

  /** An id is taken no longer. */
  free(id: RequestId): void {
    this.#count--;
    if (this.#bits === undefined) return;
    const place = this.#place(id);
    this.#bits[place >>> 5] &= ~(1 << place);
    if (this.#count < FEW) this.#bits = undefined;
  }

  #has(place: number): boolean {
    if (this.#bits !== undefined) return (this.#bits[place >>> 5] >>> place & 1) === 1;
    const id = this.#first + place * this.#step;
    return this.#pending.has(id) || this.#until.has(id);
  }

  #place(id: RequestId): number {
    return (id as number - this.#first) / this.#step;
  }

  /** Lets go of those that have rested. */
  #wake(): void {
    if (this.#until.size === 0) return;
    const now = this.#clock.now();
    for (const [id, until] of this.#until) {
      if (until > now) return;
      this.settle(id);
    }
  }

  #marked(): Int32Array {
    const bits = new Int32Array((this.#size >>> 5) + 1);
    for (const ids of [this.#pending.waiting(), this.#until.keys()]) {
      for (const id of ids) {
        const place = this.#place(id);
        bits[place >>> 5] |= 1 << place;
      }
    }
    return bits;
  }
}

/** Sixteen bits, of which the peer leaves a range: whatever has an id of that is an answer. */
class RangeIds implements RequestIds {
  readonly #range: IdRange;
  readonly #count: number;
  readonly #taken: TakenIds;
  /** The place of the next one. */
  #next = 0;

  constructor(pending: PendingIds, clock: Clock, range: IdRange) {
    const { first, last, step } = this.#range = range;
    this.#count = Math.max(0, (last - first) / step + 1);
    this.#taken = new TakenIds(pending, clock, first, step, this.#count);
  }

  next(): number {
    const place = this.#taken.take(this.#next, this.#count);
    if (place < 0) throw exhausted(this.#count);
    this.#next = (place + 1) % this.#count;
    return this.#range.first + place * this.#range.step;
  }

  plain(): number {
    return this.#range.plain;
  }

  answers({ requestId }: ReceivedFrame): boolean {
    const { first, last, step } = this.#range;
    const id = requestId as number;
    return id >= first && id <= last && (id - first) % step === 0;
  }

  seenFromPeer(): void {}

  free(id: RequestId): void {
    this.#taken.free(id);
  }

  abandon(id: RequestId): void {
    this.#taken.rest(id);
  }

  settle(id: RequestId): void {
    this.#taken.settle(id);
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
class RotatingIds implements RequestIds {
  readonly #pending: PendingIds;
  readonly #taken: TakenIds;
  /** Where the peer's counter stands; `undefined` before it has said anything. */
  #counter: number | undefined = undefined;
  /** How far from the first of those in use the next one is looked for. */
  #turn = 0;

  constructor(pending: PendingIds, clock: Clock) {
    this.#pending = pending;
    this.#taken = new TakenIds(pending, clock, 0, 1, RING);
  }

  next(): number {
    const far = ((this.#counter ?? 0) + (RING + 1) / 2) % RING;
    let id = this.#taken.take(far + this.#turn, SPREAD - this.#turn);
    if (id < 0) id = this.#taken.take(far, this.#turn);
    if (id < 0) throw exhausted(SPREAD);
    this.#turn = ((id - far + RING) % RING + 1) % SPREAD;
    return id;
  }

  plain(): number {
    return NOBODY;
  }

  answers({ requestId }: ReceivedFrame): boolean {
    return this.#pending.has(requestId) || this.#taken.rests(requestId);
  }

  /** Takes part only in small steps forward: second answers have ids of this side. */
  seenFromPeer(id: RequestId): void {
    if (id === NOBODY) return;
    const ahead = ((id as number) - (this.#counter ?? (id as number)) + RING) % RING;
    if (ahead < SPREAD) this.#counter = id as number;
  }

  free(id: RequestId): void {
    this.#taken.free(id);
  }

  abandon(id: RequestId): void {
    this.#taken.rest(id);
  }

  settle(id: RequestId): void {
    this.#taken.settle(id);
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
