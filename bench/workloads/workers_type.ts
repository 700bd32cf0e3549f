/**
 * What a request of the workload `workers` asks for.
 *
 * @module
 */

import { json, type MessageType, messageType } from "../../mod.ts";

/** Counts the primes up to a number. */
export const COUNT: MessageType<number, number, number> = messageType(200, "count", json<number>(), json<number>());

/** Counts the primes up to `most`, one by one. */
export function count(most: number): number {
  let primes = 0;
  for (let n = 2; n <= most; n++) {
    let i = 2;
    while (i * i <= n && n % i !== 0) i++;
    if (i * i > n) primes++;
  }
  return primes;
}
