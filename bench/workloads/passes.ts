/**
 * The loop that most workloads share: passes of a fixed number of messages, first to warm up, then measured, each waited for
 * to its end.
 *
 * @module
 */

import { cpuMicros } from "../../src/cli/bench/usage.ts";
import type { Context } from "../workload.ts";

/** More passes than any measurement needs: the loops are bounded whatever the clock does. */
const MAX_PASSES = 100_000;

/** A pass takes well under a second; one that takes this many milliseconds waits for something that was lost. */
const PASS_LIMIT = 20_000;

/** What the measured passes came to. */
export interface PassResult {
  /** Messages a second. */
  readonly rate: number;
  /** CPU time a message, both processes together, in microseconds. */
  readonly cpu: number;
  /** Passes, the warm-up's included. */
  readonly passes: number;
  /** The warm-up's passes, which came first. */
  readonly warmUpPasses: number;
}

/** Runs `pass`, which moves so many `messages`, again and again; `most` says how often at most, where that is limited. */
export async function measurePasses(
  context: Context,
  messages: number,
  pass: () => Promise<void>,
  most?: { readonly warmUp: number; readonly measure: number },
): Promise<PassResult> {
  const limited = () => withLimit(context, pass());
  const warmUp = await repeat(limited, context.pace.warmUp, most?.warmUp);
  const measured = await timed(context, messages, () => repeat(limited, context.pace.measure, most?.measure));
  return { ...measured, passes: warmUp.passes + measured.passes, warmUpPasses: warmUp.passes };
}

/** Runs `pass` just so many times, all of them measured. */
export async function runPasses(
  context: Context,
  messages: number,
  pass: () => Promise<void>,
  passes: number,
): Promise<PassResult> {
  const measured = await timed(context, messages, async () => {
    const start = performance.now();
    for (let i = 0; i < passes; i++) await withLimit(context, pass());
    return { passes, time: performance.now() - start };
  });
  return { ...measured, warmUpPasses: 0 };
}

/** What passes came to, and the CPU time that they took. */
async function timed(
  context: Context,
  messages: number,
  run: () => Promise<{ passes: number; time: number }>,
): Promise<Pick<PassResult, "rate" | "cpu" | "passes">> {
  const serverBefore = (await context.server({ type: "report" })).cpu;
  const clientBefore = cpuMicros();
  const { passes, time } = await run();
  const client = cpuMicros() - clientBefore;
  const server = (await context.server({ type: "report" })).cpu - serverBefore;
  const total = passes * messages;
  return { rate: total / (time / 1000), cpu: (client + server) / total, passes };
}

/** Runs passes until `atLeast` milliseconds are over, or `most` passes. */
async function repeat(
  pass: () => Promise<void>,
  atLeast: number,
  most?: number,
): Promise<{ passes: number; time: number }> {
  const start = performance.now();
  for (let passes = 1; passes <= MAX_PASSES; passes++) {
    await pass();
    const time = performance.now() - start;
    if (time >= atLeast || passes === most) return { passes, time };
  }
  throw new Error("Cannot measure: the clock stands still");
}

/** Rejects when a pass does not end. */
async function withLimit(context: Context, pass: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), PASS_LIMIT);
  const outcome = await Promise.race([pass, promise]);
  clearTimeout(timer);
  if (outcome !== "late") return;
  const { count } = await context.server({ type: "report" });
  throw new Error(
    `Lost messages: a pass did not end in ${PASS_LIMIT} ms; the server counted ${
      JSON.stringify(count)
    } one-way messages`,
  );
}
