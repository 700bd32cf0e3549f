/**
 * CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320, as in zlib) and the CRC-8 of the native header. Short inputs use
 * tables, sixteen bytes per step ("slicing by 16"). Long inputs use the runtime's own `zlib.crc32` if there is one. It
 * is looked up once, at load. What is computed at load is marked as pure, so that a bundler leaves it out where nothing
 * uses it.
 *
 * @module
 */

import { builtinModule } from "../base/builtin_module.ts";
import { TABLE } from "./crc32_table.ts";
import { bytesOf, viewOf } from "./integers.ts";

/** `Tk[n]` is the CRC-32 of the byte `n` with `k` zero bytes after it. */
const T0 = TABLE;
const T1 = /* @__PURE__ */ nextTable(T0);
const T2 = /* @__PURE__ */ nextTable(T1);
const T3 = /* @__PURE__ */ nextTable(T2);
const T4 = /* @__PURE__ */ nextTable(T3);
const T5 = /* @__PURE__ */ nextTable(T4);
const T6 = /* @__PURE__ */ nextTable(T5);
const T7 = /* @__PURE__ */ nextTable(T6);
const T8 = /* @__PURE__ */ nextTable(T7);
const T9 = /* @__PURE__ */ nextTable(T8);
const T10 = /* @__PURE__ */ nextTable(T9);
const T11 = /* @__PURE__ */ nextTable(T10);
const T12 = /* @__PURE__ */ nextTable(T11);
const T13 = /* @__PURE__ */ nextTable(T12);
const T14 = /* @__PURE__ */ nextTable(T13);
const T15 = /* @__PURE__ */ nextTable(T14);
/** The effect of the initial value 0xFFFFFFFF after 12 bytes: it is combined with the first four of them. */
const BEGUN = /* @__PURE__ */ afterTwelve();
const CRC8 = /* @__PURE__ */ makeCrc8Tables(11);
/** The same for CRC-8, with the initial value 0xFF and 11 bytes. */
const BEGUN8 = /* @__PURE__ */ CRC8.at(2560 | 255)!;
const native = /* @__PURE__ */ findNative();
const NATIVE_FROM = /* @__PURE__ */ nativeThreshold();

/**
 * Computes the CRC-32 of `bytes`.
 *
 * @param bytes The bytes; not changed.
 * @param seed The CRC-32 of the bytes before these, to continue from. Default 0.
 * @returns An unsigned 32-bit integer.
 *
 * @example In one piece and in two
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { crc32 } from "@veltix/core/wire";
 *
 * const bytes = new TextEncoder().encode("123456789");
 * assertEquals(crc32(bytes), 0xcbf43926);
 * assertEquals(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4))), 0xcbf43926);
 * ```
 *
 * @category Wire protocol
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return crc32Range(viewOf(bytes), 0, bytes.length, seed, bytes);
}

/**
 * Computes the {@linkcode crc32} of `size` bytes from `start` on.
 *
 * @param view A view of the buffer that holds the bytes. Of a frame that is larger than one write, it holds the first
 * part alone.
 * @param whole All the bytes as an array, if the caller has one.
 */
export function crc32Range(
  view: DataView,
  start: number,
  size: number,
  seed: number,
  whole: Uint8Array | undefined,
): number {
  if (size < NATIVE_FROM) return crc32Table(view, start, start + size, seed);
  if (native !== undefined) return native(whole ?? bytesOf(view, start, size), seed);
  return whole === undefined ? crc32Table(view, start, start + size, seed) : crc32Table(viewOf(whole), 0, size, seed);
}

/** Returns whether the checksum of this many bytes is computed by the native function, which takes an array. */
export function isLong(size: number): boolean {
  return native !== undefined && size >= NATIVE_FROM;
}

/** Returns whether {@linkcode crc32Range} of this many bytes uses `whole`, which may be memory of the caller. */
export function usesWhole(size: number): boolean {
  return size >= NATIVE_FROM;
}

