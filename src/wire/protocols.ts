/**
 * Describes the wire protocols in a table: one row for each protocol that a released Veltix speaks, and the native one.
 * The encoder, the decoder and the handshakes are driven by the table, so a new protocol needs only a new row.
 *
 * @module
 */

import { Flag } from "./frame.ts";

/**
 * How a receiver checks that a frame is intact.
 *
 * @category Wire protocol
 */
export type Integrity = "sha256" | "crc32" | "crc8+crc32";

/**
 * How two peers open a connection.
 *
 * @category Wire protocol
 */
export type HandshakeKind = "none" | "hello" | "json";

/**
 * How the id of a frame is encoded: as an unsigned integer of 2 or 4 bytes, or as the 16 bytes of a UUID.
 *
 * @category Wire protocol
 */
export type IdKind = "u16" | "u32" | "uuid";

/**
 * Byte offsets in the header; -1 where the protocol has no such field. All integers are big-endian.
 *
 * @category Wire protocol
 */
export interface HeaderLayout {
  /** "VX", 2 bytes. */
  readonly magic: number;
  /** CRC-8 of bytes 1–11, 1 byte. */
  readonly check: number;
  /** Flags, 1 byte. */
  readonly flags: number;
  /** Type code, u16. */
  readonly code: number;
  /** Size of the content alone, u32. */
  readonly size: number;
  /** CRC-32 (4 bytes) or SHA-256 (32 bytes). */
  readonly digest: number;
  /** Milliseconds since 1970, u64. */
  readonly timestamp: number;
  /** Request id. */
  readonly id: number;
}

/**
 * A wire protocol, described as data.
 *
 * @category Wire protocol
 */
export interface Protocol {
  /** The name it was looked up by: a Python release such as `"1.6.3"`, or `"native"`. */
  readonly name: string;
  /** The release announced in the handshake: three numbers, from 2.0 on possibly with a suffix. Empty for native. */
  readonly release: string;
  /** The size of the header, in bytes. */
  readonly headerSize: number;
  /** How a receiver checks that a frame is intact. */
  readonly integrity: Integrity;
  /** How a connection is opened. */
  readonly handshake: HandshakeKind;
  /** The two bytes that every frame begins with, if there are any. */
  readonly magic?: "VX";
  /** How ids are encoded. */
  readonly ids: IdKind;
  /** The offsets of the header's fields. */
  readonly layout: HeaderLayout;
  /** The flags that a frame may carry without a negotiated feature, combined with bitwise OR. */
  readonly knownFlags: number;
  /** The number of header bytes that are needed to recognize a broken header. */
  readonly early: number;
  /** The largest frame that its Python releases accept, header included, in bytes. Left out where it is 10 MiB. */
  readonly maxFrameSize?: number;
}

/** A row of the table without its releases. */
type Description = Omit<Protocol, "name" | "release">;

/** A description and the releases that it applies to, from `from` to `to`, both included. */
type Row = Description & { readonly from: string; readonly to: string };

/** The three numbers of a release. */
export type Version = readonly [number, number, number];

const NONE = { magic: -1, check: -1, flags: -1, timestamp: -1 } as const;
const SHA_62 = {
  headerSize: 62,
  integrity: "sha256",
  ids: "uuid",
  layout: { ...NONE, code: 0, size: 2, digest: 6, timestamp: 38, id: 46 },
  knownFlags: 0,
  early: 6,
} as const;
const CRC_22 = {
  headerSize: 22,
  integrity: "crc32",
  ids: "u32",
  layout: { ...NONE, code: 0, size: 2, digest: 6, timestamp: 10, id: 18 },
  knownFlags: 0,
  early: 6,
} as const;
const CRC_14 = { ...CRC_22, headerSize: 14, layout: { ...NONE, code: 0, size: 2, digest: 6, id: 10 } } as const;
const VX_16 = {
  ...CRC_22,
  headerSize: 16,
  magic: "VX",
  layout: { ...NONE, magic: 0, code: 2, size: 4, digest: 8, id: 12 },
  early: 8,
} as const;
const VX_15 = {
  ...VX_16,
  headerSize: 15,
  ids: "u16",
  layout: { ...NONE, magic: 0, flags: 2, code: 3, size: 5, digest: 9, id: 13 },
  early: 9,
} as const;

