/**
 * The form in which `node:crypto` is given public keys.
 *
 * @module
 */

import { encodeBase64 } from "../base/base64.ts";

/**
 * The bytes before the 32 bytes of a public key in SubjectPublicKeyInfo (RFC 8410), in base64. They are 12, so the
 * digits of the key follow without a change.
 */
const PREFIX = { X25519: "MCowBQYDK2VuAyEA", Ed25519: "MCowBQYDK2VwAyEA" } as const;

/**
 * Returns a public key of 32 bytes in PEM. Node reads a key from text three times as fast as from an object with bytes:
 * it looks at each object for a key object first, by errors that it throws and catches.
 */
export function publicKeyPem(curve: keyof typeof PREFIX, key: Uint8Array): string {
  return `-----BEGIN PUBLIC KEY-----\n${PREFIX[curve]}${encodeBase64(key)}\n-----END PUBLIC KEY-----\n`;
}
