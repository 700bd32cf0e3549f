/**
 * The cryptography that the encryption needs: SHA-256, HKDF, X25519 and two AEADs. This project implements none of it
 * itself: one implementation is on top of `node:crypto`, and one on top of the packages of `@noble`. Everything is
 * synchronous.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";

/** The number of a cipher suite: 1 is ChaCha20-Poly1305, 2 is AES-256-GCM. Both use X25519 and SHA-256. */
export type Suite = 1 | 2;

/** All suites, the preferred one first. */
export const SUITES: readonly Suite[] = [1, 2];

/** The size of an authentication tag, in bytes. */
export const TAG_SIZE = 16;

/** The size of a symmetric key, a public key and a hash, in bytes. */
export const KEY_SIZE = 32;

/** A key of an AEAD. */
export interface Aead {
  /**
   * Encrypts. The plaintext is not changed.
   *
   * @param nonce The nonce, 12 bytes. It must never be used twice with one key.
   * @param ad The associated data.
   * @param text The plaintext.
   * @param target Receives the ciphertext and the tag. Its size must be that of the plaintext plus
   * {@linkcode TAG_SIZE}.
   */
  seal(nonce: Uint8Array, ad: Uint8Array, text: Uint8Array, target: Uint8Array): void;
  /**
   * Decrypts. Returns the plaintext in a buffer that nothing else uses; `undefined` if the tag does not match.
   *
   * @param sealed The ciphertext and the tag, at least {@linkcode TAG_SIZE} bytes. They are not changed.
   */
  open(nonce: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
  /** Drops the key. It is overwritten where the runtime allows that. */
  destroy(): void;
}

/** The public key of a peer in the form in which secrets are made of it. Making one takes time on some runtimes. */
export interface PublicKey {
  /** The key, 32 bytes. */
  readonly bytes: Uint8Array;
}

/** A key pair of X25519. */
export interface KeyPair {
  /** The public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /**
   * Returns the secret shared with a peer, 32 bytes. The caller must overwrite it after use.
   *
   * @param publicKey The key of the peer, from {@linkcode Primitives.publicKey} of the same primitives.
   * @throws {ProtocolError} `protocol-error`: the peer's key is of small order, so the result is all zeros.
   */
  dh(publicKey: PublicKey): Uint8Array;
  /** Drops the secret key. It is overwritten where the runtime allows that. */
  destroy(): void;
}

/** One implementation of all primitives. */
export interface Primitives {
  readonly name: "node" | "noble";
  /** The suites that are fast, among those that run at the speed of native code. */
  readonly fast: readonly Suite[];
  /** Returns the SHA-256 of all pieces joined. */
  sha256(...pieces: readonly Uint8Array[]): Uint8Array;
  /**
   * Derives two keys of 32 bytes: HKDF-SHA-256 without info, whose first output is that of 32 bytes. The caller must
   * overwrite both after use.
   *
   * @param salt The salt: the chaining key.
   * @param material The secret to derive from; it may be empty.
   */
  hkdf(salt: Uint8Array, material: Uint8Array): [Uint8Array, Uint8Array];
  /** Makes a new key pair. */
  generateKeyPair(): KeyPair;
  /**
   * Reads a public key of 32 bytes, which are copied.
   *
   * @throws {ProtocolError} `protocol-error`: the runtime does not take it.
   */
  publicKey(bytes: Uint8Array): PublicKey;
  /** Returns the key pair of a secret key of 32 bytes, which is copied. */
  keyPairOf(secretKey: Uint8Array): KeyPair;
  /** Returns the AEAD of a suite with a key of 32 bytes, which is copied. */
  aead(suite: Suite, key: Uint8Array): Aead;
}

/** Checks the size of a key of X25519. */
export function checkSize(key: Uint8Array): void {
  if (key.length !== KEY_SIZE) throw new RangeError(`Cannot use a key of ${key.length} bytes: it must have 32`);
}

/** Creates the error for a public key that gives a result of all zeros. */
export function smallOrder(cause?: unknown): ProtocolError {
  const message = "Cannot agree on a key: the public key of the peer is of small order";
  return new ProtocolError("protocol-error", message, cause === undefined ? undefined : { cause });
}

/** Returns the shared secret as it is. Throws if it is all zeros. */
export function checkShared(secret: Uint8Array): Uint8Array {
  let bits = 0;
  for (const byte of secret) bits |= byte;
  if (bits === 0) throw smallOrder();
  return secret;
}
