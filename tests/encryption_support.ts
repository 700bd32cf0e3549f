/**
 * What the tests of the encryption share.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCrypto, nodePrimitives } from "../src/encryption/node_primitives.ts";
import { noblePrimitives } from "../src/encryption/noble_primitives.ts";
import type { Primitives, Suite } from "../src/encryption/primitives.ts";
import { CipherState } from "../src/encryption/cipher_state.ts";

/** The primitives over `node:crypto`, which every runtime of the tests has. */
export const NODE: Primitives = nodePrimitives(findCrypto()!);

/** Both implementations. */
export const BOTH: readonly Primitives[] = [NODE, noblePrimitives()];

/** Two ends of one direction. */
export function ciphers(suite: Suite, primitives = NODE, counter = 0): [CipherState, CipherState] {
  const key = new Uint8Array(32).fill(7);
  return [new CipherState(primitives, suite, key, counter), new CipherState(primitives, suite, key, counter)];
}

/** Returns the code of the error that a call throws; the text of one without a code, `undefined` for none. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Bytes from hexadecimal digits, and back. */
export const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Runs `fn` with a folder of its own. */
export async function inFolder(fn: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-id-"));
  try {
    await fn(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
