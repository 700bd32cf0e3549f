/**
 * The parts that both ends of a handshake share: the steps and the outcome of their state machines, and the negotiation
 * of the native protocol inside the JSON messages of release 2.0 and later. The machines do no I/O: they take bytes and
 * return a {@linkcode HandshakeStep}.
 *
 * @module
 */

import type { HandshakeError, ProtocolError } from "../../errors.ts";
import { integerMember, member, objectMember, type PeerObject } from "../../base/untrusted.ts";
import { failed } from "./messages.ts";
import type { Numbering } from "../python/id_numbering.ts";
import { type Protocol, protocol } from "../protocols.ts";

/** The versions of the native protocol that this library speaks, best first. */
export const NATIVE_VERSIONS: readonly number[] = [1];

/** What the caller has to do after a machine was started or fed. In any state, `send` is to be written first. */
export type HandshakeStep =
  /** More bytes are needed. */
  | { readonly state: "waiting"; readonly send?: Uint8Array }
  /** A server has identified its peer and waits for `accept()` or `refuse()`. */
  | { readonly state: "proposed"; readonly peer: PeerIdentity }
  /** The handshake is done. Frames follow, beginning with `rest`, the bytes that came after it. */
  | {
    readonly state: "open";
    readonly send?: Uint8Array;
    readonly outcome: HandshakeOutcome;
    readonly rest: Uint8Array;
  }
  /** The connection is to be closed. */
  | { readonly state: "failed"; readonly send?: Uint8Array; readonly error: HandshakeError | ProtocolError };

/** A peer that asks to be let in. */
export interface PeerIdentity {
  /** The release that it announces, such as `"1.6.3"`. */
  readonly release: string;
  /** True if native frames will follow. */
  readonly native: boolean;
  /** The credentials that it sent: valid JSON in UTF-8, as received and not parsed yet; `undefined` for none. */
  readonly credentials: Uint8Array | undefined;
  /** The features that it asks for, each with its parameters, unchecked. Empty unless it is native. */
  readonly features: PeerObject;
}

/** What two peers agreed on. */
export interface HandshakeOutcome {
  /** The protocol of the frames that follow. */
  readonly protocol: Protocol;
  /** The release that the peer announces. Empty if its protocol has no handshake, or if it names only its version. */
  readonly release: string;
  /** The ids that the peer uses, if ids have 16 bits; `undefined` otherwise. */
  readonly numbering: Numbering | undefined;
  /** The largest frame that the peer accepts, header included, in bytes. */
  readonly maxMessageSize: number;
  /** Negotiated features, each with the peer's parameters. */
  readonly features: ReadonlyMap<string, PeerObject>;
  /** This end's parameters of those features. On a client, they include all features that it offered. */
  readonly own: Readonly<Record<string, PeerObject>>;
  /** On a client, all features that the server's greeting offered, unchecked; empty otherwise. */
  readonly greeted: PeerObject;
  /** The exact bytes of all handshake messages, in order. */
  readonly transcript: readonly Uint8Array[];
}

/** What one end offers for the native protocol. */
export interface NativeOffer {
  /** The largest frame that this end accepts, header included, in bytes. */
  readonly maxMessageSize: number;
  /** Features with their parameters. @default {} */
  readonly features?: Readonly<Record<string, PeerObject>>;
  /**
   * Called on a server for each feature that both sides list. Returns the parameters that the server answers with, or
   * `undefined` to decline. `all` has all features that the client lists.
   * @default what this end offers
   */
  readonly accept?: (name: string, theirs: PeerObject, all: PeerObject) => PeerObject | undefined;
  /**
   * Called on a client for each feature that the server has accepted. Returns false if the server's parameters cannot be
   * an answer to what this end offers.
   * @default every answer will do
   */
  readonly confirm?: (name: string, theirs: PeerObject) => boolean;
}

/** A peer's `native` member, with its types checked. */
export interface NativeTerms {
  /** The best version that both speak; `undefined` for none. */
  readonly version: number | undefined;
  readonly features: PeerObject;
  /** The largest frame that it accepts, header included, in bytes. */
  readonly maxMessageSize: number;
  /** The `credentials` member, unchecked. On a server it is the index of a text in `cut` of the message. */
  readonly credentials: unknown;
}

/** The path of the client's credentials in message 2. */
export const CREDENTIALS_PATH: readonly string[] = ["meta", "native", "credentials"];

/** The largest frame that Python releases accept, header included, in bytes. */
export const PYTHON_MAX_MESSAGE_SIZE: number = 10 * 1024 * 1024;

export const NATIVE: Protocol = /* @__PURE__ */ protocol("native");

/**
 * Reads the `native` member of message 1 or 2. Returns `undefined` if there is none.
 *
 * @throws {HandshakeError} The member is malformed. Falling back silently would let a mistake pass for an old peer.
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
  /** The features, with the client's parameters. */
  readonly features: Map<string, PeerObject>;
  /** The server's parameters of the same features. */
  readonly own: Record<string, PeerObject>;
}

/** Decides, on a server, which of the common features are in force. */
export function acceptFeatures(offer: NativeOffer, theirs: PeerObject): AcceptedFeatures {
  const features = commonFeatures(offer, theirs);
  const own: Record<string, PeerObject> = {};
  for (const [name, parameters] of features) {
    const answer = offer.accept === undefined ? offer.features![name] : offer.accept(name, parameters, theirs);
    if (answer === undefined) features.delete(name);
    else own[name] = answer;
  }
  return { features, own };
}
