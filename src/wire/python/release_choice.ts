/**
 * Chooses the Python protocol that a client speaks to a server, by what the server says about itself and by the
 * client's `protocol` option.
 *
 * @module
 */

import { HandshakeError } from "../../errors.ts";
import { named, versionMismatch } from "../handshake/messages.ts";
import { type HandshakeKind, parseRelease, type Protocol, protocol, speaksVersion } from "../protocols.ts";
import { acceptsRelease } from "./accepted_releases.ts";

/** What a server says about itself. */
export interface Announced {
  /** How it opened the connection. */
  readonly handshake: HandshakeKind;
  /** The release that it announces. */
  readonly release: string;
  /** The version of its protocol, if it names one. */
  readonly version: string | undefined;
}

/** The protocol for a server that names only the version of its protocol. */
const LATEST = /* @__PURE__ */ protocol("3");

/**
 * Returns the protocol that both sides speak. From 2.0.3 on, the version of the protocol decides; before, the release.
 *
 * @throws {HandshakeError} `version-mismatch`: there is none.
 */
export function pythonProtocol(wanted: Protocol | "auto", announced: Announced): Protocol {
  const { handshake, release, version } = announced;
  const known = knownProtocol(release);
  if (version !== undefined && (wanted === "auto" || wanted.ids === "u16")) {
    if (!speaksVersion(version)) throw versionMismatch("server", release, version);
    return known?.ids === "u16" ? known : LATEST;
  }
  // A server that names no version cannot be newer than 2.0.
  const early = known !== undefined && parseRelease(release)![0] < 3;
  if (early && known.handshake === handshake && (wanted === "auto" || speaks(wanted, release))) return known;
  throw new HandshakeError(
    "version-mismatch",
    `Cannot agree with the server: it is release "${named(release)}"` +
      (wanted === "auto" ? ", which this library does not speak" : `, and protocol is set to "${wanted.name}"`),
  );
}

/** Returns whether a client that is set to `wanted` accepts a server of the release `announced`. */
function speaks(wanted: Protocol, announced: string): boolean {
  if (parseRelease(wanted.name) === undefined) return announced.startsWith(`${wanted.name}.`);
  // 1.7.3 and 1.7.4 accept no release, not even their own.
  const same = wanted.handshake === "hello" && announced === wanted.release;
  return same || acceptsRelease(wanted.release, announced);
}

function knownProtocol(release: string): Protocol | undefined {
  try {
    return parseRelease(release) && protocol(release);
  } catch {
    return undefined;
  }
}
