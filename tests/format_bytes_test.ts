/**
 * `formatBytes`, held against what Python's `format_bytes` prints (releases 1.6.3 and 2.0.0).
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { formatBytes } from "../mod.ts";

describe("formatBytes()", () => {
  it("prints what Python prints", () => {
    const python: [number, string][] = [
      [0, "0 B"],
      [1, "1 B"],
      [1023, "1023 B"],
      [1024, "1 KB"],
      [1536, "1.5 KB"],
      [147968, "144.5 KB"],
      [1048576, "1 MB"],
      [3_000_000, "2.861 MB"],
      [5 * 2 ** 30, "5 GB"],
      [2 ** 40, "1 TB"],
      [-5, "-5 B"],
      [1.5, "1.5 B"],
    ];
    assertEquals(python.map(([size]) => formatBytes(size)), python.map(([, text]) => text));
  });

  it("goes to the next unit where rounding would show 1024 of one, has PB, and minds the sign", () => {
    // Python shows "1024 KB", "1024 TB" and "-2048 B".
    assertEquals([1_048_575, 2 ** 50, -2048].map(formatBytes), ["1 MB", "1 PB", "-2 KB"]);
    assertEquals([Infinity, NaN, 1e30].map(formatBytes), ["Infinity PB", "NaN B", "888200000000000 PB"]);
  });

  it("takes numbers only", () => {
    assertThrows(() => formatBytes("12" as unknown as number), TypeError, "not string");
  });
});