const ROWS: readonly Row[] = [
  { from: "1.2.0", to: "1.2.99", handshake: "none", ...SHA_62, maxFrameSize: 1024 },
  { from: "1.3.0", to: "1.3.99", handshake: "none", ...SHA_62 },
  { from: "1.4.0", to: "1.6.1", handshake: "hello", ...SHA_62 },
  { from: "1.6.2", to: "1.6.9", handshake: "hello", ...CRC_22 },
  { from: "1.6.10", to: "1.6.10", handshake: "hello", ...CRC_14 },
  { from: "1.7.0", to: "1.7.99", handshake: "hello", ...VX_16 },
  { from: "1.8.0", to: "1.9.99", handshake: "json", ...VX_16 },
  { from: "2.0.0", to: "2.0.99", handshake: "json", ...VX_15 },
  // Later releases need no row of their own: the protocol version that they announce decides.
  { from: "3.0.0", to: "3.99.99", handshake: "json", ...VX_15 },
];

const NATIVE = /* @__PURE__ */ describe("native", "", {
  headerSize: 16,
  integrity: "crc8+crc32",
  handshake: "json",
  ids: "u32",
  layout: { ...NONE, check: 0, flags: 1, code: 2, size: 4, digest: 12, id: 8 },
  knownFlags: Flag.REQUEST | Flag.REPLY | Flag.ERROR,
  early: 12,
});

/** The release announced for a family without a patch number: the one that most Python peers of the family accept. */
const FAMILIES: Readonly<Record<string, string>> = {
  "1.2": "1.2.1",
  "1.3": "1.3.0",
  "1.4": "1.4.0",
  "1.5": "1.5.0",
  "1.7": "1.7.0",
  "1.8": "1.8.1",
  "1.9": "1.9.0",
  "2.0": "2.0.0",
  "3.0": "3.0.2",
  "3.1": "3.1.1",
  "3.2": "3.2.1",
  "3.3": "3.3.0",
  "3": "3.3.0",
};

/**
 * Looks up the wire protocol of a Python release, or the native one.
 *
 * @param release Such as `"1.6.3"`, `"2.0.0b3"`, a family such as `"2.0"` or `"3"`, or `"native"`.
 * @returns Its description.
 * @throws {RangeError} No Veltix of that release is known. `"1.6"` alone is refused too: 1.6.x changed its header
 * twice.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { protocol } from "@veltix/core/wire";
 *
 * assertEquals(protocol("1.6.3").headerSize, 22);
 * assertEquals(protocol("2.0").handshake, "json");
 * ```
 *
 * @category Wire protocol
 */
export function protocol(release: string): Protocol {
  if (release === "native") return NATIVE;
  const wanted = parseRelease(Object.hasOwn(FAMILIES, release) ? FAMILIES[release] : release);
  if (wanted !== undefined) {
    for (const row of ROWS) {
      if (compare(wanted, parseRelease(row.from)!) >= 0 && compare(wanted, parseRelease(row.to)!) <= 0) {
        return describe(release, announced(release, wanted), row);
      }
    }
  }
  throw new RangeError(
    `Cannot find the protocol "${release}": it must be "native", a release from "1.2.0" to "3.3.0" with all three numbers (later ones of 3 are taken for the same), ` +
      `or one of the families ${Object.keys(FAMILIES).sort().map((family) => `"${family}"`).join(", ")}`,
  );
}

/** Returns whether this is the native protocol. */
export function isNative(protocol: Protocol): boolean {
  return protocol === NATIVE;
}

/**
 * Parses a release: `"1.6.3"` gives `[1, 6, 3]`. A pre-release suffix is cut off. Returns `undefined` for anything
 * else.
 */
export function parseRelease(text: string): Version | undefined {
  const match = /^(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})(?:(?:a|b|rc)\d{1,4})?$/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/**
 * The version of the protocol of 2.0.0 to 3.3.0, announced since 2.0.3. Peers with the same first number accept each
 * other.
 */
export const PROTOCOL_VERSION = "1.0";

/** Returns whether the "pv" of a peer is a version of that protocol: two numbers, the first one being the same. */
export function speaksVersion(version: string | undefined): boolean {
  return version !== undefined && /^1\.\d{1,4}$/.test(version);
}

/**
 * Returns the release that is announced in a handshake. 1.6.5 announces 1.6.4, and suffixes are announced only from 2.0
 * on.
 */
function announced(release: string, version: Version): string {
  if (compare(version, [1, 6, 5]) === 0) return "1.6.4";
  return compare(version, [2, 0, 0]) >= 0 && parseRelease(release) !== undefined ? release : version.join(".");
}

/** Gives all protocols the same object shape, so that the code that reads them stays fast. */
function describe(name: string, release: string, description: Description): Protocol {
  const { headerSize, integrity, handshake, magic, ids, layout, knownFlags, early, maxFrameSize } = description;
  return { name, release, headerSize, integrity, handshake, magic, ids, layout, knownFlags, early, maxFrameSize };
}

/** Compares two releases. Returns a negative number if `a` is the earlier one, and 0 if they are the same. */
export function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
