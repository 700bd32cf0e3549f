/**
 * Chooses the implementation of the primitives: `node:crypto` where it exists, and the packages of `@noble` elsewhere.
 *
 * @module
 */

import { findCrypto, nodePrimitives } from "./node_primitives.ts";
import { noblePrimitives } from "./noble_primitives.ts";
import type { Primitives } from "./primitives.ts";

/** Creates the primitives that suit this runtime. */
export function choosePrimitives(): Primitives {
  const crypto = findCrypto();
  // The module that a bundler puts in place of `node:crypto` may lack the newer functions.
  const whole = typeof crypto?.diffieHellman === "function" && typeof crypto.createSecretKey === "function";
  return whole ? nodePrimitives(crypto) : noblePrimitives();
}
