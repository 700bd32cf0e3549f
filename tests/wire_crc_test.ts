import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { crc32, crc32Header, crc32Range, crc32Table, crc8Header } from "../src/wire/crc32.ts";
import { viewOf } from "../src/wire/integers.ts";
import { bitwiseCrc32, Random, utf8 } from "./wire_support.ts";

/** CRC-8 as the definition has it. */
function reference8(bytes: Uint8Array): number {
  let crc = 0xff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x80) !== 0 ? crc << 1 ^ 0x07 : crc << 1) & 0xff;
  }
  return crc;
}

type NativeCrc32 = (bytes: Uint8Array, seed: number) => number;
const { crc32: zlib } = (globalThis as unknown as { process: { getBuiltinModule(id: string): { crc32: NativeCrc32 } } })
  .process.getBuiltinModule("node:zlib");

const random = new Random(32);
const bytes = random.bytes(700);
const view = viewOf(bytes);
const seeds = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, random.below(2 ** 32)];

/** Twelve bytes each: any, and those with zeros where a header mostly has them, and on both sides of where it has some. */
function headers(): Uint8Array[] {
  const any = Array.from({ length: 600 }, (_, at) => bytes.slice(at, at + 12));
  const blank = (from: number, to: number) => any.slice(0, 50).map((header) => header.slice().fill(0, from, to));
  const singles = any.slice(0, 12).map((_, at) => new Uint8Array(12).fill(255, at, at + 1));
  return [...any, ...blank(8, 12), ...blank(4, 6), ...blank(4, 12), ...blank(0, 4), new Uint8Array(12), ...singles];
}

function check8(header: Uint8Array): number {
  const view = viewOf(header);
  return crc8Header(view.getInt32(0), view.getUint32(4), view.getUint32(8));
}

describe("CRC-32", () => {
  it("has the check value of the standard", () => {
    assertEquals(crc32(utf8("123456789")), 0xcbf43926);
    assertEquals(crc32(new Uint8Array(0)), 0);
    assertEquals(crc32(new Uint8Array(32)), 0x190a55ad);
    assertEquals(crc32(new Uint8Array(32).fill(0xff)), 0xff6cab0b);
  });

  it("of every length, offset and seed is that of the bitwise reference, by tables and by the runtime's own", () => {
    for (let size = 0; size <= 660; size++) {
      for (let start = 0; start < 20; start += 1 + size % 3) {
        const seed = seeds[(size + start) % seeds.length];
        const part = bytes.slice(start, start + size);
        const expected = bitwiseCrc32(part, seed);
        const where = `size ${size}, start ${start}, seed ${seed}`;
        assertEquals(crc32Table(view, start, start + size, seed), expected, where);
        assertEquals(crc32Range(view, start, size, seed, undefined), expected, where);
        assertEquals(crc32Range(view, start, size, seed, part), expected, where);
        assertEquals(crc32(part, seed), expected, where);
        assertEquals(zlib(part, seed), expected, where);
      }
    }
  });

  it("goes on from a seed at every cut", () => {
    const whole = crc32(bytes);
    for (let cut = 0; cut <= bytes.length; cut++) {
      assertEquals(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), whole);
    }
  });

  it("looks at its own part of a larger buffer only", () => {
    const part = new Uint8Array(bytes.buffer, 100, 600);
    assertEquals(crc32(part), bitwiseCrc32(bytes.slice(100, 700)));
    for (const size of [40, 590]) {
      const expected = bitwiseCrc32(bytes.slice(105, 105 + size), 7);
      assertEquals(crc32Range(viewOf(part), 5, size, 7, undefined), expected);
      assertEquals(crc32Table(viewOf(part), 5, 5 + size, 7), expected);
    }
  });

  it("of a native header is that of its first twelve bytes", () => {
    for (const header of headers()) {
      const view = viewOf(header);
      const [head, size, id] = [view.getInt32(0), view.getUint32(4), view.getUint32(8)];
      assertEquals(crc32Header(head, size, id), bitwiseCrc32(header), header.join());
    }
  });
});

describe("CRC-8", () => {
  it("has the check value of polynomial 0x07, initial value 0xFF", () => {
    assertEquals(reference8(utf8("123456789")), 0xfb);
  });

  it("of a native header is that of the bitwise reference, whatever its first byte is", () => {
    for (const header of headers()) assertEquals(check8(header), reference8(header.slice(1)), header.join());
  });

  it("tells every single and every double flipped bit of a native header", () => {
    const good = bytes.slice(0, 12);
    const check = check8(good);
    for (let a = 8; a < 96; a++) {
      for (let b = a; b < 96; b++) {
        const bad = good.slice();
        bad[a >> 3] ^= 1 << (a & 7);
        if (b !== a) bad[b >> 3] ^= 1 << (b & 7);
        assertEquals(check8(bad) !== check, true, `bits ${a} and ${b}`);
      }
    }
  });
});
