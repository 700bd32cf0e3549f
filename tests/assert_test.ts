import { assertEquals, AssertionError } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

/** An array with more than its items. */
const named = (...items: unknown[]): unknown => Object.assign(items, { name: "list" });
/** An object that contains itself. */
const loop = (value: unknown): unknown => {
  const self: Record<string, unknown> = { value, list: [] };
  self.self = self;
  (self.list as unknown[]).push(self);
  return self;
};
const KEY = Symbol("key");
const hole = (...items: unknown[]): unknown[] => {
  // deno-lint-ignore no-sparse-arrays
  const array: unknown[] = [, ...items];
  return array;
};

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}

/** What each of these makes equals itself, made twice, and none of the others. */
const DIFFERENT: (() => unknown)[] = [
  () => undefined,
  () => null,
  () => 0,
  () => NaN,
  () => "",
  () => "0",
  () => 0n,
  () => [],
  () => [undefined],
  () => [0],
  () => [NaN],
  () => [0, 1],
  () => [1, 0],
  () => [[0], 1],
  () => [0, [1]],
  () => hole(1),
  () => new Array(2),
  () => new Array(3),
  () => [undefined, 1],
  () => Object.assign(hole(1), { name: "list" }),
  () => named(0, 1),
  () => named(),
  () => ({}),
  () => ({ 0: 0, 1: 1 }),
  () => ({ 0: 0, 1: 1, length: 2 }),
  () => ({ a: undefined }),
  () => ({ a: 1 }),
  () => ({ a: 1, b: 2 }),
  () => ({ a: 1, b: undefined }),
  () => ({ a: { b: { c: [1, { d: 2 }] } } }),
  () => ({ a: { b: { c: [1, { d: 3 }] } } }),
  () => ({ [KEY]: 1 }),
  () => ({ [KEY]: 2 }),
  () => Object.assign(Object.create(null), { a: 7 }),
  () => new Point(1),
  () => ({ x: 1 }),
  () => new Uint8Array([1, 2]),
  () => new Uint8Array([1, 3]),
  () => new Uint16Array([1, 2]),
  () => [1, 2],
  () => new Map([[1, { a: 1 }]]),
  () => new Map([[1, { a: 2 }]]),
  () => new Set([1]),
  () => new Error("a"),
  () => new TypeError("a"),
  () => loop(1),
  () => loop(2),
  () => ({ value: 1, list: [], self: {} }),
];

function equals(a: unknown, b: unknown): boolean {
  try {
    assertEquals(a, b);
    return true;
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
}

// All other tests stand on it.
describe("assertEquals", () => {
  it("takes what is equal, and nothing else, at any depth", () => {
    DIFFERENT.forEach((make, i) => {
      DIFFERENT.forEach((other, j) => {
        const wanted = i === j;
        for (const wrap of [(x: unknown) => x, (x: unknown) => [x], (x: unknown) => ({ a: [1, x] })]) {
          if (equals(wrap(make()), wrap(other())) !== wanted) {
            throw new Error(`${i} and ${j} are ${wanted ? "not " : ""}equal: ${make}, ${other}`);
          }
        }
      });
    });
  });

  it("looks neither at the order of keys, nor at the sign of zero, nor for a prototype of a plain object", () => {
    const bare = Object.assign(Object.create(null), { a: 0 });
    const pairs = [[{ a: 1, b: 2 }, { b: 2, a: 1 }], [0, -0], [[0], [-0]], [{ a: 0 }, { a: -0 }], [bare, { a: 0 }]];
    for (const [a, b] of pairs) {
      if (!equals(a, b)) throw new Error(`${JSON.stringify(a)} and ${JSON.stringify(b)} are not equal`);
    }
  });
});
