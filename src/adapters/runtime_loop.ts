/**
 * The event loop of the current runtime: Deno, Bun or Node.
 *
 * @module
 */

import type { Clock, EventLoop, TimerHandle } from "../base/clock.ts";
import { anyLoop, takingTurns } from "../base/event_loop.ts";
import { realTime } from "../base/real_time.ts";

interface Runtime {
  Deno?: { refTimer?(id: number): void; unrefTimer?(id: number): void };
}

/** Returns a clock that shows the real time. */
export function runtimeClock(): Clock {
  return { ...anyLoop.clock, unref: (timer) => setRef(timer, "unref"), ref: (timer) => setRef(timer, "ref") };
}

function setRef(timer: TimerHandle, how: "ref" | "unref"): void {
  if (typeof timer !== "number") anyLoop.clock[how]!(timer);
  else (globalThis as Runtime).Deno?.[`${how}Timer`]?.(timer);
}

/** Returns the event loop of this runtime. On Deno, too, it is fair to sockets. */
export function runtimeLoop(): EventLoop {
  return { ...anyLoop, clock: runtimeClock(), yield: fairYield() };
}

function fairYield(): EventLoop["yield"] {
  if ((globalThis as Runtime).Deno === undefined) return anyLoop.yield;
  return takingTurns({ now: realTime.now, rest, setImmediate: anyLoop.yield });
}

/**
 * While Deno is busy, it looks at its sockets once in 61 tasks. Each turn of the loop is at least one task, so it has looked
 * at them after so many turns. A timer would take longer, and would not help while something keeps the loop busy, such as V8
 * when it collects garbage in steps.
 */
const TURNS = 64;

/** Calls `done` when the sockets have been looked at. */
export function rest(done: () => void): void {
  let left = TURNS;
  const turn = (): void => --left > 0 ? anyLoop.yield(turn) : done();
  anyLoop.yield(turn);
}
