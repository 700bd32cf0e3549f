/**
 * Makes Ed25519 signatures, and verifies them as RFC 8032 says. `node:crypto` does the work where it exists, and
 * `@noble/curves` elsewhere.
 *
 * Not every runtime is as strict as the RFC: the `node:crypto` of Bun and of Deno accepts forged signatures under keys
 * of small order. So keys and signatures are checked here before either implementation sees them.
 *
 * @module
 */

import { concat } from "../base/concat.ts";
import { ed25519 } from "@noble/curves/ed25519.js";
import { type NodeCrypto, nodeCrypto } from "./builtin.ts";
import { publicKeyPem } from "./spki.ts";

/** The size of a public key, and of the seed that a secret key is derived from, in bytes. */
export const KEY_SIZE = 32;
/** The size of a signature, in bytes. */
export const SIGNATURE_SIZE = 64;

/**
 * Signs with one secret key.
 *
 * @category Security
 */
export interface Signer {
  /** The public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Returns the signature of a message, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/** An implementation of Ed25519. */
export interface Ed25519 {
  /** Returns a signer with the secret key of a seed of 32 bytes. */
  signer(seed: Uint8Array): Signer;
  /**
   * Returns whether a signature of a message is valid under a public key. It is not if a size is wrong, if an encoding
   * is not canonical, or if the key is of small order.
   */
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

/** The bytes before the seed in the PKCS#8 form of a secret key. */
const PKCS8 = fromHex("302e020100300506032b657004220420");

/** The prime of the field, 2^255 − 19, with the lowest byte first. */
const PRIME = fromHex(`ed${"ff".repeat(30)}7f`);
/** The order of the base point, with the lowest byte first. */
const ORDER = fromHex(`edd3f55c1a631258d69cf7a2def9de14${"00".repeat(15)}10`);

/** The y of each point of small order, without the sign bit. The prime and the prime + 1 stand for 0 and 1. */
const SMALL_ORDER: readonly Uint8Array[] = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(fromHex);

/** Returns the implementation to use: that of the runtime if it has one. */
export function findEd25519(): Ed25519 {
  const crypto = nodeCrypto();
  return crypto === undefined ? nobleEd25519() : nodeEd25519(crypto);
}

/** Returns the implementation on top of `node:crypto`. */
export function nodeEd25519(crypto: NodeCrypto): Ed25519 {
  return {
    signer(seed: Uint8Array): Signer {
      const pkcs8 = encodePkcs8(seed);
      const secret = crypto.createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
      pkcs8.fill(0);
      const publicKey = crypto.createPublicKey(secret).export({ format: "der", type: "spki" });
      return {
        publicKey: new Uint8Array(publicKey.subarray(-KEY_SIZE)),
        sign: (message) => new Uint8Array(crypto.sign(null, message, secret)),
      };
    },
    verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
      if (!isVerifiable(signature, publicKey)) return false;
      try {
        return crypto.verify(null, message, crypto.createPublicKey(publicKeyPem("Ed25519", publicKey)), signature);
      } catch {
        // A key that is not a point on the curve has no valid signature.
        return false;
      }
    },
  };
}

/** Returns the implementation on top of `@noble/curves`. */
export function nobleEd25519(): Ed25519 {
  return {
    signer(seed: Uint8Array): Signer {
      const secret = seed.slice();
      return { publicKey: ed25519.getPublicKey(secret), sign: (message) => ed25519.sign(message, secret) };
    },
    verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
      if (!isVerifiable(signature, publicKey)) return false;
      try {
        return ed25519.verify(signature, message, publicKey, { zip215: false });
      } catch {
        return false;
      }
    },
  };
}

/** Returns whether a public key is of small order. Anybody can make signatures that are valid under such a key. */
export function isSmallOrder(publicKey: Uint8Array): boolean {
  const y = withoutSign(publicKey);
  return SMALL_ORDER.some((small) => equalBytes(small, y));
}

/** Returns whether y, without the sign bit, is less than the prime, as the RFC demands. */
export function isCanonicalKey(publicKey: Uint8Array): boolean {
  return isLess(withoutSign(publicKey), PRIME);
}

/** Returns whether two byte strings are equal. The time this takes depends only on their sizes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}

/** Returns the PKCS#8 form of the secret key of a seed, 48 bytes. */
export function encodePkcs8(seed: Uint8Array): Uint8Array {
  return concat(PKCS8, seed);
}

/** Returns the seed in the PKCS#8 form of an Ed25519 key; `undefined` if the bytes are something else. */
export function decodePkcs8(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== PKCS8.length + KEY_SIZE) return undefined;
  return equalBytes(bytes.subarray(0, PKCS8.length), PKCS8) ? bytes.slice(PKCS8.length) : undefined;
}

function isVerifiable(signature: Uint8Array, publicKey: Uint8Array): boolean {
  return signature.length === SIGNATURE_SIZE && publicKey.length === KEY_SIZE &&
    isCanonicalKey(publicKey) && !isSmallOrder(publicKey) &&
    isCanonicalKey(signature.subarray(0, KEY_SIZE)) && isLess(signature.subarray(KEY_SIZE), ORDER);
}

function withoutSign(point: Uint8Array): Uint8Array {
  const y = point.slice();
  y[y.length - 1] &= 0x7f;
  return y;
}

/** Compares two numbers of the same size that have their lowest byte first. */
function isLess(a: Uint8Array, b: Uint8Array): boolean {
  let i = a.length - 1;
  while (i > 0 && a[i] === b[i]) i--;
  return a[i] < b[i];
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
