/**
 * The primitives on top of `node:crypto`, which Deno and Bun have, too. A cipher that it lacks, such as
 * ChaCha20-Poly1305 on Bun, comes from `@noble/ciphers`.
 *
 * @module
 */

import { builtinModule } from "../base/builtin_module.ts";
import { NobleAead } from "./noble_primitives.ts";
import {
  type Aead,
  checkShared,
  KEY_SIZE,
  type KeyPair,
  type Primitives,
  smallOrder,
  type Suite,
  SUITES,
  TAG_SIZE,
} from "./primitives.ts";

/** A key that only `node:crypto` can use. */
type KeyObject = object;

interface Hash {
  update(bytes: Uint8Array): Hash;
  digest(): Uint8Array;
}

interface Cipher {
  setAAD(ad: Uint8Array): void;
  update(bytes: Uint8Array): Uint8Array;
  final(): Uint8Array;
  getAuthTag(): Uint8Array;
  setAuthTag(tag: Uint8Array): void;
}

type CreateCipher = (name: string, key: KeyObject, nonce: Uint8Array, options: { authTagLength: number }) => Cipher;

interface DerKey {
  readonly key: Uint8Array;
  readonly format: "der";
  readonly type: "pkcs8" | "spki";
}

/** The part of `node:crypto` that is used here. */
export interface NodeCrypto {
  createHash(name: string): Hash;
  createHmac(name: string, key: Uint8Array): Hash;
  createSecretKey(key: Uint8Array): KeyObject;
  createPrivateKey(key: DerKey): KeyObject;
  createPublicKey(key: DerKey | KeyObject): KeyObject & { export(options: object): Uint8Array };
  diffieHellman(keys: { privateKey: KeyObject; publicKey: KeyObject }): Uint8Array;
  randomFillSync(bytes: Uint8Array): Uint8Array;
  readonly createCipheriv: CreateCipher;
  readonly createDecipheriv: CreateCipher;
}

/** The bytes before the 32 bytes of an X25519 secret key in PKCS#8 (RFC 8410). */
const PKCS8: readonly number[] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];
/** The bytes before the 32 bytes of an X25519 public key in SubjectPublicKeyInfo (RFC 8410). */
const SPKI: readonly number[] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0];

/** Returns `node:crypto`, or `undefined` where there is none, as in browsers. */
export function findCrypto(): NodeCrypto | undefined {
  return builtinModule("node:crypto") as NodeCrypto | undefined;
}

/** Creates the primitives on top of `node:crypto`. */
export function nodePrimitives(crypto: NodeCrypto): Primitives {
  const fast = SUITES.filter((suite) => hasCipher(crypto, suite));
  return {
    name: "node",
    fast,
    sha256: (...pieces) => digest(crypto.createHash("sha256"), pieces),
    hmacSha256: (key, ...pieces) => digest(crypto.createHmac("sha256", key), pieces),
    generateKeyPair(): KeyPair {
      const secretKey = crypto.randomFillSync(new Uint8Array(KEY_SIZE));
      const pair = new NodeKeyPair(crypto, secretKey);
      secretKey.fill(0);
      return pair;
    },
    keyPairOf: (secretKey) => new NodeKeyPair(crypto, secretKey),
    aead: (suite, key) => fast.includes(suite) ? new NodeAead(crypto, suite, key) : new NobleAead(suite, key),
  };
}

/** Returns true if this runtime has the cipher of a suite. */
function hasCipher(crypto: NodeCrypto, suite: Suite): boolean {
  try {
    new NodeAead(crypto, suite, new Uint8Array(KEY_SIZE))
      .seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(0), new Uint8Array(TAG_SIZE));
    return true;
  } catch {
    return false;
  }
}

function digest(hash: Hash, pieces: readonly Uint8Array[]): Uint8Array {
  for (const piece of pieces) hash.update(piece);
  return plain(hash.digest());
}

/** Returns a `Buffer` as a plain `Uint8Array`, because the `slice` of a `Buffer` does not copy. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Returns a key in DER. The caller must overwrite it if it is secret. */
function der(prefix: readonly number[], key: Uint8Array): Uint8Array {
  if (key.length !== KEY_SIZE) throw new RangeError(`Cannot use a key of ${key.length} bytes: it must have 32`);
  const bytes = new Uint8Array(prefix.length + KEY_SIZE);
  bytes.set(prefix);
  bytes.set(key, prefix.length);
  return bytes;
}

class NodeKeyPair implements KeyPair {
  readonly publicKey: Uint8Array;
  readonly #crypto: NodeCrypto;
  #privateKey: KeyObject | undefined;

  constructor(crypto: NodeCrypto, secretKey: Uint8Array) {
    this.#crypto = crypto;
    const key = der(PKCS8, secretKey);
    this.#privateKey = crypto.createPrivateKey({ key, format: "der", type: "pkcs8" });
    key.fill(0);
    const spki = crypto.createPublicKey(this.#privateKey).export({ format: "der", type: "spki" });
    this.publicKey = Uint8Array.from(spki.subarray(SPKI.length));
  }

  dh(publicKey: Uint8Array): Uint8Array {
    const privateKey = this.#privateKey;
    if (privateKey === undefined) throw new Error("Cannot agree on a key: the key pair was dropped");
    const key = der(SPKI, publicKey);
    let shared: Uint8Array;
    try {
      const peer = this.#crypto.createPublicKey({ key, format: "der", type: "spki" });
      shared = this.#crypto.diffieHellman({ privateKey, publicKey: peer });
    } catch (error) {
      throw smallOrder(error);
    }
    return checkShared(plain(shared));
  }

  destroy(): void {
    this.#privateKey = undefined;
  }
}

/** An AEAD of `node:crypto`. A key object is much faster than a key in bytes on Node. */
class NodeAead implements Aead {
  readonly #crypto: NodeCrypto;
  readonly #name: string;
  #key: KeyObject | undefined;

  constructor(crypto: NodeCrypto, suite: Suite, key: Uint8Array) {
    this.#crypto = crypto;
    this.#name = suite === 1 ? "chacha20-poly1305" : "aes-256-gcm";
    this.#key = crypto.createSecretKey(key);
  }

  seal(nonce: Uint8Array, ad: Uint8Array, text: Uint8Array, target: Uint8Array): void {
    const cipher = this.#crypto.createCipheriv(this.#name, this.#needKey(), nonce, { authTagLength: TAG_SIZE });
    if (ad.length > 0) cipher.setAAD(ad);
    if (text.length > 0) target.set(cipher.update(text));
    cipher.final();
    target.set(cipher.getAuthTag(), text.length);
  }

  open(nonce: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const size = sealed.length - TAG_SIZE;
    // Without `authTagLength`, Node accepts shorter tags, too.
    const cipher = this.#crypto.createDecipheriv(this.#name, this.#needKey(), nonce, { authTagLength: TAG_SIZE });
    if (ad.length > 0) cipher.setAAD(ad);
    cipher.setAuthTag(sealed.subarray(size));
    const text = size === 0 ? new Uint8Array(0) : cipher.update(sealed.subarray(0, size));
    try {
      cipher.final();
      return plain(text);
    } catch {
      text.fill(0);
      return undefined;
    }
  }

  destroy(): void {
    this.#key = undefined;
  }

  #needKey(): KeyObject {
    if (this.#key === undefined) throw new Error("Cannot use a key: it was dropped");
    return this.#key;
  }
}
