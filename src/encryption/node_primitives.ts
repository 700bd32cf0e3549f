/**
 * The primitives on top of `node:crypto`, which Deno and Bun have, too. A cipher that it lacks, such as
 * ChaCha20-Poly1305 on Bun, comes from `@noble/ciphers`.
 *
 * @module
 */

import { concat } from "../base/concat.ts";
import { builtinModule } from "../base/builtin_module.ts";
import { decodeBase64Url } from "../base/base64.ts";
import { isDeno } from "./builtin.ts";
import { NobleAead } from "./noble_primitives.ts";
import {
  type Aead,
  checkShared,
  checkSize,
  KEY_SIZE,
  type KeyPair,
  type Primitives,
  type PublicKey,
  smallOrder,
  type Suite,
  SUITES,
  TAG_SIZE,
} from "./primitives.ts";
import { publicKeyPem } from "./spki.ts";

/** A key that only `node:crypto` can use. */
type KeyObject = object;

/** A public key of `node:crypto`. */
type PublicKeyObject = KeyObject & { export(options: { readonly format: "jwk" }): { readonly x: string } };

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
  readonly type: "pkcs8";
}

/** The part of `node:crypto` that is used here. */
export interface NodeCrypto {
  createHash(name: string): Hash;
  readonly hash?: (name: string, bytes: Uint8Array, output: "buffer") => Uint8Array;
  hkdfSync(name: string, material: KeyObject, salt: Uint8Array, info: Uint8Array, size: number): ArrayBuffer;
  createSecretKey(key: Uint8Array): KeyObject;
  createPrivateKey(key: DerKey): KeyObject;
  createPublicKey(key: string | KeyObject): PublicKeyObject;
  generateKeyPairSync(type: "x25519"): { readonly publicKey: PublicKeyObject; readonly privateKey: KeyObject };
  diffieHellman(keys: { privateKey: KeyObject; publicKey: KeyObject }): Uint8Array;
  readonly createCipheriv: CreateCipher;
  readonly createDecipheriv: CreateCipher;
}

/** The bytes before the 32 bytes of an X25519 secret key in PKCS#8 (RFC 8410). */
const PKCS8: readonly number[] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];
/** No info for HKDF. */
const NO_INFO = new Uint8Array(0);

/** Returns `node:crypto`, or `undefined` where there is none, as in browsers. */
export function findCrypto(): NodeCrypto | undefined {
  return builtinModule("node:crypto") as NodeCrypto | undefined;
}

/** Creates the primitives on top of `node:crypto`. */
export function nodePrimitives(crypto: NodeCrypto): Primitives {
  const native = SUITES.filter((suite) => hasCipher(crypto, suite));
  return {
    name: "node",
    // The AES of Deno takes four times as long as its ChaCha.
    fast: isDeno() ? native.filter((suite) => suite === 1) : native,
    // One call is cheaper than an object that collects the pieces. Older runtimes lack it.
    sha256: (...pieces) =>
      crypto.hash === undefined
        ? digest(crypto.createHash("sha256"), pieces)
        : plain(crypto.hash("sha256", concat(...pieces), "buffer")),
    hkdf(salt, material): [Uint8Array, Uint8Array] {
      // On Node, a key in bytes costs more than twice as much as a key object.
      const keys = crypto.hkdfSync("sha256", crypto.createSecretKey(material), salt, NO_INFO, 2 * KEY_SIZE);
      return [new Uint8Array(keys, 0, KEY_SIZE), new Uint8Array(keys, KEY_SIZE)];
    },
    generateKeyPair(): KeyPair {
      const { privateKey, publicKey } = crypto.generateKeyPairSync("x25519");
      return new NodeKeyPair(crypto, privateKey, publicKey);
    },
    publicKey: (bytes) => new NodePublicKey(crypto, bytes),
    keyPairOf(secretKey): KeyPair {
      const key = pkcs8(secretKey);
      const privateKey = crypto.createPrivateKey({ key, format: "der", type: "pkcs8" });
      key.fill(0);
      return new NodeKeyPair(crypto, privateKey, crypto.createPublicKey(privateKey));
    },
    aead: (suite, key) => native.includes(suite) ? new NodeAead(crypto, suite, key) : new NobleAead(suite, key),
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

/** Returns a secret key in PKCS#8. The caller must overwrite it. */
function pkcs8(key: Uint8Array): Uint8Array {
  checkSize(key);
  const bytes = new Uint8Array(PKCS8.length + KEY_SIZE);
  bytes.set(PKCS8);
  bytes.set(key, PKCS8.length);
  return bytes;
}

class NodePublicKey implements PublicKey {
  readonly bytes: Uint8Array;
  readonly key: KeyObject;

  constructor(crypto: NodeCrypto, bytes: Uint8Array) {
    checkSize(bytes);
    this.bytes = bytes.slice();
    try {
      this.key = crypto.createPublicKey(publicKeyPem("X25519", bytes));
    } catch (error) {
      throw smallOrder(error);
    }
  }
}

class NodeKeyPair implements KeyPair {
  readonly publicKey: Uint8Array;
  readonly #crypto: NodeCrypto;
  #privateKey: KeyObject | undefined;

  constructor(crypto: NodeCrypto, privateKey: KeyObject, publicKey: PublicKeyObject) {
    this.#crypto = crypto;
    this.#privateKey = privateKey;
    // The other forms of a key take Node ten times as long.
    this.publicKey = decodeBase64Url(publicKey.export({ format: "jwk" }).x);
  }

  dh(publicKey: PublicKey): Uint8Array {
    const privateKey = this.#privateKey;
    if (privateKey === undefined) throw new Error("Cannot agree on a key: the key pair was dropped");
    if (!(publicKey instanceof NodePublicKey)) throw new TypeError("Cannot agree on a key: it is of other primitives");
    let shared: Uint8Array;
    try {
      shared = this.#crypto.diffieHellman({ privateKey, publicKey: publicKey.key });
    } catch (error) {
      throw smallOrder(error);
    }
    return checkShared(plain(shared));
  }

  destroy(): void {
    this.#privateKey = undefined;
  }
}

/**
 * An AEAD of `node:crypto`. A key object is much faster than a key in bytes on Node. Deno copies the bytes out of a key
 * object for each message, so it gets bytes, which can be overwritten.
 */
class NodeAead implements Aead {
  readonly #crypto: NodeCrypto;
  readonly #name: string;
  #key: KeyObject | Uint8Array | undefined;

  constructor(crypto: NodeCrypto, suite: Suite, key: Uint8Array) {
    this.#crypto = crypto;
    this.#name = suite === 1 ? "chacha20-poly1305" : "aes-256-gcm";
    this.#key = isDeno() ? key.slice() : crypto.createSecretKey(key);
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
    if (this.#key instanceof Uint8Array) this.#key.fill(0);
    this.#key = undefined;
  }

  #needKey(): KeyObject {
    if (this.#key === undefined) throw new Error("Cannot use a key: it was dropped");
    return this.#key;
  }
}
