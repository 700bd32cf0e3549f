/**
 * The features of the native protocol that this library offers. A peer that lists one of them as well is held to it, and
 * one that does not is served without.
 *
 * @module
 */

import type { NativeOffer } from "../wire/handshake/terms.ts";
import { type PeerObject, stringMember } from "../base/untrusted.ts";
import { creditOffer } from "./features/credit.ts";

/** Names of features. */
export const Feature = {
  /** Messages need credit; the parameters are {@linkcode CreditTerms}. */
  CREDIT: "credit",
  /** Who is told GOAWAY finishes and half-closes, so that the other can wait for that. */
  GOAWAY: "goaway",
  /** Each side says the fingerprint of its message types, for the other's log; nothing depends on it. */
  CONTRACT: "contract",
} as const;

/** What a side brings to the handshake of a native connection; `contract` is the fingerprint of its message types. */
export function nativeOffer(
  limits: { readonly maxMessageSize: number; readonly maxQueuedBytes: number; readonly maxQueuedMessages: number },
  contract: string | undefined,
): NativeOffer {
  const features = { [Feature.CREDIT]: creditOffer(limits), [Feature.GOAWAY]: {} };
  return {
    maxMessageSize: limits.maxMessageSize,
    features: contract === undefined ? features : { ...features, [Feature.CONTRACT]: { fingerprint: contract } },
  };
}

/** What the line about a handshake says of the contracts: ours, and the other side's where that has told another one. */
export function contractNote(
  contract: string | undefined,
  features: ReadonlyMap<string, PeerObject>,
  peer: "client" | "server",
): string {
  if (contract === undefined) return "";
  const theirs = stringMember(features.get(Feature.CONTRACT) ?? {}, "fingerprint");
  const other = theirs === undefined || theirs === contract
    ? ""
    : `, the ${peer} has ${/^[\da-f]{8}$/.test(theirs) ? theirs : "one that is no fingerprint"}`;
  return `, contract ${contract}${other}`;
}
