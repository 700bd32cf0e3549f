/**
 * Numbers the requests of a connection and recognizes their answers. There is one rule for each kind of id on the wire.
 * For 16-bit ids, there is one for each way in which peers number their own frames.
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

/** Returns the rule for the protocol of a connection. */
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

/** The rule of the native protocol: each side counts from 1, and flags mark the answers. */
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

/** Returns the id for a broadcast. It is no request of any client, so that all clients can get the same frame. */
export function broadcastId(protocol: Protocol): RequestId {
  if (isNative(protocol)) return 0;
  return protocol.ids === "u16" ? NOBODY : randomId(protocol.ids);
}

/** Returns an unpredictable id. */
export function randomId(kind: "u32" | "uuid" | "u16"): RequestId {
  return kind === "uuid" ? crypto.randomUUID() : crypto.getRandomValues(new Uint32Array(1))[0];
}

/** The most abandoned ids that are kept where ids are random. */
const ABANDONED = 4096;

/**
 * The rule of releases 1.2 – 1.9: ids are random, and either side may use any of them. A frame with the id of a pending
 * or abandoned request is its answer, whatever the type.
 */
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
