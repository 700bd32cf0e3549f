import { assertEquals, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdMap } from "../src/base/id_map.ts";
import { Random } from "./wire_support.ts";

interface Entry {
  readonly requestId: number | string;
}

const entry = (requestId: number | string): Entry => ({ requestId });

/** The same calls on an `IdMap` and on a `Map`, compared after each. */
class Pair {
  readonly map = new IdMap<Entry>();
  readonly model = new Map<number | string, Entry>();

  set(id: number | string): void {
    const added = entry(id);
    this.map.set(added);
    this.model.set(id, added);
    this.check(id);
  }

  delete(id: number | string): void {
    this.map.delete(id);
    this.model.delete(id);
    this.check(id);
  }

  check(id: number | string): void {
    const [found, wanted] = [this.map.get(id), this.model.get(id)];
    if (found !== wanted) assertStrictEquals(found, wanted, `the entry of ${id}`);
    if (this.map.size !== this.model.size) assertEquals(this.map.size, this.model.size);
  }

  checkAll(): void {
    for (const id of this.model.keys()) this.check(id);
    const ids = (values: Iterable<Entry>) => [...values].map(({ requestId }) => String(requestId)).sort();
    assertEquals(ids(this.map.values()), ids(this.model.values()));
  }
}

describe("IdMap", () => {
  it("finds what counted ids mean while they come and go, also past 32 bits' sign and around", () => {
    const pair = new Pair();
    let next = 0xffff_f000;
    for (let i = 0; i < 20_000; i++) {
      pair.set(next >>> 0);
      pair.check((next - 8192) >>> 0);
      if (i >= 1000) pair.delete((next - 1000) >>> 0);
      next++;
    }
    pair.checkAll();
    assertEquals(pair.map.size, 1000);
  });

  it("keeps one that stays while the others go round many times", () => {
    const pair = new Pair();
    pair.set(1);
    for (let id = 2; id < 200_000; id++) {
      pair.set(id);
      pair.delete(id);
    }
    pair.check(1);
    pair.delete(1);
    pair.checkAll();
  });

  it("holds more than it has places for", () => {
    const pair = new Pair();
    for (let i = 0; i < 70_000; i++) pair.set(7 * i);
    pair.checkAll();
    for (let i = 0; i < 70_000; i += 2) pair.delete(7 * i);
    pair.checkAll();
  });

  it("does not mistake an id for another of the same place", () => {
    const map = new IdMap<Entry>();
    map.set(entry(5));
    for (const id of [5 + 16, 5 + 2 ** 31, 5.5, -5, "5", NaN]) assertEquals(map.get(id), undefined, String(id));
    map.delete(5 + 16);
    assertEquals(map.size, 1);
  });

  it("is a Map to whoever looks at it, in 30,000 random steps", () => {
    const random = new Random(0x1d);
    const pair = new Pair();
    const ids: (number | string)[] = [
      ...Array.from({ length: 60 }, (_, i) => i),
      ...Array.from({ length: 60 }, () => random.below(2 ** 32)),
      ...Array.from({ length: 20 }, (_, i) => `id-${i}`),
    ];
    for (let step = 0; step < 30_000; step++) {
      const id = random.pick(ids);
      if (random.below(2) === 0) pair.set(id);
      else pair.delete(id);
    }
    pair.checkAll();
  });
});
