/** `simulate()`: the same seed gives the same run on every runtime, and a run that fails says how to repeat it. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { json, messageType } from "../mod.ts";
import { FakeClock, simulate, type SimulatedWorld, SimulationError } from "../src/testing/mod.ts";

const COUNT = messageType(200, "count", json<number>());
const ASK = messageType(201, "ask", json<number>(), json<number>());

/** A client counts, and a server that crashes listens. */
async function counting(world: SimulatedWorld): Promise<void> {
  const server = await world.serve({ resume: true }, (server) => {
    server.route(COUNT, ({ data }) => world.note(`came: ${data}`));
    server.route(ASK, ({ data }) => data);
  });
  const client = await world.connect(server, { resume: true, queueWhileDown: true });
  for (let n = 1; n <= 6; n++) {
    client.send(COUNT, n);
    client.request(ASK, n).then(() => world.note(`answered: ${n}`), ({ code }) => world.note(`request ${n}: ${code}`));
    await world.clock.sleep(world.random.below(2_000));
  }
  await world.calm();
  await world.clock.sleep(20_000);
}

/**
 * The trace of one seed. It changes with the library, and is written anew with `VELTIX_UPDATE=1` on Deno; the runtimes must
 * not differ.
 */
const TRACE = new URL("./simulated_trace.txt", import.meta.url);
const SEED = 16;

async function failing(program: (world: SimulatedWorld) => Promise<void> | void, seed = 1): Promise<SimulationError> {
  return await assertRejects(() => simulate(seed, program, { faults: false }), SimulationError);
}

