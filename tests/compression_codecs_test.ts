/** The codecs of compression as this runtime has them, and what is refused before and while they inflate. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { zlibCodecs } from "../src/adapters/zlib.ts";
import type { CompressionCodec } from "../src/compression_seam.ts";
import { readSize } from "../src/session/features/compression/content.ts";
import { StreamHistory } from "../src/session/features/compression/stream_history.ts";
import { zstdFault } from "../src/session/features/compression/zstd_frame.ts";
import { builtinModule } from "../src/base/builtin_module.ts";
import { join, Random, unhex, utf8 } from "./wire_support.ts";

const CODECS = zlibCodecs();
const ZSTD = CODECS.find(({ name }) => name === "zstd");

/** What of `node:zlib` the tests use to make what the library itself never sends. */
interface Maker {
  readonly constants: Readonly<Record<string, number>>;
  zstdCompressSync(content: Uint8Array, options: object): Uint8Array;
  deflateRawSync(content: Uint8Array, options: object): Uint8Array;
}
const ZLIB = builtinModule("node:zlib") as Maker;

/** Inflates as a session does: the outline of a zstd frame first. */
function inflate(codec: CompressionCodec, content: Uint8Array, size: number): Uint8Array | undefined {
  return codec.name === "zstd" && zstdFault(content, size) !== undefined ? undefined : codec.inflate(content, size);
}

/** Text that shrinks to about a third. */
const sentences = (size: number, seed = 1): Uint8Array => {
  const random = new Random(seed);
  let text = "";
  while (text.length < size) text += `reading ${random.below(1_000)} of sensor ${random.below(12)}; `;
  return utf8(text.slice(0, size));
};

describe("zlibCodecs()", () => {
  it("makes one frame of zstd of each payload, whatever its size", () => {
    if (ZSTD === undefined) return assertEquals(CODECS.length, 1);
    for (let seed = 1; seed <= 20; seed++) {
      for (const size of [1_000, 65_536, 131_072, 131_073, 300_000, 1_000_000]) {
        assertEquals(zstdFault(ZSTD.compress(sentences(size, seed), 1), size), undefined, `${size}, seed ${seed}`);
      }
    }
  });

  it("has deflate-raw on every runtime, and zstd before it where there is one", () => {
    const names = CODECS.map(({ name }) => name);
    assertEquals(names, typeof ZLIB.zstdCompressSync === "function" ? ["zstd", "deflate-raw"] : ["deflate-raw"]);
    assertEquals(zlibCodecs({ ...ZLIB, zstdCompressSync: undefined }).map(({ name }) => name), ["deflate-raw"]);
  });

  for (const codec of CODECS) {
    describe(codec.name, () => {
      it("inflates what it compressed, of any size and at any level, to plain arrays", () => {
        for (const size of [1, 2, 63, 64, 65, 1_024, 65_535, 65_536, 65_537, 1_000_000]) {
          const raw = sentences(size);
          for (const level of [1, codec.defaultLevel, 9]) {
            const compressed = codec.compress(raw, level);
            const inflated = inflate(codec, compressed, size)!;
            assertEquals([compressed.constructor, inflated.constructor], [Uint8Array, Uint8Array]);
            assertEquals(inflated, raw, `${size} at ${level}`);
          }
        }
      });

      it("shrinks JSON as zlib does at a level a beginner would take", () => {
        const readings = Array.from(
          { length: 100 },
          (_, i) => ({ time: 1_760_000_000_000 + 250 * i, rpm: i * 37 % 997 }),
        );
        const raw = utf8(JSON.stringify(readings));
        const ratio = codec.compress(raw, codec.defaultLevel).length / raw.length;
        assert(ratio < 0.36, `${ratio}`);
      });

      it("refuses each truncation, each extension and each other size", () => {
        for (const raw of [sentences(300), new Uint8Array(700), utf8("short")]) {
          const compressed = codec.compress(raw, codec.defaultLevel);
          for (let length = 0; length < compressed.length; length++) {
            assertEquals(inflate(codec, compressed.subarray(0, length), raw.length), undefined, `${length} bytes`);
          }
          for (const more of [new Uint8Array(1), unhex("ff"), new Uint8Array(18), compressed]) {
            assertEquals(inflate(codec, join(compressed, more), raw.length), undefined);
          }
          assertEquals(inflate(codec, join(compressed, compressed), 2 * raw.length), undefined);
          for (const size of [1, raw.length - 1, raw.length + 1, 10 * raw.length]) {
            assertEquals(inflate(codec, compressed, size), undefined, `${size} bytes`);
          }
        }
      });

      it("never makes anything but exactly so many bytes of what has a flipped bit, or of noise", () => {
        const raw = sentences(500);
        const compressed = codec.compress(raw, codec.defaultLevel);
        let refused = 0;
        for (let bit = 0; bit < 8 * compressed.length; bit++) {
          const flipped = compressed.slice();
          flipped[bit >> 3] ^= 1 << (bit & 7);
          const inflated = inflate(codec, flipped, raw.length);
          if (inflated === undefined) refused++;
          else assertEquals(inflated.length, raw.length);
        }
        assert(refused > 0);
        const random = new Random(7);
        for (let i = 0; i < 500; i++) {
          const noise = Uint8Array.from({ length: 1 + random.below(100) }, () => random.below(256));
          assertEquals(inflate(codec, noise, 1_000), undefined);
        }
      });

      it("keeps what it returns when the next one is inflated", () => {
        const raws = Array.from({ length: 20 }, (_, i) => sentences(900, i + 1));
        const results = raws.map((raw) => inflate(codec, codec.compress(raw, 1), raw.length));
        assertEquals(results, raws);
      });
    });
  }
});

