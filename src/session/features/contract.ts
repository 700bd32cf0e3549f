/**
 * Each side tells the fingerprint of its message types, for the other's log. Nothing depends on it.
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

/** Returns what the line about a handshake says of the contracts: this side's, and the other's if that is another one. */
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
