/**
 * Runs a whole program, servers and clients, on a network inside the program. Its time is not real, and its faults are
 * drawn from a seed. The same seed gives the same run.
 *
 * @module
 */

import { checkBoolean, type Checks, optional, readOptions, whole, wholeNumber } from "../base/checks.ts";
import { SeededRandom } from "./random.ts";
import { SimulatedClock } from "./simulated_clock.ts";
import type { SimulatedFaults } from "./simulated_network.ts";
import { SimulatedRun, type SimulatedWorld } from "./simulated_world.ts";
import { errorText, Trace } from "./trace.ts";

/** The most lines of the trace that the message of a failure has. */
const SHOWN = 60;

/**
 * Options of a simulation; all optional.
 *
 * @category Testing
 */
export interface SimulateOptions {
  /** Which faults there are; `false` for none. @default all */
  readonly faults?: SimulatedFaults | false;
  /** How long a run may take, in milliseconds of the simulated time. @default 3600000, an hour */
  readonly limit?: number;
}

/**
 * The seeds of many runs.
 *
 * @category Testing
 */
export interface Seeds {
  /** The first seed. @default 1 */
  readonly from?: number;
  /** The number of runs. Each has the next seed. */
  readonly runs: number;
}

/**
 * What happened in a run.
 *
 * @category Testing
 */
export interface Simulation {
  /** Its seed. After many runs, it is the seed of the last one. */
  readonly seed: number;
  /** How long it took in the simulated time, in milliseconds. */
  readonly ms: number;
  /** What happened: connections, faults, and the notes of the program. Each line begins with the time. */
  readonly trace: readonly string[];
}

/**
 * Thrown by {@linkcode simulate} for a run that failed. The message of the error has the seed and the end of the trace.
 *
 * @category Testing
 */
export class SimulationError extends Error {
  /** `"SimulationError"`. */
  override readonly name = "SimulationError";
  /** The seed, with which the run can be repeated. */
  readonly seed: number;
  /** All that happened. */
  readonly trace: readonly string[];

  /**
   * Creates an error.
   *
   * @param seed The seed.
   * @param trace What happened.
   * @param cause What went wrong.
   */
  constructor(seed: number, trace: readonly string[], cause: unknown) {
    const left = trace.length - SHOWN;
    super(
      `${errorText(cause)}\n\n` +
        `Seed ${seed} failed. To repeat this run: simulate(${seed}, program)\n` +
        (left > 0 ? `${" ".repeat(7)}  … ${left} lines before, see the member "trace"\n` : "") +
        trace.slice(-SHOWN).join("\n"),
      { cause },
    );
    this.seed = seed;
    this.trace = trace;
  }
}

const FAULTS: Checks<Required<SimulatedFaults>> = {
  cuts: optional(checkBoolean, true),
  delays: optional(checkBoolean, true),
  splits: optional(checkBoolean, true),
  holds: optional(checkBoolean, true),
  restarts: optional(checkBoolean, true),
  every: optional(whole(1), 2_000),
};

const NONE: Required<SimulatedFaults> = {
  cuts: false,
  delays: false,
  splits: false,
  holds: false,
  restarts: false,
  every: 2_000,
};

const OPTIONS: Checks<{ faults: Required<SimulatedFaults>; limit: number }> = {
  faults: (name, value) =>
    value === false ? NONE : readOptions(name, value as SimulatedFaults ?? {}, FAULTS, `${name}.`),
  limit: optional(whole(1), 3_600_000),
};

/**
 * Runs a program in a world of its own: a network inside the process, time that passes at once, and faults. A thousand
 * runs of some simulated seconds each take seconds of real time. All that the library does is simulated. What the
 * program does is simulated as far as it uses the world: its clock, its random numbers, its servers and clients. Timers
 * of the runtime, `Date`, `Math.random`, other sockets, files, worker threads, encryption and compression are not
 * simulated: with them, the same seed may give another run.
 *
 * @param seed The seed of one run, or the seeds of many.
 * @param program The program. The run is over when it has returned; then its servers and clients are closed.
 * @param options The faults and the limit.
 * @returns What happened in the run, or in the last one.
 * @throws {SimulationError} A run failed: the program threw, an invariant did not hold, or the program did not end.
 * After that no further seed is tried.
 *
 * @example Every message arrives once and in order, whatever happens to the connection
 * ```ts
 * import { json, messageType } from "@veltix/core";
 * import { simulate } from "@veltix/core/testing";
 *
 * const COUNT = messageType(200, "count", json<number>());
 *
 * await simulate({ runs: 20 }, async (world) => {
 *   let last = 0;
 *   const server = await world.serve({ resume: true }, (server) =>
 *     server.route(COUNT, ({ data }) => {
 *       world.check("messages come once and in order", data === last + 1, { last, data });
 *       last = data;
 *     }));
 *   const client = await world.connect(server, { resume: true });
 *   for (let n = 1; n <= 20; n++) {
 *     client.send(COUNT, n);
 *     await world.clock.sleep(world.random.below(500));
 *   }
 *   await world.calm();
 *   await world.clock.sleep(30_000);
 *   world.check("all messages came", last === 20, last);
 * }, { faults: { restarts: false } });
 * ```
 *
 * @category Testing
 */
export async function simulate(
  seed: number | Seeds,
  program: (world: SimulatedWorld) => Promise<void> | void,
  options: SimulateOptions = {},
): Promise<Simulation> {
  const checked = readOptions("options", options, OPTIONS);
  const { from, runs } = typeof seed === "object"
    ? readOptions("seeds", seed, { from: optional(whole(-0x80000000), 1), runs: whole(1) })
    : { from: wholeNumber("seed", seed, -0x80000000, 0xffffffff), runs: 1 };
  let last: Simulation | undefined;
  for (let i = 0; i < runs; i++) last = await runOnce(from + i, program, checked);
  return last!;
}

/** Runs one seed. */
async function runOnce(
  seed: number,
  program: (world: SimulatedWorld) => Promise<void> | void,
  { faults, limit }: { readonly faults: Required<SimulatedFaults>; readonly limit: number },
): Promise<Simulation> {
  // Three kinds of choices, each with numbers of its own: what a program draws does not change the faults.
  const [own, chance, library] = [seed, ~seed, Math.imul(seed, 0x9e3779b1)].map((part) => new SeededRandom(part));
  const time = new SimulatedClock(() => library.next());
  const trace = new Trace(() => time.now());
  const world = new SimulatedRun({ seed, random: own, chance, time, faults, trace });
  let failure: { readonly error: unknown } | undefined;
  try {
    await drive(time, (async () => await program(world))(), limit);
  } catch (error) {
    failure = { error };
  }
  const ms = time.now();
  try {
    await drive(time, world.close(), ms + 600_000);
  } catch (error) {
    failure ??= { error };
  }
  if (world.failure !== undefined) failure = { error: world.failure };
  if (failure !== undefined) throw new SimulationError(seed, trace.lines, failure.error);
  return { seed, ms, trace: trace.lines };
}

/** Lets time pass until something has happened. Rejects with its error. */
async function drive(time: SimulatedClock, happens: Promise<void>, limit: number): Promise<void> {
  let over = false;
  const end = (): void => void (over = true);
  happens.then(end, end);
  for (;;) {
    await time.settle();
    if (over) return await happens;
    const due = time.nextDue;
    if (due === undefined) {
      throw new Error(
        "The program waits for something that never happens, or that is not simulated: " +
          "no timer of the simulation is set, and nothing is under way",
      );
    }
    if (due > limit) throw new Error(`The program has not ended after ${limit} ms of simulated time`);
    await time.advance(due - time.now());
  }
}
