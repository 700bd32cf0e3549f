/**
 * The fields of a header as they stand in its bytes, by the table of protocols, and the checksums that they should have.
 *
 * @module
 */

import { hexOf } from "../../base/hex.ts";
import { crc32, crc8Header } from "../../wire/crc32.ts";
import { getUuid } from "../../wire/decoded_frame.ts";
import { Flag, isPiece, SystemCode } from "../../wire/frame.ts";
import { viewOf } from "../../wire/integers.ts";
import type { Protocol } from "../../wire/protocols.ts";
import { sha256 } from "../../wire/python/sha256.ts";

/** The fields of a header. Those that a protocol does not have are `undefined`. */
export interface HeaderFields {
  readonly code: number;
  readonly flags: number | undefined;
  /** The size of the content, in bytes. */
  readonly size: number;
  /** The request id: a number or a UUID. */
  readonly id: number | string;
  /** The CRC-8 of the header. */
  readonly check: number | undefined;
  /** The CRC-32 or SHA-256, as hexadecimal digits. */
  readonly digest: string;
  /** The clock of the sender, in milliseconds since 1970. */
  readonly sentAt: number | undefined;
}

/** Reads the fields of a whole header. */
export function readFields({ headerSize, ids, integrity, layout }: Protocol, bytes: Uint8Array): HeaderFields {
  const view = viewOf(bytes.subarray(0, headerSize));
  const { check, code, digest, flags, id, size, timestamp } = layout;
  return {
    code: view.getUint16(code),
    flags: flags < 0 ? undefined : view.getUint8(flags),
    size: view.getUint32(size),
    id: ids === "u32" ? view.getUint32(id) : ids === "u16" ? view.getUint16(id) : getUuid(bytes, id),
    check: check < 0 ? undefined : view.getUint8(check),
    digest: hexOf(bytes.subarray(digest, digest + (integrity === "sha256" ? 32 : 4))),
    sentAt: timestamp < 0 ? undefined : Number(view.getBigUint64(timestamp)),
  };
}

/** Returns the CRC-8 that a native header should have. */
export function checkOf(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  return crc8Header(view.getInt32(0), view.getUint32(4), view.getUint32(8));
}

/** Returns the checksum that a whole frame should have, as hexadecimal digits. */
export function digestOf({ headerSize, integrity }: Protocol, bytes: Uint8Array): string {
  const content = bytes.subarray(headerSize);
  if (integrity === "sha256") return hexOf(sha256(content));
  // The native CRC-32 covers the header before it, too.
  const seed = integrity === "crc32" ? 0 : crc32(bytes.subarray(0, 12));
  return crc32(content, seed).toString(16).padStart(8, "0");
}

/** The kinds of frames, as `--kind` takes them. */
export const FRAME_KINDS = [
  "message",
  "request",
  "reply",
  "error",
  "open",
  "piece",
  "end",
  "ping",
  "pong",
  "cancel",
  "goaway",
  "credit",
  "ack",
  "window",
  "stop",
  "hello",
  "hello-ack",
  "system",
] as const;

/** Returns the kind of a frame. */
export function kindOf({ code, flags = 0 }: HeaderFields): typeof FRAME_KINDS[number] {
  const system = codeName(code);
  if (system !== undefined) return system.toLowerCase().replace("_", "-") as typeof FRAME_KINDS[number];
  if (code < 200) return "system";
  if (isPiece(flags)) return (flags & Flag.END) !== 0 ? "end" : "piece";
  if ((flags & Flag.STREAM) !== 0) return "open";
  if ((flags & Flag.REQUEST) !== 0) return "request";
  if ((flags & Flag.REPLY) === 0) return "message";
  return (flags & Flag.ERROR) !== 0 ? "error" : "reply";
}

/** Returns the name of a system code; `undefined` if it has none. */
export function codeName(code: number): string | undefined {
  return Object.entries(SystemCode).find(([, value]) => value === code)?.[0];
}

/** Returns the names of flags, such as `["REQUEST", "META"]`. A bit without a name is its number. */
export function flagNames(flags: number): string[] {
  const bits = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80].filter((bit) => (flags & bit) !== 0);
  return bits.map((bit) =>
    Object.entries(Flag).find(([, value]) => value === bit)?.[0] ?? `0x${bit.toString(16).padStart(2, "0")}`
  );
}
