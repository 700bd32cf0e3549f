import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { takingTurns } from "../src/base/event_loop.ts";

describe("the yield of sockets on Deno", () => {
  for (const connections of [1, 2, 5]) {
    it(`lets the others have their turn every 20 ms, with ${connections} busy connections`, () => {
      const immediates: (() => void)[] = [];
      const rests: (() => void)[] = [];
      let time = 0;
      const yields = takingTurns({
        now: () => time,
        setImmediate: (fn) => void immediates.push(fn),
        rest: (fn) => void rests.push(fn),
      });
      const turns: number[] = Array(connections).fill(0);
      const go = (i: number): void => {
        turns[i]++;
        yields(() => go(i));
      };
      for (let i = 0; i < connections; i++) go(i);
      for (let round = 0; round < 3; round++) {
        let ran = 0;
        for (let fn = immediates.shift(); fn !== undefined && ran < 1_000; fn = immediates.shift()) {
          time++;
          ran++;
          fn();
        }
        // Whoever comes during the rest waits for its end, too.
        assertEquals([rests.length, ran], [1, 20 + connections - 1]);
        const before = [...turns];
        rests.pop()!();
        assertEquals(turns, before.map((count) => count + 1));
      }
    });
  }

  it("lets them have it each time where many are busy", () => {
    const done: string[] = [];
    const yields = takingTurns({
      now: () => 0,
      setImmediate: () => done.push("immediate"),
      rest: (fn) => void (done.push("rest"), fn()),
    });
    for (const crowded of [false, true, true, false]) yields(() => {}, crowded);
    assertEquals(done, ["immediate", "rest", "rest", "immediate"]);
  });

  it("is an immediate for those that come now and then", () => {
    let time = 0;
    let immediates = 0;
    const yields = takingTurns({ now: () => time, rest: () => immediates = NaN, setImmediate: () => immediates++ });
    for (; time < 1_000; time += 6) yields(() => {});
    assertEquals(immediates, 167);
  });
});
