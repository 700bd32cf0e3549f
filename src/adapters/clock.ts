/**
 * The clock and the turns of the event loop, for every runtime: `performance.now`, the runtime's timers, and the two
 * ways to come back later that a transport offers.
 *
 * @module
 */

import { realTime } from "../base/real_time.ts";
import type { Clock, TimerHandle } from "../base/clock.ts";
import type { Transport } from "../transport.ts";

interface Runtime {
  Deno?: { refTimer?(id: number): void; unrefTimer?(id: number): void };
}

/** Makes a clock that shows the real time. */
export function systemClock(): Clock {
  return {
    now: realTime.now,
    setTimeout: (fn, ms) => realTime.setTimeout(fn, ms) as TimerHandle,
    clearTimeout: (timer) => realTime.clearTimeout(timer as never),
    unref: (timer) => setRef(timer, "unref"),
    ref: (timer) => setRef(timer, "ref"),
  };
}

function setRef(timer: TimerHandle, how: "ref" | "unref"): void {
  if (typeof timer === "object" && timer !== null) (timer as Partial<Record<typeof how, () => void>>)[how]?.();
  else if (typeof timer === "number") (globalThis as Runtime).Deno?.[`${how}Timer`]?.(timer);
}

/** Makes {@linkcode Transport.defer} and {@linkcode Transport.yield} out of what the runtime has. */
export function eventLoop(): Pick<Transport, "defer" | "yield"> {
  const { nextTick, queueMicrotask, setImmediate } = realTime;
  return {
    // Gathering writes in a microtask instead would end each gathering too early on Deno.
    defer: nextTick ?? queueMicrotask,
    yield: setImmediate === undefined ? viaMessageChannel : (fn) => void setImmediate(fn),
  };
}

/** How long immediates may follow each other before sockets have their turn, in milliseconds. */
const UNFAIR = 20;
/** Immediates further apart than this, in milliseconds, do not follow each other. */
const APART = 5;

/** {@linkcode Transport.yield} for sockets. */
export function fairYield(): Transport["yield"] {
  const { now, setImmediate, setTimeout } = realTime;
  if ((globalThis as Runtime).Deno === undefined || setImmediate === undefined) return eventLoop().yield;
  return takingTurns({
    now,
    setImmediate: (fn) => void setImmediate(fn),
    setTimer: (fn) => void setTimeout(fn, 0),
  });
}

/**
 * The same where sockets are looked at once in many immediates only, as on Deno. A timer, which costs more, lets them
 * have their turn: taken once in {@linkcode UNFAIR} ms, it costs a busy connection little and bounds how long the others
 * wait. All that come while it runs wait for it: one that went on would keep the sockets waiting. A message passes through
 * several such turns; where many connections are busy, each of their rounds ends with one.
 */
export function takingTurns({ now, setImmediate, setTimer }: {
  readonly now: () => number;
  readonly setImmediate: (fn: () => void) => void;
  readonly setTimer: (fn: () => void) => void;
}): Transport["yield"] {
  let began = 0;
  /** When the last of them was over, and whether one is at work. */
  let last = -Infinity;
  let working = false;
  let waiting: (() => void)[] | undefined;
  const run = (fn: () => void): void => {
    working = true;
    try {
      fn();
    } finally {
      working = false;
      last = now();
    }
  };
  const go = (): void => {
    const all = waiting!;
    waiting = undefined;
    began = now();
    for (const fn of all) run(fn);
  };
  return (fn, crowded = false) => {
    if (waiting !== undefined) {
      waiting.push(fn);
      return;
    }
    const time = now();
    // What begins by itself comes from a socket: they were looked at.
    if (!working && time - last > APART) began = time;
    if (time - began < UNFAIR && !crowded) setImmediate(() => run(fn));
    else {
      waiting = [fn];
      setTimer(go);
    }
  };
}

// A timer of 0 ms would wait for at least one millisecond.
function viaMessageChannel(fn: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    fn();
  };
  port2.postMessage(null);
}
