/** How connections that are busy at once share the time between two looks at the sockets. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, messageType, Server, type TcpEndpoint, text } from "../mod.ts";
import { BATCH_FRAMES, BatchBudget, type Share } from "../src/link/batch_budget.ts";
import { StrangerTurns } from "../src/link/stranger_turns.ts";
import type { Clock } from "../src/base/clock.ts";
import type { EventLoop, Transport } from "../src/transport.ts";
import { HOST, Lines, memoryWorld, until } from "./session_support.ts";

const NOTE = messageType(200, "note", text);

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
    } as unknown as EventLoop);
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
    this.budget.used(share, from);
    return count;
  }

  /** So many connections have much to do from now on, and wait in line for it. */
  flood(connections: number): void {
    for (const share of Array.from({ length: connections }, fresh)) {
      const go = (): void => {
        this.batch(share, 5_000);
        this.budget.wait({ proceed: go }, share);
      };
      go();
    }
  }

  /** Hands out one frame that takes so long; whether it did. */
  single(share: Share, ms: number): boolean {
    if (this.budget.exhausted(share)) return false;
    const from = this.time;
    this.budget.start(false, from, share);
    this.time += ms;
    this.budget.spend();
    this.budget.used(share, from);
    return true;
  }
}

const fresh = (): Share => ({ round: -1, used: 0, usedBefore: Infinity, inflates: false });

