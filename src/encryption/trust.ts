/**
 * Whose key is trusted. Keys are looked up first, and only the signature of a key that is wanted is verified.
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

/** Whom a peer trusts: a key, one of several, those a function says yes to, or those of a store. */
export type Trust = string | readonly string[] | TrustFunction | TrustStore;

/**
 * Says whether a peer is trusted. All the keys that it shows must then have good signatures.
 *
 * @param keys The keys that the peer shows, at most four. Whether it has the secret keys is not known yet.
 * @param address The address of the peer.
 */
export type TrustFunction = (keys: readonly TrustedKey[], address: Endpoint) => boolean | Promise<boolean>;

/** Decides whose keys are trusted, and may remember them. */
export interface TrustStore {
  /** True if each wanted key must have a good signature. One of them is enough otherwise. @default false */
  readonly all?: boolean;

  /**
   * Returns the keys whose signatures are to be verified. If there are none, the peer is refused.
   *
   * @param keys The keys that the peer shows, at most four. Whether it has the secret keys is not known yet.
   * @param address The address of the peer.
   */
  wanted(keys: readonly PeerKey[], address: Endpoint): readonly PeerKey[] | Promise<readonly PeerKey[]>;

  /**
   * Takes the wanted keys whose signatures are good. If it throws or rejects, the peer is refused.
   *
   * @param keys The keys, at least one.
   * @param address The address of the peer.
   */
  verified?(keys: readonly PeerKey[], address: Endpoint): void | Promise<void>;
}

/** Trusts any key that is proved. A server has it that lets everybody in, or leaves that to `authenticate`. */
export const ANY_KEY: TrustStore = { all: true, wanted: (keys) => keys };

/**
 * Trusts a server at its first connection, and from then on only one that has a key it was known by. The keys are kept
 * in a file, in which each line has the `host:port` of a server and its keys; several programs may use the same file. A
 * new key is added when the server proves it beside a known one. A server that shows other keys fails with a
 * `HandshakeError`, `identity-mismatch`, which says what to do.
 *
 * The first connection is trusted blindly: compare the fingerprint where that matters.
 *
 * @param path The path of the file. It is created when it is needed; its folder must exist.
 * @returns The store, for `trust`.
 * @throws {TypeError} The path is no string, or empty.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Identity, parsePublicKey, trustOnFirstUse } from "@veltix/core/encryption";
 *
 * const store = trustOnFirstUse("/tmp/there-is-no-such-folder/known_hosts");
 * const key = parsePublicKey((await Identity.generate()).publicKey);
 * assertEquals(await store.wanted([key], { hostname: "127.0.0.1", port: 8080 }), [key]);
 * ```
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
 * @param name What messages call it.
 * @returns What it says, as a store.
 * @throws {TypeError} It is something else, or has a wrong key.
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
 * @param name What messages call it.
 * @returns What it says, as a store.
 * @throws {TypeError} It is something else, or has a wrong key.
 */
export function readAllow(value: unknown, name: string = "allow"): TrustStore {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be a list of public keys, not ${show(value)}`);
  return keyList(name, value);
}

/**
 * Decides about a peer by the keys that it shows. Only the signatures of wanted keys are verified.
 *
 * @param trust Whose keys are wanted.
 * @param shown The identities that the peer shows.
 * @param address The address of the peer.
 * @returns The wanted keys whose signatures are good, at least one. It is a promise only if `trust` returns one.
 * @throws {HandshakeError} `identity-mismatch`: the peer is not trusted.
 * @throws {unknown} What `trust` throws.
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
      // Only true itself is a yes: a function of JavaScript may return anything.
      const decide = (answer: unknown): readonly PeerKey[] => answer === true ? keys : [];
      const answer = trust(keys, address);
      return isThenable(answer) ? Promise.resolve(answer).then(decide) : decide(answer);
    },
  };
}

/** Returns the key of what a peer sent; `undefined` if it is none. */
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
