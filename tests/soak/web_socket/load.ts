/**
 * What goes through WebSockets here: numbered payloads, the same at every place, and the digest of those that came.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";

/** The size of a payload, in bytes. */
export const PIECE: number = 16_384;
/** How many different ones there are. They are used again and again, so that a sender makes no garbage. */
const RING = 64;
/** The code of a message with a payload. */
export const LOAD_CODE = 200;

/** The payloads. */
export const PAYLOADS: readonly Uint8Array[] = Array.from({ length: RING }, (_, number) => {
  const payload = new Uint8Array(PIECE);
  for (let i = 0, state = number; i < PIECE; i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    payload[i] = state >>> 24;
  }
  return payload;
});

/** What came: the number of bytes, and their digest. */
export interface Came {
  readonly bytes: number;
  readonly digest: string;
}

/** Takes what comes. */
export class Intake {
  #hash: Hash = createHash("sha256");
  bytes = 0;

  take(content: Uint8Array): void {
    this.#hash.update(content);
    this.bytes += content.length;
  }

  /** Returns what came so far, and begins anew. */
  end(): Came {
    const came = { bytes: this.bytes, digest: this.#hash.digest("hex") };
    this.#hash = createHash("sha256");
    this.bytes = 0;
    return came;
  }
}

/** Returns what comes of so many bytes. */
export function expected(bytes: number): Came {
  const intake = new Intake();
  for (let i = 0; intake.bytes < bytes; i++) intake.take(PAYLOADS[i % RING]);
  return intake.end();
}

/** Returns the payload with a number. */
export function payload(number: number): Uint8Array {
  return PAYLOADS[number % RING];
}