describe("the budget of connections that are busy at once", () => {
  for (const connections of [1, 3, 10, 100, 1_000]) {
    it(`lets the sockets be looked at within some 12 ms, and serves all alike: ${connections} with much to do`, () => {
      const loop = new Loop();
      const served: number[] = Array(connections).fill(0);
      const shares = served.map(fresh);
      let longest = 0;
      const go = (i: number): void => {
        const count = loop.batch(shares[i], 5_000);
        served[i] += count;
        assert(count <= BATCH_FRAMES);
        loop.budget.wait({ proceed: () => go(i) }, shares[i]);
      };
      // The first round is that of those who were quiet before: each is let begin.
      for (let i = 0; i < connections; i++) go(i);
      for (let round = 0; round < 20 * connections; round++) {
        const began = loop.time;
        if (round > connections) assertEquals(loop.crowded, connections > 8);
        loop.look();
        if (round >= connections) longest = Math.max(longest, loop.time - began);
      }
      assert(longest <= 15, `${longest} ms`);
      const [least, most] = [Math.min(...served), Math.max(...served)];
      assert(least > 0 && most < 2 * least + BATCH_FRAMES, `${least} to ${most} frames`);
    });
  }

  it("makes those wait who are done with each chunk and have the next one at once", () => {
    const loop = new Loop();
    const shares = Array.from({ length: 100 }, fresh);
    const waiting = new Set<number>();
    const served: number[] = Array(100).fill(0);
    const go = (i: number, frames: number): void => {
      const count = loop.batch(shares[i], frames);
      served[i] += count;
      if (count === frames) return;
      waiting.add(i);
      const proceed = (): void => {
        waiting.delete(i);
        go(i, frames - count);
      };
      loop.budget.wait({ proceed }, shares[i]);
    };
    let longest = 0;
    for (let round = 0; round < 200; round++) {
      const began = loop.time;
      for (let i = 0; i < 100; i++) if (!waiting.has(i)) go(i, 40);
      loop.look();
      if (round > 10) longest = Math.max(longest, loop.time - began);
    }
    assert(longest <= 25, `${longest} ms`);
    assert(Math.min(...served) > 0.3 * Math.max(...served), served.join());
  });

  it("lets the sockets be looked at after 8 MiB were inflated, and all go on in turn", () => {
    const loop = new Loop();
    const shares = Array.from({ length: 30 }, fresh);
    const served: number[] = Array(30).fill(0);
    const waiting = new Set<number>();
    let inflated = 0;
    const SLOW = 29;
    /** A chunk with one payload that inflates to 4 MiB, in a tenth of a millisecond. One of them takes 10 ms. */
    const chunk = (i: number): void => {
      const share = shares[i];
      if (loop.budget.exhausted(share)) return wait(i, true);
      const from = loop.time;
      loop.budget.start(false, from, share);
      loop.budget.inflated(4 * 2 ** 20);
      inflated++;
      served[i]++;
      loop.time += i === SLOW ? 10 : 0.1;
      loop.budget.spend();
      loop.budget.used(share, from);
      share.inflates = loop.budget.inflates;
      assertEquals(share.inflates, true);
      wait(i, false);
    };
    // In its turn a connection hands out the chunk that it has, or asks for the next, which mostly comes only later.
    const wait = (i: number, has: boolean): void => {
      waiting.add(i);
      const proceed = (): void => {
        waiting.delete(i);
        if (has || (served[i] + i) % 8 === 0) chunk(i);
      };
      loop.budget.wait({ proceed }, shares[i]);
    };
    const guest = fresh();
    let most = 0;
    for (let round = 0; round < 300; round++) {
      inflated = 0;
      for (let i = 0; i < 30; i++) if (!waiting.has(i)) chunk(i);
      assertEquals(loop.single(guest, 0.05), true, "who inflates nothing is served at once");
      loop.look();
      if (round > 1) most = Math.max(most, inflated);
    }
    assert(most <= 6, `${most} payloads in a round`);
    const [slow] = served.splice(SLOW, 1);
    assert(Math.min(...served) > 0.5 * Math.max(...served), served.join());
    assert(slow >= Math.min(...served), `${slow} of the slow one`);
  });

  it("lets one go on in each round whose turn comes after others have inflated all that may be", () => {
    const loop = new Loop();
    const served = [0, 0];
    const go = (i: number, usedBefore: number): void => {
      const share = { ...fresh(), inflates: true, usedBefore };
      const proceed = (): void => {
        if (!loop.budget.exhausted(share)) {
          const from = loop.time;
          loop.budget.start(false, from, share);
          loop.budget.inflated(8 * 2 ** 20);
          loop.budget.used(share, from);
          served[i]++;
        }
        Object.assign(share, { usedBefore, used: 1 });
        loop.budget.wait({ proceed }, share);
      };
      proceed();
    };
    go(0, 0.1);
    go(1, 5);
    for (let round = 0; round < 100; round++) loop.look();
    assert(served.every((times) => times >= 99), served.join());
  });

  it("counts the work that frames cause once their batch has ended, as if it had been done in it", () => {
    const loop = new Loop();
    const share = fresh();
    let frames = 0;
    const from = loop.time;
    loop.budget.start(true, from, share);
    do {
      frames++;
      loop.budget.postpone(0.25);
    } while (!loop.budget.spend());
    assertEquals(frames, 9, "more than 2 ms");
    assertEquals(loop.budget.later, 2.25);
    loop.budget.used(share, from);
    assertEquals(share.used, 2.25, "the clock has not moved");
    // What another batch of the same turn postpones comes to what has passed.
    assertEquals(loop.budget.resume(frames, from - 2.25, share), false);
    assert(loop.budget.resume(frames, from - 1, share));
    for (frames = 1, loop.budget.postpone(0.25); !loop.budget.spend(); frames++) loop.budget.postpone(0.25);
    assertEquals(frames, 5);
  });

  it("serves at once who comes in between, however busy the others are", () => {
    const loop = new Loop();
    loop.flood(50);
    const guest = fresh();
    for (let round = 0; round < 20; round++) {
      loop.look();
      assertEquals(loop.batch(guest, 1), 1);
    }
    // Several at once are begun with, too; what is left waits in line.
    const other = fresh();
    const count = loop.batch(other, 1_000);
    assert(count > 0 && count < 200, `${count}`);
    let rest = 0;
    loop.budget.wait({ proceed: () => void (rest = loop.batch(other, 900)) }, other);
    for (let round = 0; round < 20 && rest === 0; round++) loop.look();
    assert(rest >= 2 / FRAME_MS, `${rest}`);
    // It is known to be busy from then on.
    assertEquals(loop.batch(other, 1_000), 0);
  });

  it("knows who takes little by two rounds: one that took long, as another process ran in it, makes nobody wait", () => {
    const loop = new Loop();
    loop.flood(50);
    const guest = fresh();
    for (let round = 0; round < 3; round++) {
      loop.look();
      assert(loop.single(guest, 0.1));
    }
    loop.look();
    assert(loop.single(guest, 5));
    loop.look();
    // Half a millisecond of frames that came together is not cut, either.
    assertEquals(loop.batch(guest, 20), 20);
    // More of them go on first of all who wait.
    loop.look();
    const count = loop.batch(guest, 60);
    assert(count > 20 && count < 60, `${count}`);
    let rest = 0;
    loop.budget.wait({ proceed: () => void (rest = loop.batch(guest, 60 - count)) }, guest);
    loop.look();
    assertEquals(rest, 60 - count);
  });

  it("lets those go first who send many short frames, and one at least of those who send long ones", () => {
    const loop = new Loop();
    const order: string[] = [];
    const [busy, heavy] = ["busy", "heavy"].map((name) =>
      Array.from({ length: 10 }, (_, i) => ({ ...fresh(), name, i }))
    );
    const go = (share: Share & { readonly name: string; readonly i: number }): void => {
      if (share.name === "busy") loop.batch(share, 5_000);
      else loop.single(share, 30);
      order.push(share.name);
      loop.budget.wait({ proceed: () => go(share) }, share);
    };
    for (const share of [...busy, ...heavy]) go(share);
    order.length = 0;
    for (let round = 0; round < 60; round++) loop.look();
    const counts = ["busy", "heavy"].map((name) => order.filter((other) => other === name).length);
    assertEquals(counts[1], 60);
    assert(counts[0] >= 60 * 4, `${counts[0]}`);
  });

  it("makes nobody wait who is busy alone, nor where there is time", () => {
    const loop = new Loop();
    const alone = fresh();
    for (let i = 0; i < 1_000; i++) assertEquals(loop.batch(alone, 90), 90);
    assertEquals(loop.crowded, undefined);
    loop.time += 200;
    const shares = Array.from({ length: 20 }, fresh);
    for (let i = 0; i < 1_000; i++) {
      loop.time += 2;
      assertEquals(loop.batch(shares[i % 20], 10), 10);
    }
    assertEquals(loop.crowded, undefined);
  });

  for (const ms of [2, 10, 20]) {
    it(`makes those wait whose single frames take ${ms} ms, and nobody whose frames are known to be light`, () => {
      const loop = new Loop();
      const known = fresh();
      loop.single(known, 0.1);
      const shares = Array.from({ length: 48 }, fresh);
      let done = 0;
      const go = (i: number): void => {
        if (loop.single(shares[i], ms)) done++;
        else loop.budget.wait({ proceed: () => go(i) }, shares[i]);
      };
      let began = loop.time;
      for (let i = 0; i < 48; i++) go(i);
      let longest = loop.time - began;
      for (let round = 0; round < 100 && done < 48; round++) {
        assert(loop.single(known, 0.1));
        began = loop.time;
        loop.look();
        longest = Math.max(longest, loop.time - began);
      }
      assertEquals(done, 48);
      assert(longest < 2 * 12 + ms, `${longest} ms`);
      // Who is new is served at once where frames are light, however many are busy.
      loop.flood(50);
      for (let round = 0; round < 20; round++) {
        loop.look();
        assert(loop.single(fresh(), 0.1));
      }
    });
  }

  for (const ms of [0.05, 0.3, 3]) {
    it(`lets strangers in a few at a time, 300 that come at once and take ${ms} ms each`, async () => {
      const loop = new Loop();
      const turns = new StrangerTurns(loop.budget, { clock: { now: () => loop.time } as Clock, yield: () => {} });
      const known = fresh();
      loop.single(known, 0.1);
      const done: number[] = [];
      const enter = async (i: number): Promise<void> => {
        const turn = turns.next();
        if (turn !== undefined) await turn;
        const from = turns.begin();
        loop.time += ms;
        done.push(i);
        turns.end(from);
      };
      const all = Array.from({ length: 300 }, (_, i) => enter(i));
      assert(loop.time <= 12 + 2 * ms, `${loop.time} ms at first`);
      let longest = 0;
      for (let round = 0; round < 300 && done.length < 300; round++) {
        assert(loop.single(known, 0.1));
        const began = loop.time;
        loop.look();
        // They go on in microtasks.
        for (let i = 0; i < 10; i++) await Promise.resolve();
        longest = Math.max(longest, loop.time - began);
      }
      await Promise.all(all);
      // What a step costs is learned on the way.
      assert(longest <= 12 + 8 * ms, `${longest} ms`);
      assertEquals(done, Array.from({ length: 300 }, (_, i) => i));
    });
  }

  it("is over when no end of a round is waited for, and nobody waits for one", async () => {
    const loop = new Loop();
    await loop.budget.over();
    let turns = 0;
    const waiter = {
      proceed(): void {
        if (++turns < 3) loop.budget.wait(waiter);
      },
    };
    loop.budget.wait(waiter);
    let over = false;
    const told = loop.budget.over().then(() => over = true);
    for (let i = 0; i < 3; i++) {
      await Promise.resolve();
      assertEquals([turns, over], [i, false]);
      loop.look();
    }
    await told;
    assertEquals(turns, 3);
  });
});

