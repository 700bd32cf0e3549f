/**
 * The identity of a server or a client: an Ed25519 key whose secret part is never printed.
 *
 * @module
 */

import { nonEmpty } from "../base/checks.ts";
import { findEd25519, KEY_SIZE, type Signer } from "./ed25519.ts";
import { decodePem, encodePem, readKeyFile, writeKeyFile } from "./key_file.ts";
import { PeerKey } from "./public_key.ts";

/**
 * The identity of a server or a client: an Ed25519 key. Others know it by {@linkcode Identity.publicKey}. The secret
 * key leaves it only through {@linkcode Identity.save} and {@linkcode Identity.exportKey}; no way of printing an
 * identity shows it.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { Identity } from "@veltix/core/encryption";
 *
 * const identity = await Identity.generate();
 * assert(identity.publicKey.startsWith("vx1:"));
 * assertEquals(`${identity}`, `Identity(${identity.publicKey})`);
 * assertEquals((await Identity.importKey(identity.exportKey())).publicKey, identity.publicKey);
 * ```
 *
 * @category Security
 */
export class Identity {
  readonly #seed: Uint8Array;
  readonly #signer: Signer;
  readonly #key: PeerKey;

  static {
    // These methods give the text that `util.inspect`, the consoles of Node and Bun, and `Deno.inspect` show.
    for (const name of ["nodejs.util.inspect.custom", "Deno.customInspect"]) {
      Object.defineProperty(this.prototype, Symbol.for(name), {
        value(this: Identity): string {
          return this.toString();
        },
      });
    }
  }

  private constructor(seed: Uint8Array) {
    if (!(seed instanceof Uint8Array) || seed.length !== KEY_SIZE) {
      throw new TypeError("An Identity is made by Identity.generate(), load() or importKey()");
    }
    this.#seed = seed.slice();
    this.#signer = findEd25519().signer(seed);
    this.#key = new PeerKey(this.#signer.publicKey);
  }

  /** Returns a new identity. */
  static generate(): Promise<Identity> {
    return promised(() => new Identity(crypto.getRandomValues(new Uint8Array(KEY_SIZE))));
  }

  /**
   * Loads an identity from a file that {@linkcode Identity.save} or `openssl genpkey -algorithm ed25519` wrote. The
   * returned promise rejects with a `ConfigError`: with `invalid-config` if the file cannot be read, holds no Ed25519
   * key, or may be accessed by others than its owner (except on Windows), and with `unsupported` where there are no
   * files.
   *
   * @param path The path of the file.
   */
  static load(path: string): Promise<Identity> {
    return promised(() => new Identity(readKeyFile(nonEmpty("path", path))));
  }

  /**
   * Makes an identity from its secret key. The returned promise rejects with a `ConfigError`, `invalid-config`, if the
   * text is not an Ed25519 key. The message of the error contains no part of the text.
   *
   * @param pem The key as PKCS#8 in PEM, as {@linkcode Identity.exportKey} returns it.
   */
  static importKey(pem: string): Promise<Identity> {
    return promised(() => {
      if (typeof pem !== "string") throw new TypeError(`pem must be a string, not of type ${typeof pem}`);
      return new Identity(decodePem(pem, "the key of an identity"));
    });
  }

  /** Returns a signer with the secret key of an identity. The library calls this. */
  static signerOf(identity: Identity): Signer {
    return identity.#signer;
  }

  /** The public key as text: `vx1:` and 43 characters of base64url. It is not secret. */
  get publicKey(): string {
    return this.#key.publicKey;
  }

  /**
   * The public key in a form for people to compare: 16 characters of base32 in groups of four, such as
   * `ABCD-EFGH-IJKL-MNOP`.
   */
  get fingerprint(): string {
    return this.#key.fingerprint;
  }

  /**
   * Writes the secret key into a new file, as PKCS#8 in PEM, with the mode 0600. The returned promise rejects with a
   * `ConfigError`: with `invalid-config` if the file exists already or cannot be written, and with `unsupported` where
   * there are no files.
   *
   * @param path The path of the file.
   */
  save(path: string): Promise<void> {
    return promised(() => writeKeyFile(nonEmpty("path", path), this.#seed));
  }

  /** Returns the secret key, as PKCS#8 in PEM. Anyone who has it can pretend to be this identity, so keep it secret. */
  exportKey(): string {
    return encodePem(this.#seed);
  }

  /** Returns `Identity(vx1:…)`. */
  toString(): string {
    return `Identity(${this.publicKey})`;
  }

  /** Returns `Identity(vx1:…)`. */
  toJSON(): string {
    return this.toString();
  }
}

/** Runs a function and returns a promise of its value. The promise rejects with what the function throws. */
function promised<Value>(run: () => Value): Promise<Value> {
  return new Promise((resolve) => resolve(run()));
}
