/**
 * A run of random inputs: which check each goes to, and what failed.
 *
 * @module
 */

import { Random } from "../wire_support.ts";
import { checkDecoder } from "./check_decoder.ts";
import { checkClient, checkServer } from "./check_handshakes.ts";

/** An input that broke something. */
export interface Failure {
  readonly index: number;
  readonly kind: string;
  readonly error: unknown;
}

/** Runs inputs `from` to `from + count − 1` of a seed; stops at the first failure and returns it. */
export function fuzz(seed: number, from: number, count: number, begin?: (index: number) => void): Failure | undefined {
  for (let index = from; index < from + count; index++) {
    begin?.(index);
    const random = new Random(Math.imul(seed ^ index, 0x9e3779b1) ^ Math.floor(index / 2 ** 32));
    const kind = random.below(10);
    const check = kind < 6 ? checkDecoder : kind < 8 ? checkServer : checkClient;
    try {
      check(random);
    } catch (error) {
      return { index, kind: check.name, error };
    }
  }
  return undefined;
}
