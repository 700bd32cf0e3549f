/**
 * Which Python protocol a client takes from a server: by what the server says about itself and what the client is set to.
 *
 * @module
 */

import { HandshakeError } from "../../errors.ts";
import { named, versionMismatch } from "../handshake/messages.ts";
import {
  acceptsRelease,
  type HandshakeKind,
  parseRelease,
  type Protocol,
  protocol,
  speaksVersion,
} from "../protocols.ts";

/** What a server says about itself. */
export interface Announced {
  /** How it opened the connection. */
  readonly handshake: HandshakeKind;
  /** What it calls itself. */
  readonly release: string;
  /** The version of its protocol, where it named one. */
  readonly version: string | undefined;
}

/** For a server that is known by the version of its protocol alone. */
const LATEST = protocol("3");

/**
 * The protocol that both speak. From 2.0.3 on, the version of the protocol decides; before, the release.
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
  // Without a version there is nothing after 2.0.
  const early = known !== undefined && parseRelease(release)![0] < 3;
  if (early && known.handshake === handshake && (wanted === "auto" || speaks(wanted, release))) return known;
  throw new HandshakeError(
    "version-mismatch",
    `Cannot agree with the server: it is release "${named(release)}"` +
      (wanted === "auto" ? ", which this library does not speak" : `, and protocol is set to "${wanted.name}"`),
  );
}

/** Whether a server of the release `announced` is what a client that is set to `wanted` asked for. */
function speaks(wanted: Protocol, announced: string): boolean {
  if (parseRelease(wanted.name) === undefined) return announced.startsWith(`${wanted.name}.`);
  // 1.7.3 and 1.7.4 do not even take themselves.
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
