/**
 * Decides whether a peer is trusted. Its keys are looked up first. Only the signatures of wanted keys are verified.
 *
 * @module
 */

import { addressText, type Endpoint } from "../base/address.ts";
import { nonEmpty, show } from "../base/checks.ts";
import { isThenable } from "../base/thenable.ts";
import type { TrustedKey } from "../encryption_seam.ts";
import { HandshakeError } from "../errors.ts";
import type { ShownIdentity } from "./handshake/payload.ts";
import { KnownHosts } from "./known_hosts.ts";
import { parsePublicKey, PeerKey } from "./public_key.ts";

/**
 * The keys that a peer trusts: one key, several, the keys that a function accepts, or those of a store.
 *
 * @category Security
 */
export type Trust = string | readonly string[] | TrustFunction | TrustStore;

/**
 * Returns whether a peer is trusted. If it is, all the keys that it shows must also have valid signatures.
 *
 * @param keys The keys that the peer shows, at most four. Whether it has the secret keys is not known yet.
 * @param address The address of the peer.
 *
 * @category Security
 */
export type TrustFunction = (keys: readonly TrustedKey[], address: Endpoint) => boolean | Promise<boolean>;

/**
 * Decides whose keys are trusted, and may remember them.
 *
 * @category Security
 */
export interface TrustStore {
  /** True if each wanted key must have a valid signature. Otherwise, one of them is enough. @default false */
  readonly all?: boolean;

  /**
   * Returns the keys whose signatures are to be verified. If there are none, the peer is refused.
   *
   * @param keys The keys that the peer shows, at most four. Whether it has the secret keys is not known yet.
   * @param address The address of the peer.
   */
  wanted(keys: readonly PeerKey[], address: Endpoint): readonly PeerKey[] | Promise<readonly PeerKey[]>;

  /**
   * Called with the wanted keys whose signatures are valid. If it throws or rejects, the peer is refused.
   *
   * @param keys The keys, at least one.
   * @param address The address of the peer.
   */
  verified?(keys: readonly PeerKey[], address: Endpoint): void | Promise<void>;
}

/** Trusts every key with a valid signature. Used by servers without `allow`. */
export const ANY_KEY: TrustStore = { all: true, wanted: (keys) => keys };

/**
 * Trusts a server at the first connection, and from then on only if it has one of its known keys. The keys are kept in
 * a file. Each line has the `host:port` of a server and its keys. Several programs may use the same file. A new key is
 * added when the server proves it together with a known one. If a server shows other keys, the connection fails with a
 * `HandshakeError`, `identity-mismatch`, whose text says what to do.
 *
 * The first connection is trusted blindly: compare the fingerprint where that matters.
 *
 * @param path The path of the file. It is created when it is first needed. Its folder must exist.
 * @returns The store, for `trust`.
 * @throws {TypeError} The path is not a string, or is empty.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Identity, parsePublicKey, trustOnFirstUse } from "@veltix/core/encryption";
 *
 * const store = trustOnFirstUse("no-such-folder/known_hosts");
 * const key = parsePublicKey((await Identity.generate()).publicKey);
 * assertEquals(await store.wanted([key], { hostname: "127.0.0.1", port: 8080 }), [key]);
 * ```
 *
 * @category Security
 */
export function trustOnFirstUse(path: string): TrustStore {
  return storeOf(new KnownHosts(nonEmpty("path", path)));
}

/** Returns the store of a file of known hosts. */
export function storeOf(hosts: KnownHosts): TrustStore {
  return {
    wanted(keys: readonly PeerKey[], address: Endpoint): readonly PeerKey[] {
      hosts.check(keys, address);
      return keys;
    },
    verified: (keys, address) => hosts.add(keys, address),
  };
}

/**
 * Reads the option `trust`.
 *
 * @param value Its value.
 * @param name Its name, for the messages of errors.
 * @returns The store that it describes.
 * @throws {TypeError} It is something else, or has an invalid key.
 */
export function readTrust(value: unknown, name: string = "trust"): TrustStore {
  if (typeof value === "string" || Array.isArray(value)) return keyList(name, value);
  if (typeof value === "function") return functionStore(value as TrustFunction);
  if (typeof value === "object" && value !== null && typeof (value as TrustStore).wanted === "function") {
    return value as TrustStore;
  }
  const right = "a public key, a list of them, a function or a store such as that of trustOnFirstUse()";
  throw new TypeError(`${name} must be ${right}, not ${show(value)}`);
}

