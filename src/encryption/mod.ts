/**
 * Encryption without certificates: identities, and the decision which of them to trust.
 *
 * @example An identity that stays the same
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Identity } from "@veltix/core/encryption";
 * import { mkdtempSync, rmSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 *
 * const folder = mkdtempSync(join(tmpdir(), "veltix-"));
 * const identity = await Identity.generate();
 * await identity.save(`${folder}/identity.pem`); // Once; then it is loaded.
 * const loaded = await Identity.load(`${folder}/identity.pem`);
 * assertEquals(loaded.publicKey, identity.publicKey);
 * rmSync(folder, { recursive: true });
 * ```
 *
 * @module
 */

export type { Endpoint, TcpEndpoint, UnixEndpoint } from "../base/address.ts";
export {
  ConfigError,
  type ConfigErrorCode,
  HandshakeError,
  type HandshakeErrorCode,
  type Refusal,
  VeltixError,
} from "../errors.ts";
export type { TrustedKey } from "../encryption_seam.ts";
export type { Signer } from "./ed25519.ts";
export { Identity } from "./identity.ts";
export { parsePublicKey, type PeerKey } from "./public_key.ts";
export { type Trust, type TrustFunction, trustOnFirstUse, type TrustStore } from "./trust.ts";