/** Computes the CRC-32 by the tables alone. It is exported for comparison with the runtime's own function. */
export function crc32Table(view: DataView, start: number, end: number, seed: number): number {
  let crc = ~seed;
  let i = start;
  for (const last = end - 15; i < last; i += 16) {
    const a = crc ^ view.getInt32(i, true);
    const b = view.getInt32(i + 4, true);
    const c = view.getInt32(i + 8, true);
    const d = view.getInt32(i + 12, true);
    crc = T15[a & 255] ^ T14[a >>> 8 & 255] ^ T13[a >>> 16 & 255] ^ T12[a >>> 24] ^
      T11[b & 255] ^ T10[b >>> 8 & 255] ^ T9[b >>> 16 & 255] ^ T8[b >>> 24] ^
      T7[c & 255] ^ T6[c >>> 8 & 255] ^ T5[c >>> 16 & 255] ^ T4[c >>> 24] ^
      T3[d & 255] ^ T2[d >>> 8 & 255] ^ T1[d >>> 16 & 255] ^ T0[d >>> 24];
  }
  for (const last = end - 3; i < last; i += 4) {
    const a = crc ^ view.getInt32(i, true);
    crc = T3[a & 255] ^ T2[a >>> 8 & 255] ^ T1[a >>> 16 & 255] ^ T0[a >>> 24];
  }
  for (; i < end; i++) crc = crc >>> 8 ^ T0[(crc ^ view.getUint8(i)) & 255];
  return ~crc >>> 0;
}

/** What the first eight bytes of the last headers add. In a burst, most headers are equal but for their ids. */
const LAST = { head: 0, size: -1, crc: 0, head8: 0, size8: -1, crc8: 0 };

/**
 * Returns the CRC-32 of the first 12 bytes of a native header, given as three big-endian integers, in one step. A zero
 * byte adds nothing, so ids and large sizes cost nothing where they are not used.
 */
export function crc32Header(head: number, size: number, id: number): number {
  if (head !== LAST.head || size !== LAST.size) {
    let crc = BEGUN ^ T11[head >>> 24] ^ T10[head >>> 16 & 255] ^ T9[head >>> 8 & 255] ^ T8[head & 255] ^
      T5[size >>> 8 & 255] ^ T4[size & 255];
    if (size > 0xffff) crc ^= T7[size >>> 24] ^ T6[size >>> 16 & 255];
    LAST.head = head;
    LAST.size = size;
    LAST.crc = crc;
  }
  if (id === 0) return ~LAST.crc >>> 0;
  return ~(LAST.crc ^ T3[id >>> 24] ^ T2[id >>> 16 & 255] ^ T1[id >>> 8 & 255] ^ T0[id & 255]) >>> 0;
}

/**
 * Returns the CRC-8 (polynomial 0x07, initial value 0xFF) of the 11 bytes after the first one of a native header: flags
 * and code, size, id.
 */
export function crc8Header(head: number, size: number, id: number): number {
  if (head !== LAST.head8 || size !== LAST.size8) {
    let crc = BEGUN8 ^ CRC8[2560 | head >>> 16 & 255] ^ CRC8[2304 | head >>> 8 & 255] ^ CRC8[2048 | head & 255] ^
      CRC8[1280 | size >>> 8 & 255] ^ CRC8[1024 | size & 255];
    if (size > 0xffff) crc ^= CRC8[1792 | size >>> 24] ^ CRC8[1536 | size >>> 16 & 255];
    LAST.head8 = head;
    LAST.size8 = size;
    LAST.crc8 = crc;
  }
  if (id === 0) return LAST.crc8;
  return LAST.crc8 ^ CRC8[768 | id >>> 24] ^ CRC8[512 | id >>> 16 & 255] ^ CRC8[256 | id >>> 8 & 255] ^ CRC8[id & 255];
}

/** Returns the table for one zero byte more. */
function nextTable(table: Int32Array): Int32Array {
  return table.map((crc) => crc >>> 8 ^ T0[crc & 255]);
}

function afterTwelve(): number {
  return T11[255] ^ T10[255] ^ T9[255] ^ T8[255];
}

/** Returns all tables in one array: at `256 * k + n`, the CRC-8 of the byte `n` with `k` zero bytes after it. */
function makeCrc8Tables(count: number): Uint8Array {
  const tables = new Uint8Array(256 * count);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1;
    tables[n] = crc;
  }
  for (let i = 256; i < tables.length; i++) tables[i] = tables[tables[i - 256]];
  return tables;
}

type NativeCrc32 = (bytes: Uint8Array, seed: number) => number;

interface ProcessLike {
  readonly versions?: { readonly deno?: string; readonly bun?: string };
}

function findNative(): NativeCrc32 | undefined {
  const zlib = builtinModule("node:zlib") as { crc32?: NativeCrc32 } | undefined;
  return typeof zlib?.crc32 === "function" ? zlib.crc32 : undefined;
}

/** Returns the size from which the native call is faster than the tables, in bytes, as measured. */
function nativeThreshold(): number {
  const versions = (globalThis as { process?: ProcessLike }).process?.versions;
  return versions?.deno === undefined && versions?.bun === undefined ? 576 : 64;
}
