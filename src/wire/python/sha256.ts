/**
 * SHA-256 for the 62-byte protocols, synchronous where the runtime has `node:crypto` (found once, at load) and by Web
 * Crypto, which is asynchronous, everywhere else.
 *
 * @module
 */

interface CryptoLike {
  createHash(name: "sha256"): { update(bytes: Uint8Array): { digest(): Uint8Array } };
}

const nodeCrypto = findCrypto();

/** The SHA-256 of bytes as 32 bytes, or `undefined` where the runtime has no synchronous one. */
export const sha256Sync: ((bytes: Uint8Array) => Uint8Array) | undefined = nodeCrypto === undefined
  ? undefined
  : (bytes) => nodeCrypto.createHash("sha256").update(bytes).digest();

/** The SHA-256 of bytes as 32 bytes, on every runtime. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

function findCrypto(): CryptoLike | undefined {
  const runtime = (globalThis as { process?: { getBuiltinModule?(id: string): unknown } }).process;
  return runtime?.getBuiltinModule?.("node:crypto") as CryptoLike | undefined;
}
