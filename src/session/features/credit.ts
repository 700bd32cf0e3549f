/**
 * Flow control of native connections. Each side may have sent only so many bytes of messages and requests as the other has
 * granted; more is granted as messages reach their handlers. Replies and system frames need none, so that nobody has to
 * stop reading, and answers always get through.
 *
 * @module
 */

import type { CreditTerms } from "../../link/send_scheduler.ts";
import type { Clock } from "../../base/clock.ts";
import { ProtocolError } from "../../errors.ts";
import { integerMember, type PeerObject } from "../../base/untrusted.ts";
import type { ReceivedFrame } from "../../wire/decoded_frame.ts";
import { SystemCode } from "../../wire/frame.ts";
import { get32, put32 } from "../../wire/integers.ts";
import type { Feature, FeatureHost, FeaturePart } from "../feature.ts";

/** How long a peer that has to wait does so for a large grant, in milliseconds. */
const PATIENCE = 50;
const DEFAULT_WINDOW = 1024 * 1024;

/**
 * What a side offers that lets `maxQueuedBytes` wait, and sixteen times `maxQueuedMessages`: a window that small messages use
 * up while the CREDIT for them is on its way costs throughput: it is seen in `deno task bench --only burst`.
 */
export function creditOffer(
  limits: { readonly maxQueuedBytes: number; readonly maxQueuedMessages: number },
): PeerObject {
  const window = limits.maxQueuedBytes;
  // Rounded up, so that no more fit; the one that overdraws is among them.
  return { window, least: Math.ceil(window / limits.maxQueuedMessages / 16) };
}

/** What a peer offered, read with care; what is missing has its default. */
export function creditTerms(parameters: PeerObject): CreditTerms {
  return {
    window: integerMember(parameters, "window", 1, 0xffffffff) ?? DEFAULT_WINDOW,
    least: integerMember(parameters, "least", 0, 0xffffffff) ?? 0,
  };
}

/** The feature `credit`: messages and requests need credit; the parameters are {@linkcode CreditTerms}. */
export const credit: Feature = {
  name: "credit",
  codes: [SystemCode.CREDIT],
  offer: ({ limits }) => creditOffer(limits),
  attach(ours, theirs, { sender }, clock): FeaturePart {
    sender.writer.scheduler.limit(creditTerms(theirs));
    return new CreditMeter(ours as unknown as CreditTerms, clock);
  },
};

/** The receiving side: what the peer may still send, and what it is to be granted next. */
export class CreditMeter implements FeaturePart {
  readonly #terms: CreditTerms;
  /** Granted and not used; below zero after a message that was larger than what was left. */
  #left: number;
  /** Used up, handed to handlers, and not granted again yet. */
  #owed = 0;
  readonly #clock: Clock;
  /** Since when the peer has to wait, or when it was last granted more. */
  #waitsFrom = 0;
  /** CREDIT frames of the peer. */
  #grants = 0;

  /**
   * @param terms What this side offered.
   * @param clock The time.
   */
  constructor(terms: CreditTerms, clock: Clock) {
    this.#terms = terms;
    this.#clock = clock;
    this.#left = terms.window;
  }

  get limitsPeer(): boolean {
    return true;
  }

  message(size: number): void {
    if (this.received(size)) return;
    throw new ProtocolError("protocol-error", "The peer sent a message beyond the credit it was granted");
  }

  handled(size: number, { sender }: FeatureHost): void {
    const bytes = this.taken(size);
    if (bytes === 0) return;
    const content = new Uint8Array(4);
    put32(content, 0, bytes);
    sender.control("credit", SystemCode.CREDIT, 0, content);
  }

  control(frame: ReceivedFrame, { inbox, sender }: FeatureHost): boolean {
    if (frame.code !== SystemCode.CREDIT || frame.size !== 4) return false;
    const bytes = get32(frame.content, 0);
    if (bytes === 0) return false;
    sender.writer.grant(bytes);
    // What this side sends is what makes a peer grant more.
    if (++this.#grants > sender.frames) inbox.permits(frame);
    return true;
  }

  /** Counts a message that came in, `size` bytes with its header; false if it may not have been sent. */
  received(size: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= Math.max(size, this.#terms.least);
    if (this.#left <= 0) this.#waitsFrom = this.#clock.now();
    return true;
  }

  /** Counts a message that no longer waits; returns how much is to be granted now, usually nothing. */
  taken(size: number): number {
    this.#owed += Math.max(size, this.#terms.least);
    const { window } = this.#terms;
    // By half windows; in smaller steps to a peer that has to wait: each costs a write and wakes the peer up.
    if (this.#owed < window / (this.#left > 0 ? 2 : 4) && !this.#slow(window)) return 0;
    const grant = Math.min(this.#owed, 0xffffffff);
    this.#owed -= grant;
    this.#left += grant;
    if (this.#left <= 0) this.#waitsFrom = this.#clock.now();
    return grant;
  }

  /** Whether a peer that has to wait would wait for so long that it saw nothing go on: then a small step is due. */
  #slow(window: number): boolean {
    return this.#left <= 0 && this.#owed >= window / 16 && this.#clock.now() - this.#waitsFrom > PATIENCE;
  }
}
