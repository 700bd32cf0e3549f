/**
 * Messages with serial numbers: what they consist of, and whether each has come once, whole and in order.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What came of the numbers from 0 up to some, of which some were skipped. */
export interface Arrivals {
  /** How many came. */
  readonly came: number;
  readonly lost: number;
  readonly twice: number;
  /** How many came after a higher one. */
  readonly inversions: number;
  /** How many came with other bytes than they were sent with. */
  readonly changed: number;
}

/** The text that all messages are cut from: it can be compressed. */
const TEXT = ((): Uint8Array => {
  const words = "cable link frame acknowledge session offset keep suspended resumed attempt received written".split(
    " ",
  );
  const bytes = new Uint8Array(2 ** 17);
  let state = 1;
  for (let at = 0; at < bytes.length;) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    at += new TextEncoder().encodeInto(`${words[(state >>> 16) % words.length]} `, bytes.subarray(at)).written || 1;
  }
  return bytes;
})();

/** Mixes the bits of a number. */
export function mix(number: number): number {
  let t = Math.imul(number ^ number >>> 15, 0x2c1b3c6d);
  t = Math.imul(t ^ t >>> 12, 0x297a2d39);
  return (t ^ t >>> 15) >>> 0;
}

/** The part of the text that follows the number: mostly short, a few hundred bytes now and then, and very rarely many. */
function textOf(serial: number, seed: number): Uint8Array {
  const drawn = mix(serial ^ Math.imul(seed, 0x9e3779b1));
  const kind = drawn & 0xfff;
  const more = drawn >>> 12 & 0xffff;
  const size = kind < 2 ? 20_000 + more % 45_000 : kind < 200 ? more % 600 : more & 31;
  const from = drawn >>> 16 & 0xffff;
  return TEXT.subarray(from, from + size);
}

/** The payload of a number. */
export function payloadOf(serial: number, seed: number): Uint8Array {
  const text = textOf(serial, seed);
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, serial);
  bytes.set(text, 4);
  return bytes;
}

/** The number of a payload. */
export function serialOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}

/** Takes what arrives. */
export class Serials {
  readonly #seed: number;
  #seen = new Uint8Array(2 ** 13);
  #highest = -1;
  #came = 0;
  #twice = 0;
  #inversions = 0;
  #changed = 0;

  /** @param seed The sender's. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** How many different ones came. */
  get came(): number {
    return this.#came;
  }

  /** Takes a payload. Returns its number. */
  take(payload: Uint8Array): number {
    if (payload.length < 4) {
      this.#changed++;
      return 0;
    }
    const serial = serialOf(payload);
    if (Buffer.compare(payload.subarray(4), textOf(serial, this.#seed)) !== 0) this.#changed++;
    if (this.#has(serial)) {
      this.#twice++;
      return serial;
    }
    this.#came++;
    if (serial < this.#highest) this.#inversions++;
    else this.#highest = serial;
    if (serial >> 3 >= this.#seen.length) {
      const more = new Uint8Array(2 * this.#seen.length + (serial >> 3));
      more.set(this.#seen);
      this.#seen = more;
    }
    this.#seen[serial >> 3] |= 1 << (serial & 7);
    return serial;
  }

  /** What came of the numbers below `sent`, if the sender says that it has skipped some. */
  arrivals(sent: number, skipped: readonly number[]): Arrivals {
    let lost = 0;
    for (let serial = 0; serial < sent; serial++) if (!this.#has(serial)) lost++;
    // One that was not sent and came all the same is one too many.
    const ghosts = skipped.filter((serial) => this.#has(serial)).length;
    return {
      came: this.#came,
      lost: lost - skipped.length + ghosts,
      twice: this.#twice + ghosts + Math.max(0, this.#highest + 1 - sent),
      inversions: this.#inversions,
      changed: this.#changed,
    };
  }

  #has(serial: number): boolean {
    return (this.#seen[serial >> 3] >> (serial & 7) & 1) === 1;
  }
}
