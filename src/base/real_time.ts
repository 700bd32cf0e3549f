/**
 * Keeps the time functions of the runtime as they were when this package was imported. A test that fakes time later, as
 * with Jest, Vitest or Sinon, fakes the time of the program. Sockets are real, so the timers that they depend on must
 * not be faked.
 *
 * @module
 */

interface Runtime {
  process?: { nextTick?(fn: () => void): void };
  setImmediate?(fn: () => void): unknown;
}

const { process, setImmediate } = globalThis as Runtime;

/** The timers and the scheduling functions of the runtime. */
export interface RealTime {
  /** `performance.now`. */
  readonly now: () => number;
  readonly setTimeout: (fn: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: never) => void;
  readonly queueMicrotask: (fn: () => void) => void;
  /** Only on runtimes that have it, as is `setImmediate`. */
  readonly nextTick: ((fn: () => void) => void) | undefined;
  readonly setImmediate: ((fn: () => void) => unknown) | undefined;
}

/** The functions as they were at import. */
export const realTime: RealTime = {
  now: performance.now.bind(performance),
  setTimeout: setTimeout.bind(globalThis),
  clearTimeout: clearTimeout.bind(globalThis) as RealTime["clearTimeout"],
  queueMicrotask: queueMicrotask.bind(globalThis),
  nextTick: process?.nextTick?.bind(process),
  setImmediate: setImmediate?.bind(globalThis),
};
