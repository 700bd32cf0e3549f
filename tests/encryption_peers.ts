/**
 * Peers with keys, for the tests of trust.
 *
 * @module
 */

import { nobleEd25519 } from "../src/encryption/ed25519.ts";
import { PeerKey } from "../src/encryption/public_key.ts";

/** A key that a peer shows, and its signature. */
export interface ShownKey {
  /** The 32 bytes of the key. */
  readonly key: Uint8Array;
  /** The 64 bytes of the signature. */
  readonly signature: Uint8Array;
}

/** A peer whose key is always the same for a number. */
export interface TestPeer {
  readonly key: PeerKey;
  /** Returns the key with its signature of a message. */
  show(message: Uint8Array): ShownKey;
  /** Returns the key with a signature of something else. */
  pretend(): ShownKey;
}

/** Makes the peer of a number. */
export function peerOf(number: number): TestPeer {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, number);
  const signer = nobleEd25519().signer(seed);
  const shown = (message: Uint8Array): ShownKey => ({ key: signer.publicKey, signature: signer.sign(message) });
  return {
    key: new PeerKey(signer.publicKey),
    show: shown,
    pretend: () => shown(new TextEncoder().encode("another session")),
  };
}
