/**
 * The payload of messages 2 and 3. It holds the number of identities, the Ed25519 public key and a signature of each,
 * and then the first bytes of the layer above. A signature covers a label of the role, the handshake hash before the
 * message, and the sender's Noise static key, so it is valid for this handshake only.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { ProtocolError } from "../../errors.ts";
import { SIGNATURE_SIZE, type Signer } from "../ed25519.ts";
import { KEY_SIZE } from "../primitives.ts";

export type { Signer } from "../ed25519.ts";

/** The size of an identity in a payload, in bytes. */
export const IDENTITY_SIZE: number = KEY_SIZE + SIGNATURE_SIZE;

/** The two sides of a handshake. */
export type Role = "server" | "client";

/** The fewest and the most identities that each role shows. */
export const IDENTITIES: Readonly<Record<Role, readonly [least: number, most: number]>> = {
  server: [1, 4],
  client: [0, 1],
};

/** The beginning of the text that each role signs. */
const LABELS: Readonly<Record<Role, Uint8Array>> = {
  server: new TextEncoder().encode("Veltix Noise 1 server"),
  client: new TextEncoder().encode("Veltix Noise 1 client"),
};

/** Returns true if an Ed25519 signature is valid. It must return false for keys of small order. */
export type Verify = (publicKey: Uint8Array, text: Uint8Array, signature: Uint8Array) => boolean;

/** An identity that the peer shows. It is a claim until it is verified. */
export interface ShownIdentity {
  /** The Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Returns true if the peer has the secret key: its signature for this handshake is valid. */
  verify(): boolean;
}

/** A payload of the peer. */
export interface Payload {
  readonly identities: readonly ShownIdentity[];
  /** The first bytes of the layer above. */
  readonly first: Uint8Array;
}

/** Returns the text that an identity signs. */
export function signedText(role: Role, hash: Uint8Array, staticKey: Uint8Array): Uint8Array {
  return concat(LABELS[role], hash, staticKey);
}

/** Returns a payload. The caller must overwrite it after use. */
export function writePayload(signers: readonly Signer[], text: Uint8Array, first: Uint8Array): Uint8Array {
  const payload = new Uint8Array(1 + signers.length * IDENTITY_SIZE + first.length);
  payload[0] = signers.length;
  let at = 1;
  for (const signer of signers) {
    const signature = signer.sign(text);
    if (signer.publicKey.length !== KEY_SIZE || signature.length !== SIGNATURE_SIZE) {
      throw new TypeError("Cannot sign: an identity has a key of 32 bytes and signatures of 64");
    }
    payload.set(signer.publicKey, at);
    payload.set(signature, at + KEY_SIZE);
    at += IDENTITY_SIZE;
  }
  payload.set(first, at);
  return payload;
}

/**
 * Reads a payload. No signature is verified yet.
 *
 * @param payload The bytes.
 * @param role The role of the peer.
 * @param text The text that its identities must have signed.
 * @param verify Verifies a signature.
 * @throws {ProtocolError} `protocol-error`: the peer shows too few or too many identities, or the payload is too short.
 */
export function readPayload(payload: Uint8Array, role: Role, text: Uint8Array, verify: Verify): Payload {
  const count = payload[0];
  const [least, most] = IDENTITIES[role];
  const end = 1 + count * IDENTITY_SIZE;
  if (payload.length === 0 || count < least || count > most || payload.length < end) {
    throw new ProtocolError("protocol-error", `Cannot read the identities of the ${role}: its message is malformed`);
  }
  const identities: ShownIdentity[] = [];
  for (let at = 1; at < end; at += IDENTITY_SIZE) {
    const publicKey = payload.slice(at, at + KEY_SIZE);
    const signature = payload.slice(at + KEY_SIZE, at + IDENTITY_SIZE);
    identities.push({ publicKey, verify: () => verify(publicKey, text, signature) });
  }
  return { identities, first: payload.subarray(end) };
}
