/**
 * What both ends of a handshake share: the steps a machine goes through, what it ends with, and the negotiation of the
 * native protocol inside the JSON messages of release 2.0 and later. The machines do no I/O: bytes in, a {@linkcode HandshakeStep} out.
 *
 * @module
 */

import type { HandshakeError, ProtocolError } from "../../errors.ts";
import { integerMember, member, objectMember, type PeerObject } from "../../base/untrusted.ts";
import { failed } from "./messages.ts";
import type { Numbering } from "../python/id_numbering.ts";
import { type Protocol, protocol } from "../protocols.ts";

/** The native protocol's versions that this library speaks, best first. */
export const NATIVE_VERSIONS: readonly number[] = [1];

/** What a machine wants done after it was started or fed. `send` is to be written first, in any state. */
export type HandshakeStep =
  /** More bytes are needed. */
  | { readonly state: "waiting"; readonly send?: Uint8Array }
  /** A server knows its peer and waits for `accept()` or `refuse()`. */
  | { readonly state: "proposed"; readonly peer: PeerIdentity }
  /** Frames follow, beginning with `rest`: bytes that came after the handshake. */
  | {
    readonly state: "open";
    readonly send?: Uint8Array;
    readonly outcome: HandshakeOutcome;
    readonly rest: Uint8Array;
  }
  /** The connection is to be closed. */
  | { readonly state: "failed"; readonly send?: Uint8Array; readonly error: HandshakeError | ProtocolError };

/** Who asks to be let in. */
export interface PeerIdentity {
  /** What it calls itself, such as `"1.6.3"`. */
  readonly release: string;
  /** Whether native frames will follow. */
  readonly native: boolean;
  /** What it sent to prove itself: valid JSON in UTF-8, as it came and not built yet; `undefined` for none. */
  readonly credentials: Uint8Array | undefined;
}

/** What two peers agreed on. */
export interface HandshakeOutcome {
  /** The protocol of the frames that follow. */
  readonly protocol: Protocol;
  /** What the peer calls itself; empty where its protocol has no handshake, or where it names its version alone. */
  readonly release: string;
  /** Where ids have 16 bits, which of them the peer uses; `undefined` elsewhere. */
  readonly numbering: Numbering | undefined;
  /** The largest frame that the peer takes, header included, in bytes. */
  readonly maxMessageSize: number;
  /** Negotiated features, each with the peer's parameters. */
  readonly features: ReadonlyMap<string, PeerObject>;
  /** This end's parameters of those features. */
  readonly own: Readonly<Record<string, PeerObject>>;
  /** The exact bytes of all handshake messages, in order. */
  readonly transcript: readonly Uint8Array[];
}

/** What one end offers for the native protocol. */
export interface NativeOffer {
  /** The largest frame this end takes, header included, in bytes. */
  readonly maxMessageSize: number;
  /** Features with their parameters. @default {} */
  readonly features?: Readonly<Record<string, PeerObject>>;
  /**
   * Called on a server for each feature that both sides list. Returns the parameters that the server answers with;
   * `undefined` declines. @default what this end offers
   */
  readonly accept?: (name: string, theirs: PeerObject) => PeerObject | undefined;
}

/** A peer's `native` member, its types checked. */
export interface NativeTerms {
  /** The best version that both speak; `undefined` for none. */
  readonly version: number | undefined;
  /** Its features. */
  readonly features: PeerObject;
  /** The largest frame it takes. */
  readonly maxMessageSize: number;
  /** What stands where a client sends what proves itself. */
  readonly credentials: unknown;
}

/** Where message 2 has what a client sends to prove itself. */
export const CREDENTIALS_PATH: readonly string[] = ["meta", "native", "credentials"];

/** What Python releases take in one frame, header counted. */
export const PYTHON_MAX_MESSAGE_SIZE: number = 10 * 1024 * 1024;

/** The protocol of native frames. */
export const NATIVE: Protocol = protocol("native");

/**
 * Reads the `native` member of message 1 or 2; `undefined` where there is none.
 *
 * @throws {HandshakeError} It is there and malformed: falling back quietly would let a mistake pass for an old peer.
 */
export function readNativeTerms(meta: PeerObject): NativeTerms | undefined {
  if (member(meta, "native") === undefined) return undefined;
  const native = objectMember(meta, "native") ?? {};
  const versions = member(native, "versions");
  const features = objectMember(native, "features");
  const maxMessageSize = integerMember(native, "maxMessageSize", NATIVE.headerSize, 0xffffffff);
  if (
    !Array.isArray(versions) || versions.length > 64 || !versions.every(Number.isInteger) || features === undefined ||
    maxMessageSize === undefined
  ) {
    throw failed('its "native" member is malformed');
  }
  return {
    version: NATIVE_VERSIONS.find((ours) => versions.includes(ours)),
    features,
    maxMessageSize,
    credentials: member(native, "credentials"),
  };
}

/** Returns the features that both list, with the peer's parameters. */
export function commonFeatures(offer: NativeOffer, theirs: PeerObject): Map<string, PeerObject> {
  const common = new Map<string, PeerObject>();
  for (const name of Object.keys(offer.features ?? {})) {
    const parameters = objectMember(theirs, name);
    if (parameters !== undefined) common.set(name, parameters);
  }
  return common;
}

/** The features that a server accepts. */
export interface AcceptedFeatures {
  /** With the client's parameters. */
  readonly features: Map<string, PeerObject>;
  /** With the server's. */
  readonly own: Record<string, PeerObject>;
}

/** Decides on a server which of the common features are in force. */
export function acceptFeatures(offer: NativeOffer, theirs: PeerObject): AcceptedFeatures {
  const features = commonFeatures(offer, theirs);
  const own: Record<string, PeerObject> = {};
  for (const [name, parameters] of features) {
    const answer = offer.accept === undefined ? offer.features![name] : offer.accept(name, parameters);
    if (answer === undefined) features.delete(name);
    else own[name] = answer;
  }
  return { features, own };
}
