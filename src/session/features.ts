/**
 * The features of the native protocol that this library offers. A peer that lists one of them as well is held to it, and
 * one that does not is served without.
 *
 * @module
 */

import type { NativeOffer } from "../wire/handshake.ts";
import { creditOffer } from "./credit.ts";

/** Names of features. */
export const Feature = {
  /** Messages need credit; the parameters are {@linkcode CreditTerms}. */
  CREDIT: "credit",
  /** Who is told GOAWAY finishes and half-closes, so that the other can wait for that. */
  GOAWAY: "goaway",
} as const;

/** What a side brings to the handshake of a native connection. */
export function nativeOffer(limits: {
  readonly maxMessageSize: number;
  readonly maxQueuedBytes: number;
  readonly maxQueuedMessages: number;
}): NativeOffer {
  return {
    maxMessageSize: limits.maxMessageSize,
    features: { [Feature.CREDIT]: creditOffer(limits), [Feature.GOAWAY]: {} },
  };
}
