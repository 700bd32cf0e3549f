/**
 * The event loop of any runtime, and of browsers: the real time, and two ways to continue later. Adapters add what only
 * one runtime has.
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

/** Only pages have it, and tests that imitate one on a runtime, whose timers are in time. */
const { document } = globalThis as { readonly document?: { readonly hidden?: boolean } };

/** The event loop for all runtimes. */
export const anyLoop: EventLoop = {
  clock,
  // Gathering writes in a microtask would end each gathering too early on Deno, so `nextTick` is preferred.
  defer: nextTick ?? queueMicrotask,
  yield: setImmediate === undefined ? viaMessageChannel : (fn) => void setImmediate(fn),
  throttled: nextTick === undefined && document ? () => document.hidden === true : undefined,
};

/** How long immediates may follow one another before the sockets have their turn, in milliseconds. */
const UNFAIR = 20;
/** Immediates that are further apart than this do not follow one another, in milliseconds. */
const APART = 5;

/**
 * Creates an {@linkcode EventLoop.yield} for runtimes that look at the sockets only once in many immediates, such as
 * Deno. A rest is a pause in which the sockets are looked at. It costs more than an immediate. One rest in
 * {@linkcode UNFAIR} ms costs a busy connection little and bounds how long the others wait. All functions that are added
 * during a rest wait for its end. A function that went on would make the rest longer. A message passes through several
 * such turns. If many connections are busy, each of their rounds ends with a rest.
 */
export function takingTurns({ now, rest, setImmediate }: {
  readonly now: () => number;
  /** Calls `fn` when the sockets have been looked at. */
  readonly rest: (fn: () => void) => void;
  readonly setImmediate: (fn: () => void) => void;
}): EventLoop["yield"] {
  let began = 0;
  /** When the last function returned, and whether one is running. */
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
    // A call that does not follow another one comes from a socket, so the sockets have just been looked at.
    if (!working && time - last > APART) began = time;
    if (time - began < UNFAIR && !crowded) setImmediate(() => run(fn));
    else {
      waiting = [fn];
      rest(go);
    }
  };
}

// A message channel is used because a timer of 0 ms would wait for at least one millisecond.
function viaMessageChannel(fn: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    fn();
  };
  port2.postMessage(null);
}
