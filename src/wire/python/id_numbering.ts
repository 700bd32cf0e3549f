/**
 * How Python peers with ids of 16 bits number the frames that they send. Each of these gives an id to every frame, replies
 * apart, and takes any frame with the id of a request of its own for the answer: so its ids must be known, to stay away from.
 *
 * @module
 */

import { parseRelease, speaksVersion } from "../protocols.ts";

/** Which ids a peer uses for frames of its own. */
export type Numbering =
  /** 2.0, and the servers of 3.0.0: from 0 up to, but without, `size`. */
  | { readonly kind: "window"; readonly size: number }
  /** Clients of 3.0.0: all but 65535. */
  | { readonly kind: "whole" }
  /** 3.0.1 and later: a client those below 32768, a server those from there on. */
  | { readonly kind: "halves" };

/** The window that servers announce unless they are set otherwise, and that those of 3.0.0 have without a word. */
export const ID_WINDOW = 30_000;

/**
 * The numbering of a peer.
 *
 * @param peer Which end it is.
 * @param release What it calls itself.
 * @param version The version of its protocol, where it named one.
 * @param announced The window that its server announced; `undefined` for none.
 * @returns `undefined` where a window has to be announced and is not.
 */
export function numberingOf(
  peer: "client" | "server",
  release: string,
  version: string | undefined,
  announced: number | undefined,
): Numbering | undefined {
  const [major, minor, patch] = parseRelease(release) ?? [];
  if (!speaksVersion(version) || major === 2 && minor === 0) {
    return announced === undefined ? undefined : { kind: "window", size: announced };
  }
  if (major !== 3 || minor !== 0 || patch !== 0) return { kind: "halves" };
  return peer === "client" ? { kind: "whole" } : { kind: "window", size: ID_WINDOW };
}
