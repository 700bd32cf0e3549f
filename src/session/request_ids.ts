/**
 * How a connection numbers its requests and knows their answers: one rule for each kind of id on the wire, and, where ids have
 * 16 bits, for each way in which peers number their own frames.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag } from "../wire/frame.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { isNative, type Protocol } from "../wire/protocols.ts";
import type { PendingIds, RequestId, RequestIds } from "./id_rule.ts";
import { NOBODY, shortIds } from "./short_ids.ts";

/** The rule of a connection's protocol. */
export function requestIds(
  outcome: Pick<HandshakeOutcome, "protocol" | "numbering">,
  side: "client" | "server",
  pending: PendingIds,
  clock: Clock,
): RequestIds {
  const { protocol, numbering } = outcome;
  if (isNative(protocol)) return new NativeIds(pending);
  return protocol.ids === "u16" ? shortIds(numbering!, side, pending, clock) : new RandomIds(pending, protocol.ids);
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

  answers(frame: ReceivedFrame): boolean {
    return (frame.flags & Flag.REPLY) !== 0;
  }

  seenFromPeer(): void {}

  free(): void {}

  abandon(): void {}

  settle(): void {}
}

/** The id of a frame that a server sends to many: no request of any of them, so that one frame is right for all. */
export function broadcastId(protocol: Protocol): RequestId {
  if (isNative(protocol)) return 0;
  return protocol.ids === "u16" ? NOBODY : randomId(protocol.ids);
}

/** An unpredictable id. */
export function randomId(kind: "u32" | "uuid" | "u16"): RequestId {
  return kind === "uuid" ? crypto.randomUUID() : crypto.getRandomValues(new Uint32Array(1))[0];
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

  answers({ requestId }: ReceivedFrame): boolean {
    return this.#pending.has(requestId) || this.#abandoned.has(requestId);
  }

  seenFromPeer(): void {}

  free(): void {}

  abandon(id: RequestId): void {
    if (this.#abandoned.size >= ABANDONED) this.#abandoned.delete(this.#abandoned.values().next().value!);
    this.#abandoned.add(id);
  }

  settle(id: RequestId): void {
    this.#abandoned.delete(id);
  }
}
