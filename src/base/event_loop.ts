/**
 * The event loop of any runtime, of a browser, too: the real time, and two ways to come back later. What only one runtime
 * has is added by its adapter.
 *
 * @module
 */

import type { Clock, EventLoop, TimerHandle } from "./clock.ts";
import { realTime } from "./real_time.ts";

interface Refable {
  ref?(): void;
  unref?(): void;
}

const { clearTimeout, nextTick, now, queueMicrotask, setImmediate, setTimeout } = realTime;

const clock: Clock = {
  now,
  setTimeout: (fn, ms) => setTimeout(fn, ms) as TimerHandle,
  clearTimeout: (timer) => clearTimeout(timer as never),
  unref: (timer) => (timer as Refable).unref?.(),
  ref: (timer) => (timer as Refable).ref?.(),
};

/** The event loop as it is everywhere. */
export const anyLoop: EventLoop = {
  clock,
  // Gathering writes in a microtask instead would end each gathering too early on Deno.
  defer: nextTick ?? queueMicrotask,
  yield: setImmediate === undefined ? viaMessageChannel : (fn) => void setImmediate(fn),
};

/** How long immediates may follow each other before sockets have their turn, in milliseconds. */
const UNFAIR = 20;
/** Immediates further apart than this, in milliseconds, do not follow each other. */
const APART = 5;

/**
 * Makes an {@linkcode EventLoop.yield} for where sockets are looked at once in many immediates only, as on Deno. A timer, which costs more, lets them
 * have their turn: taken once in {@linkcode UNFAIR} ms, it costs a busy connection little and bounds how long the others
 * wait. All that come while it runs wait for it: one that went on would keep the sockets waiting. A message passes through
 * several such turns; where many connections are busy, each of their rounds ends with one.
 */
export function takingTurns({ now, setImmediate, setTimer }: {
  readonly now: () => number;
  readonly setImmediate: (fn: () => void) => void;
  readonly setTimer: (fn: () => void) => void;
}): EventLoop["yield"] {
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
