/**
 * The event loop of the current runtime: Deno, Bun or Node.
 *
 * @module
 */

import type { Clock, EventLoop, TimerHandle } from "../base/clock.ts";
import { anyLoop, takingTurns } from "../base/event_loop.ts";
import { realTime } from "../base/real_time.ts";
import { rest } from "./deno_turns.ts";

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
  return { ...anyLoop, clock: runtimeClock(), yield: fair ??= fairYield() };
}

/** One for all, since those that wait wait for one another. */
let fair: EventLoop["yield"] | undefined;

function fairYield(): EventLoop["yield"] {
  const { now, setImmediate } = realTime;
  if ((globalThis as Runtime).Deno === undefined || setImmediate === undefined) return anyLoop.yield;
  return takingTurns({ now, rest, setImmediate: (fn) => void setImmediate(fn) });
}
