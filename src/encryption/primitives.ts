/**
 * What the encryption needs of cryptography: SHA-256, HMAC, X25519 and two AEADs. None of it is written here: there is
 * one implementation over `node:crypto` and one over the packages of `@noble`. Everything is synchronous.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";

/** The number of a cipher suite: 1 is ChaCha20-Poly1305, 2 is AES-256-GCM. Both have X25519 and SHA-256. */
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
   * @param nonce 12 bytes, never twice under one key.
   * @param ad The associated data.
   * @param text The plaintext.
   * @param target Receives the ciphertext and the tag. Its size is that of the plaintext plus {@linkcode TAG_SIZE}.
   */
  seal(nonce: Uint8Array, ad: Uint8Array, text: Uint8Array, target: Uint8Array): void;
  /**
   * Decrypts. Returns the plaintext in a buffer that nothing else uses; `undefined` if the tag does not match.
   *
   * @param sealed The ciphertext and the tag, at least {@linkcode TAG_SIZE} bytes. They are not changed.
   */
  open(nonce: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
  /** Drops the key. It is overwritten where the runtime lets that happen. */
  destroy(): void;
}

/** A key pair of X25519. */
export interface KeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /**
   * Returns the shared secret with a peer, 32 bytes that the caller overwrites after use.
   *
   * @throws {ProtocolError} `protocol-error`: the peer's key is of small order, so that the result is all zero.
   */
  dh(publicKey: Uint8Array): Uint8Array;
  /** Drops the secret key. It is overwritten where the runtime lets that happen. */
  destroy(): void;
}

/** One implementation of all primitives. */
export interface Primitives {
  readonly name: "node" | "noble";
  /** The suites that run at the speed of native code. */
  readonly fast: readonly Suite[];
  /** Returns SHA-256 of the pieces, one after the other. */
  sha256(...pieces: readonly Uint8Array[]): Uint8Array;
  /** Returns HMAC-SHA-256 of the pieces, one after the other. */
  hmacSha256(key: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array;
  /** Makes a new key pair. */
  generateKeyPair(): KeyPair;
  /** Returns the key pair of a secret key of 32 bytes, which is copied. */
  keyPairOf(secretKey: Uint8Array): KeyPair;
  /** Returns a key of a suite's AEAD, 32 bytes, which are copied. */
  aead(suite: Suite, key: Uint8Array): Aead;
}

/** Creates the error for a public key that gives an all-zero result. */
export function smallOrder(cause?: unknown): ProtocolError {
  const message = "Cannot agree on a key: the public key of the peer is of small order";
  return new ProtocolError("protocol-error", message, cause === undefined ? undefined : { cause });
}

/** Returns a shared secret that is not all zero. */
export function checkShared(secret: Uint8Array): Uint8Array {
  let bits = 0;
  for (const byte of secret) bits |= byte;
  if (bits === 0) throw smallOrder();
  return secret;
}