describe("a bomb of 1 GiB in 1 MiB", () => {
  const MIB = 2 ** 20;
  /** 1 GiB of zeros as raw deflate: 1,024 times the same blocks, and a last one that is empty. */
  const deflated = (): Uint8Array => {
    const blocks = ZLIB.deflateRawSync(new Uint8Array(MIB), { level: 9, finishFlush: ZLIB.constants.Z_FULL_FLUSH });
    return join(...Array.from({ length: 1_024 }, () => blocks), unhex("0300"));
  };
  /** The same as one frame of zstd: blocks of one repeated byte, and empty ones up to 1 MiB. */
  const frame = (): Uint8Array => {
    const block = unhex("02001000");
    const empty = new Uint8Array(3 * Math.floor((MIB - 8_192 * 4) / 3));
    return join(unhex("28b52ffd0038"), empty, ...Array.from({ length: 8_192 }, () => block), unhex("010000"));
  };
  const peak = (name: "VmHWM" | "VmRSS"): number =>
    1_024 * Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))![1]);
  const measures = existsSync("/proc/self/clear_refs");

  it("is refused by its size or its ratio before anything is inflated", () => {
    for (const compressed of [deflated(), frame()]) {
      for (
        const [size, fault] of [[1_024 * MIB, /more than this side takes/], [
          300 * MIB,
          /more than this side takes/,
        ]] as const
      ) {
        const head = new Uint8Array(4);
        new DataView(head.buffer).setUint32(0, size);
        const content = join(head, compressed);
        const received = { code: 200, flags: 0x10, requestId: 0, size: content.length, content };
        assertMatch(`${readSize(received, 10 * MIB)}`, fault);
        assertMatch(`${readSize(received, 2 ** 32)}`, size > 256 * compressed.length ? /more than 256 times/ : /^\d+$/);
      }
    }
  });

  for (const codec of CODECS) {
    it(`is refused by ${codec.name} with less than 16 MiB taken where it announces what is allowed`, () => {
      const compressed = codec.name === "zstd" ? frame() : deflated();
      assert(compressed.length > 0.9 * MIB && compressed.length < 1.2 * MIB, `${compressed.length}`);
      if (codec.name === "zstd") assertEquals(zstdFault(compressed, 10 * MIB - 16), undefined);
      const taken: number[] = [];
      for (let i = 0; i < 5; i++) {
        // The peak begins anew.
        if (measures) writeFileSync("/proc/self/clear_refs", "5");
        const before = measures ? peak("VmRSS") : 0;
        assertEquals(inflate(codec, compressed, 10 * MIB - 16), undefined);
        if (measures) taken.push(peak("VmHWM") - before);
      }
      // Other threads of the runtime take memory as well, but not each time.
      if (measures) assert(Math.min(...taken) < 16 * MIB, `${taken.map((bytes) => (bytes / MIB).toFixed(1))} MiB`);
    });
  }
});

