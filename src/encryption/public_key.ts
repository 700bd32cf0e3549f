/**
 * Public keys: as bytes, as text, and as a fingerprint for people to compare.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { show } from "../base/checks.ts";
import { decodeBase64Url, encodeBase64Url } from "../base/base64.ts";
import { equalBytes, isCanonicalKey, isSmallOrder, KEY_SIZE } from "./ed25519.ts";

/** The beginning of the text of each public key. */
const PREFIX = "vx1:";
/** The number of characters after the prefix. */
const DIGITS = 43;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/**
 * The public key of a peer. {@linkcode parsePublicKey} makes one from its text.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Identity, parsePublicKey } from "@veltix/core/encryption";
 *
 * const identity = await Identity.generate();
 * const key = parsePublicKey(identity.publicKey);
 * assertEquals([key.publicKey, key.fingerprint], [identity.publicKey, identity.fingerprint]);
 * ```
 *
 * @category Security
 */
export class PeerKey {
  readonly #bytes: Uint8Array;
  /** The key as text: `vx1:` and 43 characters of base64url. */
  readonly publicKey: string;

  /**
   * Creates a key. The library calls this.
   *
   * @param bytes The 32 bytes of the key; they are copied.
   * @throws {TypeError} They are not a key: there are too few or too many, they are not canonical, or the key is of
   * small order.
   */
  constructor(bytes: Uint8Array) {
    const wrong = whatIsWrong(bytes);
    if (wrong !== undefined) throw new TypeError(`Invalid public key: ${wrong}`);
    this.#bytes = bytes.slice();
    this.publicKey = PREFIX + encodeBase64Url(bytes);
  }

  /**
   * The key in a form for people to compare: 16 characters of base32 in groups of four, such as `ABCD-EFGH-IJKL-MNOP`.
   */
  get fingerprint(): string {
    return fingerprintOf(this.#bytes);
  }

  /** A copy of the 32 bytes of the key. */
  get bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Returns whether this is the same key as another one. The time this takes reveals nothing about either. */
  equals(other: PeerKey): boolean {
    return equalBytes(this.#bytes, other.#bytes);
  }

  /** Returns the key as text. */
  toString(): string {
    return this.publicKey;
  }

  /** Returns the key as text. */
  toJSON(): string {
    return this.publicKey;
  }
}

/**
 * Reads the text of a public key.
 *
 * @param text `vx1:` and the base64url form, without padding, of the 32 bytes.
 * @returns The key.
 * @throws {TypeError} The text is not a key. The message says why.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 * import { parsePublicKey } from "@veltix/core/encryption";
 *
 * const key = parsePublicKey("vx1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
 * assertEquals(key.fingerprint, "EH7D-DX5B-KSRG-CYTL");
 * assertThrows(() => parsePublicKey("vx1:11qYAYKxCrfVS"), TypeError, "it has 13 characters behind vx1:");
 * ```
 *
 * @category Security
 */
export function parsePublicKey(text: string): PeerKey {
  if (typeof text !== "string") throw new TypeError(`Invalid public key: it must be a string, not ${show(text)}`);
  // The text is not shown: it may be a secret key that was passed by mistake.
  if (!text.startsWith(PREFIX)) throw new TypeError(`Invalid public key: it does not start with ${PREFIX}`);
  const wrong = (what: string): TypeError => new TypeError(`Invalid public key ${show(text)}: ${what}`);
  const digits = text.slice(PREFIX.length);
  const stranger = /[^\w-]/u.exec(digits)?.[0];
  if (stranger !== undefined) throw wrong(`${JSON.stringify(stranger)} is no character of base64url`);
  if (digits.length !== DIGITS) throw wrong(`it has ${digits.length} characters behind ${PREFIX}, not ${DIGITS}`);
  const bytes = decodeBase64Url(digits);
  if (encodeBase64Url(bytes) !== digits) throw wrong("its last character has bits that belong to no byte");
  const bad = whatIsWrong(bytes);
  if (bad !== undefined) throw wrong(bad);
  return new PeerKey(bytes);
}

/** Returns the fingerprint of a key: the first 80 bits of its SHA-256, in base32. */
export function fingerprintOf(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of sha256(bytes).subarray(0, 10)) bits = bits << 8n | BigInt(byte);
  const digits = Array.from({ length: 16 }, (_, i) => BASE32[Number(bits >> BigInt(75 - 5 * i) & 31n)]).join("");
  return digits.replace(/.{4}(?=.)/g, "$&-");
}

function whatIsWrong(bytes: Uint8Array): string | undefined {
  if (bytes.length !== KEY_SIZE) return `it has ${bytes.length} bytes, not ${KEY_SIZE}`;
  if (isSmallOrder(bytes)) return "it is of small order: anybody could sign for it";
  return isCanonicalKey(bytes) ? undefined : "its number is not less than the prime of the curve";
}
