/**
 * Implements the flow control of native connections. Each side may send only as many bytes of messages and requests as
 * the other side has granted. More is granted as messages reach their handlers. Replies and system frames need no
 * credit, so that neither side has to stop reading and answers always get through.
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

/** How long a peer without credit waits for a large grant before it gets a small one, in milliseconds. */
const PATIENCE = 50;
const DEFAULT_WINDOW = 1024 * 1024;

/**
 * Returns the terms that this side offers. They let `maxQueuedBytes` bytes wait, and sixteen times `maxQueuedMessages`
 * messages. If small messages use up the window while the CREDIT for them is on its way, throughput drops;
 * `deno task bench --only burst` shows it.
 */
export function creditOffer(
  limits: { readonly maxQueuedBytes: number; readonly maxQueuedMessages: number },
): PeerObject {
  const window = limits.maxQueuedBytes;
  // Rounded up, so that no more messages fit into the window. The one that overdraws it is included.
  return { window, least: Math.ceil(window / limits.maxQueuedMessages / 16) };
}

/** Returns the terms that a peer offered. A parameter that is missing or malformed has its default. */
export function creditTerms(parameters: PeerObject): CreditTerms {
  return {
    window: integerMember(parameters, "window", 1, 0xffffffff) ?? DEFAULT_WINDOW,
    least: integerMember(parameters, "least", 0, 0xffffffff) ?? 0,
  };
}

/** The feature `credit`: messages and requests need credit. Its parameters are {@linkcode CreditTerms}. */
export const credit: Feature = {
  name: "credit",
  codes: [SystemCode.CREDIT],
  offer: ({ limits }) => creditOffer(limits),
  attach(ours, theirs, { sender }, clock): FeaturePart {
    sender.writer.scheduler.limit(creditTerms(theirs));
    return new CreditMeter(ours as unknown as CreditTerms, clock);
  },
};

/** The receiving side: counts what the peer may still send, and what it is to be granted next. */
export class CreditMeter implements FeaturePart {
  readonly #terms: CreditTerms;
  /** The number of bytes granted and not used yet; negative after a message that was larger than what was left. */
  #left: number;
  /** The number of bytes that no longer wait for a handler and are not granted again yet. */
  #owed = 0;
  readonly #clock: Clock;
  /** The time at which the peer ran out of credit, or got the last grant that did not suffice. */
  #waitsFrom = 0;
  /** The number of CREDIT frames that the peer has sent. */
  #grants = 0;

  /**
   * @param terms The terms that this side offered.
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
    // A peer has a reason to grant more only after this side has sent something. Further CREDIT frames are charged.
    if (++this.#grants > sender.frames) inbox.permits(frame);
    return true;
  }

  /** Counts a received message of `size` bytes, header included. Returns false if the peer had no credit for it. */
  received(size: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= Math.max(size, this.#terms.least);
    if (this.#left <= 0) this.#waitsFrom = this.#clock.now();
    return true;
  }

  /** Counts a message that no longer waits. Returns the number of bytes to be granted now, usually 0. */
  taken(size: number): number {
    this.#owed += Math.max(size, this.#terms.least);
    const { window } = this.#terms;
    // Each grant costs a write and wakes the peer up. It is half a window, and less only if the peer has to wait.
    if (this.#owed < window / (this.#left > 0 ? 2 : 4) && !this.#slow(window)) return 0;
    const grant = Math.min(this.#owed, 0xffffffff);
    this.#owed -= grant;
    this.#left += grant;
    if (this.#left <= 0) this.#waitsFrom = this.#clock.now();
    return grant;
  }

  /** Returns whether the peer has waited without credit for so long that a small grant is due. */
  #slow(window: number): boolean {
    return this.#left <= 0 && this.#owed >= window / 16 && this.#clock.now() - this.#waitsFrom > PATIENCE;
  }
}
