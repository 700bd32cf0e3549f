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
  const { now, setImmediate } = realTime;
  if ((globalThis as Runtime).Deno === undefined || setImmediate === undefined) return anyLoop.yield;
  return takingTurns({ now, rest, setImmediate: (fn) => void setImmediate(fn) });
}

/**
 * Each turn of the loop is at least one task, so Deno has looked at the sockets after so many. Turns that have nothing
 * else to do take 0.1 ms together. A timer would take 2 ms, and would not help while something keeps the loop busy, such
 * as V8 when it collects garbage in steps.
 */
const TURNS = 64;

/** Calls `done` when the sockets have been looked at. */
export function rest(done: () => void): void {
  const soon = realTime.setImmediate ?? ((fn: () => void) => realTime.setTimeout(fn, 0));
  let left = TURNS;
  const turn = (): void => --left > 0 ? void soon(turn) : done();
  soon(turn);
}
