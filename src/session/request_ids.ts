/**
 * How a connection numbers its requests and knows their answers: three rules, one for each kind of id on the wire.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import type { Clock } from "../transport.ts";
import type { DecodedFrame } from "../wire/decoder.ts";
import { Flag } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake.ts";
import { isNative, type Protocol } from "../wire/protocols.ts";

/** An id as it stands in a frame. */
export type RequestId = number | string;

/** Numbers the requests of one connection. */
export interface RequestIds {
  /** The next free id. Throws a `BackpressureError`, `ids-exhausted`, when there is none. */
  next(): RequestId;
  /** The id of a frame that is no request. */
  plain(): RequestId;
  /** Whether a frame answers a request of this side, pending or not: such a frame is never handed to a handler. */
  answers(frame: DecodedFrame): boolean;
  /** A request ended without an answer: its id must not be taken for another's while the answer may still come. */
  abandon(id: RequestId): void;
  /** An answer came for an abandoned id, or for none. */
  settle(id: RequestId): void;
}

/** Which ids wait for an answer. */
export interface PendingIds {
  /** Whether this one does. */
  has(id: RequestId): boolean;
}

/** The rule of a connection's protocol. */
export function requestIds(
  outcome: HandshakeOutcome,
  side: "client" | "server",
  pending: PendingIds,
  clock: Clock,
): RequestIds {
  const { protocol, idWindow } = outcome;
  if (isNative(protocol)) return new NativeIds(pending);
  if (protocol.ids === "u16") return new WindowIds(pending, clock, idWindow, side);
  return new RandomIds(pending, protocol.ids);
}

/** Native: each side counts from 1, and flags tell the answers. */
class NativeIds implements RequestIds {
  readonly #pending: PendingIds;
  #last = 0;

  constructor(pending: PendingIds) {
    this.#pending = pending;
  }

  next(): number {
    do this.#last = this.#last === 0xffffffff ? 1 : this.#last + 1; while (this.#pending.has(this.#last));
    return this.#last;
  }

  plain(): number {
    return 0;
  }

  answers(frame: DecodedFrame): boolean {
    return (frame.flags & Flag.REPLY) !== 0;
  }

  abandon(): void {}

  settle(): void {}
}

/** The id of a frame that is no request. */
export function plainId(protocol: Protocol): RequestId {
  if (isNative(protocol)) return 0;
  return protocol.ids === "u16" ? NOBODY : randomId(protocol.ids);
}

/** An unpredictable id. */
export function randomId(kind: "u32" | "uuid" | "u16"): RequestId {
  return kind === "uuid" ? crypto.randomUUID() : crypto.getRandomValues(new Uint32Array(1))[0];
}

/** How long the id of an unanswered request rests in release 2.0, in milliseconds. */
const REST = 10 * 60_000;

/** The id of a 2.0 frame that is nobody's request. */
const NOBODY = 65535;

/**
 * 2.0: sixteen bits, in which a Python peer numbers all its frames from 0 up to its window. Ours lie above that window, odd
 * for a client and even for a server, so that neither side takes the other's for its own.
 */
class WindowIds implements RequestIds {
  readonly #pending: PendingIds;
  readonly #clock: Clock;
  readonly #first: number;
  readonly #last: number;
  /** Ids of unanswered requests, in the order they may be used again, with the time they may. */
  readonly #resting = new Map<RequestId, number>();
  #next: number;

  constructor(
    pending: PendingIds,
    clock: Clock,
    window: number,
    side: "client" | "server",
  ) {
    this.#pending = pending;
    this.#clock = clock;
    const low = Math.max(window, 32768);
    const parity = side === "client" ? 1 : 0;
    this.#first = low % 2 === parity ? low : low + 1;
    this.#last = 65534 % 2 === parity ? 65534 : 65533;
    this.#next = this.#first;
  }

  next(): number {
    this.#wakeRested();
    const count = (this.#last - this.#first) / 2 + 1;
    for (let tries = 0; tries < count; tries++) {
      const id = this.#next;
      this.#next = id >= this.#last ? this.#first : id + 2;
      if (!this.#pending.has(id) && !this.#resting.has(id)) return id;
    }
    throw new BackpressureError(
      "ids-exhausted",
      `Cannot send the request: all ${Math.max(0, count)} ids that release 2.0 leaves are waiting for an answer`,
    );
  }

  plain(): number {
    return NOBODY;
  }

  answers({ requestId }: DecodedFrame): boolean {
    const id = requestId as number;
    return id >= this.#first && id <= this.#last && id % 2 === this.#first % 2;
  }

  abandon(id: RequestId): void {
    this.#resting.set(id, this.#clock.now() + REST);
  }

  settle(id: RequestId): void {
    this.#resting.delete(id);
  }

  #wakeRested(): void {
    if (this.#resting.size === 0) return;
    const now = this.#clock.now();
    for (const [id, until] of this.#resting) {
      if (until > now) return;
      this.#resting.delete(id);
    }
  }
}

/** How many abandoned ids are kept where ids are random. */
const ABANDONED = 4096;

/** 1.2 – 1.9: random ids without an owner. A frame whose id waits is the answer, whatever its type. */
class RandomIds implements RequestIds {
  readonly #pending: PendingIds;
  readonly #kind: "u32" | "uuid";
  readonly #abandoned = new Set<RequestId>();

  constructor(pending: PendingIds, kind: "u32" | "uuid") {
    this.#pending = pending;
    this.#kind = kind;
  }

  next(): RequestId {
    let id: RequestId;
    do id = this.plain(); while (this.#pending.has(id) || this.#abandoned.has(id));
    return id;
  }

  plain(): RequestId {
    return this.#kind === "uuid" ? crypto.randomUUID() : Math.floor(Math.random() * 0x1_0000_0000);
  }

  answers({ requestId }: DecodedFrame): boolean {
    return this.#pending.has(requestId) || this.#abandoned.has(requestId);
  }

  abandon(id: RequestId): void {
    if (this.#abandoned.size >= ABANDONED) this.#abandoned.delete(this.#abandoned.values().next().value!);
    this.#abandoned.add(id);
  }

  settle(id: RequestId): void {
    this.#abandoned.delete(id);
  }
}
