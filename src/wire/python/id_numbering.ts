/**
 * Describes how Python peers with 16-bit ids number the frames that they send. Such a peer gives an id to every frame
 * except replies. It takes any frame with the id of one of its own requests for the reply. This library must therefore
 * know the peer's ids, and avoid them.
 *
 * @module
 */

import { parseRelease, speaksVersion } from "../protocols.ts";

/** The ids that a peer uses for its own frames. */
export type Numbering =
  /** 2.0, and servers of 3.0.0: from 0 up to, but not including, `size`. */
  | { readonly kind: "window"; readonly size: number }
  /** Clients of 3.0.0: all ids except 65535. */
  | { readonly kind: "whole" }
  /** 3.0.1 and later: clients use the ids below 32768, servers the others. */
  | { readonly kind: "halves" };

/** The window that servers announce by default. Servers of 3.0.0 use it without announcing it. */
export const ID_WINDOW = 30_000;

/**
 * Returns the numbering of a peer.
 *
 * @param peer Which end it is.
 * @param release The release that it announces.
 * @param version The version of its protocol, if it names one.
 * @param announced The window that the server announced; `undefined` for none.
 * @returns `undefined` if a window has to be announced and was not.
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