it("a Server and a Client that are closed wait for no turn any more", async () => {
  for (const side of ["server", "client"] as const) {
    const world = memoryWorld();
    let pending = 0;
    let longest = 0;
    let time = 0;
    const { clock, defer, yield: others } = world.transport.eventLoop!;
    const eventLoop: EventLoop = {
      defer,
      // Each look at the clock finds that more time went by, so that rounds are over soon.
      clock: {
        now: () => time += 3,
        setTimeout: (fn, ms) => clock.setTimeout(fn, ms),
        clearTimeout: (timer) => clock.clearTimeout(timer),
        unref: (timer) => clock.unref(timer),
      },
      yield: (fn) => {
        longest = Math.max(longest, ++pending);
        let left = 100;
        const step = (): void => left-- > 0 ? others(step) : (pending--, fn());
        step();
      },
    };
    const watched: Transport = { ...world.transport, eventLoop };
    const server = new Server({
      hostname: HOST,
      port: 0,
      transport: side === "server" ? watched : world.transport,
      logger: new Lines(),
    });
    server.route(NOTE, ({ data }, client) => void client.send(NOTE, data));
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    const config = { ...address, transport: side === "client" ? watched : world.transport, logger: new Lines() };
    const clients = [new Client(config), new Client(config)];
    let got = 0;
    for (const client of clients) client.route(NOTE, () => void got++);
    for (const client of clients) await client.connect();
    for (const client of clients) for (let i = 0; i < 50; i++) client.send(NOTE, "x");
    await until(() => got > 0 && pending > 0);
    for (const client of clients) await client.close({ drain: 0 });
    await server.close({ drain: 0 });
    assertEquals([pending, longest > 0], [0, true], side);
  }
});
