/**
 * Ways to spoil bytes and JSON, and to cut a stream: everything is decided by one seeded generator.
 *
 * @module
 */

import { put16, put32 } from "../../src/wire/integers.ts";
import { join, type Random } from "../wire_support.ts";

/** Bytes after some mutations, and how many of them at the beginning are as they were. */
export interface Mutated {
  readonly bytes: Uint8Array;
  readonly intact: number;
}

const SIZES = [
  0,
  1,
  2,
  7,
  8,
  63,
  64,
  65,
  255,
  256,
  0x7fff,
  0xffff,
  0x10000,
  0xa00000,
  0x7fffffff,
  0x80000000,
  0xffffffff,
];

/** Applies `count` mutations. `other` is what may be spliced in. */
export function mutate(random: Random, original: Uint8Array, other: Uint8Array, count: number): Mutated {
  let bytes: Uint8Array = original.slice();
  let intact = bytes.length;
  for (let i = 0; i < count; i++) {
    const at = random.below(bytes.length + 1);
    intact = Math.min(intact, at);
    bytes = mutateOnce(random, bytes, at, other);
  }
  return { bytes, intact: Math.min(intact, bytes.length) };
}

function mutateOnce(random: Random, bytes: Uint8Array, at: number, other: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, at + 1 + random.below(20));
  switch (random.below(9)) {
    case 0: // a flipped bit
      if (at < bytes.length) bytes[at] ^= 1 << random.below(8);
      return bytes;
    case 1: // another byte
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    case 2: // an interesting integer
      if (at + 4 <= bytes.length) put32(bytes, at, random.pick(SIZES));
      else if (at + 2 <= bytes.length) put16(bytes, at, random.pick(SIZES));
      return bytes;
    case 3: // cut off
      return bytes.slice(0, at);
    case 4: // a piece is missing
      return join(bytes.subarray(0, at), bytes.subarray(end));
    case 5: // a piece comes twice
      return join(bytes.subarray(0, end), bytes.subarray(at));
    case 6: // something inserted
      return join(bytes.subarray(0, at), random.bytes(random.below(12)), bytes.subarray(at));
    case 7: // a piece of another stream inserted
      return join(bytes.subarray(0, at), other.subarray(random.below(other.length + 1)), bytes.subarray(at));
    default: // another stream from here on
      return join(bytes.subarray(0, at), other.subarray(random.below(other.length + 1)));
  }
}

/** Cuts bytes: whole, one by one, or at random, with empty pieces among them. */
export function chunk(random: Random, bytes: Uint8Array): Uint8Array[] {
  const kind = random.below(8);
  if (kind < 2) return [bytes];
  const most = kind < 5 ? 9 : 60;
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = kind === 2 ? 1 : random.below(most + 1);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

const DEEP = "[".repeat(1500) + "]".repeat(1500);
const VALUES = [
  ...["null", "true", "0", "1", "-1", "1.5", "1e999", "30000", "65534", "65535", "4294967295", '""', '"ok"', '"2.0.0"'],
  ...[
    "[]",
    "[1]",
    "[1,2]",
    "{}",
    '"error"',
    '"continue"',
    '{"__proto__":{"v":"2.0.0"}}',
    '"\\u0000\\n\\u001b"',
    '"\\ud800"',
  ],
];
const NAMES = [
  ...["v", "meta", "native", "versions", "features", "credit", "maxMessageSize", "id_window", "credentials", "result"],
  ...["code", "message", "retryAfter", "version", "__proto__", "constructor", "toString", "nonce", "x", ""],
];

/** The JSON of `value`, with members replaced, added, doubled or left out here and there. */
export function hostileJson(random: Random, value: unknown, rate: number): string {
  if (random.below(1000) < rate) return random.below(200) === 0 ? DEEP : random.pick(VALUES);
  if (Array.isArray(value)) return `[${value.map((item) => hostileJson(random, item, rate)).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members: string[] = [];
  for (const [name, item] of Object.entries(value)) {
    if (random.below(1000) < rate) continue;
    members.push(`${JSON.stringify(name)}:${hostileJson(random, item, rate)}`);
  }
  while (random.below(1000) < rate * 3) members.push(`${JSON.stringify(random.pick(NAMES))}:${random.pick(VALUES)}`);
  return `{${members.join()}}`;
}
