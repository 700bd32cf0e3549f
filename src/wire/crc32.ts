/**
 * CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320, as in zlib) and the CRC-8 of the native header. Short inputs take
 * tables, sixteen bytes a step ("slicing by 16"); long ones take the runtime's own `zlib.crc32`, found once, at load, where
 * there is one.
 *
 * @module
 */

/** `Tk[n]` is the CRC-32 of the byte `n` with `k` zero bytes behind it. */
const [T0, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13, T14, T15] = makeTables(16);
const CRC8 = makeCrc8Table();
const native = findNative();
const NATIVE_FROM = nativeThreshold();

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
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return crc32Range(bytes, 0, bytes.length, seed);
}

/** {@linkcode crc32} of `bytes[start..end)`, without a view where the table serves. */
export function crc32Range(bytes: Uint8Array, start: number, end: number, seed: number): number {
  if (native !== undefined && end - start >= NATIVE_FROM) {
    return native(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), seed);
  }
  return crc32Table(bytes, start, end, seed);
}

/** The tables alone, for comparing them with the runtime's own. */
export function crc32Table(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let crc = ~seed;
  let i = start;
  for (const last = end - 15; i < last; i += 16) {
    crc = T15[crc & 255 ^ bytes[i]] ^ T14[crc >>> 8 & 255 ^ bytes[i + 1]] ^ T13[crc >>> 16 & 255 ^ bytes[i + 2]] ^
      T12[crc >>> 24 ^ bytes[i + 3]] ^ T11[bytes[i + 4]] ^ T10[bytes[i + 5]] ^ T9[bytes[i + 6]] ^ T8[bytes[i + 7]] ^
      T7[bytes[i + 8]] ^ T6[bytes[i + 9]] ^ T5[bytes[i + 10]] ^ T4[bytes[i + 11]] ^
      T3[bytes[i + 12]] ^ T2[bytes[i + 13]] ^ T1[bytes[i + 14]] ^ T0[bytes[i + 15]];
  }
  for (const last = end - 3; i < last; i += 4) {
    crc = T3[crc & 255 ^ bytes[i]] ^ T2[crc >>> 8 & 255 ^ bytes[i + 1]] ^ T1[crc >>> 16 & 255 ^ bytes[i + 2]] ^
      T0[crc >>> 24 ^ bytes[i + 3]];
  }
  for (; i < end; i++) crc = crc >>> 8 ^ T0[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

/** The CRC-32 of the 12 bytes from `at` on, which a native header's begins with: one step, a third of the time. */
export function crc32Header(bytes: Uint8Array, at: number): number {
  return ~(T11[255 ^ bytes[at]] ^ T10[255 ^ bytes[at + 1]] ^ T9[255 ^ bytes[at + 2]] ^ T8[255 ^ bytes[at + 3]] ^
    T7[bytes[at + 4]] ^ T6[bytes[at + 5]] ^ T5[bytes[at + 6]] ^ T4[bytes[at + 7]] ^
    T3[bytes[at + 8]] ^ T2[bytes[at + 9]] ^ T1[bytes[at + 10]] ^ T0[bytes[at + 11]]) >>> 0;
}

/** CRC-8, polynomial 0x07, initial value 0xFF, of `bytes[start..end)`. */
export function crc8(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0xff;
  for (let i = start; i < end; i++) crc = CRC8[crc ^ bytes[i]];
  return crc;
}

function makeTables(count: number): Int32Array[] {
  const tables = Array.from({ length: count }, () => new Int32Array(256));
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
    tables[0][n] = crc;
  }
  for (let k = 1; k < count; k++) {
    for (let n = 0; n < 256; n++) {
      const before = tables[k - 1][n];
      tables[k][n] = before >>> 8 ^ tables[0][before & 255];
    }
  }
  return tables;
}

function makeCrc8Table(): Uint8Array {
  const table = new Uint8Array(256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1;
    table[n] = crc;
  }
  return table;
}

type NativeCrc32 = (bytes: Uint8Array, seed: number) => number;

interface ProcessLike {
  readonly versions?: { readonly deno?: string; readonly bun?: string };
  getBuiltinModule?(id: string): unknown;
}

function findProcess(): ProcessLike | undefined {
  return (globalThis as { process?: ProcessLike }).process;
}

function findNative(): NativeCrc32 | undefined {
  const zlib = findProcess()?.getBuiltinModule?.("node:zlib") as { crc32?: NativeCrc32 } | undefined;
  return typeof zlib?.crc32 === "function" ? zlib.crc32 : undefined;
}

/** Where the native call, with the view it needs, overtakes the tables, as measured. */
function nativeThreshold(): number {
  const versions = findProcess()?.versions;
  return versions?.deno !== undefined ? 96 : versions?.bun !== undefined ? 128 : 320;
}
