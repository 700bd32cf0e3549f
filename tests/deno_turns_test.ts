import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type BusyReader, ReadTurns } from "../src/adapters/deno_turns.ts";

/** After the reads of so many connections the others have their turn. */
const CROWD = 32;

/** A connection that reads as often as it may. */
class Busy implements BusyReader {
  period = -1;
  reads = 0;
  waits = false;
  readonly #turns: ReadTurns;

  constructor(turns: ReadTurns) {
    this.#turns = turns;
  }

  read(): void {
    if (this.waits) return;
    if (this.#turns.may(this)) this.reads++;
    else this.waits = true;
  }

  proceed(): void {
    this.waits = false;
    this.reads++;
  }
}

/** So many busy connections, and what is called when the sockets have been looked at. */
function crowd(connections: number): { readonly busy: readonly Busy[]; readonly rests: (() => void)[] } {
  const rests: (() => void)[] = [];
  const turns = new ReadTurns((done) => void rests.push(done));
  return { busy: Array.from({ length: connections }, () => new Busy(turns)), rests };
}

describe("turns of reading on Deno", () => {
  for (const connections of [1, CROWD]) {
    it(`never hold up ${connections} busy connection${connections > 1 ? "s" : ""}`, () => {
      const { busy, rests } = crowd(connections);
      for (let i = 0; i < 100; i++) busy.forEach((one) => one.read());
      assertEquals(busy.map(({ reads }) => reads), Array(connections).fill(100));
      assertEquals(rests.length, 0);
    });
  }

  it("have a crowd wait until the sockets have been looked at", () => {
    const { busy, rests } = crowd(CROWD + 1);
    busy.forEach((one) => one.read());
    assertEquals([busy[CROWD].waits, rests.length], [true, 1]);
    // Meanwhile nobody reads, and there is one look for all.
    busy.forEach((one) => one.read());
    assertEquals(busy.map(({ waits }) => waits), Array(CROWD + 1).fill(true));
    assertEquals(busy.map(({ reads }) => reads), [...Array(CROWD).fill(1), 0]);
    assertEquals(rests.length, 1);
    // The one that has waited longest goes first, so the last one waits once more.
    rests.pop()!();
    assertEquals(busy.map(({ reads }) => reads), [...Array(CROWD - 1).fill(2), 1, 1]);
    assertEquals(rests.length, 1);
  });

  it("give nothing to those who have left", () => {
    const { busy, rests } = crowd(2 * CROWD);
    busy.forEach((one) => one.read());
    const left = busy.slice(CROWD, -1);
    left.forEach((one) => one.waits = false);
    rests.pop()!();
    assertEquals(left.map(({ reads }) => reads), left.map(() => 0));
    // So the others have their places.
    assertEquals(busy[2 * CROWD - 1].reads, 1);
    busy.slice(1, CROWD).forEach((one) => one.read());
    assertEquals(rests.length, 0);
  });

  it("leave out nobody of a crowd", () => {
    const { busy, rests } = crowd(200);
    for (let i = 0; i < 1_000; i++) {
      busy.forEach((one) => one.read());
      rests.pop()?.();
    }
    const least = Math.min(...busy.map(({ reads }) => reads));
    assert(least >= 1_000 * CROWD / 200 - CROWD, `one of them read ${least} times`);
  });
});
