/**
 * Chooses the implementation of the primitives: `node:crypto` where it is there, the packages of `@noble` elsewhere.
 *
 * @module
 */

import { findCrypto, nodePrimitives } from "./node_primitives.ts";
import { noblePrimitives } from "./noble_primitives.ts";
import type { Primitives } from "./primitives.ts";

/** Creates the primitives that are right for this runtime. */
export function choosePrimitives(): Primitives {
  const crypto = findCrypto();
  // What a bundler puts in the place of `node:crypto` may lack the newer half.
  const whole = typeof crypto?.diffieHellman === "function" && typeof crypto.createSecretKey === "function";
  return whole ? nodePrimitives(crypto) : noblePrimitives();
}