/**
 * Reads the option `allow`, the keys of the clients that a server lets in.
 *
 * @param value Its value: a list of public keys.
 * @param name Its name, for the messages of errors.
 * @returns A store that trusts these keys.
 * @throws {TypeError} It is something else, or has an invalid key.
 */
export function readAllow(value: unknown, name: string = "allow"): TrustStore {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be a list of public keys, not ${show(value)}`);
  return keyList(name, value);
}

/**
 * Decides about a peer by the keys that it shows. Only the signatures of wanted keys are verified.
 *
 * @param trust Decides which keys are wanted.
 * @param shown The identities that the peer shows.
 * @param address The address of the peer.
 * @returns The wanted keys whose signatures are valid, at least one. It is a promise only if `trust` returns one.
 * @throws {HandshakeError} `identity-mismatch`: the peer is not trusted.
 * @throws {unknown} The error that `trust` throws.
 */
export function verifyPeer(
  trust: TrustStore,
  shown: readonly ShownIdentity[],
  address: Endpoint,
): readonly PeerKey[] | Promise<readonly PeerKey[]> {
  const peers = shown.flatMap((identity) => {
    const peer = keyOf(identity.publicKey);
    return peer === undefined ? [] : [{ peer, identity }];
  });
  const refuse = (why: string): HandshakeError =>
    new HandshakeError("identity-mismatch", `Cannot trust ${addressText(address)}: ${why}`);
  if (peers.length === 0) throw refuse("it shows no key");

  const decide = (wanted: readonly PeerKey[]): readonly PeerKey[] | Promise<readonly PeerKey[]> => {
    const asked = peers.filter(({ peer }) => wanted.some((key) => key.equals(peer)));
    if (asked.length === 0) throw refuse(`it shows ${namesOf(peers)}, which is not trusted`);
    const good = asked.filter(({ identity }) => identity.verify());
    if (good.length === 0 || (trust.all === true && good.length < asked.length)) {
      throw refuse(`it shows ${namesOf(asked)}, and cannot prove that this is its own key`);
    }
    const keys = good.map(({ peer }) => peer);
    const done = trust.verified?.(keys, address);
    return isThenable(done) ? Promise.resolve(done).then(() => keys) : keys;
  };
  const wanted = trust.wanted(peers.map(({ peer }) => peer), address);
  return isThenable(wanted) ? Promise.resolve(wanted).then(decide) : decide(wanted);
}

function keyList(name: string, value: string | readonly unknown[]): TrustStore {
  const texts = typeof value === "string" ? [value] : value;
  if (texts.length === 0) throw new TypeError(`${name} must have a public key, and is an empty list`);
  const trusted = texts.map((text, i) => {
    try {
      return parsePublicKey(text as string);
    } catch (cause) {
      const at = typeof value === "string" ? name : `${name}[${i}]`;
      throw new TypeError(`${at} must be a public key. ${(cause as Error).message}`, { cause });
    }
  });
  return { wanted: (keys) => keys.filter((key) => trusted.some((one) => one.equals(key))) };
}

function functionStore(trust: TrustFunction): TrustStore {
  return {
    all: true,
    wanted(keys: readonly PeerKey[], address: Endpoint): readonly PeerKey[] | Promise<readonly PeerKey[]> {
      // Only `true` counts as a yes: a function written in JavaScript may return anything.
      const decide = (answer: unknown): readonly PeerKey[] => answer === true ? keys : [];
      const answer = trust(keys, address);
      return isThenable(answer) ? Promise.resolve(answer).then(decide) : decide(answer);
    },
  };
}

/** Returns the key in the bytes that a peer sent; `undefined` if they are not a key. */
function keyOf(bytes: Uint8Array): PeerKey | undefined {
  try {
    return new PeerKey(bytes);
  } catch {
    return undefined;
  }
}

function namesOf(peers: readonly { readonly peer: PeerKey }[]): string {
  return peers.map(({ peer }) => `${peer.publicKey} (${peer.fingerprint})`).join(", ");
}
