import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { crc32, crc32Header, crc32Range, crc32Table, crc8 } from "../src/wire/crc32.ts";
import { Random, utf8 } from "./wire_support.ts";

/** CRC-32 as the definition has it: bit by bit, no table. */
function reference32(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

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
const seeds = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, random.below(2 ** 32)];

describe("CRC-32", () => {
  it("has the check value of the standard", () => {
    assertEquals(crc32(utf8("123456789")), 0xcbf43926);
    assertEquals(crc32(new Uint8Array(0)), 0);
    assertEquals(crc32(new Uint8Array(32)), 0x190a55ad);
    assertEquals(crc32(new Uint8Array(32).fill(0xff)), 0xff6cab0b);
  });

  it("of every length, offset and seed is that of the bitwise reference, by tables and by the runtime's own", () => {
    for (let size = 0; size <= 600; size++) {
      for (let start = 0; start < 20; start += 1 + size % 3) {
        const seed = seeds[(size + start) % seeds.length];
        const part = bytes.slice(start, start + size);
        const expected = reference32(part, seed);
        const where = `size ${size}, start ${start}, seed ${seed}`;
        assertEquals(crc32Table(bytes, start, start + size, seed), expected, where);
        assertEquals(crc32Range(bytes, start, start + size, seed), expected, where);
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
    const view = new Uint8Array(bytes.buffer, 100, 500);
    assertEquals(crc32(view), reference32(bytes.slice(100, 600)));
    assertEquals(crc32Range(view, 50, 450, 7), reference32(bytes.slice(150, 550), 7));
  });

  it("of a native header is that of its first twelve bytes", () => {
    for (let at = 0; at < 600; at++) assertEquals(crc32Header(bytes, at), reference32(bytes.slice(at, at + 12)));
  });
});

describe("CRC-8", () => {
  it("has the check value of polynomial 0x07, initial value 0xFF", () => {
    assertEquals(crc8(utf8("123456789"), 0, 9), 0xfb);
  });

  it("of every length is that of the bitwise reference", () => {
    for (let size = 0; size <= 300; size++) {
      for (let start = 0; start < 9; start++) {
        assertEquals(crc8(bytes, start, start + size), reference8(bytes.slice(start, start + size)));
      }
    }
  });

  it("tells every single and every double flipped bit of a native header", () => {
    const good = bytes.slice(0, 12);
    const check = crc8(good, 1, 12);
    for (let a = 8; a < 96; a++) {
      for (let b = a; b < 96; b++) {
        const bad = good.slice();
        bad[a >> 3] ^= 1 << (a & 7);
        if (b !== a) bad[b >> 3] ^= 1 << (b & 7);
        assertEquals(crc8(bad, 1, 12) !== check, true, `bits ${a} and ${b}`);
      }
    }
  });
});