describe("simulate()", () => {
  it("has the same trace for the same seed, twice and on every runtime", async () => {
    const first = await simulate(SEED, counting);
    assertEquals(await simulate(SEED, counting), first);
    const text = `${first.trace.join("\n")}\n`;
    if (process.env.VELTIX_UPDATE === "1" && "Deno" in globalThis) writeFileSync(TRACE, text);
    assertEquals(text, readFileSync(TRACE, "utf8"));
    for (const what of ["crashes", "suspended", "resumed", "answered"]) assertStringIncludes(text, what);
  });

  it("has other traces for other seeds, and faults of every kind", async () => {
    const all = new Set<string>();
    let text = "";
    for (let seed = 1; seed <= 60; seed++) {
      const { trace } = await simulate(seed, counting);
      all.add(trace.join("\n"));
      text += trace.join("\n");
    }
    assert(all.size > 55, `${all.size} different traces`);
    for (
      const fault of [
        "is reset",
        "is closed by the network",
        "loses what both sides send",
        "will be cut (reset)",
        "will be cut (close)",
        "will be cut (drop)",
        "delivers nothing for",
        "the network is cut in two",
        "the network is whole again",
        "server 1 crashes",
        "server 1 runs again",
        "resumed",
        "suspended",
      ]
    ) assertStringIncludes(text, fault);
  });

  it("has no faults with faults: false, and only those that are left on", async () => {
    const { trace } = await simulate(3, counting, { faults: false });
    assertEquals(trace.filter((line) => /cut|reset|crash|deliver|whole|suspend/.test(line)), []);
    const { trace: some } = await simulate(
      { from: 1, runs: 1 },
      counting,
      { faults: { cuts: false, holds: false, delays: false, splits: false, every: 300 } },
    );
    assert(some.some((line) => line.includes("crashes")), some.join("\n"));
    assertEquals(some.filter((line) => /cut|is reset|delivers|loses/.test(line)), []);
  });

  it("takes no real time for an hour of the program", async () => {
    const { ms } = await simulate(1, (world) => world.clock.sleep(3_599_000), { faults: false });
    assertEquals(ms, 3_599_000);
  });

  it("names the seed and the trace of a run that fails, and tries no further seed", async () => {
    const seeds: number[] = [];
    const error = await assertRejects(
      () =>
        simulate({ from: 10, runs: 100 }, async (world) => {
          seeds.push(world.seed);
          await world.clock.sleep(250);
          world.note("so far, so good");
          if (world.seed === 13) throw new RangeError("thirteen");
        }, { faults: false }),
      SimulationError,
      "RangeError: thirteen\n\nSeed 13 failed. To repeat this run: simulate(13, program)\n    250  so far, so good",
    );
    assertEquals([error.seed, (error.cause as Error).message], [13, "thirteen"]);
    assertEquals(seeds, [10, 11, 12, 13]);
  });

  it("fails for an invariant that does not hold, even if the program catches the error", async () => {
    const error = await failing((world) => {
      try {
        world.check("water is dry", false, { water: "wet" });
      } catch {
        // The library catches what a handler throws, too.
      }
    });
    assertStringIncludes(error.message, 'AssertionError: Does not hold: water is dry: {water: "wet"}');
  });

  it("fails for an invariant in a handler", async () => {
    const error = await failing(async (world) => {
      const server = await world.serve({}, (server) => {
        server.route(COUNT, ({ data }) => world.check("no number is odd", data % 2 === 0, data));
      });
      const client = await world.connect(server);
      client.send(COUNT, 3);
      await world.clock.sleep(10);
    });
    assertStringIncludes(error.message, "Does not hold: no number is odd: 3");
  });

  it("fails for a program that waits for ever, or longer than the limit", async () => {
    assertStringIncludes(
      (await failing(() => new Promise(() => {}))).message,
      "waits for something that never happens",
    );
    const late = await assertRejects(() =>
      simulate(1, (world) => world.clock.sleep(101), { limit: 100, faults: false })
    );
    assertStringIncludes((late as Error).message, "has not ended after 100 ms of simulated time");
  });

  it("closes what the program left open, and says so to nobody", async () => {
    let state: () => string;
    await simulate(1, async (world) => {
      const client = await world.connect(await world.serve());
      state = () => client.state;
    });
    assertEquals(state!(), "disconnected");
  });

  it("keeps state outside of setup through a crash, and makes another server", async () => {
    await simulate(1, async (world) => {
      let outside = 0;
      const insides: number[] = [];
      const server = await world.serve({}, (server) => {
        let inside = 0;
        server.route(COUNT, () => void insides.push(++inside, ++outside));
      });
      const before = server.server;
      const client = await world.connect(server);
      client.send(COUNT, 0);
      await world.clock.sleep(10);
      const back = server.crash(500);
      assertEquals(server.running, false);
      await back;
      assertEquals(world.clock.now() >= 510, true);
      assert(server.server !== before);
      await world.clock.sleep(5_000);
      assertEquals(client.state, "connected");
      client.send(COUNT, 0);
      await world.clock.sleep(10);
      assertEquals(insides, [1, 1, 1, 2]);
    }, { faults: false });
  });

  it("cuts the network in two and heals it when the program says so", async () => {
    await simulate(1, async (world) => {
      const came: number[] = [];
      const server = await world.serve({}, (server) => server.route(COUNT, ({ data }) => void came.push(data)));
      const client = await world.connect(server);
      world.partition();
      client.send(COUNT, 1);
      await world.clock.sleep(1_000);
      assertEquals(came, []);
      world.heal();
      await world.clock.sleep(10);
      assertEquals(came, [1]);
    }, { faults: false });
  });

  it("calls and cancels what the program sets on its clock, in order", async () => {
    const called: number[] = [];
    await simulate(1, async ({ clock }) => {
      clock.setTimeout(() => called.push(clock.now()), 20);
      const cancel = clock.setTimeout(() => called.push(-1), 10);
      clock.setTimeout(() => called.push(clock.now()), 5);
      cancel();
      await clock.sleep(30);
    }, { faults: false });
    assertEquals(called, [5, 20]);
  });

  it("has options that are checked", async () => {
    for (
      const [options, message] of [
        [{ fault: false }, 'Unknown option "fault"'],
        [{ faults: { cut: true } }, 'Unknown option "cut"'],
        [{ faults: { every: 0 } }, "faults.every must be a whole number from 1"],
        [{ limit: 0 }, "limit must be a whole number from 1"],
      ] as const
    ) await assertRejects(() => simulate(1, () => {}, options as never), Error, message);
    await assertRejects(() => simulate({ runs: 0 }, () => {}), RangeError, "runs must be a whole number from 1");
    await assertRejects(() => simulate(1.5, () => {}), RangeError, "seed must be a whole number");
  });

  it("is not upset by a clock that another test moves meanwhile", async () => {
    const clock = new FakeClock();
    const other = clock.advance(1_000);
    const { trace } = await simulate(7, counting);
    await other;
    assertEquals(trace, (await simulate(7, counting)).trace);
  });
});
