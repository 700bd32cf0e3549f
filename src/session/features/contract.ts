/**
 * Implements the feature `contract`: each side sends the fingerprint of its message types, for the other side's log.
 * Nothing else depends on it.
 *
 * @module
 */

import { type PeerObject, stringMember } from "../../base/untrusted.ts";
import type { Feature } from "../feature.ts";

/** The feature `contract`, with the parameter `fingerprint`. */
export const contract: Feature = {
  name: "contract",
  offer: ({ contract }) => contract === undefined ? undefined : { fingerprint: contract },
};

/** Returns the end of the log line of a handshake: this side's fingerprint, and the peer's if it is different. */
export function contractNote(
  fingerprint: string | undefined,
  features: ReadonlyMap<string, PeerObject>,
  peer: "client" | "server",
): string {
  if (fingerprint === undefined) return "";
  const theirs = stringMember(features.get(contract.name) ?? {}, "fingerprint");
  const other = theirs === undefined || theirs === fingerprint
    ? ""
    : `, the ${peer} has ${/^[\da-f]{8}$/.test(theirs) ? theirs : "one that is no fingerprint"}`;
  return `, contract ${fingerprint}${other}`;
}
