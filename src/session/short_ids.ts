/**
 * Implements the rules for the 16-bit ids of release 2.0 and later. A Python peer numbers all its frames, and takes any
 * frame with the id of one of its own requests for the answer. This side therefore numbers its requests with ids that
 * the peer never uses, or that its counter is far away from.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { Numbering } from "../wire/python/id_numbering.ts";
import type { PendingIds, RequestId, RequestIds } from "./id_rule.ts";

/** Returns the rule for a peer that numbers its own frames in the given way. */
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

/** The id of a frame that is no request. A client uses 32767 instead if the server has `halves` numbering. */
export const NOBODY = 65535;

/** The ids for this side's requests, and the one for its other frames. */
interface IdRange {
  readonly first: number;
  /** The last id; below `first` if there is none. */
  readonly last: number;
  /** The difference between an id and the next one. */
  readonly step: 1 | 2;
  /** The id of a frame that is no request. */
  readonly plain: number;
}

/** Returns the ids that a peer leaves to this side. */
function rangeOf(numbering: Exclude<Numbering, { kind: "whole" }>, side: "client" | "server"): IdRange {
  // A server of 3.0.1 or later uses the ids up to 65535 itself, and its clients may pass on low ids to other clients.
  if (numbering.kind === "halves" && side === "client") return { first: 16384, last: 32766, step: 1, plain: 32767 };
  const low = Math.max(numbering.kind === "halves" ? 0 : numbering.size, 32768);
  // The ids of a client are odd and those of a server even, so that neither side takes the other's ids for its own.
  const parity = side === "client" ? 1 : 0;
  const first = low % 2 === parity ? low : low + 1;
  return { first, last: 65534 - parity, step: 2, plain: NOBODY };
}

/** How long the id of an abandoned request rests, that is, is not used again, in milliseconds. */
const REST = 10 * 60_000;

/** From this many taken ids on, a bitmap of them is kept, so that a search can skip 32 taken ids at once. */
const MANY = 256;
/** The bitmap is dropped when fewer ids than this are taken, so that one busy moment does not cost memory for good. */
const FEW = 64;

/**
 * Knows which of the ids `first`, `first + step` and so on are taken. An id is taken while its request waits. If the
 * request ends without an answer, the id rests until the late answer arrives, or for 10 minutes, and stays taken for
 * that time. The place of an id is its index, counted from 0.
 */
class TakenIds {
  readonly #pending: PendingIds;
  readonly #clock: Clock;
  readonly #first: number;
  readonly #step: number;
  readonly #size: number;
  /** The ids that rest, with the time at which each may be used again, in that order. */
  readonly #until = new Map<RequestId, number>();
  /** The number of taken ids. */
  #count = 0;
  /** A bit for each id, set while the id is taken. Exists only while many are taken. */
  #bits: Int32Array | undefined = undefined;

  constructor(pending: PendingIds, clock: Clock, first: number, step: number, size: number) {
    this.#pending = pending;
    this.#clock = clock;
    this.#first = first;
    this.#step = step;
    this.#size = size;
  }

  /**
   * Takes the first free one of `length` ids, from the place `from` on. The place after the last one is 0. Returns the
   * place of the id; -1 if none is free.
   */
  take(from: number, length: number): number {
    this.#wake();
    // Without this check, a search while all ids are taken would look at each of them.
    if (this.#count >= this.#size) return -1;
    if (this.#bits === undefined && this.#count >= MANY) this.#bits = this.#marked();
    const bits = this.#bits;
    for (let tries = 0; tries < length;) {
      const place = (from + tries) % this.#size;
      // Skipping cannot pass the end of the range: the last word has unused bits, so it is never full.
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

  /** Returns whether an id rests. */
  rests(id: RequestId): boolean {
    return this.#until.has(id);
  }

  /** Lets a taken id rest from now on. */
  rest(id: RequestId): void {
    this.#until.set(id, this.#clock.now() + REST);
  }

  /** Frees an id that rests. Any other id is ignored. */
  settle(id: RequestId): void {
    if (this.#until.delete(id)) this.free(id);
  }

  /** Frees a taken id. */
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

  /** Frees the ids that have rested for long enough. */
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

/** The rule for a peer that leaves a range of ids to this side. Every frame with an id of that range is an answer. */
class RangeIds implements RequestIds {
  readonly #range: IdRange;
  readonly #count: number;
  readonly #taken: TakenIds;
  /** The place at which the search for the next id begins. */
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

/** The number of ids that a client of 3.0.0 counts through. */
const RING = 65535;
/** The number of ids that are used for requests to such a client. They begin half a ring ahead of its counter. */
const SPREAD = 16384;

/**
 * The rule for a client of 3.0.0, which leaves no ids to this side: it counts from 0 to 65534 and starts over. Requests
 * therefore have ids from half a ring ahead of its counter on, and only a frame whose id waits or rests is an answer.
 * This fails if more than about 16,000 frames are under way. It also fails if a client reconnects with its counter at
 * those ids and receives a request before it has sent anything. Releases from 3.0.1 on do not need this rule.
 */
class RotatingIds implements RequestIds {
  readonly #pending: PendingIds;
  readonly #taken: TakenIds;
  /** The last known value of the peer's counter; `undefined` before the peer has sent anything. */
  #counter: number | undefined = undefined;
  /** The offset at which the search for the next id begins, from the first of the ids for requests on. */
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

  /** Follows the peer's counter in small steps forward only, because second answers have ids of this side. */
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
