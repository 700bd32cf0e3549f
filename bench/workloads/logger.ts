/**
 * What a call of the logger costs, in one thread: on a level that is off, with two values beside the message, and a whole line,
 * with and without its caller, to a stream that does nothing. The floor asks a bare object whether its level is off.
 *
 * @module
 */

import type { Context, Figures, Workload } from "../workload.ts";

const CALLS = 10_000;
const MAX_ROUNDS = 1_000_000;

type Log = (message: string, ...data: unknown[]) => void;

/** See the module. */
export const logger: Workload = async (context): Promise<Figures> => {
  if (context.config.subject !== "veltix") {
    const bare = new Bare();
    return { "log disabled": 1000 * measure(context, (message, ...data) => bare.debug(message, ...data)) };
  }
  const { Logger } = await import("../../src/logger/mod.ts");
  const stream = { write(): void {} };
  const log = new Logger({ stream });
  const short = new Logger({ stream, showCaller: false });
  const disabled = measure(context, (message, ...data) => log.debug(message, ...data));
  const line = measure(context, (message, ...data) => log.info(message, ...data));
  const withoutCaller = measure(context, (message, ...data) => short.info(message, ...data));
  const { debug, info } = log.stats();
  if (debug !== 0 || info === 0) throw new Error(`Logged ${debug} lines below the level and ${info} at it`);
  return { "log disabled": 1000 * disabled, "log line": line, "log line, no caller": withoutCaller };
};

/** The least that a level can cost. */
class Bare {
  #least = 20;
  lines = 0;

  debug(_message: string, ..._data: unknown[]): void {
    if (this.#least <= 10) this.lines++;
  }
}

/** Microseconds a call. */
function measure(context: Context, log: Log): number {
  repeat(log, context.pace.warmUp);
  return repeat(log, context.pace.measure);
}

function repeat(log: Log, atLeast: number): number {
  const start = performance.now();
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    for (let i = 0; i < CALLS; i++) log("Received a message", i, log);
    const time = performance.now() - start;
    if (time >= atLeast) return 1000 * time / (round * CALLS);
  }
  throw new Error("Cannot measure: the clock stands still");
}
