/**
 * Knows which peers each Python release accepts.
 *
 * @module
 */

import { compare, parseRelease, speaksVersion } from "../protocols.ts";

/**
 * Exceptions to the rule that a release accepts only its own three numbers: the peers that each release accepts, taken
 * from the releases themselves.
 */
const ACCEPTED: Readonly<Record<string, readonly string[]>> = {
  "1.6.5": ["1.6.4"],
  "1.6.8": ["1.6.6", "1.6.8"],
  "1.6.9": ["1.6.6", "1.6.8", "1.6.9"],
  "1.7.1": ["1.7.0", "1.7.1"],
  "1.7.2": ["1.7.0", "1.7.1", "1.7.2"],
  "1.7.3": [],
  "1.7.4": [],
  "1.7.5": ["1.7.0", "1.7.1", "1.7.2", "1.7.5"],
  "2.0.1": ["2.0.0", "2.0.1"],
  "2.0.2": ["2.0.0", "2.0.1", "2.0.2"],
};

/**
 * Returns whether Python's Veltix of release `local` accepts a peer.
 *
 * @param local A release such as `"1.6.3"`.
 * @param peer The release that the peer announces. It is ignored from 2.0.3 on.
 * @param version The peer's "pv". Only 2.0.3 and later check it.
 */
export function acceptsRelease(local: string, peer: string, version?: string): boolean {
  const here = parseRelease(local);
  if (here !== undefined && compare(here, [2, 0, 3]) >= 0) return speaksVersion(version);
  const there = parseRelease(peer);
  if (here === undefined || there === undefined) return false;
  const plain = local === here.join(".") && peer === there.join(".");
  if (compare(here, [2, 0, 0]) < 0 && !plain) return false;
  if (compare(here, [1, 6, 1]) <= 0) return here[0] === there[0] && here[1] === there[1];
  const others = ACCEPTED[here.join(".")];
  return others === undefined ? compare(here, there) === 0 : others.includes(there.join("."));
}