describe("zstdFault()", () => {
  /** A block of bytes as they are. */
  const raw = (content: Uint8Array, last = true): Uint8Array => {
    const header = content.length << 3 | Number(last);
    return join(new Uint8Array([header, header >> 8, header >> 16]), content);
  };
  const one = raw(utf8("one"));
  const cases: [what: string, frame: Uint8Array, size: number, fault: string | undefined][] = [
    ["a frame with a window and no size", join(unhex("28b52ffd0000"), one), 3, undefined],
    ["a frame with its size in a byte", join(unhex("28b52ffd2003"), one), 3, undefined],
    ["in two bytes", join(unhex("28b52ffd60c800"), one), 456, undefined],
    ["in four bytes", join(unhex("28b52ffda003000000"), one), 3, undefined],
    ["in eight bytes", join(unhex("28b52ffde00300000000000000"), one), 3, undefined],
    [
      "a size above 2^32",
      join(unhex("28b52ffde00300000001000000"), one),
      3,
      "has a frame of 4294967299 bytes and announces 3",
    ],
    ["another size", join(unhex("28b52ffd2004"), one), 3, "has a frame of 4 bytes and announces 3"],
    ["a checksum", join(unhex("28b52ffd0400"), one, new Uint8Array(4)), 3, undefined],
    ["half of a checksum", join(unhex("28b52ffd0400"), one, new Uint8Array(3)), 3, "is truncated"],
    ["several blocks", join(unhex("28b52ffd0000"), raw(utf8("a"), false), raw(utf8("b"))), 2, undefined],
    ["a block of one repeated byte", join(unhex("28b52ffd0000"), unhex("23000061")), 4, undefined],
    ["a block of the reserved kind", join(unhex("28b52ffd0000"), unhex("1f0000616263")), 3, "is no frame of zstd"],
    ["no last block", join(unhex("28b52ffd0000"), raw(utf8("a"), false)), 1, "is truncated"],
    ["a second frame", join(unhex("28b52ffd2003"), one, unhex("28b52ffd2003"), one), 3, "goes on after its end"],
    ["a frame to skip", join(unhex("502a4d1802000000ffff"), unhex("28b52ffd2003"), one), 3, "is no frame of zstd"],
    ["a dictionary", join(unhex("28b52ffd210103"), one), 3, "needs a dictionary"],
    ["the reserved bit", join(unhex("28b52ffd2803"), one), 3, "is no frame of zstd"],
    ["a window of 8 MiB", join(unhex("28b52ffd0068"), one), 3, undefined],
    ["a window of 9 MiB", join(unhex("28b52ffd0069"), one), 3, "needs a window of more than 8 MiB"],
    ["the largest window", join(unhex("28b52ffd00ff"), one), 3, "needs a window of more than 8 MiB"],
    [
      "a frame that is its own window",
      join(unhex("28b52ffda001008000"), one),
      2 ** 23 + 1,
      "needs a window of more than 8 MiB",
    ],
    ["nothing", new Uint8Array(0), 1, "is no frame of zstd"],
  ];
  for (const [what, frame, size, fault] of cases) {
    it(`reads ${what}`, () => assertEquals(zstdFault(frame, size), fault));
  }

  it("agrees with the runtime about the end of a frame", () => {
    if (ZSTD === undefined) return assertEquals(CODECS.length, 1);
    for (const size of [1, 200, 255, 256, 257, 70_000, 300_000]) {
      for (const checksum of [0, 1]) {
        const raw = sentences(size);
        const frame = ZLIB.zstdCompressSync(raw, { params: { [ZLIB.constants.ZSTD_c_checksumFlag]: checksum } });
        assertEquals(zstdFault(frame, size), undefined);
        assertEquals(ZSTD.inflate(frame, size), raw);
        assertEquals(zstdFault(join(frame, unhex("00")), size), "goes on after its end");
        assert(zstdFault(frame.subarray(0, -1), size) !== undefined);
      }
    }
  });

  it("is needed: the runtime itself refuses a window above 8 MiB as well", () => {
    if (ZSTD === undefined) return assertEquals(CODECS.length, 1);
    const raw = new Uint8Array(9 * 2 ** 20);
    const { ZSTD_c_windowLog: LOG, ZSTD_c_contentSizeFlag: SIZE } = ZLIB.constants;
    const frame = ZLIB.zstdCompressSync(raw, { params: { [LOG]: 24, [SIZE]: 0 } });
    assertEquals(zstdFault(frame, raw.length), "needs a window of more than 8 MiB");
    assertEquals(ZSTD.inflate(frame, raw.length), undefined);
  });
});

describe("the history of a stream", () => {
  it("leaves the stream alone for 1 MiB after 8 pieces in a row that did not shrink, then tries again", () => {
    const history = new StreamHistory();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 7; i++) {
        assertEquals(history.skips(65_536), false);
        history.tried(false);
      }
      history.tried(true);
      for (let i = 0; i < 8; i++) {
        assertEquals(history.skips(65_536), false);
        history.tried(false);
      }
      for (let i = 0; i < 16; i++) assertEquals(history.skips(65_536), true, `${round}: ${i}`);
      assertEquals(history.skips(65_536), false);
    }
  });
});
