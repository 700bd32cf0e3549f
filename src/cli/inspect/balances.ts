/**
 * What the peer of a replay lets this side send: the credit of the connection, and the windows of its streams. The record
 * does not say so, since what a peer grants depends on the time.
 *
 * @module
 */

import { integerMember, objectMember, type PeerObject } from "../../base/untrusted.ts";
import { Flag } from "../../wire/frame.ts";
import { isNative } from "../../wire/protocols.ts";
import type { SeenFrame, SeenHandshake } from "./seen.ts";

/** Frames that cost credit. */
const COSTLY = new Set(["message", "request", "open"]);

/** Counts what may still be sent. */
export class Balances {
  #streams: PeerObject | undefined = undefined;
  #creditTerms: PeerObject | undefined = undefined;
  #credit = 0;
  readonly #windows = new Map<string, number>();

  /** Takes a message of the peer's handshake, which has its terms. */
  terms({ message, step }: SeenHandshake): void {
    const native = objectMember(step === 3 ? message : objectMember(message, "meta") ?? {}, "native");
    const features = objectMember(native ?? {}, "features");
    if (features === undefined) return;
    this.#streams = objectMember(features, "streams");
    this.#creditTerms = objectMember(features, "credit");
    this.#credit = integerMember(this.#creditTerms ?? {}, "window", 1, 0xffffffff) ?? 1_048_576;
  }

  /** Takes a frame of the peer, which may grant something. */
  received({ fields: { flags = 0, id }, kind, payload: { value = 0 } }: SeenFrame): void {
    if (kind === "credit") this.#credit += value;
    // A WINDOW of an acceptor has REPLY: the stream is one of this side.
    if (kind === "window") this.#add(`${(flags & Flag.REPLY) !== 0} ${id}`, value);
  }

  /** Returns whether a frame may be sent under an id. */
  allows(frame: SeenFrame, id: number | string): boolean {
    if (!isNative(frame.protocol)) return true;
    if (COSTLY.has(frame.kind)) return this.#creditTerms === undefined || this.#credit > 0;
    return this.#costOf(frame) === 0 || this.#window(streamOf(frame, id)) >= this.#costOf(frame);
  }

  /** Counts a frame that is sent. */
  sent(frame: SeenFrame, id: number | string): void {
    if (COSTLY.has(frame.kind)) {
      const least = integerMember(this.#creditTerms ?? {}, "least", 0, 0xffffffff) ?? 0;
      const { compressed, bytes } = frame.payload;
      const size = compressed === undefined ? frame.bytes.length : 16 + bytes.length;
      this.#credit -= Math.max(size, least);
    } else if (this.#costOf(frame) > 0) this.#add(streamOf(frame, id), -this.#costOf(frame));
  }

  #costOf({ kind, payload: { bytes } }: SeenFrame): number {
    if (this.#streams === undefined || kind !== "piece" && kind !== "end" || bytes.length === 0) return 0;
    return Math.max(bytes.length, integerMember(this.#streams, "least", 0, 0x7fffffff) ?? 256);
  }

  #window(stream: string): number {
    return this.#windows.get(stream) ?? integerMember(this.#streams ?? {}, "window", 1, 0x7fffffff) ?? 65_536;
  }

  #add(stream: string, value: number): void {
    this.#windows.set(stream, this.#window(stream) + value);
  }
}

/** Names a stream by who opened it: a piece without REPLY is one of the opener. */
function streamOf({ fields: { flags = 0 } }: SeenFrame, id: number | string): string {
  return `${(flags & Flag.REPLY) === 0} ${id}`;
}
