/**
 * Computes SHA-256 for the 62-byte protocols with `node:crypto`, which Deno, Bun and Node have. The module is looked up
 * once, at load.
 *
 * @module
 */

import { builtinModule } from "../../base/builtin_module.ts";
import { ConfigError } from "../../errors.ts";
import type { Protocol } from "../protocols.ts";

interface CryptoLike {
  createHash(name: "sha256"): { update(bytes: Uint8Array): { digest(): Uint8Array } };
}

const nodeCrypto = /* @__PURE__ */ findCrypto();

/**
 * Returns the SHA-256 of bytes, as 32 bytes. Call it only for a protocol that {@linkcode requireDigest} has checked.
 */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nodeCrypto!.createHash("sha256").update(bytes).digest();
}

/** Returns whether this runtime can compute the checksums of a protocol. */
export function hasDigest(protocol: Protocol): boolean {
  return protocol.integrity !== "sha256" || nodeCrypto !== undefined;
}

/**
 * Checks that this runtime can compute the checksums of a protocol.
 *
 * @param purpose What cannot be done otherwise, such as `"Cannot decode the stream"`.
 * @throws {ConfigError} `unsupported`: the protocol needs SHA-256, and there is no `node:crypto`.
 */
export function requireDigest(protocol: Protocol, purpose: string): void {
  if (hasDigest(protocol)) return;
  throw new ConfigError(
    "unsupported",
    `${purpose}: protocol "${protocol.name}" needs SHA-256, and this runtime has no node:crypto; ` +
      "use Deno, Bun or Node, or a peer of Python release 1.6.2 or later",
  );
}

function findCrypto(): CryptoLike | undefined {
  return builtinModule("node:crypto") as CryptoLike | undefined;
}
