/** How connections that are busy at once share the time between two looks at the sockets. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { BATCH_FRAMES, BatchBudget, type Share } from "../src/tools/batch_budget.ts";
import type { Transport } from "../src/transport.ts";

/** A frame takes so many milliseconds here. */
const FRAME_MS = 0.02;

/** An event loop by hand: time goes on with each frame, and `look` lets the others have their turn. */
class Loop {
  time = 0;
  /** Whether the end of a round is waited for, and whether as one of a crowd. */
  crowded: boolean | undefined = undefined;
  readonly budget: BatchBudget;
  #next: (() => void) | undefined = undefined;

  constructor() {
    this.budget = new BatchBudget({
      clock: { now: () => this.time },
      yield: (fn: () => void, crowded = false) => {
        assertEquals(this.#next, undefined, "one at a time");
        this.#next = fn;
        this.crowded = crowded;
      },
    } as unknown as Transport);
  }

  look(): void {
    const next = this.#next;
    this.#next = this.crowded = undefined;
    next?.();
  }

  /** Hands out up to `frames` frames of a connection; how many it did. */
  batch(share: Share, frames: number): number {
    if (this.budget.exhausted(share)) return 0;
    const from = this.time;
    this.budget.start(frames > 1, from, share);
    let count = 0;
    do {
      count++;
      this.time += FRAME_MS;
    } while (!this.budget.spend() && count < frames);
    if (frames > 1) this.budget.used(share, from);
    return count;
  }
}

const fresh = (): Share => ({ round: -1, used: 0 });

describe("the budget of connections that are busy at once", () => {
  for (const connections of [1, 3, 10, 100, 1_000]) {
    it(`lets the sockets be looked at within some 10 ms, and serves all alike: ${connections} with much to do`, () => {
      const loop = new Loop();
      const served: number[] = Array(connections).fill(0);
      const shares = served.map(fresh);
      let longest = 0;
      const go = (i: number): void => {
        const count = loop.batch(shares[i], 5_000);
        served[i] += count;
        assert(count <= BATCH_FRAMES);
        loop.budget.wait(() => go(i), shares[i]);
      };
      // The first round is that of those who were quiet before: each is let begin.
      for (let i = 0; i < connections; i++) go(i);
      for (let round = 0; round < 20 * connections; round++) {
        const began = loop.time;
        if (round > connections) assertEquals(loop.crowded, connections > 8);
        loop.look();
        if (round >= connections) longest = Math.max(longest, loop.time - began);
      }
      assert(longest <= 12, `${longest} ms`);
      const [least, most] = [Math.min(...served), Math.max(...served)];
      assert(least > 0 && most < 2 * least + BATCH_FRAMES, `${least} to ${most} frames`);
    });
  }

  it("makes those wait who are done with each chunk and have the next one at once", () => {
    const loop = new Loop();
    const shares = Array.from({ length: 100 }, fresh);
    const waiting = new Set<number>();
    const served: number[] = Array(100).fill(0);
    const go = (i: number): void => {
      const count = loop.batch(shares[i], 40);
      served[i] += count;
      if (count > 0) return;
      waiting.add(i);
      loop.budget.wait(() => {
        waiting.delete(i);
        go(i);
      }, shares[i]);
    };
    let longest = 0;
    for (let round = 0; round < 200; round++) {
      const began = loop.time;
      for (let i = 0; i < 100; i++) if (!waiting.has(i)) go(i);
      loop.look();
      if (round > 10) longest = Math.max(longest, loop.time - began);
    }
    assert(longest <= 25, `${longest} ms`);
    assert(Math.min(...served) > 0.3 * Math.max(...served), served.join());
  });

  it("serves at once who comes in between, however busy the others are", () => {
    const loop = new Loop();
    const shares = Array.from({ length: 50 }, fresh);
    const go = (i: number): void => {
      loop.batch(shares[i], 5_000);
      loop.budget.wait(() => go(i), shares[i]);
    };
    for (let i = 0; i < 50; i++) go(i);
    const guest = fresh();
    for (let round = 0; round < 20; round++) {
      loop.look();
      assertEquals(loop.batch(guest, 1), 1);
    }
    // Several at once are begun with, too; what is left waits in line.
    const other = fresh();
    const count = loop.batch(other, 1_000);
    assert(count > 0 && count < 200, `${count}`);
    assertEquals(loop.batch(other, 1_000), 0);
  });

  it("makes nobody wait who is busy alone, nor where there is time", () => {
    const loop = new Loop();
    const alone = fresh();
    for (let i = 0; i < 1_000; i++) assertEquals(loop.batch(alone, 90), 90);
    assertEquals(loop.crowded, undefined);
    const shares = Array.from({ length: 20 }, fresh);
    for (let i = 0; i < 1_000; i++) {
      loop.time += 2;
      assertEquals(loop.batch(shares[i % 20], 10), 10);
    }
    assertEquals(loop.crowded, undefined);
  });
});
